"""The commands of demos.faces about a gallery, each from options to figures."""
import contextlib
from pathlib import Path

import numpy as np

from demos.command_line import Stopwatch, answer, say, warn, write_json
from demos.faces_evaluation import pairs_to_ask, people_to_ask
from demos.faces_options import model_of
from minidl.data import balanced_pairs, read_people
from minidl.data.people import LeftOut, check_name, composed, find_pictures, shown
from minidl.faces import Gallery, Impostors
from minidl.faces.calibration import judge, per_comparison
from minidl.faces.choosing import middle, one_face
from minidl.faces.drawing import draw_faces
from minidl.faces.model import NoneUsable, noted, usable
from minidl.weights import WeightsError

MOST_PICTURES = 8               # of anybody: nobody with hundreds of them decides what is measured


def enroll(options):
    if (options.data is None) == (options.name is None) or options.name and not options.pictures:
        raise ValueError("enroll: give a NAME and one PICTURE or more, or else --data FOLDER")
    if options.at and len(options.pictures) != 1:
        raise ValueError(f"--at is a place in one PICTURE, got {len(options.pictures)}")
    if options.name:
        options.name = check_name("enroll", options.name)
    held = _gallery(options) if options.gallery.exists() else None
    model = _model(options, held)
    if held is not None:
        with _explained(options, model):            # another encoder's shows before the work
            held.use(model.encoder, options.gallery)
        _check_crop(options, held, options.crop)
        model.crop = model.crop if held.crop is None else held.crop
    if options.data:
        people = read_people(options.data)
        options.left_out += people.left_out
        people = people.first(options.most) if options.most else people
        paths, names = people.paths, [people.names[label] for label in people.labels]
    else:
        paths = _files(options)
        names = [options.name] * len(paths)
    watch = Stopwatch()
    encodings, places = model.encode(paths, _pointed_at(options))
    names = [names[place.path] for place in places]
    options.gallery.parent.mkdir(parents=True, exist_ok=True)
    with _changed(options, model, new=model.gallery()) as gallery:
        _check_crop(options, gallery, model.crop)       # somebody else may have made it since
        held = gallery.enroll_encodings(names, encodings)
        gallery.encoder_file = noted(options.model, options.gallery)
    added, again = held.count(None), sum(name == holder for name, holder in zip(names, held))
    options.left_out += [LeftOut(paths[place.path], f"it is enrolled as {holder}")
                         for place, name, holder in zip(places, names, held)
                         if holder not in (None, name)]
    calibrated = _calibrated(gallery)
    say(options, f"{shown(options.gallery)}: pictures added: {added:,}"
        + (f" ({again:,} were there already)" if again else "")
        + f"; people in it: {len(gallery):,}; {_costs(gallery, calibrated)}")
    if not options.data:
        say(options, *(f"{shown(paths[place.path])}: {name}, face at {middle(place.box)}"
                       for place, name in zip(places, names)))
    _warn(gallery, calibrated)
    _warn_of_whole(options, model, paths, places)
    return {"enrolled": added, "enrolled_before": again, "people": len(gallery),
            "faces": [{"picture": str(paths[place.path]), "name": name, **_place(place)}
                      for place, name in zip(places, names)],
            "threshold": gallery.threshold, "calibrated": calibrated,
            "seconds": watch.seconds}


def identify(options):
    with _left_out_noted(options):
        model, gallery, paths = _asked(options)
        watch = Stopwatch()
        encodings, places = model.encode(paths, list)
    encoded = watch.seconds
    found = gallery.identify_encodings(encodings)
    searched = watch.seconds - encoded
    for place, match in zip(places, found):
        said = f"{match.name} (" if match.name else f"not recognized (nearest {match.nearest} "
        answer(f"{_where(paths, places, place)}: {said}{_distances(match)})")
    drawn = _draw(options, model, paths, places, found)
    _warn_of_whole(options, model, paths, places)
    return _answers(gallery, paths, places, found) | {
        "pictures": drawn, "encoding_seconds": encoded, "search_seconds": searched}


