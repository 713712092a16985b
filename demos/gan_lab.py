"""The command `lab` of demos.gan: a game in the plane, a collapse and its cure, the Dirac GAN."""
from dataclasses import replace
from pathlib import Path
import time

import numpy as np

from demos.command_line import Stopwatch, above, answer, at_least, counting, say
from minidl.data import load_image
from minidl.files import atomic_write
from minidl.gan import GAMES, Laboratory, Recipe, mixtures, plots
from minidl.plots import check_matplotlib

COLLAPSE = Recipe(gamma=0.0, steps=600, critic_steps=5, betas=(0.9, 0.999), flat=0.9,
                  generator_layers=2, critic_layers=2, ema=0.0)
CURE = 1.0  # γ


def lab_options(parser):
    add, usual = parser.add_argument, Recipe()
    add("--data", default="ring", metavar="SHAPE|FILE",
        help=f"{', '.join(mixtures.SHAPES)}, or a picture whose dark pixels are the data")
    add("--game", choices=GAMES, default=usual.game)
    add("--gamma", type=at_least(0, float), default=usual.gamma, metavar="γ",
        help="of R1; 0: none")
    add("--steps", type=above(0), default=usual.steps, metavar="N", help="of the generator")
    add("--no-collapse", action="store_true", help="leave out the collapse and its cure")


def lab(options):
    """Play as the options say, write the pictures, and return the figures."""
    check_matplotlib()
    shape = _shape(options.data)
    recipe = replace(Recipe(), game=options.game, gamma=options.gamma, steps=options.steps)
    game = Laboratory(shape, recipe, seed=options.seed)
    figures = _play(game, options, shape.name)
    points = options.output / "samples.npy"
    with atomic_write(points) as file:
        np.save(file, game.samples())
    plots.laboratory_sheet(options.output / "lab.png", game)
    plots.save_animation(options.output / "lab.gif", plots.laboratory_frames(game))
    plots.dirac_sheet(options.output / "dirac.png")
    written = ["lab.png", "lab.gif", "dirac.png"]
    if not options.no_collapse:
        figures["collapse"] = _collapse(options)
        written.insert(2, "collapse.png")
    if shape.modal:
        answer(f"{figures['modes']} of {len(shape.centres)} modes, {figures['good_share']:.1%} of "
               f"{game.judged:,} samples within 3σ, reverse KL {figures['reverse_kl']:.4f}, "
               f"rarest mode {figures['rarest_share']:.2f} of its share")
    say(options, *(options.output / name for name in written), points)
    apart, exact = game.distance_to_best(game.best())
    return {"data": options.data, **figures, "samples": str(points), "distance_to_best": apart,
            "density_is_exact": exact}


def _shape(name):
    if name in mixtures.SHAPES:
        return mixtures.SHAPES[name]()
    if not Path(name).exists():
        raise ValueError(f"--data: {name!r} is none of {', '.join(mixtures.SHAPES)}, and no file")
    return mixtures.drawing(load_image(name))


def _play(game, options, title):
    """Play a game to its end; the figures of its last row."""
    watch, processor = Stopwatch(), time.process_time()
    with counting(game.recipe.steps, title, options.quiet) as bar:
        game.play(lambda loop: bar.update())
    return game.history[-1] | {
        "seconds": watch.seconds, "processor_seconds": time.process_time() - processor,
        "recipe": game.settings(), "history": game.history}


def _collapse(options):
    ill, cured = (Laboratory(mixtures.ring(), replace(COLLAPSE, gamma=gamma), seed=options.seed,
                             rows=12) for gamma in (0.0, CURE))
    figures = {name: _play(game, options, name) for name, game in (("ill", ill), ("cured", cured))}
    plots.collapse_sheet(options.output / "collapse.png", ill, cured)
    return figures
