"""What style transfer may be told: settings and pictures, checked before anything is computed."""
from dataclasses import dataclass, fields
import difflib
from numbers import Integral
import os

import numpy as np

from minidl import backend, models
from minidl.data import load_image
from minidl.settings import bounded, check_brightness, check_seed, numbers, one_of
from minidl.style.blending import check_blend
from minidl.style.colors import KINDS
from minidl.style.costs import check_layer_weights, check_layers
from minidl.style.descent import LEARNING_RATES
from minidl.style.masks import GUIDES
from minidl.style.pyramid import MARGIN
from minidl.style.shares import check_look
from minidl.tensor import Tensor, tensor

CONTENT_LAYERS = ("relu4_2",)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_WEIGHT, STYLE_WEIGHT = 100.0, 1.0       # where only the other one is given
AVERAGE = 0.9                       # of Adam's iterates
TRANSFER = "style transfer"         # as errors name it
OVERSHOOT = 32                      # of 255: beside sharp edges of a picture that was resized
SMALLEST = 16                       # pixels, of which VGG's deepest style layer makes one place
LONGEST = 65_536                    # pixels of a side: a square of them takes terabytes
MOST_STEPS = 1_000_000_000                # decades of computing


@dataclass(frozen=True)
class Settings:
    """All that `transfer` may be told, but for pictures, network and callback; checked when it is
    made.

    size: pixels of the longer side of content and styles; each keeps its own aspect ratio.
    steps: how often J and its gradient are evaluated, in all; dealt over the scales (`pyramid.py`).
    scales: how many sizes, growing by √2 up to `size`; by default all from 128 pixels on.
        scales=1 paints at once.
    optimizer: "lbfgs" (SciPy's L-BFGS-B, pixels bounded to 0..255, 1.4 kB a pixel), "adam", or
        "gradient_descent", the lecture's G := G − η ∂J/∂G, scaled so that the mean step is η pixel
        values.  By default L-BFGS where its memory fits, else Adam.  learning_rate: η.
    average: ρ of Adam's average of iterates; by default 0.9, with one scale 0: the best is kept.
    look: "light", "balanced" (the default) or "strong", or the share 0 < s < 1 by which the content
        pulls (`shares.py`).
    content_weight α, style_weight β: instead, the weights themselves; where only one is given, the
        other is α = 100 or β = 1.  variation_weight: γ.
    content_layers, style_layers: names of layers; content_layer_weights, style_layer_weights:
        {layer: λ}, adding up to 1, by default equal.
    style_scale: the style's size in parts of `size`; strokes grow with it.
    style_blend_weights: of several styles, adding up to 1, by default equal (`blending.py`).
    guide: "simple", or "inside", with which no style leaks out of its mask (`masks.py`).
    colors: "content" or "luminance" keep the content's colours, "match" and "cholesky" give the
        style the content's (`colors.py`).  None: the style's.
    init: where G starts: "content", "noise", "mix" (noise_ratio of noise, the rest content; 0.6 by
        default), or an array like the content at `size`.
    margin: pixels around the picture that are painted and cut off, so that no border shows; by
        default 8, with one scale 0.
    seed: of the noise.
    Raises ValueError for settings out of range and layers named twice, TypeError for another kind.
    """
    size: int = 256
    steps: int = 150
    scales: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    average: float | None = None
    look: str | float | None = None
    content_weight: float | None = None
    style_weight: float | None = None
    variation_weight: float = 0.0
    content_layers: tuple = CONTENT_LAYERS
    style_layers: tuple = STYLE_LAYERS
    content_layer_weights: dict | None = None
    style_layer_weights: dict | None = None
    style_scale: float = 1.0
    style_blend_weights: list | None = None
    guide: str = "simple"
    colors: str | None = None
    init: str = "content"
    noise_ratio: float | None = None
    margin: int | None = None
    seed: int = 0

    def __post_init__(self):
        for name, least, most in (("size", SMALLEST, LONGEST), ("steps", 1, MOST_STEPS),
                                  ("scales", 1, MOST_STEPS), ("margin", 0, self.size)):
            value = getattr(self, name)
            if value is None and name in ("scales", "margin"):
                continue
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise TypeError(f"{TRANSFER}: {name} must be a whole number, got {value!r}")
            if value < least:
                raise ValueError(f"{TRANSFER}: {name} must be at least {least}, got {value}")
            if value > most:
                what = f"the picture's size, {most}" if name == "margin" else f"{most:,}"
                raise ValueError(f"{TRANSFER}: {name} must be at most {what}, got {value}")
        weights = self.style_blend_weights
        if hasattr(weights, "__next__"):                    # a generator could be read only once
            object.__setattr__(self, "style_blend_weights", list(weights))
        self._check_optimizer()
        _check_init(self.init, self.noise_ratio, self.seed)
        _check_weights(self.look, self.content_weight, self.style_weight)
        bounded(TRANSFER, "0 ≤ variation_weight < inf", self.variation_weight)
        bounded(TRANSFER, "0 < style_scale < inf", self.style_scale)
        if not SMALLEST <= self.size * self.style_scale <= LONGEST:
            raise ValueError(f"{TRANSFER}: style_scale {self.style_scale} makes the style "
                             f"{self.size * self.style_scale:.3g} pixels long, which must be at "
                             f"least {SMALLEST} and at most {LONGEST:,}")
        for kind in ("content", "style"):
            layers = check_layers(TRANSFER, f"{kind}_layers", getattr(self, f"{kind}_layers"))
            object.__setattr__(self, f"{kind}_layers", layers)
            check_layer_weights(TRANSFER, layers, getattr(self, f"{kind}_layer_weights"))
        for name, known in ("colors", (*KINDS, None)), ("guide", GUIDES):
            one_of(TRANSFER, name, getattr(self, name), known)

    def _check_optimizer(self):
        one_of(TRANSFER, "optimizer", self.optimizer, ("lbfgs", *LEARNING_RATES, None))
        if self.learning_rate is not None:
            bounded(TRANSFER, "0 < learning_rate < inf", self.learning_rate)
            if self.optimizer not in LEARNING_RATES:
                raise ValueError(f"{TRANSFER}: learning_rate is for adam and gradient_descent, got "
                                 f"{self.learning_rate} with {self.optimizer or 'lbfgs'}, which "
                                 "finds its own")
        if self.average is not None:
            bounded(TRANSFER, "0 ≤ average < 1", self.average)
            if self.average and self.optimizer != "adam":       # the default is not always Adam
                raise ValueError(f"{TRANSFER}: average is for optimizer='adam', got {self.average} "
                                 f"with {self.optimizer!r}")

    @property
    def plain_weights(self):
        """(α, β), where none was given the defaults; where shares are asked for, α is a start."""
        return (CONTENT_WEIGHT if self.content_weight is None else self.content_weight,
                STYLE_WEIGHT if self.style_weight is None else self.style_weight)

    @property
    def margin_used(self):
        return (0 if self.scales == 1 else MARGIN) if self.margin is None else self.margin

    def average_used(self, optimizer):
        if optimizer != "adam" or self.average is None and self.scales == 1:
            return 0.0
        return AVERAGE if self.average is None else self.average

    @property
    def share(self):
        """The content's share of the gradient; None where the weights themselves were given."""
        if self.content_weight is not None or self.style_weight is not None:
            return None
        return check_look(TRANSFER, "balanced" if self.look is None else self.look)

    def check_styles(self, styles, masks, style_masks):
        """Raise ValueError or TypeError where styles, blend weights and masks do not fit
        together."""
        if not styles:
            raise ValueError(f"{TRANSFER}: there must be at least one style")
        for name, given in (("masks", masks), ("style_masks", style_masks)):
            if given is None:
                continue
            if isinstance(given, (str, os.PathLike)) or not hasattr(given, "__len__"):
                raise TypeError(f"{TRANSFER}: {name} must be a list with one mask for each style, "
                                f"got {type(given).__name__}")
            if getattr(given, "ndim", 3) < 3:
                raise TypeError(f"{TRANSFER}: {name} must be a list with one mask for each style, "
                                f"got an array of shape {given.shape}; put it in a list")
            if len(given) != styles:
                raise ValueError(f"{TRANSFER}: got {styles} style{'s' * (styles > 1)} and "
                                 f"{len(given)} {name[:-1]}{'s' * (len(given) != 1)}: each style "
                                 "needs a mask, in the same order")
        if style_masks is not None and masks is None:
            raise ValueError(f"{TRANSFER}: style_masks, which say where a style is taken from, "
                             "come with masks, which say where it goes")
        if self.style_blend_weights is not None and masks is not None:
            raise ValueError(f"{TRANSFER}: style_blend_weights mix styles everywhere, masks keep "
                             "them apart; give the one or the other")
        check_blend(TRANSFER, self.style_blend_weights, styles)