def verify(options):
    with _left_out_noted(options):
        model, gallery, paths = _asked(options)
        if options.at and len(paths) != 1:
            raise ValueError(f"--at is a place in one PICTURE, got {len(paths)}")
        faces, places = model.see_usable(paths, _pointed_at(options))
    found = [gallery.verify(model.view(face), options.name) for face in faces]
    for place, said in zip(places, found):
        yes = "yes," if said else "no, not"
        answer(f"{shown(paths[place.path])}: {yes} {said.claimed} ({_distances(said)})")
    _warn_of_whole(options, model, paths, places)
    return _answers(gallery, paths, places, found)


@contextlib.contextmanager
def _left_out_noted(options):
    """Where no picture can be used, which is a mistake, --json says so as well: no answers."""
    try:
        yield
    except NoneUsable:
        write_json(options.json, {"answers": [], "skipped": [
            {"picture": str(one.path), "reason": one.reason} for one in options.left_out]})
        raise


def _pointed_at(options):
    """A function from faces to the one that the options mean."""
    def choose(faces):
        try:
            return one_face(faces, options.at)
        except ValueError as error:
            hint = "; --at X,Y says which is meant" if options.name and not options.at else ""
            raise ValueError(f"{error}{hint}") from None
    return choose


def _answers(gallery, paths, places, found):
    """Figures of Matches or Verifications; no rate is promised for what was not measured, and that
    is said."""
    calibrated = _calibrated(gallery)
    _warn(gallery, calibrated, found[0].threshold if found else None)
    unknown = {} if calibrated else {"false_accept_rate": None}
    answers = [{"picture": str(paths[place.path]), **_place(place), **vars(said), **unknown}
               for place, said in zip(places, found)]
    return {"answers": answers, "calibrated": calibrated}


def _place(place):
    return {"box": place.box, "score": place.score}


def _where(paths, places, place):
    """A picture's name, and where in it the face is, if there are several."""
    several = sum(other.path == place.path for other in places) > 1
    return shown(paths[place.path]) + (f", face at {middle(place.box)}" if several else "")


def _draw(options, model, paths, places, found):
    """Every picture with its faces and who they are, into the output folder: the files' names."""
    drawn = {}
    for i in dict.fromkeys(place.path for place in places):
        name = f"{paths[i].stem}_faces"
        count = sum(other.startswith(name) for other in drawn)
        here = [(place, match) for place, match in zip(places, found) if place.path == i]
        path = options.output / f"{name}{f'_{count + 1}' if count else ''}.png"
        draw_faces(path, model.read(paths[i]), [place.box for place, _ in here],
                   [_label(match) for _, match in here], [bool(match.name) for _, match in here])
        drawn[path.stem] = str(path)
    say(options, f"drawn: {', '.join(map(shown, list(drawn.values())[:3]))}"
        + (f" and {len(drawn) - 3:,} more" if len(drawn) > 3 else ""))
    return list(drawn.values())


def _label(match):
    if match.name:
        return f"{match.name}\n{match.distance:.3f} ≤ {match.threshold:.3f}"
    return f"not recognized\n{match.nearest}? {match.distance:.3f} > {match.threshold:.3f}"


def calibrate(options):
    """Measure how near other people come: τ then follows from that, the stated rate and how many
    pictures are enrolled."""
    gallery = _gallery(options)
    model = _model(options, gallery)
    if gallery.crop is not None:
        _check_crop(options, gallery, options.crop)
        model.crop = gallery.crop
    with _explained(options, model):
        gallery.use(model.encoder, options.gallery)
    impostors, distances, same = _measure(options, model)
    with _changed(options, model) as gallery:
        before = gallery.threshold
        gallery.impostors, gallery.threshold = impostors, None
        if options.far is not None:
            gallery.false_accept_rate = options.far
    calibrated = _calibrated(gallery)
    tau, pictures = gallery.threshold, max(1, len(gallery.people))
    each = per_comparison(gallery.false_accept_rate, pictures)
    answer(f"{shown(options.gallery)}: {_costs(gallery, calibrated)}; τ was {before:.4f}")
    say(options,
        f"{impostors.pairs:,} pairs of {impostors.people:,} people were measured; they show rates "
        f"down to {impostors.least_rate:.2g} a comparison, and τ is for {each:.2g}"
        + ("" if each >= impostors.least_rate else
           ": extrapolated; more people would allow a larger τ, which knows more of those enrolled"
           if impostors.people < 30 else ": extrapolated"))
    _warn(gallery, calibrated)
    figures = {"threshold": tau, "threshold_before": before, "impostors": vars(impostors),
               "false_accept_rate": gallery.false_accept_rate,
               "pictures_enrolled": len(gallery.people), "calibrated": calibrated}
    if same.any():
        found = judge(distances, same, tau)
        say(options, *str(found).splitlines()[1:])
        figures |= {"false_refusal_rate": found.false_refusal_rate, "same_pairs": found.same_pairs,
                    "false_refusal_interval": found.false_refusal_interval}
    return figures


