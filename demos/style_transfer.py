"""Repaint a photograph in the style of a painting.

    python -m demos.style_transfer
    python -m demos.style_transfer --content me.jpg --style painting.jpg --size 512 --look strong
    python -m demos.style_transfer --style a.jpg --mask sky.png --style b.jpg --mask ground.png
    python -m demos.style_transfer --content me.jpg --preview
    python -m demos.style_transfer --like output/style_transfer/picture.png
"""
import argparse
import json
from pathlib import Path

from demos.command_line import (
    Parser,
    Stopwatch,
    answer,
    progress,
    run,
    say,
    start,
    undisturbed,
    write_json,
)
import minidl as md
from minidl import plots, style
from minidl.data import load_image, read_metadata, resize, save_image
from minidl.models.vgg import layer_names
from minidl.style.page import Page
from minidl.style.settings import CONTENT_LAYERS, STYLE_LAYERS

IMAGES = Path(__file__).parent / "images"
PAINTING = IMAGES / "starry_night.jpg"
UNTOLD = ("json", "quiet", "output", "device", "resume", "like", "preview", "state_every")


def main(arguments=None):
    options = _options(arguments)
    settings = dict(size=options.size, steps=options.steps, scales=options.scales,
                    optimizer=options.optimizer, look=options.look, content_weight=options.alpha,
                    style_weight=options.beta, variation_weight=options.tv_weight,
                    content_layers=options.content_layers, style_layers=options.style_layers,
                    content_layer_weights=options.content_layer_weights,
                    style_layer_weights=options.style_layer_weights,
                    style_scale=options.style_scale, style_blend_weights=options.blend,
                    guide=options.guide, colors=options.colors, init=options.init,
                    noise_ratio=options.noise_ratio, learning_rate=options.learning_rate,
                    margin=options.margin, seed=options.seed)
    style.Settings(**settings).check_styles(len(options.style), options.mask, options.style_mask)
    state = None if options.resume is None else style.load_state(options.resume)
    start(options)
    plots.check_matplotlib()            # before the work, as it may not be installed
    content, paintings = load_image(options.content), [load_image(path) for path in options.style]
    pictures = dict(masks=options.mask, style_masks=options.style_mask)
    net = md.models.vgg19(options.weights, options.pooling)
    if options.preview:
        return _preview(options, settings, content, paintings, pictures, net)
    watch, snapshots = Stopwatch(), _Snapshots(options)
    bar = progress(options.steps, "style transfer", options.quiet)
    used = _settings_of(options)
    page = Page(options.output / "progress.html", used, f"{options.content.stem} + "
                + ", ".join(path.stem for path in options.style), options.steps)

    def follow(step):
        bar.set_postfix_str(f"{step.size} pixels, " + ", ".join(
            f"{name} {step.costs[name]:.3g}" for name in ("J", "J_content", "J_style")))
        bar.update()
        snapshots.take(step)
        page.show(step)

    try:
        result = style.transfer(content, paintings, net=net, callback=follow, resume=state,
                                **pictures, **settings)
    finally:
        bar.close()
    if not result.history:
        raise ValueError("interrupted before the first evaluation: there is no picture yet")
    with undisturbed():             # by a second Ctrl-C
        _write(options, result, used, snapshots, page, (content, paintings[0]), watch.seconds)


