"""The command `evaluate` of demos.faces, and the picture in which its story ends."""
from pathlib import Path

import numpy as np

from demos.command_line import Stopwatch, answer, say, warn
from minidl.data import load_image, names_of, pairs_of, read_pairs, read_people
from minidl.data.people import load_usable
from minidl.faces import Impostors, find, fingerprint, plots, report
from minidl.faces.calibration import judge
from minidl.faces.choosing import one_face
from minidl.faces.measured import measured
from minidl.faces.model import noted
from minidl.packages import FetchError
from minidl.plots import check_matplotlib

ENROLLED, STRANGERS = 7, 2      # people in the picture
LEAST, MEASURED = 15, 400       # people, and pictures of them, to see how near others come
SHOWN_RATE = 0.1                # of strangers named there: a small encoder at 0.01 knows few


def evaluate(model, options):
    """Verification on pairs by the 10-fold protocol, recognition from one picture each where names
    are known; plots."""
    check_matplotlib()
    asked = pairs_to_ask(model, options)
    watch = Stopwatch()
    distances, pairs, paths, encodings = model.distances(asked)     # pairs: those of two faces
    figures = {"pictures": len(paths),
               "encoding_seconds": watch.seconds} | report.verification(distances, pairs.same)
    _say_verification(figures)
    threshold, following = _thresholds(model)
    figures["judged"] = _judge(distances, pairs.same, threshold, options)
    if model.aligned:
        figures["unaligned"] = _unaligned(model, pairs, options)
    named = names_of(asked)
    if named is not None:
        name_of = dict(zip(asked.a + asked.b, named[0] + named[1]))
        names = np.array([name_of[path] for path in paths])
        _recognition(encodings, names, figures, options)
        figures["open_set"] = _open_set(encodings, names, threshold, following, options)
    _draw(model, pairs, distances, figures, options)
    return figures


def pairs_to_ask(model, options):
    """The pairs that the options name, or pairs drawn from the people whom the model has not seen
    in training."""
    if options.pairs:
        pairs = read_pairs(options.pairs, options.data)
        known = sum(pairs.person(path) in model.seen for path in {*pairs.a, *pairs.b})
        if known:
            warn(f"warning: {known:,} of the pictures show people with names that were seen in "
                 "training, so the figures flatter; train with --exclude-pairs")
        return pairs
    people = people_to_ask(model, options)
    return pairs_of(people, options.count, options.seed)


def people_to_ask(model, options, with_second=2):
    """The `unseen` People, after saying how many these are."""
    people = unseen(model, options, with_second)
    if model.seen:
        say(options, f"{len(people.names):,} people of {options.data} were not seen in training: "
            "they are asked")
    return people


def unseen(model, options, with_second=2):
    """The People of the folder whom the training of the model did not see, by their names.

    Raises ValueError unless so many of them have a second picture.
    """
    people = read_people(options.data)
    model.left_out += people.left_out
    names = set(people.names) - model.seen
    chosen = people.only(names)
    if not chosen.names or chosen.with_second < with_second:
        raise ValueError(f"{options.data}: {chosen.with_second} of its {len(people.names):,} "
                         "people have a second picture"
                         + (" and names that were not seen in training "
                            f"({len(people.names) - len(names):,} were)"
                            if model.seen else "") + "; at least two are needed, or --pairs")
    return chosen


def _say_verification(figures):
    low, high = figures["interval"]
    answer(f"verification, {figures['pairs']:,} pairs, {figures['same_pairs']:,} of one person: "
           f"accuracy {figures['accuracy']:.1%} ± {figures['standard_error']:.1%} (10-fold; 95 %: "
           f"{low:.1%} to {high:.1%}), equal error rate {figures['equal_error_rate']:.1%}, "
           f"AUC {figures['auc']:.4f}")
    for far, share in figures["val_at_far"].items():
        answer(f"  τ for {float(far):.1%} false accepts: {share:.1%} true accepts")


def _recognition(encodings, names, figures, options):
    if np.count_nonzero(np.unique(names, return_counts=True)[1] > 1) < 2:
        return
    found = report.recognition(encodings, names)
    figures["recognition"] = found
    plots.cmc_curve(options.output / "cmc.png", {Path(options.model).stem: found["cmc"]})
    plots.embedding_map(options.output / "map.png", encodings, names)
    answer(f"recognition, one picture each of {found['people']:,} people enrolled, "
           f"{found['asked']:,} asked: {found['rank_one']:.1%} have the right person nearest")
    if found["detection_rate"] is not None:
        answer("  every second person unknown, τ for "
               f"{found['at_false_alarm_rate']:.1%} false alarms: {found['detection_rate']:.1%} of "
               "the known recognized")


def _thresholds(model):
    """(τ of this encoder's galleries for pairs, τ as a function of how many pictures are enrolled
    or None)."""
    known = model.impostors or measured(fingerprint(model.encoder))
    if known is None:
        return model.threshold, None
    rate = model.gallery().false_accept_rate
    return known.threshold(rate), lambda enrolled: known.threshold(rate, enrolled)


def _judge(distances, same, threshold, options):
    """What a gallery's own τ does on the pairs, which were not asked for it."""
    found = judge(distances, same, threshold)
    answer("with a gallery's τ for pairs: " + "; ".join(str(found).splitlines()))
    return {"threshold": threshold} | {
        name: getattr(found, name) for name in (
            "false_accepts", "different_pairs", "false_accept_rate", "false_accept_interval",
            "false_refusals", "same_pairs", "false_refusal_rate", "false_refusal_interval")}