def _measure(options, model):
    """(Impostors, distances of pairs, which of these are one person), on the options' pictures."""
    if options.pairs:
        distances, pairs, *_ = model.distances(pairs_to_ask(model, options))
        people = {pairs.person(path) for path in [*pairs.a, *pairs.b]}
        return Impostors.of_pairs(distances[~pairs.same], len(people)), distances, pairs.same
    people = people_to_ask(model, options, with_second=0).first(MOST_PICTURES)
    encodings, places = model.encode(people.paths)
    labels = people.labels[[place.path for place in places]]
    impostors = Impostors.measure(encodings, labels)
    if len(np.unique(labels)) == len(labels):
        return impostors, np.zeros(0), np.zeros(0, bool)
    a, b, same = balanced_pairs(labels, options.count, options.seed)
    return impostors, np.linalg.norm(encodings[a] - encodings[b], axis=1), same


def list_people(options):
    gallery = _gallery(options)
    options.model = options.model or gallery.encoder_file
    calibrated = _calibrated(gallery)
    counts = np.bincount(gallery.people, minlength=len(gallery)).tolist()
    say(options, f"{_costs(gallery, calibrated)}; pictures of each:")
    answer(*(f"{count:6,}  {name}" for name, count in sorted(zip(gallery.names, counts))))
    _warn(gallery, calibrated)
    return {"people": dict(zip(gallery.names, counts)), "threshold": gallery.threshold,
            "calibrated": calibrated}


def remove(options):
    with _changed(options) as gallery:
        pictures = len(gallery.people)
        gallery.remove(options.name)
        options.model = gallery.encoder_file
    pictures -= len(gallery.people)
    say(options, f"{shown(options.gallery)}: {composed(options.name)} is forgotten, pictures: "
        f"{pictures:,}; people left in it: {len(gallery):,}")
    return {"people": len(gallery)}


def rename(options):
    with _changed(options) as gallery:
        gallery.rename(options.name, options.new_name)
        options.model = gallery.encoder_file
    say(options, f"{shown(options.gallery)}: {composed(options.name)} is now "
        f"{composed(options.new_name)}")
    return {"people": len(gallery)}


def _gallery(options):
    """The gallery in the file, without its encoder, which is not looked for yet."""
    if not options.gallery.exists():
        raise ValueError(f"there is no gallery {options.gallery}; `enroll` makes one")
    return Gallery.load(options.gallery)


def _asked(options):
    """(Model, gallery with its encoder, picture files) for a question.  The model cuts pictures as
    the enrolled ones were cut."""
    gallery, paths = _gallery(options), _files(options)
    name = getattr(options, "name", None)
    if not len(gallery):
        raise ValueError(f"{options.gallery}: nobody is enrolled")
    if name is not None and name not in gallery:
        raise ValueError(f"{name!r} is not enrolled; {len(gallery)} people are")
    model = _model(options, gallery)
    with _explained(options, model):
        gallery.use(model.encoder, options.gallery)
    _check_crop(options, gallery, options.crop)
    if gallery.crop is not None:
        model.crop = gallery.crop
    return model, gallery, paths


def _model(options, gallery=None):
    """The Model that the options name, or else the one that the gallery notes."""
    file = None if gallery is None else gallery.encoder_file
    if options.model is None:
        options.model = "face128"
        if file and file != "face128":
            options.model = str(options.gallery.parent / file)
            if not Path(options.model).exists():
                raise ValueError(f"{options.gallery} was made with the encoder {options.model}, "
                                 "which is not there; --model says where it is now")
    return model_of(options)


