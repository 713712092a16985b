"""The commands of demos.faces about a gallery, each from options to figures."""
import contextlib
import sys

import numpy as np

from demos.command_line import Stopwatch
from demos.faces_evaluation import pairs_to_ask, unseen
from demos.faces_model import model_of, say, usable
from minidl.data import balanced_pairs, read_people
from minidl.data.people import LeftOut, check_name, composed, find_pictures, shown
from minidl.faces import Gallery, Impostors
from minidl.faces.calibration import judge, per_comparison
from minidl.faces.measured import measured
from minidl.weights import WeightsError

MOST_PICTURES = 8               # of anybody: nobody with hundreds of them decides what is measured


def enroll(options):
    if (options.data is None) == (options.name is None) or options.name and not options.pictures:
        raise ValueError("enroll: give a NAME and one PICTURE or more, or else --data FOLDER")
    if options.name:
        options.name = check_name("enroll", options.name)
    model = model_of(options)
    if options.gallery.exists():
        _gallery(options, model)                    # one that cannot be read shows before the work
    if options.data:
        people = read_people(options.data)
        options.left_out += people.left_out
        people = people.first(options.most) if options.most else people
        paths, names = people.paths, [people.names[label] for label in people.labels]
    else:
        paths = _files(options)
        names = [options.name] * len(paths)
    watch = Stopwatch()
    encodings, used = model.encode(paths)
    names = [names[i] for i in used]
    options.gallery.parent.mkdir(parents=True, exist_ok=True)
    with _changed(options, model, new=model.gallery()) as gallery:
        _check_crop(options, gallery, model.crop)       # somebody else may have made it since
        held = gallery.enroll_encodings(names, encodings)
    added, again = held.count(None), sum(name == holder for name, holder in zip(names, held))
    options.left_out += [LeftOut(paths[i], f"it is enrolled as {holder}")
                         for i, name, holder in zip(used, names, held)
                         if holder not in (None, name)]
    calibrated = _calibrated(gallery)
    say(options, f"{shown(options.gallery)}: pictures added: {added:,}"
        + (f" ({again:,} were there already)" if again else "")
        + f"; people in it: {len(gallery):,}; {_costs(gallery, calibrated)}")
    _warn(gallery, calibrated)
    return {"enrolled": added, "enrolled_before": again, "people": len(gallery),
            "threshold": gallery.threshold, "calibrated": calibrated,
            "seconds": watch.seconds}


def identify(options):
    model = model_of(options)
    gallery, paths = _gallery(options, model), _files(options)
    watch = Stopwatch()
    encodings, used = model.encode(paths)
    encoded = watch.seconds
    found = gallery.identify_encodings(encodings)
    searched = watch.seconds - encoded
    for i, match in zip(used, found):
        said = f"{match.name} (" if match.name else f"not recognized (nearest {match.nearest} "
        say(options, f"{shown(paths[i])}: {said}{_distances(match)})")
    return _answers(gallery, paths, used, found) | {"encoding_seconds": encoded,
                                                    "search_seconds": searched}


def verify(options):
    model = model_of(options)
    gallery, paths = _gallery(options, model), _files(options)
    pictures, used = model.read_usable(paths)
    found = [gallery.verify(picture, options.name) for picture in pictures]
    for i, said in zip(used, found):
        answer = "yes," if said else "no, not"
        say(options, f"{shown(paths[i])}: {answer} {said.claimed} ({_distances(said)})")
    return _answers(gallery, paths, used, found)


def _answers(gallery, paths, used, found):
    """Figures of Matches or Verifications; no rate is promised for what was not measured, and that
    is said."""
    calibrated = _calibrated(gallery)
    _warn(gallery, calibrated)
    unknown = {} if calibrated else {"false_accept_rate": None}
    return {"answers": [vars(said) | unknown | {"picture": str(paths[i])}
                        for i, said in zip(used, found)], "calibrated": calibrated}


