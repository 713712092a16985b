"""What do deep ConvNets learn?  The nine patches that make a unit most active, what in them did,
and what it looks for.

    python -m demos.visualize                     layers 1 to 5 of VGG-19, on some 700 photographs
    python -m demos.visualize --quick             on twenty photographs
    python -m demos.visualize --data FOLDER       on pictures of your own

    python -m demos.visualize patches --layer relu3_1 --units 7 12 --data FOLDER --json FILE
        the patches alone
    python -m demos.visualize units   --layer relu4_1 --units 3 17 40       a sheet of chosen units
    python -m demos.visualize dream   --layer relu5_1 --units 5
        synthetic pictures, one file each

    --model vgg19, face128, or a file: of VGG's weights, or what demos.faces and demos.one_shot have
    trained

Exit codes: 0; 1, some pictures of --data were left out, each is named on stderr, and the rest was
used; 2, a mistake.

The first run looks at all photographs once, for all units of the layers, and keeps a table of the
strongest places in the cache; later ones start from there.  Ctrl-C keeps what was found; the same
command goes on.
"""
from pathlib import Path
import sys

import numpy as np

from demos.command_line import (
    Parser,
    Stopwatch,
    above,
    answer,
    counting,
    run,
    say,
    start,
    warn,
    write_json,
)
from demos.visualize_model import Subject
from minidl import visualize
from minidl.data import load_image, save_image

VGG_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
CHOSEN = {                          # of VGG-19, because what they see is easily named
    "relu1_1": [10, 24, 32],        # edges, red
    "relu2_1": [49, 88, 118],       # borders of blue, stripes, corners
    "relu3_1": [5, 140, 163],       # zigzags, letters, balls
    "relu4_1": [2, 358, 470],       # tails, beads, almonds
    "relu5_1": [2, 93, 100]}        # fruit, faces, heaps
SMALLEST, LARGEST = 48, 128         # pixels of synthetic pictures
DRAWN_ANEW = "relu3_1"              # of VGG-19: the layers behind it are drawn anew


def main(arguments=None):
    options = _options(sys.argv[1:] if arguments is None else list(arguments))
    start(options)
    subject = Subject(options.model, options.data, options.quick, options.size, options.seed)
    layers = options.layer or _usual_layers(subject)
    for layer in layers:
        subject.check(layer, options.units or [], windowed=options.command != "dream")
    watch = Stopwatch()
    figures = {"patches": _patches, "units": _sheet, "dream": _dream,
               None: _everything}[options.command](
        subject, layers, options)
    write_json(options.json,
               {**figures, "model": options.model, "seed": options.seed, "seconds": watch.seconds})
    skipped = figures.get("skipped", [])
    if skipped:
        # of our own photographs some are small, and that is known
        named = skipped if options.data else skipped[:1]
        warn(*(f"left out: {line}" for line in named), f"left out: {len(skipped):,} of "
             f"{len(subject.names):,} pictures (for a layer, or for all); the rest was used")
        return 1 if options.data else None


def _options(arguments):
    command = arguments[0] if arguments and arguments[0] in ("patches", "units", "dream") else None
    parser = Parser("visualize" + (f" {command}" if command else ""), __doc__)
    parser.set_defaults(output=Path("output") / "visualize", command=command)
    add = parser.add_argument
    add("--model", default="vgg19", metavar="NAME|FILE", help="the network")
    add("--data", type=Path, metavar="FOLDER",
        help="of pictures (default: photographs, portraits or drawn characters)")
    add("--quick", action="store_true", help="twenty pictures")
    add("--layer", nargs="+", metavar="NAME",
        help="layers, one row of the sheet for each (default: one in each of five)")
    add("--units", nargs="+", type=int, metavar="U",
        help="their units (default: drawn by the seed; `units` with VGG-19: chosen ones)")
    add("--count", type=above(0), default=3, metavar="N", help="units of a layer that are drawn")
    add("--size", type=above(0), metavar="N",
        help="pixels to which the longer side of larger pictures is brought")
    add("--steps", type=above(0), metavar="N",
        help="of the synthesis (default: by the size of its picture)")
    add("--padding", action="store_true",
        help="sheets: also places where the unit sees padding, which is shown grey; `patches` "
             "takes all places anyway")
    options = parser.parse_args(arguments[1:] if command else arguments)
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data} is no folder")
    return options


