"""Is it who they say, and who is it?  Train an encoder of faces, evaluate it, enrol people from one
picture each, ask.

    python -m demos.faces                     all of it, on faces drawn by a generator
    python -m demos.faces --data FOLDER       all of it, on photographs: a folder for each person

    python -m demos.faces train     --data FOLDER --model FILE [--exclude-pairs FILE.csv]
    python -m demos.faces evaluate  --data FOLDER --model FILE [--pairs FILE.csv]

    python -m demos.faces enroll    --gallery FILE Ann ann.jpg [another.jpg …]
    python -m demos.faces enroll    --gallery FILE --data FOLDER            everybody in it
    python -m demos.faces calibrate --gallery FILE --data FOLDER [--far 0.01] [--pairs FILE.csv]
    python -m demos.faces identify  --gallery FILE party.jpg [FOLDER …]     who is everybody in it?
    python -m demos.faces verify    --gallery FILE Ann who.jpg [another.jpg …]
    python -m demos.faces list | remove Ann | rename Ann Anna    --gallery FILE

Faces are found in the pictures and brought upright, for face128 and for encoders of
`train --align`.  Others are shown whole pictures, each of one face.

A gallery is a file with the encodings of the people enrolled.  --model says whose encodings they
are: "face128", the pre-trained encoder, or a file that `train` wrote; the gallery remembers it.
Pairs are a table with the columns image_a,image_b,same.

A stranger is compared with everybody enrolled, so the threshold τ falls as the gallery grows: --far
is the share of strangers who may be given a name.  `calibrate` measures how near other people come
on pictures like yours.  Until it has, face128 goes by press photographs, and everything says "not
calibrated"; an encoder of `train` goes by its validation people, where there were enough of them.
"""
import argparse
from pathlib import Path
import sys

from demos.command_line import (
    Parser,
    above,
    answer,
    point,
    run,
    say,
    share,
    start,
    warn,
    write_json,
)
from demos.faces_evaluation import evaluate, find_astronaut, show
from demos.faces_gallery import calibrate, enroll, identify, list_people, remove, rename, verify
from demos.faces_options import model_of
from demos.faces_training import DRAWN_ENCODER, DRAWN_RECIPE, ENCODER, RECIPE, train
from minidl.data import write_drawn_faces
from minidl.faces.finding import DETECTORS
from minidl.faces.mining import STRATEGIES
from minidl.faces.objectives import LOSSES

LEAST_RATE = 1e-6               # of false accepts: pairs that could show a smaller one take a day
DRAWN_PICTURES = 6              # of each person
EXIT_CODES = """Exit codes: 0, all pictures were used; 1, some were left out, each is named on
stderr, and the rest was done; 2, a mistake, said in one line, and nothing was changed.
verify: 0, yes, each picture shows them; 1, no, one does not, or was left out; 2, a mistake."""
DRAWING = {None, "train", "evaluate", "identify"}   # the commands that draw, into --output


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    options = _options(name, arguments[1:] if name else arguments)
    start(options, output=name in DRAWING, together=name == "train")
    options.left_out = []
    figures = COMMANDS[name][0](options)
    skipped = list(dict.fromkeys(options.left_out))
    write_json(options.json, {
        **figures, "model": options.model and str(options.model), "seed": options.seed,
        "skipped": [{"picture": str(one.path), "reason": one.reason} for one in skipped]})
    if skipped:
        warn(*(f"left out: {one}" for one in skipped),
             f"left out, as said above: {len(skipped):,}; all else was used")
        return 1
    if name == "verify" and not all(said["accepted"] for said in figures["answers"]):
        return 1


# ---- the commands (those about a gallery: demos/faces_gallery.py): options → figures

