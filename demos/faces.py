"""Is it who they say, and who is it?  Train an encoder of faces, evaluate it, enrol people from one picture each, ask.

    python -m demos.faces                         all of it, on faces drawn by a generator
    python -m demos.faces --data FOLDER           all of it, on photographs: a folder for each person

    python -m demos.faces train     --data FOLDER --model FILE [--exclude-pairs FILE.csv]
    python -m demos.faces evaluate  --data FOLDER --model FILE [--pairs FILE.csv]

    python -m demos.faces enroll    --gallery FILE Ann ann.jpg [another.jpg …]      (or --data FOLDER: everybody in it)
    python -m demos.faces calibrate --gallery FILE --data FOLDER [--far 0.01] [--pairs FILE.csv]
    python -m demos.faces identify  --gallery FILE who.jpg [another.jpg, FOLDER …]
    python -m demos.faces verify    --gallery FILE Ann who.jpg [another.jpg …]
    python -m demos.faces list | remove Ann | rename Ann Anna    --gallery FILE

A gallery is a file with the encodings of the people enrolled.  --model says whose encodings they are: "face128", the
pre-trained encoder, or a file that `train` wrote.  Pairs are a table with the columns image_a,image_b,same.

A stranger is compared with everybody enrolled, so the threshold τ falls as the gallery grows: --far
is the share of strangers who may be given a name.  `calibrate` measures how near other people come
on pictures like yours; until it has, face128 goes by press photographs, an encoder of `train` by
its validation people, and of one without such a note everything says "not calibrated".
"""
import argparse
import contextlib
from pathlib import Path
import sys

import numpy as np

from demos.command_line import Parser, Stopwatch, above, run, share, start, write_json
from demos.faces_evaluation import evaluate, pairs_to_ask, show, unseen
from demos.faces_model import Model
from demos.faces_training import DRAWN_ENCODER, DRAWN_RECIPE, ENCODER, MOST_PICTURES, RECIPE, train
from minidl.data import balanced_pairs, read_people, write_drawn_faces
from minidl.data.people import check_name, find_pictures
from minidl.faces import Gallery, Impostors
from minidl.faces.calibration import judge
from minidl.faces.mining import STRATEGIES
from minidl.faces.objectives import LOSSES
from minidl.weights import WeightsError

DRAWN_PICTURES = 6              # of each person
EXIT_CODES = """Exit codes: 0, all pictures were used; 1, some were left out, each is named on
stderr, and the rest was done; 2, a mistake, said in one line, and nothing was changed."""


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    options = _options(name, arguments[1:] if name else arguments)
    start(options)
    options.left_out = []
    figures = COMMANDS[name][0](options)
    left_out = list(dict.fromkeys(options.left_out))
    write_json(options.json, {**figures, "model": str(options.model), "seed": options.seed,
                              "left_out": {str(path): reason for path, reason in left_out}})
    if left_out:
        print(*left_out, f"left out, as said above: {len(left_out):,}; all else was used", sep="\n",
              file=sys.stderr)
        return 1


# ---- the commands: options → figures -----------------------------------------------------------------------------------

def _everything(options):
    """Train, evaluate on people never seen, enrol from one picture each, ask."""
    figures, drawn = {}, options.data is None
    if drawn:
        options.data = options.output / f"people_{options.drawn}_{options.seed}"
        _say(options, f"drawing {DRAWN_PICTURES} pictures of each of {options.drawn} people, {options.data}")
        write_drawn_faces(options.data, options.drawn, DRAWN_PICTURES, seed=options.seed)
    options.exclude_pairs = options.pairs
    if options.model != "face128":
        figures["training"] = train(options, *(DRAWN_ENCODER, DRAWN_RECIPE) if drawn else ())
    model = _model(options)
    figures["evaluation"] = evaluate(model, options)
    figures["answers"] = show(model, options)
    _say(options, f"look at {options.output}/faces.png; the other pictures and {options.model} are beside it; try:",
         f"  python -m demos.faces identify --gallery {options.output}/gallery.npz --model {options.model} "
         f"{options.data}/{figures['answers']['enrolled'][0]}")
    return figures


def _train(options):
    figures = train(options)
    _say(options, f"{options.model}: best after {figures['best_step']} steps; area under the ROC, validation "
         f"people: {figures['validation_auc']:.4f}; {figures['people_kept_apart']:,} people are left to evaluate on")
    return figures


def _evaluate(options):
    return evaluate(_model(options), options)


def _enroll(options):
    if (options.data is None) == (options.name is None) or options.name and not options.pictures:
        raise ValueError("enroll: give a NAME and one PICTURE or more, or else --data FOLDER")
    if options.name:
        check_name("enroll", options.name)
    model = _model(options)
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
    _say(options, f"{options.gallery}: pictures added: {len(names):,}; people in it: {len(gallery):,}; "
         f"{_costs(gallery)}")
    _warn(gallery)
    return {"enrolled": len(names), "people": len(gallery), "threshold": gallery.threshold,
            "calibrated": gallery.calibrated, "seconds": watch.seconds}