def _unaligned(model, pairs, options):
    """The same pairs, by whole pictures."""
    distances, pairs, *_ = model.unaligned().distances(pairs)
    figures = report.verification(distances, pairs.same)
    answer("without alignment, whole pictures as they are:")
    _say_verification(figures)
    return figures


def _open_set(encodings, names, threshold, following, options):
    """Strangers and known people as the gallery grows; None where there are too few people."""
    rules = {"pairs": lambda enrolled: threshold} | ({"following": following} if following else {})
    people, counts = np.unique(names, return_counts=True)
    if len(people) <= report.STRANGERS or counts.max() < 2:
        return None
    rows = report.open_set_growth(encodings, names, rules, seed=options.seed)
    answer(f"{rows[0]['strangers']:,} strangers, and other pictures of the K people enrolled "
        "from one picture each (mean of 20 draws):",
        f"  at τ {threshold:.3f}, for pairs"
        + ("" if following is None else f"{'':29}at τ that follows K"),
        "     K   strangers named  1 − (1 − FAR)^K  found  wrong"
        + ("" if following is None else "       τ   strangers named  found  wrong"))
    for size in dict.fromkeys(row["enrolled"] for row in rows):
        one, *other = (row for row in rows if row["enrolled"] == size)
        line = (f"{size:6,}{one['strangers_named']:16.1%}{one['expected']:17.1%}"
                f"{one['known_found']:9.1%}{one['known_wrong']:7.1%}")
        for row in other:
            line += (f"{row['threshold']:10.3f}{row['strangers_named']:15.1%}"
                     f"{row['known_found']:10.1%}{row['known_wrong']:7.1%}")
        answer(line)
    return rows


def _draw(model, pairs, distances, figures, options):
    folder, threshold = options.output, figures["threshold"]
    plots.roc_curve(folder / "roc.png", {Path(options.model).stem: (distances, pairs.same)})
    plots.distance_histograms(folder / "distances.png", distances, pairs.same, threshold)
    plots.best_and_worst_pairs(
        folder / "pairs.png", lambda i: (model.read(pairs.a[i]), model.read(pairs.b[i])),
        distances, pairs.same, threshold)


def show(model, options):
    """Enrol some people whom the encoder has never seen, one picture each, and ask; draw all of it,
    save the gallery."""
    rng, people = np.random.default_rng(options.seed), unseen(model, options)
    albums = _albums(model, people, rng)
    enrolled = list(albums)[:max(1, min(ENROLLED, len(albums) - STRANGERS))]
    strangers = list(albums)[len(enrolled):]

    def see(name, number):
        face = albums[name][min(number, len(albums[name]) - 1)]
        return model.view(face), face.picture if face.whole else face.cut()

    gallery = _gallery(model, people.only(set(people.names) - albums.keys()), rng)
    for name in enrolled:
        gallery.enroll(name, see(name, 0)[0])
    path = options.output / "gallery.npz"
    gallery.encoder_file = noted(options.model, path)
    gallery.save(path)
    asked = rng.permutation(enrolled[min(len(strangers), len(enrolled) - 1):] + strangers).tolist()
    impostors = strangers + enrolled
    shown = [(claimed, 2) if i % 2 == 0 else (impostors[i // 2], 3)
             for i, claimed in enumerate(enrolled)]
    identified, verified = [], []
    for name in asked:
        view, picture = see(name, 1)
        identified.append((picture, name, gallery.identify(view)))
    for (name, number), claimed in zip(shown, enrolled):
        view, picture = see(name, number)
        verified.append((picture, name, gallery.verify(view, claimed)))
    plots.answers(options.output / "faces.png", [(name, see(name, 0)[1]) for name in enrolled],
                  identified, verified)
    return {"threshold": gallery.threshold, "enrolled": enrolled,
            "identified": [[name, found.name] for _, name, found in identified],
            "verified": [[name, said.claimed, said.accepted] for _, name, said in verified]}


def find_astronaut(options):
    """The face in a real photograph, drawn as a strip: box, landmarks, chip.  None where the
    networks, which nothing else here needs, cannot be fetched."""
    path = Path(__file__).parent / "images" / "astronaut.jpg"
    try:
        face, = find(load_image(path), options.detector)
    except FetchError as error:
        warn(f"no face is looked for in {path.name}: {error}")
        return None
    plots.finding(options.output / "astronaut.png", face)
    return {"box": face.box.tolist(), "score": face.score}


def _albums(model, people, rng):
    """{name: faces on the first pictures} of so many people as are shown, who have two that can be
    used."""
    albums, counts = {}, np.bincount(people.labels)
    for label in rng.permutation(np.flatnonzero(counts > 1)):
        first = np.searchsorted(people.labels, label)
        paths = people.paths[first:first + min(counts[label], 4)]
        found, _, left_out = load_usable(paths, lambda path: model.chosen(path, one_face)[0])
        model.left_out += left_out
        if len(found) > 1:
            albums[people.names[label]] = found
        if len(albums) == ENROLLED + STRANGERS:
            break
    if not albums:
        raise ValueError(f"{people.folder}: nobody has two pictures that can be used")
    return albums


def _gallery(model, people, rng):
    """A gallery, calibrated on these people where there are enough of them."""
    gallery = model.gallery()
    gallery.false_accept_rate = SHOWN_RATE
    if len(people.names) >= LEAST:
        chosen = people.take(np.sort(rng.permutation(len(people.paths))[:MEASURED]))
        encodings, places = model.encode(chosen.paths)
        labels = chosen.labels[[place.path for place in places]]
        gallery.impostors = Impostors.measure(encodings, labels)
        gallery.threshold = None
    return gallery
