"""The pictures of a run: as they were given, and at one size as Tensors, each in its margin."""
from dataclasses import dataclass

import numpy as np

from minidl import backend
from minidl.data import resize
from minidl.style import colors
from minidl.style.blending import blend, check_blend
from minidl.style.costs import mean_gram
from minidl.style.masks import (
    Region,
    check_covered,
    check_left,
    check_mask,
    fields_of,
    read_mask,
    regions,
)
from minidl.style.pyramid import Frame, enlarge
from minidl.style.settings import TRANSFER, check_different, check_init_picture, mixed, read_picture
from minidl.style.shares import PROBE_NOISE
from minidl.tensor import Tensor, tensor
from minidl.visualize.fields import receptive_fields


class Pictures:
    """Content, styles and masks, checked, and recoloured as `settings.colors` asks.

    pixels: of the content at its full size.
    stretched: the share of a style's pixels that recolouring took out of 0..255, so that they were
        clipped; of several styles the largest share.
    """

    def __init__(self, content, styles, masks, style_masks, settings, net):
        self.settings, self.net, self.stretched = settings, net, 0.0
        self.original = self.content = read_picture("content", content)
        self.styles = [read_picture("style" if len(styles) == 1 else f"style[{i}]", style)
                       for i, style in enumerate(styles)]
        self.masks = _read_masks("masks", masks, [self.content] * len(styles))
        self.style_masks = _read_masks("style_masks", style_masks, self.styles)
        if settings.colors in ("luminance", "match", "cholesky"):
            self._recolour()
        self.multiple = _stride(net, [*settings.content_layers, *settings.style_layers])
        self.full = self._at(settings.size)
        self.pixels = self.full.shape[0] * self.full.shape[1]
        self._check()

    def _recolour(self):
        kind, content = self.settings.colors, np.asarray(self.content, "float64")
        for i, style in enumerate(self.styles):
            style = np.asarray(style, "float64")
            moved = (colors.match_luminance(style, content) if kind == "luminance"
                     else colors.match_colors(style, content, kind))
            held, share = colors.clipped(moved)
            self.styles[i] = held.astype("float32")
            self.stretched = max(self.stretched, share)
        if kind == "luminance":
            grey = np.repeat(colors.luminance(content), 3, axis=2)
            self.content = grey.clip(0, 255).astype("float32")

    def _check(self):
        """Raise ValueError for what no picture can be made of."""
        settings, full = self.settings, self.full
        if self.masks is not None:
            check_covered(TRANSFER, full.masks)
            if settings.guide == "inside":
                fields = fields_of(TRANSFER, self.net, settings.style_layers)
                check_left(TRANSFER, "masks", full.masks, fields)
                check_left(TRANSFER, "style_masks", full.style_masks or (), fields)
        if not isinstance(settings.init, str):
            check_init_picture(settings.init, (*full.shape, 3))
        elif settings.init == "content" and len(self.styles) == 1 and not settings.variation_weight:
            check_different(full.content.data, full.styles[0].data)

    def at(self, size):
        """The Canvas whose longer side has `size` pixels."""
        return self.full if size == self.settings.size else self._at(size)

    def _at(self, size):
        margin = self.settings.margin_used
        content = resize(self.content, size)
        style_size = max(1, round(size * self.settings.style_scale))
        styles = [resize(style, style_size) for style in self.styles]
        frame, *frames = [Frame.around(picture.shape, margin, self.multiple) if margin else Frame()
                          for picture in (content, *styles)]
        shapes = [style.shape for style in styles]
        return Canvas(self.settings, self.net, size, content.shape[:2], frame,
                      _tensor(frame.add(content)),
                      [_tensor(around.add(style)) for around, style in zip(frames, styles)],
                      _masks_at(self.masks, [content.shape] * len(styles), [frame] * len(styles)),
                      _masks_at(self.style_masks, shapes, frames), resize(self.original, size))


def _read_masks(argument, masks, pictures):
    if masks is None:
        return None
    masks = [read_mask(f"{TRANSFER}: {argument}[{i}]", mask) for i, mask in enumerate(masks)]
    for i, (mask, picture) in enumerate(zip(masks, pictures)):
        check_mask(f"{TRANSFER}: {argument}[{i}]", mask, picture.shape)
    return masks


def _masks_at(masks, shapes, frames):
    return masks and [frame.add(enlarge(mask, shape, 0, 1))
                      for mask, shape, frame in zip(masks, shapes, frames)]