def _identify(options):
    model = _model(options)
    gallery, paths = _gallery(options, model), _files(options)
    watch = Stopwatch()
    encodings, used = model.encode(paths)
    encoded = watch.seconds
    found = gallery.identify_encodings(encodings)
    searched = watch.seconds - encoded
    for i, match in zip(used, found):
        said = f"{match.name} (" if match.name else f"not recognized (nearest {match.nearest} "
        _say(options, f"{paths[i]}: {said}{_distances(match)})")
    _warn(gallery)
    return {"answers": [vars(match) | {"picture": str(paths[i])} for i, match in zip(used, found)],
            "calibrated": gallery.calibrated, "encoding_seconds": encoded,
            "search_seconds": searched}


def _verify(options):
    model = _model(options)
    gallery, paths = _gallery(options, model), _files(options)
    pictures, used = model.read_usable(paths)
    found = [gallery.verify(picture, options.name) for picture in pictures]
    for i, said in zip(used, found):
        answer = "yes," if said else "no, not"
        _say(options, f"{paths[i]}: {answer} {said.claimed} ({_distances(said)})")
    _warn(gallery)
    return {"answers": [vars(said) | {"picture": str(paths[i])} for i, said in zip(used, found)],
            "calibrated": gallery.calibrated}


def _calibrate(options):
    """Measure how near other people come: τ then follows from that, the stated rate and how many
    pictures are enrolled."""
    model = _model(options)
    _gallery(options, model)                        # there must be one
    impostors, distances, same = _measure(options, model)
    with _changed(options, model) as gallery:
        before = gallery.threshold
        gallery.impostors, gallery.threshold = impostors, None
        if options.far is not None:
            gallery.false_accept_rate = options.far
    tau = gallery.threshold
    _say(options, f"{options.gallery}: {_costs(gallery)}; τ was {before:.4f}",
         f"measured on {impostors.pairs:,} pairs of {impostors.people:,} people")
    figures = {"threshold": tau, "threshold_before": before, "impostors": vars(impostors),
               "false_accept_rate": gallery.false_accept_rate,
               "pictures_enrolled": len(gallery.people)}
    if same.any():
        found = judge(distances, same, tau)
        _say(options, *str(found).splitlines()[1:])
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


def _list(options):
    gallery = _gallery(options, _model(options))
    counts = np.bincount(gallery.people, minlength=len(gallery)).tolist()
    _say(options, f"{_costs(gallery)}; pictures of each:",
         *(f"{count:6,}  {name}" for name, count in sorted(zip(gallery.names, counts))))
    _warn(gallery)
    return {"people": dict(zip(gallery.names, counts)), "threshold": gallery.threshold,
            "calibrated": gallery.calibrated}


def _remove(options):
    with _changed(options, _model(options)) as gallery:
        gallery.remove(options.name)
    return {"people": len(gallery)}


def _rename(options):
    with _changed(options, _model(options)) as gallery:
        gallery.rename(options.name, options.new_name)
    return {"people": len(gallery)}


def _model(options):
    return Model(options.model, options.crop, options.quiet, options.left_out)


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
    if not gallery.calibrated:
        print(f"not calibrated: how many strangers τ {gallery.threshold:.3f} gives a name, among "
              f"{len(gallery.people):,} pictures enrolled, is not known; `calibrate` before "
              "`identify`", file=sys.stderr)


def _distances(said):
    """Of a Match or a Verification."""
    return (f"{said.distance:.3f} {'≤' if said.distance <= said.threshold else '>'} τ {said.threshold:.3f}"
            + (f"; next {said.runner_up} {said.runner_up_distance:.3f}" if said.runner_up else ""))


def _say(options, *lines):
    if not options.quiet:
        print(*lines, sep="\n")


# ---- their command lines -------------------------------------------------------------------------------------------------

def _options(name, arguments):
    _, description, groups = COMMANDS[name]
    parser = Parser(f"faces {name}" if name else "faces", description)
    parser.set_defaults(output=Path("output") / "faces")
    parser.epilog = EXIT_CODES
    if name is None and arguments and not arguments[0].startswith("-"):
        parser.error(f"there is no command {arguments[0]!r}; there are {', '.join(filter(None, COMMANDS))}")
    for group in groups:
        group(parser.add_argument)
    options = parser.parse_intermixed_args(arguments)
    if name is None and options.model is None:
        options.model = options.output / "encoder.npz"
    trained = name == "train" or name is None and options.model != "face128"
    if trained and Path(options.model).suffix != ".npz":
        parser.error(f"--model: training writes an .npz file, got {options.model}")
    return options


def _data(add):
    add("--data", type=Path, required=True, metavar="FOLDER", help="photographs, a folder for each person")


def _data_or_drawn(add):
    add("--data", type=Path, metavar="FOLDER", help="photographs, a folder for each person (default: drawn ones)")
    add("--drawn", type=above(0), default=480, metavar="N", help="people to draw, without --data")
    add("--model", metavar="FILE", help="where the encoder is written; or face128: nothing is trained (default: "
                                        "encoder.npz in the output folder)")