def _write(options, result, used, snapshots, page, pictures, seconds):
    """The picture and all that goes with it, and what is said of it.

    used: the settings as the picture keeps them.  pictures: the content and the first painting.
    """
    content, painting = pictures
    if result.interrupted:
        snapshots.keep_state()

    told = {"Software": "minidl style transfer", "settings": json.dumps(used)}
    _save(options, result, told)
    save_image(options.output / "strip.png", snapshots.strip(content, painting, result.image))
    _plot_costs(result.history, options, options.output / "costs.png")
    last = result.history[-1]["size"]
    best = min((costs for costs in result.history if costs["size"] == last),
               key=lambda costs: costs["J"])
    said = (("interrupted; the best picture so far: " if result.interrupted else "")
            + f"J {best['J']:.4g} = {best['content_weight']:.4g} × J_content "
              f"{best['J_content']:.4g} + "
            f"{1 if options.beta is None else options.beta:g} × J_style {best['J_style']:.4g}"
            + (f" + {options.tv_weight:g} × J_variation {best['J_variation']:.4g}"
               if options.tv_weight else "")
            + f" at {last} pixels, {len(result.history)} evaluations in {seconds:.0f} s")
    page.finish(result.image, said)
    write_json(options.json, {**best, "evaluations": len(result.history), "seconds": seconds,
                              "interrupted": result.interrupted, "height": result.image.shape[0],
                              "width": result.image.shape[1], "stretched": result.stretched,
                              "settings": used,
                              "history": result.history})
    say(options, said)
    if result.stretched:
        say(options, f"{result.stretched:.1%} of the painting's pixels, recoloured, were clipped "
            "to 0..255")
    answer(options.output / _name(options))
    say(options, *(options.output / name for name in ("strip.png", "costs.png", "progress.html")))
    if result.interrupted:
        say(options, f"go on with --resume {options.output / 'state.npz'}")


def _name(options):
    return f"picture.{options.format}"


def _save(options, result, told):
    """The picture, and in a PNG the settings that repeat it."""
    save_image(options.output / _name(options),
               result.picture if options.depth == 16 else result.image,
               metadata=told if options.format == "png" else None, depth=options.depth)


def _preview(options, settings, content, paintings, pictures, net):
    """A grid of small pictures, of presets and style scales, to choose from."""
    kept = {name: value for name, value in (settings | pictures).items()
            if name not in ("look", "content_weight", "style_weight", "style_scale", "size",
                            "steps", "margin")}
    size, steps = min(options.size, 192), min(options.steps, 60)
    bar = progress(9 * steps, "preview", options.quiet)
    grid = style.preview(content, paintings, net=net, size=size, steps=steps,
                         callback=lambda step: bar.update(), **kept)
    bar.close()
    save_image(options.output / "preview.png", grid)
    write_json(options.json, {"height": grid.shape[0], "width": grid.shape[1]})
    say(options, f"each of {size} pixels, by {steps} steps")
    answer(options.output / "preview.png")


def _settings_of(options):
    """The options that repeat this run, as JSON has them."""
    return {name: _plain(value) for name, value in vars(options).items() if name not in UNTOLD}


