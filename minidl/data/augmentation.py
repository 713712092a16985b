"""Augmentation: the same thing seen otherwise, so that a network does not learn the few pictures by
heart."""
from dataclasses import dataclass, fields

import numpy as np

from ..backend import generator
from ..settings import bounded, numbers, whole

HIGHEST = {"flip": 1, "rotation": 360, "zoom": 100, "stretch": 100, "shear": 100, "shift": 100,
           "crop": 0.99, "brightness": 100, "light": 100, "blur": 100, "noise": 1000,
           "occlusion": 1, "occlusion_size": 1, "background": 255}      # nothing is left beyond


@dataclass(frozen=True)
class Augmentation:
    """augmentation(pictures, rng): every picture of a batch changed at random, in its own way.

    pictures (N, H, W, C), uint8 or floating-point in 0..255 → float32 of the same shape, in 0..255.
    rng: a Generator or a seed.  What is 0 does not happen; the rest is drawn uniformly from

    flip         probability of a mirror image, left to right
    rotation     ± degrees, around the centre
    zoom         factors from 1/(1 + zoom) to 1 + zoom
    stretch      width against height, factors from 1/(1 + stretch) to 1 + stretch
    shear        ± how far the top moves against the bottom, as a share of the height
    shift        ± share of each side
    crop         a window of 1 − crop to 1 of each side is cut out, anywhere, and enlarged to the
                 whole
    brightness   the exponent γ of 255 (x/255)^γ, from 1/(1 + brightness) to 1 + brightness
    light        ± share by which it is lighter at one side and darker at the other, in a random
                 direction
    blur         standard deviation in pixels of a Gaussian that it is smoothed with, from 0 to
                 `blur`: less focus and detail
    noise        standard deviation of added noise, from 0 to `noise` pixel values
    occlusion    probability of a rectangle of one random grey, with sides of a tenth to
                 `occlusion_size` of the picture's

    background: a pixel value that comes in from outside of the picture, or None to repeat its
        border.
    Geometry is one affine map, interpolated linearly: a picture is resampled once.  Brightness and
    what is listed after it follow in that order.
    Raises ValueError for settings out of range, or pictures of another shape.
    """
    flip: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    crop: float = 0.0
    brightness: float = 0.0
    light: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    occlusion: float = 0.0
    occlusion_size: float = 0.4
    background: float | None = None

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            highest = HIGHEST[field.name]
            if value is not None or field.name != "background":
                bounded("Augmentation", f"0 ≤ {field.name} ≤ {highest}", value)

    def __call__(self, pictures: np.ndarray, rng: np.random.Generator | int) -> np.ndarray:
        pictures = numbers("Augmentation", "pictures", pictures, "(N, H, W, C)", None)
        rng = generator(rng)
        if 0 in pictures.shape[1:]:
            raise ValueError("Augmentation: pictures must be (N, H, W, C), with pixels, got shape "
                             f"{pictures.shape}")
        x = self.moved(pictures.astype(np.float32), rng)
        x = self.lit(x, rng)
        if self.occlusion:
            self.occlude(x, rng)
        return x

    def moved(self, x, rng):
        """Flip, rotation, zoom, stretch, shear, shift and crop: y(p) = x(A p + t), places p in
        pixels from the centre."""
        from scipy.ndimage import affine_transform
        n, height, width, channels = x.shape
        maps = self.maps(n, rng)
        if np.array_equal(maps, np.broadcast_to(np.eye(2, 3), maps.shape)):
            return x
        centre = (np.array([height, width]) - 1) / 2
        matrices = maps[:, :, :2]
        # SciPy counts pixels from the corner
        offsets = centre + maps[:, :, 2] * (height, width) - matrices @ centre
        mode = {"mode": "nearest"}
        if self.background is not None:
            mode = {"mode": "grid-constant", "cval": self.background}
        y = np.empty_like(x)
        for i in range(n):
            for c in range(channels):
                affine_transform(x[i, :, :, c], matrices[i], offsets[i], output=y[i, :, :, c],
                                 order=1, **mode)
        return y

    def maps(self, n, rng):
        """(n, 2, 3): [A | t] from a place (row, column) of the result to one of the original; t in
        shares of the sides."""
        def factor(amount):
            return (1 + amount) ** rng.uniform(-1, 1, n)

        mirror = np.where(rng.random(n) < self.flip, -1.0, 1.0)
        angle = np.radians(self.rotation) * rng.uniform(-1, 1, n)
        zoom, stretch = factor(self.zoom), factor(self.stretch) ** 0.5
        slant = self.shear * rng.uniform(-1, 1, n)
        move = self.shift * rng.uniform(-1, 1, (n, 2))
        window = 1 - self.crop * rng.random(n)
        move = move + (1 - window)[:, None] * rng.uniform(-0.5, 0.5, (n, 2))
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.stack([cos, -sin, sin, cos], -1).reshape(n, 2, 2)
        shear = np.stack([np.ones(n), np.zeros(n), slant, np.ones(n)], -1).reshape(n, 2, 2)
        scale = window / zoom
        sizes = np.stack([scale * stretch, np.zeros(n), np.zeros(n), scale / stretch * mirror],
                         -1).reshape(n, 2, 2)
        return np.concatenate([rotation @ shear @ sizes, move[:, :, None]], -1)

    def lit(self, x, rng):
        """Brightness, light, blur and noise, held to 0..255."""
        n, height, width, _ = x.shape
        if self.brightness:
            gamma = (1 + self.brightness) ** rng.uniform(-1, 1, (n, 1, 1, 1))
            x = 255 * (np.clip(x, 0, 255) / 255) ** gamma.astype(np.float32)
        if self.light:
            slope = self.light * rng.uniform(-1, 1, (n, 2, 1, 1, 1)).astype(np.float32)
            down, right = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
            x = x * (1 + slope[:, 0] * down[:, None, None] + slope[:, 1] * right[:, None])
        if self.blur:
            from scipy.ndimage import gaussian_filter
            for picture, deviation in zip(x, self.blur * rng.random(n)):
                gaussian_filter(picture, (deviation, deviation, 0), output=picture, mode="nearest")
        if self.noise:
            x = x + (self.noise * rng.random((n, 1, 1, 1),
                                             np.float32)) * rng.standard_normal(x.shape, np.float32)
        return np.clip(x, 0, 255)

    def occlude(self, x, rng):
        """Hide a rectangle of some of the pictures, in place."""
        n, height, width, _ = x.shape
        hidden = rng.random(n) < self.occlusion
        sizes = rng.uniform(min(0.1, self.occlusion_size), self.occlusion_size,
                            (n, 2)) * (height, width)
        sizes = np.maximum(1, sizes.astype(int))
        corners = (rng.random((n, 2)) * ((height, width) - sizes + 1)).astype(int)
        greys = rng.uniform(0, 255, n)
        for i in np.flatnonzero(hidden):
            (top, left), (tall, wide) = corners[i], sizes[i]
            x[i, top:top + tall, left:left + wide] = greys[i]


