"""A style for each region of the content: guided Gram matrices.

    G^r_kk' = Σ_p (T^r_p)² F_pk F_pk',     (1 / n) Σ_p (T^r_p)² = 1 over the n places of a layer

T^r is region r's guide: its mask as large as the layer, times a number.  G^r / n is then the mean
of f fᵀ over the region, weighted by T²: a place of a soft edge where the mask is ½ weighs ¼.

Each region is held to the Gram matrices of its own style, and counts by its share of the area, so
that a place is pulled as strongly in a small region as in a large one:

    J_style = Σ_r λ_r Σ_l λ_l J_style^[l](S_r, T^r ∘ F),     λ_r = area of r / area of all

(T^r ∘ F)_pk = T^r_p F_pk: every channel of place p times the guide there.

Two ways from the mask to a layer's guide, where place p of the layer sees a box of pixels:

    "simple"    the mean over the jump × jump pixels that are p's own: average pooling, as the net
                pools
    "inside"    the least over all pixels that p sees: 1 only where no pixel of another region is
                seen.  The region's cost has then no gradient outside of its mask: nothing leaks.

Source: Gatys et al. 2017, "Controlling perceptual factors in neural style transfer", section 4.
"""
from dataclasses import dataclass
import os

import numpy as np

from minidl.data import load_image
from minidl.style.costs import mean_gram, style_layer_cost
from minidl.tensor import tensor
from minidl.visualize.fields import receptive_fields

GUIDES = ("simple", "inside")
ASPECT = 0.02       # how far a mask's aspect ratio may be off, as a share of the picture's
COVERED = 0.5       # a pixel where all masks together are below this is in no region
FAINT = 32          # of 255: a picture whose brightest value is lower holds labels, and is no mask


@dataclass
class Region:
    """Where a style acts: its Gram matrices {layer: G}, its guides {layer: T (1, h, w, 1)} (None:
    everywhere), its share of the area.  A layer without guide says nothing about this region."""
    grams: dict
    guides: dict | None = None
    share: float = 1.0

    def cost(self, layer, a):
        """λ_r J_style^[l] of the activations a (1, h, w, C)."""
        if self.guides is None:
            return style_layer_cost(self.grams[layer], a)
        if layer not in self.guides:
            return tensor(0.0, dtype=a.dtype, device=a.device)
        return style_layer_cost(self.grams[layer], self.guides[layer] * a) * self.share


def read_mask(name, mask):
    """A path or an array (H, W) or (H, W, 1 or 3) as a float32 array (H, W), black 0 to white 1.

    White is 255, or 1 where nothing in the array is above 1.
    """
    if isinstance(mask, (str, os.PathLike)):
        mask = _read_file(name, mask)
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bfiu":
        raise TypeError(f"{name} must be a path or an array of numbers, got {mask.dtype}")
    if mask.ndim not in (2, 3) or mask.shape[2:] not in ((), (1,), (3,)) or 0 in mask.shape:
        raise ValueError(f"{name} must be (H, W) or (H, W, 3), got shape {mask.shape}")
    if not (mask.min() >= 0 and mask.max() <= 255):                             # NaN, too
        raise ValueError(f"{name} must be in 0..255, got {mask.min()}..{mask.max()}"
                         + ("; divide 16 bits by 257" if mask.dtype == "uint16" else ""))
    mask = mask.mean(2, dtype="float64") if mask.ndim == 3 else mask
    white = 1 if mask.max() <= 1 else 255
    return (mask / white).astype("float32")


def _read_file(name, path):
    """The picture in a file as floats, 0 to 1; raises ValueError for one that shows no region."""
    picture = load_image(path)
    if picture.min() == 255:
        raise ValueError(f"{name} {path} is white all over, as transparency counts as white; a "
                         "mask is drawn in black and white")
    if 0 < picture.max() < FAINT:
        raise ValueError(f"{name} {path}: its brightest value is {picture.max()} of 255; white, "
                         "where the style acts, is 255")
    return picture / 255


