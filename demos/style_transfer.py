"""Repaint a photograph in the style of a painting.

    python -m demos.style_transfer
    python -m demos.style_transfer --content me.jpg --style painting.jpg --size 384 --steps 200
"""
from pathlib import Path

from demos.command_line import Parser, Stopwatch, progress, run, start, write_json
import minidl as md
from minidl import style
from minidl.data import load_image, resize, save_image
from minidl.models.vgg import layer_names
from minidl.style.transfer import CONTENT_LAYERS, STYLE_LAYERS

IMAGES = Path(__file__).parent / "images"


def main(arguments=None):
    options = _options(arguments)
    settings = dict(size=options.size, steps=options.steps, optimizer=options.optimizer,
                    content_weight=options.alpha, style_weight=options.beta, variation_weight=options.tv_weight,
                    content_layers=options.content_layers, style_layers=options.style_layers,
                    style_layer_weights=options.style_layer_weights, init=options.init, noise_ratio=options.noise_ratio,
                    learning_rate=options.learning_rate, seed=options.seed)
    style.check_settings(**settings)
    start(options)
    pyplot = _pyplot()                                          # before the work, as it may not be installed
    content, painting = load_image(options.content, options.size), load_image(options.style, options.size)
    net = md.models.vgg19(options.weights, options.pooling)
    watch, bar, snapshots = Stopwatch(), progress(options.steps, "style transfer", options.quiet), _Snapshots(options)

    def follow(step):
        bar.set_postfix_str(", ".join(f"{name} {step.costs[name]:.3g}" for name in ("J", "J_content", "J_style")))
        bar.update()
        snapshots.take(step)

    result = style.transfer(content, painting, net=net, callback=follow, **settings)
    bar.close()
    if not result.history:
        raise ValueError("interrupted before the first evaluation: there is no picture yet")

    used = {name: str(value) for name, value in vars(options).items() if name not in ("json", "quiet")}
    save_image(options.output / "picture.png", result.image, metadata={"Software": "minidl style transfer", **used})
    save_image(options.output / "strip.png", snapshots.strip(content, painting, result.image))
    _plot_costs(pyplot, result.history, options, options.output / "costs.png")
    best = min(result.history, key=lambda costs: costs["J"])
    write_json(options.json, {**best, "evaluations": len(result.history), "seconds": watch.seconds,
                              "interrupted": result.interrupted, "height": result.image.shape[0],
                              "width": result.image.shape[1], "settings": used, "history": result.history})
    if not options.quiet:
        print(("interrupted; the best picture so far: " if result.interrupted else "")
              + f"J {best['J']:.4g} = {options.alpha:g} × J_content {best['J_content']:.4g} "
              f"+ {options.beta:g} × J_style {best['J_style']:.4g}"
              + (f" + {options.tv_weight:g} × J_variation {best['J_variation']:.4g}" if options.tv_weight else "")
              + f", {len(result.history)} evaluations in {watch.seconds:.0f} s")
        for name in ("picture.png", "strip.png", "costs.png"):
            print(options.output / name)


def _options(arguments):
    parser = Parser("style_transfer", "Repaint a photograph in the style of a painting, pixel by pixel.")
    add = parser.add_argument
    add("--content", type=Path, default=IMAGES / "astronaut.jpg", help="the photograph")
    add("--style", type=Path, default=IMAGES / "starry_night.jpg", help="the painting")
    add("--size", type=int, default=256, help="pixels of the longer side")
    add("--steps", type=int, default=100, help="evaluations of the cost and its gradient")
    add("--optimizer", choices=["lbfgs", "adam", "gradient_descent"], default="lbfgs", help="how the pixels move")
    add("--learning-rate", type=float, default=None, help="pixel values per step, for adam and gradient_descent")
    add("--init", choices=["content", "noise", "mix"], default="content", help="where the picture starts")
    add("--noise-ratio", type=float, default=None, help="share of noise with --init mix")
    add("--alpha", type=float, default=100.0, help="weight of the content cost")
    add("--beta", type=float, default=1.0, help="weight of the style cost")
    add("--tv-weight", type=float, default=0.0, help="weight of the total variation")
    add("--content-layer", "--content-layers", dest="content_layers", nargs="+", default=CONTENT_LAYERS, metavar="LAYER",
        choices=layer_names("vgg19"),
        help="layers whose activations are the content")
    add("--style-layer", "--style-layers", dest="style_layers", nargs="+", default=STYLE_LAYERS, metavar="LAYER",
        choices=layer_names("vgg19"),
        help="layers whose Gram matrices are the style")
    add("--style-layer-weights", nargs="+", type=float, default=None, metavar="λ",
        help="one for each style layer, adding up to 1 (default: equal)")
    add("--pooling", choices=["average", "max"], default="average", help="of the network")
    add("--weights", default="vgg19", metavar="FILE", help="vgg19, fetched once, or a file of VGG-19's weights")
    add("--save-every", type=int, default=0, metavar="N", help="also write the picture after every N evaluations")
    options = parser.parse_args(arguments)
    if options.learning_rate is not None and (options.optimizer == "lbfgs" or not options.learning_rate > 0):
        parser.error(f"--learning-rate must be positive, and is for adam and gradient_descent, got {options.learning_rate} "
                     f"with {options.optimizer}")
    if options.save_every < 0:
        parser.error(f"--save-every must not be negative, got {options.save_every}")
    if options.style_layer_weights is not None:
        if len(options.style_layer_weights) != len(options.style_layers):
            parser.error(f"--style-layer-weights needs one number for each of the {len(options.style_layers)} style "
                         f"layers, got {len(options.style_layer_weights)}")
        options.style_layer_weights = dict(zip(options.style_layers, options.style_layer_weights))
    return options


class _Snapshots:
    """Pictures on the way: some for the strip, and every N-th as a file."""

    def __init__(self, options):
        self.options, self.pictures = options, []
        self.wanted = {max(1, round(options.steps * share)) for share in (0.03, 0.1, 0.3)}

    def take(self, step):
        if step.number in self.wanted:
            self.pictures.append(step.image)
        if self.options.save_every and step.number % self.options.save_every == 0:
            save_image(self.options.output / f"step_{step.number:04d}.png", step.image)

    def strip(self, content, painting, final):
        """Content, the way to the result, the result, and the style, side by side with white between."""
        import numpy as np
        height = final.shape[0]
        painting = resize(painting, (height, round(painting.shape[1] * height / painting.shape[0])))
        gap = np.full((height, 4, 3), 255, np.uint8)
        parts = [part for picture in (resize(content, final.shape[:2]), *self.pictures, final, painting)
                 for part in (picture, gap)]
        return np.concatenate(parts[:-1], axis=1)


def _pyplot():
    """Matplotlib, drawing into files."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    return pyplot


def _plot_costs(pyplot, history, options, path):
    """The weighted costs against the evaluations, on a logarithmic axis."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    numbers = range(1, len(history) + 1)
    axes.semilogy(numbers, [costs["J"] for costs in history], label="J", color="black", linewidth=2)
    for name, weight, symbol in (("J_content", options.alpha, "α J_content"), ("J_style", options.beta, "β J_style"),
                                 ("J_variation", options.tv_weight, "γ J_variation")):
        if weight:
            shown = [weight * costs[name] or float("nan") for costs in history]        # a cost of 0 has no logarithm
            axes.semilogy(numbers, shown, label=f"{symbol}  ({weight:g})")
    axes.set_xlabel("evaluation of J and its gradient")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("cost")
    axes.set_title("Style transfer: " + " + ".join(Path(p).stem.replace("_", " ") for p in (options.content, options.style)))
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    run(main)
