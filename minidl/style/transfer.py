"""Neural style transfer: a picture optimised, pixel by pixel, until a network sees the content of one and the style of
another in it."""
from contextlib import nullcontext
from dataclasses import dataclass
import math
from numbers import Integral
import os

import numpy as np

from minidl import backend, models
from minidl.data import load_image, resize
from minidl.nn.module import Module, evaluating
from minidl.optim import SGD, Adam, minimize_lbfgs
from minidl.recording import no_grad
from minidl.settings import bounded
from minidl.style.costs import (
    check_layer_weights,
    check_layers,
    content_cost,
    mean_gram,
    style_layer_cost,
    total_variation,
)
from minidl.tensor import Tensor, grad, tensor

CONTENT_LAYERS = ("relu4_2",)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LEARNING_RATES = {"adam": 4.0, "gradient_descent": 1.0}
TRANSFER = "style transfer"         # as errors name it
OVERSHOOT = 32                      # of 255: beside sharp edges of a picture that was resized


@dataclass
class Evaluation:
    """One evaluation of J: its number from 1, the costs {"J", "J_content", "J_style", …}, and the picture (1, H, W, 3)."""
    number: int
    costs: dict
    picture: Tensor

    @property
    def image(self):
        return to_image(self.picture)


@dataclass
class Result:
    """image: (H, W, 3) uint8, the best picture seen; history: the costs at every evaluation; interrupted: by Ctrl-C."""
    image: np.ndarray
    history: list
    interrupted: bool


class Objective:
    """J(G) for fixed content and style: their activations and Gram matrices are computed once, here.

    content, style: Tensors (1, H, W, 3), RGB in 0..255.  Calling it with G gives {"J": …, "J_content": …, "J_style": …,
    "J_variation": …, and the cost of every layer under its name}, all Tensors.
    """

    def __init__(self, net, content, style, *, content_layers=CONTENT_LAYERS, style_layers=STYLE_LAYERS,
                 style_layer_weights=None, content_weight, style_weight, variation_weight=0.0):
        self.net = net
        content_layers = check_layers(TRANSFER, "content_layers", content_layers)
        style_layers = check_layers(TRANSFER, "style_layers", style_layers)
        self.content_weight = bounded(TRANSFER, "0 ≤ content_weight < inf", content_weight)
        self.style_weight = bounded(TRANSFER, "0 ≤ style_weight < inf", style_weight)
        self.variation_weight = bounded(TRANSFER, "0 ≤ variation_weight < inf", variation_weight)
        self.style_layer_weights = check_layer_weights(TRANSFER, style_layers, style_layer_weights)
        if not hasattr(net, "walk"):
            raise TypeError(f"{TRANSFER}: net must be a network of named layers, such as "
                            "models.vgg19() or nn.Sequential({name: layer, …}), "
                            f"got {type(net).__name__}, which has no walk(x, layers)")
        _check_known(net, "content_layers", content_layers)
        _check_known(net, "style_layers", style_layers)
        with no_grad():
            self.content = dict(net.walk(content, content_layers))
            self.grams = {name: mean_gram(a) for name, a in net.walk(style, style_layers)}

    def __call__(self, generated):
        content, style = {}, {}
        # A cost is made as soon as its activations are there.  The sweep begins with what was made
        # last, so the gradient of a large early layer does not wait for the deeper ones.
        for name, a in self.net.walk(generated, [*self.content, *self.grams]):
            if name in self.content:
                content[name] = content_cost(self.content[name], a)
            if name in self.grams:
                style[name] = style_layer_cost(self.grams[name], a)
        j_content = sum(content[name] for name in self.content) * (1 / len(content))
        j_style = sum(self.style_layer_weights[name] * style[name] for name in self.grams)
        j_variation = total_variation(generated)
        j = self.content_weight * j_content + self.style_weight * j_style + self.variation_weight * j_variation
        return {"J": j, "J_content": j_content, "J_style": j_style, "J_variation": j_variation,
                **{f"content {name}": content[name] for name in self.content},
                **{f"style {name}": style[name] for name in self.grams}}


