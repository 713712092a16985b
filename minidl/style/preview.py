"""A grid of small pictures to choose from: the content's share downwards, style scales to the
right."""
import numpy as np

from minidl.operands import listed
from minidl.settings import bounded, callback_of
from minidl.style.settings import settings_of
from minidl.style.shares import PRESETS
from minidl.style.transfer import transfer

GAP, LINE = 6, 16               # pixels between the pictures, and of a line of text


def preview(content, style, *, looks=tuple(PRESETS), style_scales=(0.5, 1.0, 2.0), size=192,
            steps=40, callback=None, **options) -> np.ndarray:
    """(H, W, 3) uint8: a picture for each look (a row) and style scale (a column), with its title.

    looks: names of presets or shares 0 < s < 1 (`shares`).  options: what else `transfer` takes.
    callback(Evaluation): as transfer's, over the evaluations of all pictures.
    The shares of the gradient mean the same at every size, and style_scale is relative to it: what
    is chosen here looks alike when it is painted larger.  Raises ValueError or TypeError, before
    anything is painted, for what transfer would refuse.
    """
    looks = listed("preview", "looks", looks, "looks")
    style_scales = [bounded("preview", "0 < style_scale < inf", scale)
                    for scale in listed("preview", "style_scales", style_scales, "numbers")]
    for one, several in ("look", "looks"), ("style_scale", "style_scales"):
        if one in options:
            raise TypeError(f"preview: there is no setting {one!r}; is {several!r} meant?")
    callback_of("preview", callback, "of an Evaluation")
    if not looks or not style_scales:
        raise ValueError("preview: looks and style_scales must each hold at least one value")
    plain = {name: value for name, value in options.items()
             if name not in ("masks", "style_masks", "net")}
    for look in looks:
        for scale in style_scales:
            settings_of("preview", {"size": size, "steps": steps, "look": look,
                                    "style_scale": scale} | plain)
    rows = []
    for look in looks:
        row = []
        for scale in style_scales:
            result = transfer(content, style, size=size, steps=steps, look=look, style_scale=scale,
                              callback=callback, **options)
            row.append(_titled(result.image, f"{look}, style scale {scale:g}"))
            if result.interrupted:
                raise KeyboardInterrupt
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def _titled(image, text):
    """A picture on white, under a line of text."""
    from PIL import Image, ImageDraw
    height, width = image.shape[:2]
    sheet = Image.new("RGB", (width + GAP, height + GAP + LINE), "white")
    ImageDraw.Draw(sheet).text((2, 2), text, fill="black")
    sheet.paste(Image.fromarray(image), (0, LINE))
    return np.asarray(sheet)