def _everything(options):
    """Train, evaluate on people never seen, enrol from one picture each, ask."""
    figures, drawn = {}, options.data is None
    if drawn:
        options.data = options.output / f"people_{options.drawn}_{options.seed}"
        say(options, f"drawing {DRAWN_PICTURES} pictures of each of {options.drawn} people, "
            f"{options.data}")
        write_drawn_faces(options.data, options.drawn, DRAWN_PICTURES, seed=options.seed)
    options.exclude_pairs = options.pairs
    if options.model != "face128":
        figures["training"] = train(options, *(DRAWN_ENCODER, DRAWN_RECIPE) if drawn else ())
    model = model_of(options)
    figures["evaluation"] = evaluate(model, options)
    figures["answers"] = show(model, options)
    if drawn:
        figures["photograph"] = find_astronaut(options)
    say(options, f"look at {options.output}/faces.png; the other pictures and {options.model} are "
        "beside it; try:",
        f"  python -m demos.faces identify --gallery {options.output}/gallery.npz "
        f"{options.data}/{figures['answers']['enrolled'][0]}")
    return figures


def _train(options):
    figures = train(options)
    answer( f"{options.model}: best after {figures['best_step']} steps; area under the ROC, "
        f"validation people: {figures['validation_auc']:.4f}; {figures['people_kept_apart']:,} "
        "people are left to evaluate on")
    return figures


def _evaluate(options):
    return evaluate(model_of(options), options)


# ---- their command lines -------------------------------------------------------------------------

def _options(name, arguments):
    _, description, groups = COMMANDS[name]
    parser = Parser(f"faces {name}" if name else "faces", description)
    parser.set_defaults(output=Path("output") / "faces")
    parser.epilog = EXIT_CODES
    if name is None and arguments and not arguments[0].startswith("-"):
        parser.error(f"there is no command {arguments[0]!r}; there are "
                     f"{', '.join(filter(None, COMMANDS))}")
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
    add("--data", type=Path, required=True, metavar="FOLDER",
        help="photographs, a folder for each person")


def _data_or_drawn(add):
    add("--data", type=Path, metavar="FOLDER",
        help="photographs, a folder for each person (default: drawn ones)")
    add("--drawn", type=above(0), default=480, metavar="N", help="people to draw, without --data")
    add("--model", metavar="FILE",
        help="where the encoder is written; or face128: nothing is trained (default: "
                                        "encoder.npz in the output folder)")


def _crop(add):
    add("--crop", type=share(whole=True), metavar="SHARE",
        help="look only at the middle of each picture, this share of its sides: 0.45 for Labeled "
        "Faces in the Wild as distributed (default: as the gallery or the encoder notes, else 1)")


def _model_option(add):
    add("--model", default="face128", metavar="FILE",
        help="a file that train wrote; or face128, pre-trained")
    _views(add)


def _views(add):
    """How pictures are shown to an encoder."""
    _crop(add)
    _no_align(add)
    _detector(add)


def _no_align(add):
    add("--no-align", action="store_true",
        help="to compare: look at whole pictures as they are, which must show one face each, "
        "closely cut; not at the faces in them, brought upright")


def _detector(add):
    add("--detector", choices=list(DETECTORS), default="ssd",
        help="tiny is a smaller network that misses more of the small faces")
    add("--whole", action="store_true",
        help="every picture shows one face and little else: look for no other")
    add("--smallest", type=above(7, float), default=80, metavar="PIXELS",
        help="how wide the smallest face is that should be found; half the width takes four times "
        "as long in large pictures")