def check_settings(**settings):
    """Raise ValueError or TypeError for settings of `transfer` that are out of range or of another
    kind, before anything is loaded or computed."""
    settings_of(TRANSFER, settings)


def settings_of(operation, settings, also=()):
    """The Settings of a dictionary.

    also: names of what else the operation takes.  Raises TypeError for a name that is neither, and
    tells which is most like it.
    """
    known = [field.name for field in fields(Settings)]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, [*also, *known], 1)
            raise TypeError(f"{operation}: there is no setting {name!r}"
                            + (f"; is {near[0]!r} meant?" if near else ""))
    return Settings(**settings)


def _check_weights(look, content_weight, style_weight):
    if look is not None:
        check_look(TRANSFER, look)
        if not (content_weight is None and style_weight is None):
            raise ValueError(f"{TRANSFER}: look is a share of the gradient, from which "
                             "content_weight and style_weight follow; give the one or the other")
    given = [bounded(TRANSFER, f"0 ≤ {name} < inf", value)
             for name, value in (("content_weight", content_weight), ("style_weight", style_weight))
             if value is not None]
    if len(given) == 2 and not any(given):
        raise ValueError(f"{TRANSFER}: content_weight and style_weight must not both be 0")


def _check_init(init, noise_ratio, seed):
    if isinstance(init, str) and init not in ("content", "noise", "mix"):
        raise ValueError(f"{TRANSFER}: init must be content, noise, mix or an array, got {init!r}")
    check_seed(TRANSFER, seed)
    mixed = isinstance(init, str) and init == "mix"
    if noise_ratio is not None:
        bounded(TRANSFER, "0 ≤ noise_ratio ≤ 1", noise_ratio)
        if not mixed:
            raise ValueError(f"{TRANSFER}: noise_ratio is for init='mix', got {noise_ratio} with "
                             f"{init if isinstance(init, str) else 'an array'!r}")
    if not isinstance(init, (str, Tensor)):
        numbers(TRANSFER, "init", init, "(H, W, 3)", None)