def _plain(value):
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def _parser():
    parser = Parser("style_transfer",
                    "Repaint a photograph in the style of a painting, pixel by pixel.")
    add = parser.add_argument
    add("--content", type=Path, default=IMAGES / "chelsea.jpg", help="the photograph")
    add("--style", type=Path, action="append", default=None, metavar="PAINTING",
        help=f"the painting (default: {PAINTING.name}); several: each with its --mask, or blended")
    add("--mask", type=Path, action="append", default=None, metavar="PICTURE",
        help="where the style is painted: white in a picture like the photograph; one for each "
             "--style, in order")
    add("--style-mask", type=Path, action="append", default=None, metavar="PICTURE",
        help="where in the painting its style is taken from; one for each --style")
    add("--guide", choices=["simple", "inside"], default="simple",
        help="inside: no style sees, or changes, anything beyond its mask")
    add("--blend", nargs="+", type=float, default=None, metavar="W",
        help="of several styles, adding up to 1 (default: equal)")
    add("--size", type=int, default=256, help="pixels of the longer side")
    add("--steps", type=int, default=150, help="evaluations of the cost and its gradient, in all")
    add("--scales", type=int, default=None, metavar="N",
        help="sizes to paint at, each √2 times the last (default: all from 128 pixels on); 1 "
             "paints at once")
    add("--optimizer", choices=["lbfgs", "adam", "gradient_descent"], default=None,
        help="how the pixels move (default: lbfgs, above 1.5 million pixels adam)")
    add("--learning-rate", type=float, default=None,
        help="pixel values per step, for adam and gradient_descent")
    add("--init", choices=["content", "noise", "mix"], default="content",
        help="where the picture starts")
    add("--noise-ratio", type=float, default=None,
        help="share of noise with --init mix (default: 0.6)")
    add("--look", default=None, type=_look,
        help="light, balanced or strong, or the content's share of the gradient, 0 to 1 (default: "
             "balanced)")
    add("--alpha", type=float, default=None, help="instead of --look: weight of the content cost")
    add("--beta", type=float, default=None, help="instead of --look: weight of the style cost")
    add("--tv-weight", type=float, default=0.0, help="weight of the total variation")
    add("--style-scale", type=float, default=1.0,
        help="size of the painting in parts of --size; 2: twice as large, and the strokes")
    add("--colors", choices=["content", "luminance", "match", "cholesky"], default=None,
        help="content, luminance: the photograph's colours; match, cholesky: the painting "
             "recoloured first")
    add("--margin", type=int, default=None, metavar="PIXELS",
        help="painted around the picture and cut off (default: 8, with --scales 1 none)")
    add("--content-layer", "--content-layers", dest="content_layers", nargs="+",
        default=CONTENT_LAYERS, metavar="LAYER",
        choices=layer_names("vgg19"),
        help="layers whose activations are the content")
    add("--style-layer", "--style-layers", dest="style_layers", nargs="+", default=STYLE_LAYERS,
        metavar="LAYER", choices=layer_names("vgg19"),
        help="layers whose Gram matrices are the style")
    for kind in ("content", "style"):
        add(f"--{kind}-layer-weights", nargs="+", type=float, default=None, metavar="λ",
            help=f"one for each {kind} layer, adding up to 1 (default: equal)")
    add("--pooling", choices=["average", "max"], default="average", help="of the network")
    add("--weights", default="vgg19", metavar="FILE",
        help="vgg19, fetched once, or a file of VGG-19's weights")
    add("--format", choices=["png", "tif"], default="png", help="of the picture")
    add("--depth", type=int, choices=[8, 16], default=8, help="bits of a colour in the picture")
    add("--save-every", type=int, default=0, metavar="N",
        help="also write the picture after every N evaluations")
    add("--state-every", type=int, default=25, metavar="N",
        help="write state.npz after every N evaluations; 0: never")
    add("--resume", type=Path, default=None, metavar="STATE.NPZ",
        help="go on with a run, with the same options")
    add("--like", type=Path, default=None, metavar="PICTURE.PNG",
        help="take all settings from a picture that this program wrote; what else is given counts "
             "more")
    add("--preview", action="store_true",
        help="only a grid of small pictures: --look by --style-scale")
    return parser


def _options(arguments):
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.like is not None:
        known = _like(parser, options.like)
        lists = {name: known.pop(name) for name in ("style", "mask", "style_mask") if name in known}
        parser.set_defaults(**known)
        options = parser.parse_args(arguments)
        for name, paths in lists.items():       # to a default argparse would append
            setattr(options, name, getattr(options, name) or paths)
    options.style = [PAINTING] if options.style is None else options.style
    if options.learning_rate is not None and (options.optimizer in (None, "lbfgs")
                                              or not options.learning_rate > 0):
        parser.error("--learning-rate must be positive, and is for adam and gradient_descent, got "
                     f"{options.learning_rate} with {options.optimizer or 'lbfgs'}")
    if options.preview and options.like is None and (options.look is not None
                                                     or options.margin is not None
                                                     or options.style_scale != 1):
        parser.error("--preview shows several looks and style scales, without a margin of one's "
                     "own; --look, --style-scale and --margin are for the picture itself")
    for name in ("save_every", "state_every"):
        if getattr(options, name) < 0:
            parser.error(f"--{name.replace('_', '-')} must not be negative, got "
                         f"{getattr(options, name)}")
    for kind in ("content", "style"):
        layers = getattr(options, f"{kind}_layers")
        weights = getattr(options, f"{kind}_layer_weights")
        if isinstance(weights, list):
            if len(weights) != len(layers):
                parser.error(f"--{kind}-layer-weights needs one number for each of the "
                             f"{len(layers)} {kind} layers, got {len(weights)}")
            setattr(options, f"{kind}_layer_weights", dict(zip(layers, weights)))
    return options