def _place(text):
    """A path; an empty one, as of a shell variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: no picture is named")
    return Path(text)


def _at(add):
    add("--at", type=point, metavar="X,Y",
        help="which face is meant, where the picture shows several: a pixel in it")


def _gallery_file(add):
    add("--gallery", type=Path, required=True, metavar="FILE", help="who is enrolled (.npz)")


def _gallery_option(add):
    _gallery_file(add)
    add("--model", metavar="FILE",
        help="a file that train wrote; or face128, pre-trained (default: as the gallery notes, a "
        "new one face128)")
    _views(add)


def _gallery_alone(add):
    """For commands that look at no picture: they need no encoder, and take what the others take."""
    _gallery_file(add)

    def unseen(*names, **kind):
        add(*names, **kind | {"help": argparse.SUPPRESS})

    unseen("--model")
    _views(unseen)


def _pairs(add):
    add("--pairs", type=Path, metavar="FILE.csv",
        help="image_a,image_b,same: paths in the folder, and 1 or 0 (default: "
        "--count pairs are drawn, half of them of one person)")
    add("--count", type=above(0), default=2000, metavar="N", help="of pairs to draw")


def _train_files(add):
    add("--model", required=True, metavar="FILE", help="where the encoder is written (.npz)")
    add("--exclude-pairs", type=Path, metavar="FILE.csv",
        help="learn nothing from the people in these pairs, so that "
        "evaluate may ask them")


def _align(add):
    add("--align", action="store_true",
        help="learn from faces that are found and brought upright, and later look at such")


def _recipe(add):
    """Options of training; what is not given comes from the recipe."""
    def choice(name, help, **kind):
        usual, drawn = ((encoder | recipe)[name]
                        for encoder, recipe in ((ENCODER, RECIPE), (DRAWN_ENCODER, DRAWN_RECIPE)))
        add("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **kind,
            help=f"{help} (default: {usual}"
            + (f"; drawn faces: {drawn})" if drawn != usual else ")"))

    number, steps = ({"type": above(bound), "metavar": "N"} for bound in (0, -1))
    add("--minutes", type=above(0, float), metavar="M",
        help="as many steps as fit into this time, instead of the recipe's")
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
    add("--apart", type=share(), metavar="SHARE",
        help="of the people: so many to find the best step by, and as many for evaluate (default: "
        "0.1, more where there are few)")
    add("--checkpoint", type=Path, metavar="FILE",
        help="from which the same command goes on after an interruption; "
        "it goes when training is done (default: beside the model)")


def _name(add):
    add("name", metavar="NAME")


def _new_name(add):
    add("new_name", metavar="NEW_NAME")


def _enrolled(add):
    add("name", nargs="?", metavar="NAME", help="who is on the pictures")
    add("pictures", nargs="*", type=_place, metavar="PICTURE")
    add("--data", type=Path, metavar="FOLDER",
        help="instead: everybody in it, a folder for each person")
    add("--most", type=above(0), metavar="N", help="with --data: only the first N pictures of each")


def _asked(add):
    add("pictures", nargs="+", type=_place, metavar="PICTURE",
        help="a picture, or a folder of pictures")


def _far(add):
    add("--far", type=share(LEAST_RATE), metavar="RATE",
        help="false accept rate: the share of strangers who may be given a name (default: as it "
        "was, at first 0.01)")


COMMANDS = {            # name: (what it does, how it is described, its options)
    None: (_everything, __doc__,
           [_data_or_drawn, _pairs, _crop, _align, _no_align, _detector, _recipe]),
    "train": (_train, "Train an encoder on a folder of people.",
              [_data, _train_files, _crop, _align, _detector, _recipe]),
    "evaluate": (_evaluate, "Measure how well an encoder tells people apart.",
                 [_data, _model_option, _pairs]),
    "enroll": (enroll, "Add people to a gallery; nothing is trained.  Then `calibrate`, then "
               "`identify`.", [_gallery_option, _enrolled, _at]),
    "calibrate": (calibrate, "Measure how near other people come on your own pictures, before "
                  "`identify`.\nThe threshold then follows from --far and from how many pictures "
                  "are enrolled.",
                  [_gallery_option, _data, _pairs, _far]),
    "identify": (identify, "Who is everybody in these pictures? (1:K)  `calibrate` first.",
                 [_gallery_option, _asked]),
    "verify": (verify, "Is it who they say? (1:1)", [_gallery_option, _name, _asked, _at]),
    "list": (list_people, "Who is enrolled, with how many pictures?", [_gallery_alone]),
    "remove": (remove, "Forget a person and all their pictures.", [_gallery_alone, _name]),
    "rename": (rename, "Give a person another name.", [_gallery_alone, _name, _new_name]),
}

if __name__ == "__main__":
    run(main)