def check_mask(name, mask, shape):
    """Raise ValueError for a mask (H, W) of another aspect ratio than the picture's shape (H, W,
    …), and for one that is black all over."""
    height, width = shape[:2]
    if abs(mask.shape[1] * height / (mask.shape[0] * width) - 1) > ASPECT:
        raise ValueError(f"{name} has {mask.shape[0]} × {mask.shape[1]} pixels (height × width), "
                         f"its picture {height} × {width}: a mask needs the picture's aspect ratio")
    if not mask.any():
        raise ValueError(f"{name} is black all over: there is no region")


def check_covered(operation, masks):
    """Raise ValueError where a pixel is in no region: it would get no style."""
    bare = float((sum(masks) < COVERED).mean())
    if bare:
        raise ValueError(f"{operation}: the masks leave {bare:.1%} of the pixels in no region; "
                         "give the rest a style and a mask, too")


def guides(fields, mask, shapes, kind="simple"):
    """{layer: T (1, h, w, 1)} of a mask (H, W).

    fields: {layer: ReceptiveField};  shapes: {layer: (h, w)}.
    A layer is left out where nothing of the region is left.
    """
    found = {}
    for layer, places in shapes.items():
        guide = mask.astype("float64")
        for axis, (count, field) in enumerate(zip(places, fields[layer].along(2))):
            guide = _seen(guide, axis, count, field, kind)
        square = np.mean(guide ** 2)
        if square > 0:
            found[layer] = tensor((guide / np.sqrt(square))[None, ..., None], dtype="float32")
    return found


def _seen(mask, axis, count, field, kind):
    """Along an axis: for each of `count` places the mean over its own pixels, or the least it sees.
    Beyond the picture its nearest pixel counts."""
    size, jump, start = field
    wide, reduce = (jump, np.mean) if kind == "simple" else (size, np.min)
    mask = np.moveaxis(mask, axis, 0)
    lows = [round(start + i * jump - (wide - 1) / 2) for i in range(count)]
    seen = [mask[np.arange(low, low + wide).clip(0, len(mask) - 1)] for low in lows]
    return np.moveaxis(np.stack([reduce(pixels, 0) for pixels in seen]), 0, axis)


def fields_of(operation, net, layers):
    """{layer: ReceptiveField}; raises TypeError for a network that does not tell what its layers
    see."""
    fields = receptive_fields(net) if hasattr(net, "geometry") else {}
    unknown = [layer for layer in layers if fields.get(layer) is None]
    if unknown:
        raise TypeError(f"{operation}: masks need a network that tells what its layers see "
                        f"(net.geometry()); {type(net).__name__} does not for {', '.join(unknown)}")
    return {layer: fields[layer] for layer in layers}


def regions(net, layers, content, styles, masks, style_masks, kind):
    """A Region for each style: masks (H, W) of the content, style_masks of the styles or None.

    content, styles: Tensors (1, H, W, 3).
    """
    fields, found = fields_of("style transfer", net, layers), []
    places = {layer: a.shape[1:3] for layer, a in net.walk(content, layers)}
    area = sum(mask.mean(dtype="float64") for mask in masks)
    for style, mask, style_mask in zip(styles, masks, style_masks or [None] * len(styles)):
        seen = dict(net.walk(style, layers))
        theirs = None if style_mask is None else guides(
            fields, style_mask, {layer: a.shape[1:3] for layer, a in seen.items()}, kind)
        ours = guides(fields, mask, places, kind)
        grams = {layer: mean_gram(a if theirs is None else theirs[layer] * a)
                 for layer, a in seen.items() if theirs is None or layer in theirs}
        found.append(Region(grams,
                            {layer: guide for layer, guide in ours.items() if layer in grams},
                            float(mask.mean(dtype="float64") / area)))
    return found


def check_left(operation, argument, masks, fields):
    """Raise ValueError where guide="inside" leaves nothing of a mask (H, W) at a layer."""
    for i, mask in enumerate(masks):
        for layer, field in fields.items():
            places = [-(-side // jump) for side, (_, jump, _) in zip(mask.shape, field.along(2))]
            if not guides(fields, mask, {layer: places}, "inside"):
                raise ValueError(
                    f"{operation}: guide='inside' leaves nothing of {argument}[{i}] at {layer}, "
                    f"which sees {field.size} pixels; take a larger size, fewer style_layers, or "
                    "guide='simple'")