def _like(parser, path):
    """The settings in a picture, as defaults of the parser."""
    text = read_metadata(path).get("settings")
    if text is None:
        raise ValueError(f"--like {path}: it has no settings of style transfer in it; only a PNG "
                         "that this program wrote carries them")
    known = {action.dest: action for action in parser._actions}
    try:
        settings = {name: value for name, value in json.loads(text).items() if name in known
                    and name not in UNTOLD}
    except (ValueError, AttributeError):
        raise ValueError(f"--like {path}: its settings are damaged") from None
    for name in ("content", "style", "mask", "style_mask"):
        value = settings.get(name)
        if value is not None:
            settings[name] = [Path(entry)
                              for entry in value] if isinstance(value, list) else Path(value)
    return settings


def _look(text):
    """A name of a preset, or a share."""
    try:
        return float(text)
    except ValueError:
        if text not in style.PRESETS:
            raise argparse.ArgumentTypeError(f"must be {', '.join(style.PRESETS)} or a number, got "
                                             f"{text}") from None
        return text


class _Snapshots:
    """Pictures on the way: some for the strip, and every N-th as a file."""

    def __init__(self, options):
        self.options, self.pictures = options, []
        self.wanted = {max(1, round(options.steps * share)) for share in (0.03, 0.1, 0.3)}
        self.last = None

    def take(self, step):
        if step.number in self.wanted:
            self.pictures.append(step.image)
        if self.options.save_every and step.number % self.options.save_every == 0:
            save_image(self.options.output / f"step_{step.number:04d}.png", step.image)
        self.last = step
        if self.options.state_every and step.number % self.options.state_every == 0:
            self.keep_state()

    def keep_state(self):
        """What --resume goes on from."""
        if self.last is not None:
            style.save_state(self.options.output / "state.npz", self.last.state)

    def strip(self, content, painting, final):
        """Content, the way to the result, the result, and the style, side by side with white
        between."""
        import numpy as np
        height = final.shape[0]
        painting = resize(painting, (height, round(painting.shape[1] * height / painting.shape[0])))
        gap = np.full((height, 4, 3), 255, np.uint8)
        way = [resize(picture, final.shape[:2]) for picture in (content, *self.pictures)]
        parts = [part for picture in (*way, final, painting)
                 for part in (picture, gap)]
        return np.concatenate(parts[:-1], axis=1)


def _plot_costs(history, options, path):
    """The weighted costs against the evaluations, on a logarithmic axis; dotted lines where the
    picture grows."""
    figure, (axes,) = plots.panels_of(1, 1, (7, 4.5))
    numbers, beta = range(1, len(history) + 1), 1.0 if options.beta is None else options.beta
    axes.semilogy(numbers, [costs["J"] for costs in history], label="J", color="black", linewidth=2)
    for label, parts in (("α J_content",
                          [costs["content_weight"] * costs["J_content"] for costs in history]),
                         (f"β J_style  ({beta:g})", [beta * costs["J_style"] for costs in history]),
                         (f"γ J_variation  ({options.tv_weight:g})",
                          [options.tv_weight * costs["J_variation"] for costs in history])):
        if any(parts):
            # 0 has no logarithm
            axes.semilogy(numbers, [part or float("nan") for part in parts], label=label)
    for i in range(1, len(history)):
        if history[i]["size"] != history[i - 1]["size"]:
            axes.axvline(i + 0.5, color="grey", linestyle=":", linewidth=1)
            axes.text(i + 0.7, 0.02, f"{history[i]['size']} pixels",
                      transform=axes.get_xaxis_transform(),
                      color="grey", fontsize=8)
    axes.set_xlabel("evaluation of J and its gradient")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("cost")
    axes.set_title("Style transfer: " + " + ".join(Path(p).stem.replace("_", " ")
                                                   for p in (options.content, *options.style)))
    axes.legend()
    plots.write(path, figure)


if __name__ == "__main__":
    run(main)