def _stride(net, layers):
    """The jump of the deepest of the layers, in pixels; 1 where a net does not tell."""
    fields = receptive_fields(net) if hasattr(net, "geometry") else {}
    jumps = [fields[layer].jump for layer in layers if fields.get(layer) is not None]
    return max((jump for jump in jumps if isinstance(jump, int)), default=1)


def _tensor(picture):
    """(H, W, C) as a Tensor (1, H, W, C), float32, on the device in use."""
    return tensor(picture[None], dtype="float32", device=backend.default_device().name)


@dataclass
class Canvas:
    """All pictures at one size.

    size: pixels of the content's longer side; shape: its (H, W), without the margin; frame: that
        margin.
    content, styles: Tensors (1, H', W', 3) with margins; masks, style_masks: lists of arrays
        (H', W'), or None.
    original: the content (H, W, 3) in its own colours.
    """
    settings: object
    net: object
    size: int
    shape: tuple
    frame: Frame
    content: Tensor
    styles: list
    masks: list | None
    style_masks: list | None
    original: np.ndarray

    def regions(self):
        """What the picture's style is held to: one Region of a blend, or one for each mask."""
        layers = self.settings.style_layers
        if self.masks is not None:
            return regions(self.net, layers, self.content, self.styles, self.masks,
                           self.style_masks, self.settings.guide)
        grams = [{name: mean_gram(a) for name, a in self.net.walk(style, layers)}
                 for style in self.styles]
        weights = check_blend(TRANSFER, self.settings.style_blend_weights, len(grams))
        return [Region(blend(grams, weights))]

    def start(self):
        """(G before the first step, what the optimiser remembers: nothing)."""
        init, ratio = self.settings.init, self.settings.noise_ratio
        if not isinstance(init, str):
            init = np.asarray(init.numpy() if isinstance(init, Tensor) else init, "float32")
            return _tensor(self.frame.add(enlarge(init, self.shape, 0, 255))), {}
        ratio = {"content": 0.0, "noise": 1.0, "mix": 0.6 if ratio is None else ratio}[init]
        return mixed(self.content, ratio, self.settings.seed), {}

    def probe(self):
        """Where the shares of the gradient are measured."""
        return mixed(self.content, PROBE_NOISE, self.settings.seed)

    def taken(self, picture, memory):
        """The picture and what the optimiser remembers, on the host, with the frame around them."""
        arrays = {name: value.numpy()[0] if isinstance(value, Tensor) else value
                  for name, value in {"picture": picture, **memory}.items()}
        return arrays | {"frame": np.array([self.frame.above, self.frame.below, self.frame.left,
                                            self.frame.right])}

    def placed(self, taken):
        """(picture, memory) on this canvas of what was `taken` from one of any size.

        On a canvas of the same size all stays as it was.  On another all is resampled, and no
        square becomes negative; the average of iterates and the best picture begin anew.
        """
        arrays = dict(taken)
        frame = Frame(*map(int, arrays.pop("frame", ())))
        if arrays["picture"].shape != self.content.shape[1:]:
            bounds = {"picture": (0, 255), "square": (0, None), "mean": (None, None)}
            arrays = {name: self.frame.add(enlarge(frame.cut(value), self.shape, *bounds[name]))
                      if name in bounds else value
                      for name, value in arrays.items() if name in (*bounds, "step")}
        arrays = {name: value if np.ndim(value) == 0 else _tensor(value)
                  for name, value in arrays.items()}
        return arrays.pop("picture"), arrays

    def check_fits(self, taken):
        """Raise ValueError where what was `taken` is not from a canvas like this one."""
        if taken["picture"].shape != self.content.shape[1:]:
            raise ValueError(
                f"{TRANSFER}: the state to resume from is of a picture with "
                f"{taken['picture'].shape[:2]} "
                f"pixels and margin, this one has {self.content.shape[1:3]}: another content or "
                "margin")

    def finish(self, picture):
        """G (1, H', W', 3) as the picture (H, W, 3), float32 in 0..255: without margin,
        recoloured."""
        picture = self.frame.cut(picture.numpy()[0]).clip(0, 255)
        if self.settings.colors in ("content", "luminance"):
            content = np.asarray(self.original, "float64")
            picture = colors.with_chroma(picture.astype("float64"), content).clip(0, 255)
        return picture.astype("float32")