def transfer(content, style, *, size=256, steps=100, optimizer="lbfgs", content_weight=100.0, style_weight=1.0,
             variation_weight=0.0, content_layers=CONTENT_LAYERS, style_layers=STYLE_LAYERS, style_layer_weights=None,
             init="content", noise_ratio=None, learning_rate=None, seed=0, net=None, callback=None):
    """Repaint `content` in the style of `style`: minimise J(G) = α J_content + β J_style + γ J_variation over G's pixels.

    content, style: paths of pictures, or arrays (H, W, 3) with RGB in 0..255.
    size: pixels of the longer side of both; each keeps its own aspect ratio.
    steps: how often J and its gradient are evaluated.
    optimizer: "lbfgs" (SciPy's L-BFGS-B, pixels bounded to 0..255), "adam", or "gradient_descent", the lecture's
        G := G − η ∂J/∂G, scaled so that the mean step is η pixel values; learning_rate: η.
    content_weight α, style_weight β, variation_weight γ; style_layer_weights: {layer: λ}, adding up to 1.
    init: where G starts: "content", "noise", "mix" (noise_ratio of noise, the rest content; 0.6 by default), or an array.
    net: any network of named layers (`nn.Sequential`) that takes (1, H, W, 3) in 0..255; by default
        `models.vgg19(pooling="average")`.  It is used as after `eval()`, and left as it was.
    callback(Evaluation): called after every evaluation.  It may raise StopIteration to end the run.
    Ctrl-C ends the run, and the best picture so far is the result.
    Raises ValueError for settings out of range, layers named twice, pictures that are not in 0..255
    or leave nothing to change; TypeError for settings of another kind; OSError for files.
    """
    content_layers = check_layers(TRANSFER, "content_layers", content_layers)
    style_layers = check_layers(TRANSFER, "style_layers", style_layers)
    check_settings(size=size, steps=steps, optimizer=optimizer, content_weight=content_weight,
                   style_weight=style_weight, variation_weight=variation_weight,
                   content_layers=content_layers, style_layers=style_layers,
                   style_layer_weights=style_layer_weights, init=init, noise_ratio=noise_ratio,
                   learning_rate=learning_rate, seed=seed)
    net = models.vgg19(pooling="average") if net is None else net
    content, style = _to_picture("content", content, size), _to_picture("style", style, size)
    if isinstance(init, str) and init == "content" and not variation_weight:
        _check_different(content, style)
    start, history = _starting_picture(content, init, noise_ratio, seed), []

    def evaluate(generated):
        costs = objective(generated)
        history.append({name: cost.item() for name, cost in costs.items()})
        return costs["J"]

    def report(number, picture, value):
        if callback is not None:
            callback(Evaluation(number, history[-1], picture))

    with evaluating(net) if isinstance(net, Module) else nullcontext():
        objective = Objective(net, content, style, content_layers=content_layers,
                              style_layers=style_layers, style_layer_weights=style_layer_weights,
                              content_weight=content_weight, style_weight=style_weight,
                              variation_weight=variation_weight)
        if optimizer == "lbfgs":
            found = minimize_lbfgs(evaluate, start, evaluations=steps, bounds=(0.0, 255.0),
                                   callback=report, history=30, first_step=1.0, ftol=0.0, gtol=0.0)
            return Result(to_image(found.x), history, found.interrupted)
        best, interrupted = _descend(evaluate, start, steps, optimizer, learning_rate, report)
        return Result(to_image(best), history, interrupted)


def _descend(evaluate, start, steps, optimizer, learning_rate, report):
    """Adam or gradient descent on the pixels, held to 0..255: (best picture, whether Ctrl-C ended it)."""
    picture = tensor(start, requires_grad=True)
    rate = LEARNING_RATES[optimizer] if learning_rate is None else learning_rate
    method = Adam([picture], rate) if optimizer == "adam" else SGD([picture], rate)
    best, lowest = picture.detach(), float("inf")
    try:
        for number in range(1, steps + 1):
            j = evaluate(picture)
            if not math.isfinite(j.item()):
                raise ValueError(f"{TRANSFER}: J is {j.item()} at evaluation {number}")
            picture.grad, = grad(j, picture)
            if j.item() < lowest:
                best, lowest = picture.detach(), j.item()
            try:
                report(number, picture.detach(), j.item())
            except StopIteration:
                break
            if optimizer == "gradient_descent":
                slope = abs(picture.grad).mean().item()
                if slope == 0:                          # a minimum, as of the content cost at the content
                    break
                picture.grad = picture.grad / slope
            method.step()
            picture.data = picture.detach().clip(0, 255).data
    except KeyboardInterrupt:
        return best, True
    return best, False


