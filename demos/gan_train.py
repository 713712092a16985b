"""The commands `train` and `sample` of demos.gan: pictures by a (conditional) DCGAN."""
from dataclasses import asdict, replace
from pathlib import Path
import statistics
import sys
import time

import numpy as np

from demos.command_line import Stopwatch, above, counting, progress
from demos.gan_data import SOURCES, read_source
from minidl.data import save_image
from minidl.files import atomic_write
from minidl.gan import GAMES, diffaugment, plots, report
from minidl.gan.networks import UPSAMPLING, Discriminator, Generator
from minidl.gan.pictures import album_frames, album_sheet, captioned, class_grid, noise_of, samples, stacked, walks
from minidl.gan.saving import load_generator, save_generator
from minidl.gan.training import PictureRecipe, Training
from minidl.plots import check_matplotlib
from minidl.training import Diverged, checkpoint

SIZES = {"digits": 28, "clothes": 28}           # others: 32
RECIPES = {                                     # what differs from PictureRecipe's own
    "emoji": {"augment": ("translation", "cutout"), "gamma": 0.3},
    "faces": {"augment": ("translation",), "gamma": 0.3},
}
SHOWN_ROWS = 5
TRIED = 8                                       # steps, to know how long one takes


def train_options(parser):
    add, usual = parser.add_argument, PictureRecipe()
    add("--data", default="digits", metavar="NAME|FOLDER",
        help=f"{', '.join(SOURCES)}; or a folder of pictures, or of a folder of pictures for each class")
    add("--size", type=above(7), metavar="PIXELS", help="of a side, 4 to 7 times a power of 2 (default: digits and clothes 28, "
        "others 32)")
    add("--model", type=Path, metavar="FILE", help="where the generator is written (default: generator.npz in --output)")
    add("--steps", type=above(0), default=usual.steps, metavar="N")
    add("--minutes", type=above(0, float), metavar="M", help="as many steps as fit into this time, instead")
    add("--game", choices=GAMES, default=usual.game)
    add("--gamma", type=above(-1e-300, float), metavar="γ", help=f"of R1; 0: none (default: {usual.gamma}, emoji and faces "
        f"{RECIPES['faces']['gamma']})")
    add("--learning-rate", type=above(0, float), default=usual.learning_rate, metavar="η")
    add("--batch", type=above(0), default=usual.batch, metavar="N")
    add("--width", type=above(0), default=64, metavar="N", help="channels before the generator's last layer; the discriminator "
        "begins with half")
    add("--upsampling", choices=UPSAMPLING, default="transposed")
    add("--spectral", action="store_true", help="spectral normalisation of the discriminator")
    add("--augment", nargs="*", choices=list(diffaugment.PARTS), metavar="PART", help="DiffAugment, for few pictures: "
        f"{', '.join(diffaugment.PARTS)} (default: none, for emoji and faces some)")
    add("--no-labels", action="store_true", help="learn all classes together")
    add("--no-measures", action="store_true", help="leave out GAN-test, GAN-train and the distances")
    add("--every", type=above(0), default=100, metavar="N", help="steps between checkpoints")
    add("--checkpoint", type=Path, metavar="FILE", help="from which the same command goes on after an interruption (default: "
        "beside the model)")


def train(options):
    """Train as the options say, measure, write model and pictures; returns the figures."""
    check_matplotlib()
    known = options.data in SOURCES
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
    training = _players(options, source, recipe, path)
    watch, processor = Stopwatch(), time.process_time()
    _run(training, options, model, path)
    times = {"seconds": watch.seconds, "processor_seconds": time.process_time() - processor}
    generator = training.average.average
    save_generator(model, generator, source.names, data=options.data if known else "folder", seed=options.seed,
                   steps=recipe.steps)
    figures = {} if options.no_measures else _measure(generator, source, options)
    _draw(training, generator, source, options)
    path.unlink(missing_ok=True)
    _say(options, figures, times, model)
    return {"data": options.data, "size": size, "model": str(model), "recipe": asdict(recipe), **times, **figures,
            "pictures": len(source.train), "classes": source.names, "warnings": training.loop.warnings,
            "history": training.loop.history, "left_out": [str(each) for each in source.left_out]}


def _recipe(options):
    recipe = PictureRecipe(steps=options.steps, game=options.game, batch=options.batch,
                           learning_rate=options.learning_rate)
    recipe = replace(recipe, **RECIPES.get(options.data, {}))
    if options.gamma is not None:
        recipe = replace(recipe, gamma=options.gamma)
    if options.augment is not None:
        recipe = replace(recipe, augment=tuple(options.augment))
    return recipe