def _usual_layers(subject):
    """The layers of a sheet: VGG's first of each block; of other networks five, from the first to
    the last."""
    if set(VGG_LAYERS) <= set(subject.fields):
        return VGG_LAYERS
    names = [name for name in subject.fields if name.startswith(("relu", "conv"))]
    relus = [name for name in names if name.startswith("relu")]
    names = relus if len(relus) >= 3 else names
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, 5).astype(int))]


# ---- the commands: the network, layers, options → figures

def _patches(subject, layers, options):
    """The strongest patches as figures, and as a sheet of each layer."""
    found = subject.top(layers, quiet=options.quiet)
    units = {layer: _units(found[layer], options) for layer in layers}
    headings = [(_heading(subject, layer),
                 [_shown(subject, found[layer], layer, unit) for unit in units[layer]])
                for layer in layers if len(units[layer]) <= 64]     # of more, the figures alone
    if headings:
        _save(options, "patches.png",
              visualize.draw_sheet(_title(subject, found, "patches | deconvnet"), headings))
    figures = [_figures(found[layer], layer, unit) for layer in layers for unit in units[layer]]
    return {"units": figures, "pictures": found[layers[0]].pictures,
            "skipped": _skipped(found)}


def _sheet(subject, layers, options, name="units.png", chosen=True):
    """Patches | deconvnet | synthetic picture of units of each layer."""
    found = subject.top(layers, inside=not options.padding, quiet=options.quiet)
    chosen = chosen and options.units is None and subject.name == "vgg19"
    units = {layer: CHOSEN[layer] if chosen and layer in CHOSEN
             else _units(found[layer], options, options.count)
             for layer in layers}
    how = "chosen units" if chosen or options.units else f"units drawn by seed {options.seed}"
    headings, figures = [], []
    with counting(sum(map(len, units.values())), "climbing", options.quiet) as bar:
        for layer in layers:
            blocks = []
            for unit in units[layer]:
                watch = Stopwatch()
                picture, strength, seconds = _synthetic(subject, layer, unit, options)
                shown = _shown(subject, found[layer], layer, unit)
                blocks.append(shown._replace(synthetic=picture, strength=strength))
                best = shown.patches[0].activation
                figures.append(_figures(found[layer], layer, unit) | {
                    "synthetic": strength, "ratio": strength / best if best > 0 else None,
                    "synthesis_seconds": seconds,
                    "seconds": watch.seconds})
                bar.update()
            headings.append((_heading(subject, layer), blocks))
    _save(options, name, visualize.draw_sheet(
        _title(subject, found, f"{how}: nine patches | deconvnet | synthetic"), headings))
    ratios = [one["ratio"] for one in figures if one["ratio"] is not None]
    beaten = float(np.mean([ratio >= 1 for ratio in ratios])) if ratios else None
    if ratios:
        answer(f"synthetic pictures against the best real patch: {beaten:.0%} of {len(ratios)} "
               f"units at least as active, median {np.median(ratios):.2f} times, "
               f"{np.mean([one['synthesis_seconds'] for one in figures]):.1f} s each")
    return {"units": figures, "pictures": found[layers[0]].pictures, "skipped": _skipped(found),
            "share_at_least_real": beaten,
            "median_ratio": float(np.median(ratios)) if ratios else None}


def _dream(subject, layers, options):
    """Synthetic pictures, a file for each unit, and all on one sheet."""
    figures, rows = [], []
    for layer in layers:
        rng = np.random.default_rng(options.seed)
        drawn = rng.permutation(subject.count(layer))[:options.count]
        units = options.units or sorted(drawn.tolist())
        rows.append((layer, []))
        for unit in units:
            picture, strength, seconds = _synthetic(subject, layer, unit, options)
            rows[-1][1].append((f"unit {unit}: {strength:.4g}", picture))
            figures.append({"layer": layer, "unit": unit, "synthetic": strength,
                            "synthesis_seconds": seconds})
            say(options, f"{options.output}/{layer}_{unit:04}.png: activation {strength:.4g}, "
                f"{seconds:.1f} s")
    _save(options, "dream.png", visualize.draw_rows(
        f"{Path(subject.name).name}: what units look for, and how active they are", rows))
    return {"units": figures}