FACES = Augmentation(flip=0.5, rotation=15, zoom=0.2, stretch=0.08, shear=0.08, shift=0.05,
                     brightness=0.4, light=0.25, blur=1.0, noise=8, occlusion=0.5)
"""What may happen to a photograph of a face without its becoming another person."""

DRAWINGS = Augmentation(rotation=12, zoom=0.2, stretch=0.15, shear=0.3, shift=0.06, background=255)
"""What may happen to a handwritten character, ink on white; not mirrored: that is another
character."""


def contact_sheet(pictures: np.ndarray, columns: int = 8, gap: int = 2) -> np.ndarray:
    """All pictures of a batch on one sheet, row by row, white between them: a uint8 picture (H',
    W', C).

    pictures (N, H, W, C), uint8 or floating-point in 0..255.
    """
    pictures = numbers("contact_sheet", "pictures", pictures, "(N, H, W, C)", None)
    columns = whole("contact_sheet", "1 ≤ columns < inf", columns)
    gap = whole("contact_sheet", "0 ≤ gap ≤ 1000", gap)
    if 0 in pictures.shape:
        raise ValueError("contact_sheet: pictures must be (N, H, W, C), one or more with pixels, "
                         f"got shape {pictures.shape}")
    n, height, width, channels = pictures.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255,
                    np.uint8)
    for i, picture in enumerate(np.rint(np.clip(pictures, 0, 255)).astype(np.uint8)):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top:top + height, left:left + width] = picture
    return sheet