def _players(options, source, recipe, path):
    """A Training of new networks."""
    rng, (_, size, _, channels) = np.random.default_rng(options.seed), source.train.shape
    classes = len(source.names) if source.train_labels is not None else 0
    generator = Generator(size, channels, 64, classes, options.width, options.upsampling, rng=rng)
    discriminator = Discriminator(size, channels, classes, max(1, options.width // 2), options.spectral, rng=rng)
    columns = classes or 10
    noise = noise_of(generator, SHOWN_ROWS * columns, [options.seed, 11])
    labels = np.tile(np.arange(columns), SHOWN_ROWS) if classes else None
    if classes:
        noise = np.repeat(noise[:SHOWN_ROWS], columns, axis=0)
    return Training(generator, discriminator, source.train, source.train_labels, recipe, seed=options.seed, checkpoint=path,
                    every=options.every, shown=(noise, labels), identity={"spectral": options.spectral})


def _steps_that_fit(options, path, source, recipe):
    """As many steps as fit into --minutes; where there is a checkpoint, those of its run."""
    found = checkpoint.read(path)
    if found is not None:
        return int(found[1]["identity"]["steps"])
    moments, watch = [], Stopwatch()
    _players(options, source, replace(recipe, steps=2 * TRIED), None).run(lambda loop: moments.append(watch.seconds))
    return max(1, int((60 * options.minutes - watch.seconds) / statistics.mean(np.diff(moments[-TRIED - 1:]))))


def _run(training, options, model, path):
    found = checkpoint.read(path)
    done = 0 if found is None else found[1]["progress"]["t"]
    title = f"training from step {done:,}" if done else "training"
    with counting(training.recipe.steps - done, title, options.quiet) as bar:
        def follow(loop):
            bar.update()
            bar.set_postfix_str(f"critic {loop.measures['critic']:.2f} ({loop.measures['right']:.0%} right), generator "
                                f"{loop.measures['generator']:.2f}")
            if loop.warning:
                print(f"\nwarning: {loop.warning}", file=sys.stderr)

        try:
            training.run(follow)
        except Diverged as error:
            raise ValueError(f"{error}; lower --learning-rate, or raise --gamma") from None
    if training.loop.stopped == "interrupted":
        print(f"the same command goes on from {path}; {model} is written at the end", file=sys.stderr)
        raise KeyboardInterrupt


def _measure(generator, source, options):
    if source.train_labels is None:
        return report.unlabelled(generator, source, seed=options.seed)
    bar = progress(2 * report.STEPS, "measuring: two classifiers", options.quiet)
    figures, _ = report.labelled(generator, source, seed=options.seed, callback=lambda loop: bar.update())
    bar.close()
    return figures


def _draw(training, generator, source, options):
    """Grids, walks, neighbours, the album and the curves."""
    rng, columns = np.random.default_rng([options.seed, 12]), generator.classes or 10
    folder = options.output
    made = class_grid(generator, 8, rng)
    if source.train_labels is None:
        real = source.train[rng.choice(len(source.train), min(80, len(source.train)), replace=False)]
        said = "generated, not selected"
    else:
        real = np.stack([source.train[rng.choice(np.flatnonzero(source.train_labels == k))]
                         for _ in range(8) for k in range(columns)])
        said = f"generated, not selected: a class for each column ({', '.join(source.names)}), a noise for each row"
    save_image(folder / "grid.png", stacked(captioned(said, made, columns), captioned("real pictures", real, columns)))
    save_image(folder / "walks.png", captioned("from one noise to another along the sphere, a row each",
                                               walks(generator, 8, 12, rng), 12))
    few, _ = samples(generator, 20, rng)
    pairs = np.stack([few, report.nearest(few, source.train)], 1).reshape(2, 10, 2, *few.shape[1:])
    save_image(folder / "neighbours.png", captioned(
        "generated, and below each the nearest training picture (in pixels)",
        pairs.transpose(0, 2, 1, 3, 4, 5).reshape(-1, *few.shape[1:]), 10))
    if training.album.pages:
        save_image(folder / "album.png", album_sheet(training.album, columns))
        plots.save_animation(folder / "training.gif", album_frames(training.album, columns))
    plots.training_curves(folder / "curves.png", training.loop.history, training.recipe.game,
                          f"{options.data}, seed {options.seed}")


def _say(options, figures, times, model):
    if options.quiet:
        return
    print(f"{times['seconds'] / 60:.1f} minutes, {times['processor_seconds']:.0f} processor seconds")
    if "gan_test" in figures:
        print(f"a classifier that reads {figures['judge_accuracy']:.1%} of real test pictures reads "
              f"{figures['gan_test']:.1%} of the generated ones (GAN-test); one that learned from generated ones reads "
              f"{figures['gan_train']:.1%} of the real ones (GAN-train)")
    if "frechet" in figures:
        print(f"Fréchet distance {figures['frechet']:.2f} (real pictures among each other: {figures['frechet_floor']:.2f}), "
              f"precision {figures['precision']:.2f}, recall {figures['recall']:.2f}, distance to the nearest training picture "
              f"{figures['memorisation_ratio']:.2f} of a held-out picture's")
    print(model, f"look at {options.output}/grid.png; album.png, walks.png, neighbours.png, curves.png and training.gif are "
          "beside it; try:", f"  python -m demos.gan sample --model {model} --count 100", sep="\n")


# ---- sample ---------------------------------------------------------------------------------------------------------------

def sample_options(parser):
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="a generator that train wrote")
    add("--count", type=above(0), default=100, metavar="N")
    add("--label", metavar="NAME", help="of one class only (default: all in turn)")


def sample(options):
    """Write pictures, and samples.npz with `pictures` and `labels`, for another program to judge."""
    generator = load_generator(options.model)
    labels = None
    if options.label is not None:
        if options.label not in generator.names:
            raise ValueError(f"--label: {options.label!r} is none of "
                             f"{', '.join(generator.names) or 'its classes, for it has none'}")
        labels = np.full(options.count, generator.names.index(options.label))
    pictures, labels = samples(generator, options.count, [options.seed, 31], labels)
    path = options.output / "samples.npz"
    with atomic_write(path) as file:
        np.savez_compressed(file, pictures=pictures, labels=np.full(len(pictures), -1) if labels is None else labels)
    columns = generator.classes or 10
    save_image(options.output / "samples.png", captioned(f"{min(100, len(pictures))} of {len(pictures):,} samples",
                                                         pictures[:10 * columns], columns))
    if not options.quiet:
        print(path, options.output / "samples.png", sep="\n")
    return {"model": str(options.model), "count": len(pictures), "samples": str(path), "names": generator.names}