def calibrate(options):
    """Measure how near other people come: τ then follows from that, the stated rate and how many
    pictures are enrolled."""
    model = model_of(options)
    _gallery(options, model)                        # there must be one
    impostors, distances, same = _measure(options, model)
    with _changed(options, model) as gallery:
        before = gallery.threshold
        gallery.impostors, gallery.threshold = impostors, None
        if options.far is not None:
            gallery.false_accept_rate = options.far
    calibrated = _calibrated(gallery)
    tau, pictures = gallery.threshold, max(1, len(gallery.people))
    each = per_comparison(gallery.false_accept_rate, pictures)
    say(options, f"{shown(options.gallery)}: {_costs(gallery, calibrated)}; τ was {before:.4f}",
        f"{impostors.pairs:,} pairs of {impostors.people:,} people were measured; they show rates "
        f"down to {impostors.rates[0]:g} a comparison, and τ is for {each:.2g}"
        + (": extrapolated" if each < impostors.rates[0] else "")
        + ("; with fewer than 30 people the share may be several times the stated"
           if impostors.people < 30 else ""))
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
    people = unseen(model, options, with_second=0).first(MOST_PICTURES)
    encodings, used = model.encode(people.paths)
    labels = people.labels[used]
    impostors = Impostors.measure(encodings, labels)
    if len(np.unique(labels)) == len(labels):
        return impostors, np.zeros(0), np.zeros(0, bool)
    a, b, same = balanced_pairs(labels, options.count, options.seed)
    return impostors, np.linalg.norm(encodings[a] - encodings[b], axis=1), same


def list_people(options):
    gallery = _gallery(options, model_of(options))
    calibrated = _calibrated(gallery)
    counts = np.bincount(gallery.people, minlength=len(gallery)).tolist()
    say(options, f"{_costs(gallery, calibrated)}; pictures of each:",
        *(f"{count:6,}  {name}" for name, count in sorted(zip(gallery.names, counts))))
    _warn(gallery, calibrated)
    return {"people": dict(zip(gallery.names, counts)), "threshold": gallery.threshold,
            "calibrated": calibrated}


def remove(options):
    with _changed(options, model_of(options)) as gallery:
        pictures = len(gallery.people)
        gallery.remove(options.name)
    pictures -= len(gallery.people)
    say(options, f"{shown(options.gallery)}: {composed(options.name)} is forgotten, pictures: "
        f"{pictures:,}; people left in it: {len(gallery):,}")
    return {"people": len(gallery)}


def rename(options):
    with _changed(options, model_of(options)) as gallery:
        gallery.rename(options.name, options.new_name)
    say(options, f"{shown(options.gallery)}: {composed(options.name)} is now "
        f"{composed(options.new_name)}")
    return {"people": len(gallery)}


def _gallery(options, model):
    """The gallery in the file, to be asked.  From then on the model cuts pictures as the enrolled
    ones were cut."""
    with _explained(options):
        gallery = Gallery.load(options.gallery, model.encoder)
    _check_crop(options, gallery, options.crop)
    if gallery.crop is not None:
        model.crop = gallery.crop
    return gallery


def _check_crop(options, gallery, crop):
    """Raise ValueError where its pictures were cut in another way."""
    if None not in (crop, gallery.crop) and crop != gallery.crop:
        raise ValueError(f"{options.gallery} was made with --crop {gallery.crop:g}, here it is "
                         f"{crop:g}: pictures cut in two ways cannot be compared; leave --crop "
                         "out, or enroll into another file")


@contextlib.contextmanager
def _changed(options, model, new=None):
    """The gallery in the file, to be changed in a `with` block: read again when it is our turn,
    saved at the end.  new: the one to begin with where there is none yet."""
    with _explained(options, new is not None):
        with Gallery.changed(options.gallery, model.encoder, new) as gallery:
            yield gallery


@contextlib.contextmanager
def _explained(options, new=False):
    """Says what may help where there is no gallery, or one of another encoder."""
    if not new and not options.gallery.exists():
        raise ValueError(f"there is no gallery {options.gallery}; `enroll` makes one")
    try:
        yield
    except WeightsError as error:
        raise ValueError(f"{error}; --model says which encoder, here {options.model}") from None


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


def _warn(gallery, calibrated):
    """Say where it is not known what τ costs, by what it goes then, and what to do."""
    if calibrated:
        return
    tau, people = f"τ {gallery.threshold:.3f}", (gallery.encodings, gallery.people)
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
    print(f"not calibrated: {problem}; `calibrate` on pictures like yours", file=sys.stderr)


def _elsewhere(gallery):
    """The Impostors that τ follows from without having been measured on such pictures, or None."""
    known = measured(gallery.encoder)
    followed = known and known.threshold(gallery.false_accept_rate, max(1, len(gallery.people)))
    return known if followed == gallery.threshold else None


def _distances(said):
    """Of a Match or a Verification."""
    sign = "≤" if said.distance <= said.threshold else ">"
    return (f"{said.distance:.3f} {sign} τ {said.threshold:.3f}"
            + (f"; next {said.runner_up} {said.runner_up_distance:.3f}" if said.runner_up else ""))
