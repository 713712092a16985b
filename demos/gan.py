"""An artist and an art critic play: GANs, from a laboratory in the plane to pictures.

python -m demos.gan lab --data ring             # or grid, line, spiral, blobs, a PNG's dark pixels
python -m demos.gan train --data digits         # or clothes, characters, emoji, faces, a folder
python -m demos.gan sample --model FILE --count 100
"""

from pathlib import Path
import sys

from demos.command_line import Parser, run, start, warn, write_json
from demos.gan_lab import lab, lab_options
from demos.gan_train import sample, sample_options, train, train_options


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    options = _options(name, arguments[1:] if name else arguments)
    start(options, together=name == "train")
    figures = COMMANDS[name][0](options)
    write_json(options.json, {**figures, "seed": options.seed})
    left_out = figures.get("left_out")
    if left_out:
        warn(*(f"left out: {line}" for line in left_out),
             f"left out, as said above: {len(left_out):,}; all else was used")
        return 1


def _options(name, arguments):
    if name is None:
        parser = Parser("gan", __doc__)
        parser.add_argument("command", choices=COMMANDS, metavar=" | ".join(COMMANDS),
                            help="each has its own --help")
        return parser.parse_args(arguments)
    _, description, add = COMMANDS[name]
    parser = Parser(f"gan {name}", description)
    parser.set_defaults(output=Path("output") / "gan" / name)
    add(parser)
    return parser.parse_args(arguments)


COMMANDS = {  # name: (options → figures, how it is described, its options)
    "lab": (lab, "Two networks play for a shape in the plane, where all can be seen.\n"
            "The defaults take about 4 minutes on one core.", lab_options),
    "train": (train, "Train a generator of pictures, conditional on classes where there are some.\n"
              "The defaults take about 18 minutes on one core; then what was learned is measured,\n"
              "about 3 minutes, unless --no-measures.", train_options),
    "sample": (sample, "Draw pictures from a generator that `train` wrote.", sample_options),
}

if __name__ == "__main__":
    run(main)
