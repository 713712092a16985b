"""The commands of demos.faces about a gallery, each from options to figures."""
import contextlib
import sys

import numpy as np

from demos.command_line import Stopwatch
from demos.faces_evaluation import pairs_to_ask, unseen
from demos.faces_model import model_of, say
from minidl.data import balanced_pairs, read_people
from minidl.data.people import check_name, find_pictures
from minidl.faces import Gallery, Impostors
from minidl.faces.calibration import judge, per_comparison
from minidl.weights import WeightsError

MOST_PICTURES = 8               # of anybody: nobody with hundreds of them decides what is measured


def enroll(options):
    if (options.data is None) == (options.name is None) or options.name and not options.pictures:
        raise ValueError("enroll: give a NAME and one PICTURE or more, or else --data FOLDER")
    if options.name:
        check_name("enroll", options.name)
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
        gallery.enroll_encodings(names, encodings)
    say(options, f"{options.gallery}: pictures added: {len(names):,}; people in it: "
        f"{len(gallery):,}; {_costs(gallery)}")
    _warn(gallery)
    return {"enrolled": len(names), "people": len(gallery), "threshold": gallery.threshold,
            "calibrated": gallery.calibrated, "seconds": watch.seconds}


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
        say(options, f"{paths[i]}: {said}{_distances(match)})")
    _warn(gallery)
    return {"answers": [vars(match) | {"picture": str(paths[i])} for i, match in zip(used, found)],
            "calibrated": gallery.calibrated, "encoding_seconds": encoded,
            "search_seconds": searched}


def verify(options):
    model = model_of(options)
    gallery, paths = _gallery(options, model), _files(options)
    pictures, used = model.read_usable(paths)
    found = [gallery.verify(picture, options.name) for picture in pictures]
    for i, said in zip(used, found):
        answer = "yes," if said else "no, not"
        say(options, f"{paths[i]}: {answer} {said.claimed} ({_distances(said)})")
    _warn(gallery)
    return {"answers": [vars(said) | {"picture": str(paths[i])} for i, said in zip(used, found)],
            "calibrated": gallery.calibrated}


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
    tau, pictures = gallery.threshold, max(1, len(gallery.people))
    each = per_comparison(gallery.false_accept_rate, pictures)
    say(options, f"{options.gallery}: {_costs(gallery)}; τ was {before:.4f}",
        f"{impostors.pairs:,} pairs of {impostors.people:,} people were measured; they show rates "
        f"down to {impostors.rates[0]:g} a comparison, and τ is for {each:.2g}"
        + (": extrapolated" if each < impostors.rates[0] else "")
        + ("; with fewer than 30 people the share may be several times the stated"
           if impostors.people < 30 else ""))
    figures = {"threshold": tau, "threshold_before": before, "impostors": vars(impostors),
               "false_accept_rate": gallery.false_accept_rate,
               "pictures_enrolled": len(gallery.people)}
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
    counts = np.bincount(gallery.people, minlength=len(gallery)).tolist()
    say(options, f"{_costs(gallery)}; pictures of each:",
        *(f"{count:6,}  {name}" for name, count in sorted(zip(gallery.names, counts))))
    _warn(gallery)
    return {"people": dict(zip(gallery.names, counts)), "threshold": gallery.threshold,
            "calibrated": gallery.calibrated}


def remove(options):
    with _changed(options, model_of(options)) as gallery:
        gallery.remove(options.name)
    return {"people": len(gallery)}


def rename(options):
    with _changed(options, model_of(options)) as gallery:
        gallery.rename(options.name, options.new_name)
    return {"people": len(gallery)}


def _gallery(options, model):
    """The gallery in the file, to be asked."""
    with _explained(options):
        return Gallery.load(options.gallery, model.encoder)


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
    found = []
    for place in options.pictures:
        if place.is_dir():
            inside, left_out = find_pictures(place)
            if not inside:
                raise ValueError(f"there are no pictures in the folder {place}")
            found += inside
            options.left_out += left_out
        else:
            found.append(place)
    return found


def _costs(gallery):
    """What τ is, and what it costs."""
    if not gallery.calibrated:
        return f"τ {gallery.threshold:.3f}, not calibrated"
    rate = gallery.impostors.rate(gallery.threshold, len(gallery.people))
    return f"τ {gallery.threshold:.3f}, at which {rate:.1%} of strangers are given a name"


def _warn(gallery):
    """Say where it is not known what τ costs, or not for such pictures."""
    if not gallery.calibrated:
        problem = (f"how many strangers τ {gallery.threshold:.3f} gives a name, among "
                   f"{len(gallery.people):,} pictures enrolled, is not known")
    elif not gallery.impostors.hold_for(gallery.encodings, gallery.people):
        problem = ("the people enrolled come nearer to each other than those measured, and more "
                   "strangers are given a name than stated (do faces fill the pictures?)")
    else:
        return
    print(f"not calibrated: {problem}; `calibrate` before `identify`", file=sys.stderr)


def _distances(said):
    """Of a Match or a Verification."""
    sign = "≤" if said.distance <= said.threshold else ">"
    return (f"{said.distance:.3f} {sign} τ {said.threshold:.3f}"
            + (f"; next {said.runner_up} {said.runner_up_distance:.3f}" if said.runner_up else ""))
