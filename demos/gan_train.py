"""The commands `train` and `sample` of demos.gan: pictures by a (conditional) DCGAN."""
from dataclasses import asdict, replace
from pathlib import Path
import statistics
import time

import numpy as np

from demos.command_line import Stopwatch, above, answer, at_least, counting, say, warn
from demos.company import of_first
from demos.gan_data import SOURCES, read_source
from minidl.data import save_image
from minidl.files import atomic_write
from minidl.gan import GAMES, diffaugment, plots, report
from minidl.gan.networks import UPSAMPLING, Discriminator, Generator
from minidl.gan.pictures import captioned_sheet, grid_of_noise, samples
from minidl.gan.saving import load_generator, save_generator
from minidl.gan.training import PictureRecipe, Training
from minidl.plots import check_matplotlib
from minidl.training import Diverged, checkpoint

SIZES = {"digits": 28, "clothes": 28}   # others: 32
RECIPES = {                             # what differs from PictureRecipe's own
    "emoji": {"augment": ("translation", "cutout"), "gamma": 0.3},
    "faces": {"augment": ("translation",), "gamma": 0.3},
}
NOISE = 64                              # numbers that a picture is made of
SHOWN_ROWS = 5
TRIED = 8                               # steps, to know how long one takes
MEASURING = 7e-5    # seconds of one core for each pixel and step of a classifier, with all measures


def train_options(parser):
    add, usual, other = parser.add_argument, PictureRecipe(), RECIPES["emoji"]
    number, real = {"type": above(0), "metavar": "N"}, above(0, float)
    add("--data", default="digits", metavar="NAME|FOLDER",
        help=f"{', '.join(SOURCES)}; or a folder of pictures, or of a folder for each class")
    add("--size", type=above(7), metavar="PIXELS",
        help="of a side, 8 or more: 4 to 7 times a power of 2 (default: digits and clothes 28, "
             "others 32)")
    add("--model", type=Path, metavar="FILE",
        help="where the generator is written (default: generator.npz in --output)")
    add("--steps", default=usual.steps, **number)
    add("--minutes", type=real, metavar="M", help="as many steps as fit into this time, instead")
    add("--game", choices=GAMES, default=usual.game)
    add("--gamma", type=at_least(0, float), metavar="γ",
        help=f"of R1; 0: none (default: {usual.gamma}; emoji and faces: {other['gamma']})")
    add("--learning-rate", type=real, default=usual.learning_rate, metavar="η")
    add("--batch", default=usual.batch, **number)
    add("--width", default=64, **number,
        help="channels before the generator's last layer; the discriminator begins with half")
    add("--upsampling", choices=UPSAMPLING, default="transposed")
    add("--spectral", action="store_true", help="spectral normalisation of the discriminator")
    add("--augment", nargs="*", choices=list(diffaugment.PARTS), metavar="PART",
        help=f"DiffAugment, for few pictures: {', '.join(diffaugment.PARTS)} (default: none; "
        f"emoji: {' and '.join(other['augment'])}; faces: translation)")
    add("--no-labels", action="store_true", help="learn all classes together")
    add("--no-measures", action="store_true",
        help="leave out GAN-test, GAN-train and the distances")
    add("--every", default=100, **number, help="steps between checkpoints")
    add("--checkpoint", type=Path, metavar="FILE",
        help="from which the same command goes on after a break (default: beside the model)")


def train(options):
    """Train as the options say, measure, write model and pictures; returns the figures."""
    check_matplotlib()
    size = options.size or SIZES.get(options.data, 32)
    source = read_source(options.data, size, options.seed, not options.no_labels)
    model = options.model or options.output / "generator.npz"
    if model.suffix != ".npz":
        raise ValueError(f"--model: training writes an .npz file, got {model}")
    path = options.checkpoint or model.with_suffix(".checkpoint.npz")
    for file in (model, path):
        file.parent.mkdir(parents=True, exist_ok=True)
    recipe = _recipe(options)
    if options.minutes:
        recipe = replace(recipe, steps=_steps_that_fit(options, path, source, recipe))
    if not options.no_measures:
        say(options, _to_measure(source, size))
    training, watch, processor = (_players(options, source, recipe, path), Stopwatch(),
                                  time.process_time())
    _run(training, options, model, path)
    times = {"seconds": watch.seconds, "processor_seconds": time.process_time() - processor}
    generator = training.average.average
    known = options.data if options.data in SOURCES else "folder"
    save_generator(model, generator, source.names, data=known, seed=options.seed,
                   steps=recipe.steps)
    figures = {} if options.no_measures else _measure(generator, source, options)
    plots.training_sheets(options.output, training, source, f"{options.data}, seed {options.seed}")
    path.unlink(missing_ok=True)
    _say(options, figures, times, model)
    return {"data": options.data, "size": size, "model": str(model), "recipe": asdict(recipe),
            **times, **figures, "pictures": len(source.train), "classes": source.names,
            "warnings": training.loop.warnings, "history": training.loop.history,
            "left_out": [str(each) for each in source.left_out]}


def _to_measure(source, size):
    """In words: what follows the training, and for how long."""
    if source.train_labels is None:
        return ("after training, generated pictures are compared with pictures held out; "
                "--no-measures leaves this out")
    minutes = max(1, round(2 * report.STEPS * size ** 2 * MEASURING / 60))
    return (f"after training, two classifiers of {report.STEPS:,} steps each measure what was "
            f"learned: about {minutes} min on one core; --no-measures leaves this out")