def _everything(subject, layers, options):
    """The sheet; and once, what the deconvnet shows when the upper layers are drawn anew."""
    figures = _sheet(subject, layers, options, "sheet.png", chosen=False)
    after = DRAWN_ANEW if DRAWN_ANEW in subject.net else layers[len(layers) // 2]
    if after != layers[-1]:
        figures["drawn_anew"] = _honesty(subject, layers[-1], after, options)
    return figures


def _honesty(subject, layer, after, options):
    """A sheet: the strongest patches of three units, brought back by the network and by the same
    with its upper layers drawn anew; with the deconvnet the two look alike, with the gradient they
    do not."""
    found = subject.top([layer], inside=not options.padding, quiet=options.quiet)[layer]
    # a ReLU that is shut in the other network would hide all
    before = layer.replace("relu", "conv")
    before = before if before in subject.net else layer
    other, rows, figures = visualize.drawn_anew(subject.net, after, options.seed), [], []
    for unit in _units(found, options, options.count):
        patch = found.patches[unit][0]
        picture = subject.read(patch.name)
        shown = [(f"what it sees: {Path(patch.name).stem}", patch.shown(picture, visualize.GREY))]
        for rule in "deconvnet", "guided", "gradient":
            trained, redrawn, rank = visualize.compare(subject.net, other, patch, picture, before,
                                                       unit, rule)
            shown += [(rule, visualize.contrast(trained)),
                      (f"drawn anew: {rank:.2f}", visualize.contrast(redrawn))]
            figures.append({"layer": layer, "unit": unit, "rule": rule, "after": after,
                            "rank_correlation": rank})
        rows.append((f"unit {unit}", shown))
    _save(options, "drawn_anew.png", visualize.draw_rows(
        f"{layer}: three ways back, each beside the same with all layers behind {after} drawn "
        "anew, and their rank correlation", rows))
    for rule in "deconvnet", "guided", "gradient":
        ranks = [one["rank_correlation"] for one in figures if one["rule"] == rule]
        answer(f"all layers behind {after} drawn anew: rank correlation of the projections by "
               f"{rule}: " + ", ".join(f"{rank:.2f}" for rank in ranks))
    return figures


# ---- what they share

def _units(found, options, count=None):
    """The units asked for; else so many drawn of those that are active somewhere; else all."""
    if options.units is not None:
        return options.units
    if count is None:
        return list(found.patches)
    active = [unit for unit, patches in found.patches.items()
              if patches[-1].activation > 0] or list(found.patches)
    return sorted(np.random.default_rng(options.seed).permutation(active)[:count].tolist())


def _synthetic(subject, layer, unit, options):
    """(picture as it was saved, its strength, seconds) of a unit."""
    watch, field = Stopwatch(), subject.fields.get(layer)
    seen = np.max(field.size) if field is not None else LARGEST
    size = subject.fixed or int(min(LARGEST, SMALLEST + seen))
    steps, rate = (100, 0.1) if size < 100 else (48, 0.05)
    picture = visualize.synthesize(subject.net, layer, unit, size, steps=options.steps or steps,
                                   learning_rate=rate, channels=subject.channels, rng=options.seed)
    path, seconds = options.output / f"{layer}_{unit:04}.png", watch.seconds
    save_image(path, picture)
    saved = load_image(path)[..., :subject.channels]
    return saved, visualize.strength(subject.net, saved, layer, unit, rng=options.seed), seconds


def _shown(subject, found, layer, unit):
    """A unit's patches and their projections, to be drawn."""
    patches = found.patches[unit]
    pictures = [subject.read(patch.name) for patch in patches]
    return visualize.Shown(
        unit, patches,
        [patch.shown(picture, visualize.GREY) for patch, picture in zip(patches, pictures)],
        [visualize.patch_projection(subject.net, patch, picture, layer, unit)
         for patch, picture in zip(patches, pictures)], None, None)


def _figures(found, layer, unit):
    """A unit's patches as --json has them; row and column: of the unit in the layer's output; box:
    [[top, bottom], [left, right]] in pixels, the second of each not in it; what is below 0 or
    beyond the picture is padding."""
    return {"layer": layer, "unit": unit, "patches": [
        {"activation": patch.activation, "picture": patch.name, "row": patch.position[0],
         "column": patch.position[1],
         "box": patch.box} for patch in found.patches[unit]]}


def _skipped(found):
    """The lines of all layers, each once."""
    return list(dict.fromkeys(line for one in found.values() for line in one.skipped))


def _heading(subject, layer):
    size = subject.fields[layer].size
    return f"{layer}: a unit sees {size} x {size} pixels"


def _title(subject, found, words):
    first = next(iter(found.values()))
    return f"{Path(subject.name).name}, {first.pictures + len(first.skipped)} pictures: {words}"


def _save(options, name, sheet):
    save_image(options.output / name, sheet)
    say(options, options.output / name)


if __name__ == "__main__":
    run(main)