def check_settings(*, size, steps, optimizer, content_weight, style_weight, variation_weight,
                   content_layers, style_layers, style_layer_weights, init, noise_ratio,
                   learning_rate=None, seed=0):
    """Raise ValueError or TypeError for settings of `transfer` that are out of range or of another
    kind, before anything is loaded or computed."""
    for name, value, least in (("size", size, 16), ("steps", steps, 1)):
        if not isinstance(value, Integral):
            raise TypeError(f"{TRANSFER}: {name} must be a whole number, got {value!r}")
        if value < least:
            raise ValueError(f"{TRANSFER}: {name} must be at least {least}, got {value}")
    if optimizer not in ("lbfgs", *LEARNING_RATES):
        raise ValueError(f"{TRANSFER}: optimizer must be lbfgs, adam or gradient_descent, "
                         f"got {optimizer!r}")
    if learning_rate is not None:
        bounded(TRANSFER, "0 < learning_rate < inf", learning_rate)
        if optimizer == "lbfgs":
            raise ValueError(f"{TRANSFER}: learning_rate is for adam and gradient_descent, got "
                             f"{learning_rate} with lbfgs, which finds its own")
    _check_init(init, noise_ratio, seed)
    alpha = bounded(TRANSFER, "0 ≤ content_weight < inf", content_weight)
    beta = bounded(TRANSFER, "0 ≤ style_weight < inf", style_weight)
    bounded(TRANSFER, "0 ≤ variation_weight < inf", variation_weight)
    if alpha + beta == 0:
        raise ValueError(f"{TRANSFER}: content_weight and style_weight must not both be 0")
    check_layers(TRANSFER, "content_layers", content_layers)
    layers = check_layers(TRANSFER, "style_layers", style_layers)
    check_layer_weights(TRANSFER, layers, style_layer_weights)


def _check_init(init, noise_ratio, seed):
    if isinstance(init, str) and init not in ("content", "noise", "mix"):
        raise ValueError(f"{TRANSFER}: init must be content, noise, mix or an array, got {init!r}")
    mixed = isinstance(init, str) and init == "mix"
    if noise_ratio is not None:
        bounded(TRANSFER, "0 ≤ noise_ratio ≤ 1", noise_ratio)
        if not mixed:
            raise ValueError(f"{TRANSFER}: noise_ratio is for init='mix', got {noise_ratio} with "
                             f"{init if isinstance(init, str) else 'an array'!r}")
    if mixed or isinstance(init, str) and init == "noise":
        backend.generator(seed)


def _check_known(net, argument, layers):
    """Raise ValueError where the net has names, and some layers are not among them."""
    unknown = [name for name in layers if name not in getattr(net, "names", layers)]
    if unknown:
        raise ValueError(f"{TRANSFER}: {argument} {unknown} are not among the layers of net: "
                         f"{', '.join(net.names)}")


def _check_different(content, style):
    if content.shape == style.shape and (content.data == style.data).all():
        raise ValueError(f"{TRANSFER}: content and style are one picture, from which G starts, so "
                         "there is nothing to change; start from init='noise'")


def _starting_picture(content, init, noise_ratio, seed):
    """G before the first step, (1, H, W, 3) in 0..255."""
    if not isinstance(init, str):
        init = init.numpy() if isinstance(init, Tensor) else np.asarray(init)
        if init.shape != content.shape[1:]:
            raise ValueError(f"{TRANSFER}: init has shape {init.shape}, the picture "
                             f"{content.shape[1:]}")
        _check_colours("init", init)
        return tensor(init[None], dtype="float32", device=content.device)
    ratio = {"content": 0.0, "noise": 1.0, "mix": 0.6 if noise_ratio is None else noise_ratio}[init]
    grey = models.vgg.CAFFE_MEAN
    noise = grey + backend.generator(seed).uniform(-20, 20, content.shape)      # the lecture's: around the mean colour
    return ratio * tensor(noise, dtype="float32", device=content.device) + (1 - ratio) * content


def _to_picture(name, picture, size):
    """A path or an array (H, W, 3) as a Tensor (1, H, W, 3), float32 in 0..255, its longer side `size`."""
    if isinstance(picture, Tensor):
        picture = picture.numpy()
    if isinstance(picture, (str, os.PathLike)):
        picture = load_image(picture, size)
    elif not isinstance(picture, np.ndarray) or picture.dtype.kind not in "fiub":
        kind = f"of {picture.dtype}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise TypeError(f"{TRANSFER}: {name} must be a path or an array (H, W, 3) of numbers, got "
                        f"{kind}; numpy.asarray makes an array of a Pillow image")
    elif picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(f"{TRANSFER}: {name} must be (H, W, 3), got shape {picture.shape}")
    else:
        _check_colours(name, picture)
        picture = resize(picture, size)
    return tensor(picture[None], dtype="float32", device=backend.default_device().name)


def _check_colours(name, picture):
    """Raise ValueError for what is not RGB in 0..255, give or take what a filter overshoots."""
    low, high = (picture.min(), picture.max()) if picture.size else (0, 0)
    if not (-OVERSHOOT <= low and high <= 255 + OVERSHOOT):             # NaN, too
        raise ValueError(f"{TRANSFER}: {name} must be RGB in 0..255, got {low}..{high}")
    if picture.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(f"{TRANSFER}: {name} must be RGB in 0..255, got {low}..{high}: all but "
                         "black; multiply by 255")


def to_image(picture):
    """(1, H, W, 3) in 0..255 as a NumPy array (H, W, 3) uint8, rounded and held to the range."""
    return np.rint(picture.numpy()[0].clip(0, 255)).astype(np.uint8)
