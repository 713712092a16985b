"""The command `evaluate` of demos.faces, and the picture in which its story ends."""
from pathlib import Path
import sys

import numpy as np

from demos.command_line import Stopwatch
from minidl.data import names_of, pairs_of, read_pairs, read_people
from minidl.data.people import load_usable
from minidl.faces import Impostors, plots, report

ENROLLED, STRANGERS = 7, 2      # people in the picture
LEAST, MEASURED = 15, 400       # people, and pictures of them, to see how near others come
SHOWN_RATE = 0.1                # of strangers named there: a small encoder at 0.01 knows few


def evaluate(model, options):
    """Verification on pairs by the 10-fold protocol, recognition from one picture each where names are known; plots."""
    plots.check_matplotlib()
    pairs = pairs_to_ask(model, options)
    watch = Stopwatch()
    distances, pairs, paths, encodings = model.distances(pairs)
    figures = {"pictures": len(paths), "encoding_seconds": watch.seconds} | report.verification(distances, pairs.same)
    _print_verification(figures, options.quiet)
    named = names_of(pairs)
    if named is not None:
        name_of = dict(zip(pairs.a + pairs.b, named[0] + named[1]))
        names = np.array([name_of[path] for path in paths])
        _recognition(encodings, names, figures, options)
    _draw(model, pairs, distances, figures, options)
    return figures


def pairs_to_ask(model, options):
    """The pairs that the options name, or pairs drawn from the people whom the model has not seen in training."""
    if options.pairs:
        pairs = read_pairs(options.pairs, options.data)
        known = sum(pairs.person(path) in model.seen for path in {*pairs.a, *pairs.b})
        if known:
            print(f"warning: {known:,} of the pictures show people with names that were seen in training, so the figures "
                  "flatter; train with --exclude-pairs", file=sys.stderr)
        return pairs
    people = unseen(model, options)
    return pairs_of(people, options.count, options.seed)


def unseen(model, options, with_second=2):
    """The People of the folder whom the training of the model did not see, by their names.

    Raises ValueError unless so many of them have a second picture.
    """
    people = read_people(options.data)
    model.left_out += people.left_out
    names = set(people.names) - model.seen
    chosen = people.only(names)
    if not chosen.names or chosen.with_second < with_second:
        raise ValueError(f"{options.data}: {chosen.with_second} of its {len(people.names):,} people have a second picture"
                         + (f" and names that were not seen in training ({len(people.names) - len(names):,} were)"
                            if model.seen else "") + "; at least two are needed, or --pairs")
    if model.seen and not options.quiet:
        print(f"{len(chosen.names):,} people of {options.data} were not seen in training: they are "
              "asked")
    return chosen


def _print_verification(figures, quiet):
    if quiet:
        return
    low, high = figures["interval"]
    print(f"verification, {figures['pairs']:,} pairs, {figures['same_pairs']:,} of one person: accuracy "
          f"{figures['accuracy']:.1%} ± {figures['standard_error']:.1%} (10-fold; 95 %: {low:.1%} to {high:.1%}), "
          f"equal error rate {figures['equal_error_rate']:.1%}, AUC {figures['auc']:.4f}")
    for far, share in figures["val_at_far"].items():
        print(f"  τ for {float(far):.1%} false accepts: {share:.1%} true accepts")


def _recognition(encodings, names, figures, options):
    if np.count_nonzero(np.unique(names, return_counts=True)[1] > 1) < 2:
        return
    found = report.recognition(encodings, names)
    figures["recognition"] = found
    plots.cmc_curve(options.output / "cmc.png", {Path(options.model).stem: found["cmc"]})
    plots.embedding_map(options.output / "map.png", encodings, names)
    if not options.quiet:
        print(f"recognition, one picture each of {found['people']:,} people enrolled, {found['asked']:,} asked: "
              f"{found['rank_one']:.1%} have the right person nearest")
        if found["detection_rate"] is not None:
            print(f"  every second person unknown, τ for {found['at_false_alarm_rate']:.1%} false alarms: "
                  f"{found['detection_rate']:.1%} of the known recognized")


def _draw(model, pairs, distances, figures, options):
    folder, threshold = options.output, figures["threshold"]
    plots.roc_curve(folder / "roc.png", {Path(options.model).stem: (distances, pairs.same)})
    plots.distance_histograms(folder / "distances.png", distances, pairs.same, threshold)
    plots.best_and_worst_pairs(folder / "pairs.png", lambda i: (model.read(pairs.a[i]), model.read(pairs.b[i])), distances,
                               pairs.same, threshold)


def show(model, options):
    """Enrol some people whom the encoder has never seen, one picture each, and ask; draw all of it, save the gallery."""
    rng, people = np.random.default_rng(options.seed), unseen(model, options)
    albums = _albums(model, people, rng)
    enrolled = list(albums)[:max(1, min(ENROLLED, len(albums) - STRANGERS))]
    strangers = list(albums)[len(enrolled):]

    def see(name, number):
        return albums[name][min(number, len(albums[name]) - 1)]

    gallery = _gallery(model, people.only(set(people.names) - albums.keys()), rng)
    for name in enrolled:
        gallery.enroll(name, see(name, 0))
    gallery.save(options.output / "gallery.npz")
    asked = rng.permutation(enrolled[min(len(strangers), len(enrolled) - 1):] + strangers).tolist()
    identified = [(see(name, 1), name, gallery.identify(see(name, 1))) for name in asked]
    impostors = strangers + enrolled
    shown = [(claimed, 2) if i % 2 == 0 else (impostors[i // 2], 3) for i, claimed in enumerate(enrolled)]
    verified = [(see(name, number), name, gallery.verify(see(name, number), claimed))
                for (name, number), claimed in zip(shown, enrolled)]
    plots.answers(options.output / "faces.png", [(name, see(name, 0)) for name in enrolled], identified, verified)
    return {"threshold": gallery.threshold, "enrolled": enrolled,
            "identified": [[name, found.name] for _, name, found in identified],
            "verified": [[name, said.claimed, said.accepted] for _, name, said in verified]}


def _albums(model, people, rng):
    """{name: the first pictures} of so many people as are shown, who have two that can be read."""
    albums, counts = {}, np.bincount(people.labels)
    for label in rng.permutation(np.flatnonzero(counts > 1)):
        first = np.searchsorted(people.labels, label)
        paths = people.paths[first:first + min(counts[label], 4)]
        pictures, _, left_out = load_usable(paths, model.read)
        model.left_out += left_out
        if len(pictures) > 1:
            albums[people.names[label]] = pictures
        if len(albums) == ENROLLED + STRANGERS:
            break
    if not albums:
        raise ValueError(f"{people.folder}: nobody has two pictures that can be read")
    return albums


def _gallery(model, people, rng):
    """A gallery, calibrated on these people where there are enough of them."""
    gallery = model.gallery()
    gallery.false_accept_rate = SHOWN_RATE
    if len(people.names) >= LEAST:
        chosen = people.take(np.sort(rng.permutation(len(people.paths))[:MEASURED]))
        encodings, used = model.encode(chosen.paths)
        gallery.impostors = Impostors.measure(encodings, chosen.labels[used])
        gallery.threshold = None
    return gallery