def check_known(net, argument, layers):
    """Raise ValueError where the net has names, and some layers are not among them; TypeError for
    what is no network of named layers."""
    if not hasattr(net, "walk"):
        raise TypeError(f"{TRANSFER}: net must be a network of named layers, such as "
                        "models.vgg19() or nn.Sequential({name: layer, …}), "
                        f"got {type(net).__name__}, which has no walk(x, layers)")
    unknown = [name for name in layers if name not in getattr(net, "names", layers)]
    if unknown:
        raise ValueError(f"{TRANSFER}: {argument} {unknown} are not among the layers of net: "
                         f"{', '.join(net.names)}")


def read_picture(name, picture):
    """A path, or an array or Tensor (H, W, 3) in 0..255, as an array (H, W, 3), uint8 or
    floating-point."""
    if isinstance(picture, Tensor):
        picture = picture.numpy()
    if isinstance(picture, (str, os.PathLike)):
        return load_image(picture)
    if not isinstance(picture, np.ndarray) or picture.dtype.kind not in "fiu":
        came = (f"an array of {picture.dtype}" if isinstance(picture, np.ndarray)
                else f"{type(picture).__name__}; numpy.asarray makes an array of a Pillow image")
        raise TypeError(f"{TRANSFER}: {name} must be a path or an array (H, W, 3) of numbers, got "
                        f"{came}")
    if picture.ndim != 3 or picture.shape[-1] != 3 or not picture.size:
        raise ValueError(f"{TRANSFER}: {name} must be (H, W, 3), with pixels, got shape "
                         f"{picture.shape}")
    _check_colours(name, picture)
    return picture if picture.dtype.kind == "f" else _as_8_bits(picture)


def _as_8_bits(picture):
    return picture.clip(0, 255).astype("uint8")


def check_init_picture(init, shape):
    """Raise ValueError unless the array from which G starts has this shape, and is in 0..255."""
    init = init.numpy() if isinstance(init, Tensor) else np.asarray(init)
    if init.shape != shape:
        raise ValueError(f"{TRANSFER}: init has shape {init.shape}, the picture {shape}")
    _check_colours("init", init)


def _check_colours(name, picture):
    """Raise ValueError for what is not RGB in 0..255, give or take what a filter overshoots."""
    low, high = picture.min(), picture.max()
    if not (-OVERSHOOT <= low and high <= 255 + OVERSHOOT):             # NaN, too
        raise ValueError(f"{TRANSFER}: {name} must be RGB in 0..255, got {low}..{high}")
    check_brightness(TRANSFER, name, picture)


def check_different(content, style):
    """Raise ValueError where both are one picture, from which G starts."""
    if content.shape == style.shape and (content == style).all():
        raise ValueError(f"{TRANSFER}: content and style are one picture, from which G starts, so "
                         "there is nothing to change; start from init='noise'")


def mixed(content, noise_ratio, seed):
    """noise_ratio of noise around the mean colour (the lecture's ± 20), the rest content (1, H, W,
    3)."""
    noise = models.vgg.CAFFE_MEAN + backend.generator(seed).uniform(-20, 20, content.shape)
    noise = tensor(noise, dtype="float32", device=content.device)
    return noise_ratio * noise + (1 - noise_ratio) * content