def _recipe(options):
    given = {"steps": options.steps, "game": options.game, "batch": options.batch,
             "learning_rate": options.learning_rate}
    recipe = replace(PictureRecipe(), **given, **RECIPES.get(options.data, {}))
    if options.gamma is not None:
        recipe = replace(recipe, gamma=options.gamma)
    if options.augment is not None:
        recipe = replace(recipe, augment=tuple(options.augment))
    return recipe


def _players(options, source, recipe, path):
    """A Training of new networks."""
    rng, (_, size, _, channels) = np.random.default_rng(options.seed), source.train.shape
    classes = len(source.names)
    generator = Generator(size, channels, NOISE, classes, options.width, options.upsampling,
                          rng=rng)
    discriminator = Discriminator(size, channels, classes, max(1, options.width // 2),
                                  options.spectral, rng=rng)
    return Training(generator, discriminator, source.train, source.train_labels, recipe,
                    seed=options.seed, checkpoint=path, every=options.every,
                    shown=grid_of_noise(generator, SHOWN_ROWS,
                                        np.random.default_rng([options.seed, 11])),
                    identity={"spectral": options.spectral})


def _steps_that_fit(options, path, source, recipe):
    """As many steps as fit into --minutes; where there is a checkpoint, those of its run."""
    found = of_first(checkpoint.read(path))
    if found is not None:
        return int(found[1]["identity"].get("steps", 1))
    moments, watch = [], Stopwatch()
    tried = _players(options, source, replace(recipe, steps=2 * TRIED), None)
    tried.run(lambda loop: moments.append(watch.seconds))
    each = statistics.mean(np.diff(moments[-TRIED - 1:]))
    return of_first(max(1, int((60 * options.minutes - watch.seconds) / each)))


def _run(training, options, model, path):
    found = checkpoint.read(path)
    done = 0 if found is None else found[1]["progress"]["t"]
    title = f"training from step {done:,}" if done else "training"
    with counting(training.recipe.steps - done, title, options.quiet) as bar:
        def follow(loop):
            bar.update()
            now = loop.measures
            bar.set_postfix_str(f"critic {now['critic']:.2f} ({now['right']:.0%} right), generator "
                                f"{now['generator']:.2f}")
            if loop.warning:
                warn(f"\nwarning: {loop.warning}")

        try:
            training.run(follow)
        except Diverged as error:
            raise ValueError(f"{error}; lower --learning-rate, or raise --gamma") from None
    if training.loop.stopped == "interrupted":
        warn(f"the same command goes on from {path}; {model} is written at the end")
        raise KeyboardInterrupt


def _measure(generator, source, options):
    if source.train_labels is None:
        return report.unlabelled(generator, source, seed=options.seed)
    with counting(2 * report.STEPS, "measuring: two classifiers", options.quiet) as bar:
        return report.labelled(generator, source, seed=options.seed, steps=report.STEPS,
                               callback=lambda loop: bar.update())[0]


def _say(options, figures, times, model):
    say(options, f"{times['seconds'] / 60:.1f} minutes, "
        f"{times['processor_seconds']:.0f} processor seconds")
    if figures.get("compared", 5) < 5:
        warn(f"nothing is measured: pictures held out: {figures['compared']}; 5 are needed")
    if "gan_test" in figures:
        answer(f"a classifier that reads {figures['judge_accuracy']:.1%} of real test pictures "
               f"reads {figures['gan_test']:.1%} of the generated ones (GAN-test); one that "
               f"learned from generated ones reads {figures['gan_train']:.1%} of the real ones "
               "(GAN-train)")
    if "frechet" in figures:
        answer(f"Fréchet distance {figures['frechet']:.2f} (real pictures among each other: "
               f"{figures['frechet_floor']:.2f}), precision {figures['precision']:.2f}, recall "
               f"{figures['recall']:.2f}; to the nearest training picture it is "
               f"{figures['memorisation_ratio']:.2f} times as far as from a held-out picture")
    say(options, model,
        f"look at {options.output}/grid.png; album.png, walks.png, neighbours.png, curves.png and "
        "training.gif are beside it; try:",
        f"  python -m demos.gan sample --model {model} --count 100")


# ---- sample -------------------------------------------------------------------------------------

def sample_options(parser):
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="a generator that train wrote")
    add("--count", type=above(0), default=100, metavar="N")
    add("--label", metavar="NAME", help="of one class only (default: all in turn)")


def sample(options):
    """Write pictures, and samples.npz with `pictures` and `labels`, for others to judge."""
    generator = load_generator(options.model)
    labels = None
    if options.label is not None:
        if options.label not in generator.names:
            raise ValueError(f"--label: {options.label!r} is none of "
                             f"{', '.join(generator.names) or 'its classes, for it has none'}")
        labels = np.full(options.count, generator.names.index(options.label))
    pictures, labels = samples(generator, options.count,
                               np.random.default_rng([options.seed, 31]), labels)
    path = options.output / "samples.npz"
    with atomic_write(path) as file:
        np.savez_compressed(file, pictures=pictures,
                            labels=np.full(len(pictures), -1) if labels is None else labels)
    columns = generator.classes or 10
    shown = pictures[:10 * columns]
    save_image(options.output / "samples.png",
               captioned_sheet(f"{len(shown)} of {len(pictures):,} samples", shown, columns))
    say(options, path, options.output / "samples.png")
    return {"model": str(options.model), "count": len(pictures), "samples": str(path),
            "names": generator.names}