def _check_crop(options, gallery, crop):
    """Raise ValueError where its pictures were cut in another way."""
    if None not in (crop, gallery.crop) and crop != gallery.crop:
        raise ValueError(f"{options.gallery} was made with --crop {gallery.crop:g}, here it is "
                         f"{crop:g}: pictures cut in two ways cannot be compared; leave --crop "
                         "out, or enroll into another file")


@contextlib.contextmanager
def _changed(options, model=None, new=None):
    """The gallery in the file, to be changed in a `with` block: read again when it is our turn,
    saved at the end.  new: the one to begin with where there is none yet."""
    if new is None:
        _gallery(options)                           # there must be one
    with _explained(options, model):
        with Gallery.changed(options.gallery, model and model.encoder, new) as gallery:
            yield gallery


@contextlib.contextmanager
def _explained(options, model):
    """Says what may help where a gallery is of another encoder."""
    try:
        yield
    except WeightsError as error:
        if model is None or "is not a gallery" in str(error):
            raise
        here = f"{options.model}, {'' if model.aligned else 'not '}aligned"
        raise ValueError(f"{error}; --model and --no-align say which encoder, here "
                         f"{here}") from None


def _files(options):
    """Pictures as they are given, and for a folder all that are in it and in its folders."""
    found, others = [], []
    for place in options.pictures:
        if place.is_dir():
            inside, left_out = find_pictures(place)
            if not inside and not left_out:
                left_out = [LeftOut(place, "there are no pictures in the folder")]
            found += inside
            others += left_out
        else:
            found.append(place)
    return usable(found, others, others, options.left_out)


def _calibrated(gallery):
    """Whether it is known what τ costs: other people were measured, on pictures like these."""
    return gallery.calibrated and gallery.impostors.hold_for(gallery.encodings, gallery.people)


def _costs(gallery, calibrated):
    """What τ is, and what it costs."""
    if not calibrated:
        return f"τ {gallery.threshold:.3f}, not calibrated"
    rate = gallery.impostors.rate(gallery.threshold, len(gallery.people))
    return f"τ {gallery.threshold:.3f}, at which {rate:.1%} of strangers are given a name"


def _warn_of_whole(options, model, paths, places):
    """Name the pictures in which no face was found, so that the whole was taken for one."""
    taken = [shown(paths[place.path]) for place in places if place.score is None]
    if taken and model.aligned and not options.whole:
        warn(f"no face was found, and the whole picture taken for one: {', '.join(taken[:3])}"
             + (f" and {len(taken) - 3:,} more" if len(taken) > 3 else ""))


def _warn(gallery, calibrated, threshold=None):
    """Say where it is not known what τ costs, by what it goes then, and what to do.

    threshold: the τ that was used, by default that of `identify`.
    """
    if calibrated:
        return
    threshold = gallery.threshold if threshold is None else threshold
    tau, people = f"τ {threshold:.3f}", (gallery.encodings, gallery.people)
    known = gallery.impostors or _elsewhere(gallery)
    if gallery.calibrated:
        problem = f"{tau} goes by the {known.people:,} people measured"
    elif known:
        problem = f"{tau} goes by {known.people:,} people in press photographs, closely cut"
    else:
        problem = f"{tau} is for pairs, not for a gallery"
    if known and not known.hold_for(*people):
        problem += ("; those enrolled come nearer to each other (do faces fill the pictures?), and "
                    "more strangers may be given a name")
    else:
        problem += "; how many strangers are given a name on pictures like yours is not known"
    warn(f"not calibrated: {problem}; `calibrate` on pictures like yours")


def _elsewhere(gallery):
    """The Impostors that τ follows from without having been measured on such pictures, or None."""
    known = gallery.measured
    followed = known and known.threshold(gallery.false_accept_rate, max(1, len(gallery.people)))
    return known if followed == gallery.threshold else None


def _distances(said):
    """Of a Match or a Verification."""
    sign = "≤" if said.distance <= said.threshold else ">"
    return (f"{said.distance:.3f} {sign} τ {said.threshold:.3f}"
            + (f"; next {said.runner_up} {said.runner_up_distance:.3f}" if said.runner_up else ""))