def _crop(add):
    add("--crop", type=share, metavar="SHARE", help="look only at the middle of each picture, this share of its sides: 0.45 "
        "for Labeled Faces in the Wild as distributed (default: as the encoder was trained, else 1)")


def _model_option(add):
    add("--model", default="face128", metavar="FILE", help="a file that train wrote; or face128, pre-trained")
    _crop(add)


def _gallery_option(add):
    add("--gallery", type=Path, required=True, metavar="FILE", help="who is enrolled (.npz)")
    _model_option(add)


def _pairs(add):
    add("--pairs", type=Path, metavar="FILE.csv", help="image_a,image_b,same: paths in the folder, and 1 or 0 (default: "
        "--count pairs are drawn, half of them of one person)")
    add("--count", type=above(0), default=2000, metavar="N", help="of pairs to draw")


def _train_files(add):
    add("--model", required=True, metavar="FILE", help="where the encoder is written (.npz)")
    add("--exclude-pairs", type=Path, metavar="FILE.csv", help="learn nothing from the people in these pairs, so that "
        "evaluate may ask them")


def _recipe(add):
    """Options of training; what is not given comes from the recipe."""
    def choice(name, help, **kind):
        usual, drawn = ((encoder | recipe)[name] for encoder, recipe in ((ENCODER, RECIPE), (DRAWN_ENCODER, DRAWN_RECIPE)))
        add("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **kind,
            help=f"{help} (default: {usual}" + (f"; drawn faces: {drawn})" if drawn != usual else ")"))

    number, steps = ({"type": above(bound), "metavar": "N"} for bound in (0, -1))
    add("--minutes", type=above(0, float), metavar="M", help="as many steps as fit into this time, instead of the recipe's")
    choice("pretrain_steps", "steps of softmax over the people, first", **steps)
    choice("steps", "steps of the loss, then", **steps)
    choice("loss", "on triplets or pairs", choices=LOSSES)
    choice("mining", "of triplets", choices=STRATEGIES)
    choice("form", "distance in the triplet loss", choices=["squared", "euclidean"])
    choice("margin", "of the triplet or contrastive loss", type=above(0, float), metavar="α")
    choice("people", "in a batch", **number)
    choice("per_person", "pictures of each in a batch", **number)
    choice("learning_rate", "peak, of the loss", type=above(0, float), metavar="η")
    choice("pretrain_learning_rate", "peak, of the softmax", type=above(0, float), metavar="η")
    add("--no-augmentation", action="store_true", help="pictures as they are")
    choice("size", "pixels of a side that the encoder looks at", **number)
    choice("channels", "1 looks at grey, 3 at colours", type=int, choices=[1, 3])
    choice("patience", "end when so many measurements in a row brought nothing better", **number)
    choice("every", "steps between measurements and checkpoints", **number)
    add("--apart", type=share, metavar="SHARE", help="of the people: so many to find the best step by, and as many for "
        "evaluate (default: 0.1, more where there are few)")
    add("--checkpoint", type=Path, metavar="FILE", help="from which the same command goes on after an interruption; "
        "it goes when training is done (default: beside the model)")


def _name(add):
    add("name", metavar="NAME")


def _new_name(add):
    add("new_name", metavar="NEW_NAME")


def _enrolled(add):
    add("name", nargs="?", metavar="NAME", help="who is on the pictures")
    add("pictures", nargs="*", type=Path, metavar="PICTURE")
    add("--data", type=Path, metavar="FOLDER", help="instead: everybody in it, a folder for each person")
    add("--most", type=above(0), metavar="N", help="with --data: only the first N pictures of each")


def _asked(add):
    add("pictures", nargs="+", type=Path, metavar="PICTURE", help="a picture, or a folder of pictures")


def _far(add):
    add("--far", type=share, metavar="RATE", help="false accept rate: the share of strangers who "
        "may be given a name (default: as it was, at first 0.01)")


COMMANDS = {            # name: (what it does, how it is described, its options)
    None: (_everything, __doc__, [_data_or_drawn, _pairs, _crop, _recipe]),
    "train": (_train, "Train an encoder on a folder of people.", [_data, _train_files, _crop, _recipe]),
    "evaluate": (_evaluate, "Measure how well an encoder tells people apart.", [_data, _model_option, _pairs]),
    "enroll": (_enroll, "Add people to a gallery; nothing is trained.  Then `calibrate`, then "
               "`identify`.", [_gallery_option, _enrolled]),
    "calibrate": (_calibrate, "Measure how near other people come on your own pictures, before "
                  "`identify`.\nThe threshold then follows from --far and from how many pictures "
                  "are enrolled.",
                  [_gallery_option, _data, _pairs, _far]),
    "identify": (_identify, "Who is it? (1:K)  `calibrate` first.", [_gallery_option, _asked]),
    "verify": (_verify, "Is it who they say? (1:1)", [_gallery_option, _name, _asked]),
    "list": (_list, "Who is enrolled, with how many pictures?", [_gallery_option]),
    "remove": (_remove, "Forget a person and all their pictures.", [_gallery_option, _name]),
    "rename": (_rename, "Give a person another name.", [_gallery_option, _name, _new_name]),
}

if __name__ == "__main__":
    run(main)
