"""Pictures as arrays: reading, writing and resizing.

A picture is a uint8 array (H, W, 3), RGB in 0..255, upright. Pillow does the decoding; it is
imported when needed.
"""
from contextlib import contextmanager
import io
import math
import os
from pathlib import Path
from typing import BinaryIO
import warnings

import numpy as np

from ..files import as_path, atomic_write, open_file
from ..operands import integer
from ..settings import bounded, check_brightness, having, numbers, whole
from .deep_pictures import deepened, encode_png, encode_tiff
from .picture_bounds import check_frames, check_header, check_image

# Only formats that Pillow decodes by itself: for some others (EPS) it would start another program.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF",
           ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM",
           ".jfif": "JPEG", ".jpe": "JPEG", ".jif": "JPEG", ".apng": "PNG", ".dib": "BMP",
           ".pnm": "PPM", ".pbm": "PPM"}
ENCODING = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
MAX_PIXELS = 64_000_000
MOST_BYTES = 16_000_000_000      # of pictures that are drawn together
ORIENTATION = 0x0112  # the EXIF tag
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
WHITE_IS_ZERO, SIGNED = 0, 2  # values of the second and the third
# a profile's colour space, and Pillow's mode
PROFILED = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
SLACK = 0.25  # of the range: how far resampling may have carried a floating-point picture beyond it


def load_image(path: str | os.PathLike, size: int | tuple[int, int] | None = None,
               max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a picture as a uint8 array (H, W, 3), RGB in 0..255, upright.

    size: None, or the size to resize to (see `resize`).
    The EXIF orientation is applied; transparency, also that of one colour of a PNG, is laid over
    white; of an animation the first frame is taken. Grey of 12 and 16 bits is scaled to 0..255.
    Floating-point grey is taken as 0..1 where its finite values lie there, give or take a quarter,
    and as 0..255 where they lie there and reach beyond 16; an infinity is black or white, NaN is
    black. Colours are brought to sRGB by the picture's ICC profile, where it has one of another
    space; more than 8 bits a colour are rounded to 8.

    Raises ValueError, naming the file, when it is empty, cut off, damaged, no picture, of numbers
    whose white is not known (32-bit integers, signed ones, other floating-point ranges), has more
    than `max_pixels` pixels by its header (checked before decoding; Pillow's own limit, about 179
    million, holds as well) or costs more than its pixels justify (see `picture_bounds`), and
    OSError when it cannot be read at all, or is a pipe or a device.
    """
    with open_file(path) as file:
        picture = decode_image(file, path, max_pixels)
    return picture if size is None else resize(picture, size, max_pixels)


def decode_image(file: BinaryIO, name: str | os.PathLike,
                 max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """What `load_image` does, for a binary file that is already open (a member of an archive);
    errors call it `name`."""
    having("decode_image", "file", file, "an open binary file", "read", "seek")
    max_pixels = whole("load_image", "1 ≤ max_pixels < inf", max_pixels)
    with _checked(file, name, FORMATS.values(), max_pixels) as image:
        picture = _rgb(image)
        orientation = image.getexif().get(ORIENTATION)
    return np.ascontiguousarray(_upright(picture, orientation))


def save_image(path: str | os.PathLike, picture: np.ndarray, metadata: dict[str, str] | None = None,
               depth: int = 8) -> None:
    """Write a picture in the format that the extension of `path` names; an existing file is
    replaced in one step.

    picture: (H, W, 3), (H, W) or (H, W, 1), uint8; or floating-point in 0..255, which is rounded
        and clipped.
    metadata: a dict of strings, kept as text inside a PNG (see `read_metadata`).
    depth: bits of a colour, 8; or 16 for a PNG or TIFF, in which a floating-point picture keeps
        more of its steps.

    Raises ValueError for an unknown extension, another shape, NaN, floating-point of 0..1 (but for
    all 0), metadata in another format than PNG, or a depth that the format has not, TypeError for
    another dtype or kind, OSError when the file cannot be written. Whatever fails, a file that was
    there stays whole.
    """
    path = as_path("save_image", "path", path)
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise ValueError(f"save_image: the extension {path.suffix!r} of {path} is none of "
                         f"{', '.join(FORMATS)}")
    if metadata is not None and not isinstance(metadata, dict):
        raise TypeError("save_image: metadata must be a dictionary of strings, got "
                        f"{type(metadata).__name__}")
    if metadata and format != "PNG":
        raise ValueError(f"save_image: {path} cannot carry metadata, only a .png can")
    depth = integer("save_image", "depth", depth)
    if depth not in (8, 16) or depth == 16 and format not in ("PNG", "TIFF"):
        raise ValueError(f"save_image: depth must be 8, or 16 for .png and .tif, got {depth} for "
                         f"{path}")
    chunks = _text_chunks(metadata) if metadata else None
    if depth == 16:
        deep = deepened(_checked_values(picture))
        encoded = (encode_tiff(deep) if format == "TIFF"
                   else encode_png(deep, (metadata or {}).items()))
    else:
        options = {"pnginfo": chunks} if metadata else ENCODING.get(format, {})
        encoded = _encode(_bytes(picture), format, options)
    with atomic_write(path) as file:
        file.write(encoded)


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The text kept in a PNG picture, as a dict of strings. Raises as `load_image` does."""
    with open_file(path) as file, _checked(file, path, ["PNG"], MAX_PIXELS) as image:
        check_frames(image, MAX_PIXELS)
        return {key: str(value) for key, value in image.text.items()}


def resize(picture: np.ndarray, size: int | tuple[int, int],
           max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Resample a picture (H, W) or (H, W, C), uint8 or floating-point, with Lanczos' filter; the
    dtype is kept.

    size: the longer side in pixels, the aspect ratio being kept and no side falling below 1; or
    (height, width). Floating-point values may overshoot their range beside sharp edges, by a tenth
    or so; uint8 is clipped.

    Raises TypeError for another dtype or a size that is not whole pixels, ValueError for another
    shape, a size below 1 or a result of more than `max_pixels` pixels.
    """
    from PIL import Image
    picture = numbers("resize", "picture", picture, dtype=None)
    max_pixels = whole("resize", "1 ≤ max_pixels < inf", max_pixels)
    _check_kind("resize", picture)
    if picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(f"resize: picture must be (H, W) or (H, W, C), got {picture.shape}")
    height, width = _target(picture.shape[0], picture.shape[1], size)
    if height * width > max_pixels:
        raise ValueError(f"resize: {height} x {width} pixels is more than max_pixels = "
                         f"{max_pixels:,}")
    # Pillow's modes L and F, one channel at a time
    plane_type = np.uint8 if picture.dtype == np.uint8 else np.float32
    planes = [np.asarray(Image.fromarray(plane.astype(plane_type)).resize(
                  (width, height), Image.Resampling.LANCZOS))
              for plane in np.moveaxis(np.atleast_3d(picture), -1, 0)]
    return np.stack(planes, axis=-1).reshape(height, width,
                                             *picture.shape[2:]).astype(picture.dtype, copy=False)


def crop_middle(picture: np.ndarray, share: float) -> np.ndarray:
    """The middle of a picture (H, W) or (H, W, C): `share` of each side, above 0 and up to 1, at
    least one pixel."""
    share = bounded("crop_middle", "0 < share ≤ 1", share)
    picture = numbers("crop_middle", "picture", picture, dtype=None)
    if picture.ndim not in (2, 3):
        raise ValueError(f"crop_middle: picture must be (H, W) or (H, W, C), got {picture.shape}")
    kept = [max(1, round(share * side)) for side in picture.shape[:2]]
    top, left = [(side - length) // 2 for side, length in zip(picture.shape, kept)]
    return picture[top:top + kept[0], left:left + kept[1]]


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Paths of the pictures in a folder, known by their extensions and sorted by name; hidden files
    are left out."""
    folder = as_path("list_images", "folder", folder)
    return sorted((path for path in folder.iterdir()
                   if path.suffix.lower() in FORMATS and not path.name.startswith(".")
                   and path.is_file()),
                  key=lambda path: path.name)


@contextmanager
def _checked(file, name, formats, max_pixels):
    """The Pillow image in an open file, its header checked, not yet decoded. Any failure inside the
    block, and Pillow has many kinds for damaged files, becomes one ValueError that says `name`."""
    try:
        # Pillow also warns of what it finds: the error alone should be heard
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield _open_checked(file, formats, max_pixels)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name} is not a usable picture: {reason}") from error


def _open_checked(file, formats, max_pixels):
    from PIL import Image, UnidentifiedImageError
    formats = list(dict.fromkeys(formats))
    if not file.read(1):
        raise ValueError("the file is empty")
    check_header(file)
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        raise ValueError(f"it is none of {', '.join(formats)}, or its header is damaged or gives "
                         "no pixels") from None
    width, height = image.size
    if width * height > max_pixels:
        raise ValueError(f"it has {width} x {height} pixels, more than max_pixels = {max_pixels:,}")
    check_image(image, file, max_pixels)
    if image.format == "PNG":  # decoding would forgive a missing end and wrong checksums
        image.verify()
        if len(file.read(4)) < 4:
            raise ValueError("the file is cut off at its very end")
        # Pillow can do no more with an image it has verified
        image = Image.open(file, formats=formats)
    return image


def _rgb(image):
    """Any mode of Pillow's as a uint8 array (H, W, 3)."""
    from PIL import Image
    if SIGNED in getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, ()):
        raise ValueError("its numbers are signed, and which of them is white is not known")
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_deep_grey(image)[..., None], 3, axis=2)
    if image.format == "PNG" and "transparency" in image.info:
        _scale_colour_key(image)
    profile, grey = image.info.get("icc_profile"), image.mode in ("1", "L", "LA")
    if image.mode == "LAB":
        from PIL import ImageCms
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if profile:
        image = _to_srgb(image.convert("L") if grey else image, profile)
    return np.array(image.convert("RGB"))


def _to_srgb(image, profile):
    """The image in sRGB, by its ICC profile; as it is where the profile is sRGB's, or of other
    colours.

    Raises ValueError for a profile that cannot be read.
    """
    from PIL import ImageCms
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        mode = PROFILED.get(source.profile.xcolor_space.strip())
        if mode is None or "sRGB" in (ImageCms.getProfileDescription(source) or ""):
            return image
        image = image.convert("RGB") if image.mode in ("RGBA", "P") else image
        if image.mode != mode:
            return image
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"),
                                         outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, SyntaxError) as error:
        raise ValueError(f"its colour profile cannot be applied: {error}") from error


def _deep_grey(image):
    """Grey of more than 8 bits, or floating-point, as uint8 (H, W)."""
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        grey = _floating_grey(np.asarray(image))
    else:
        bits = tags.get(BITS, (16,))[0]
        if bits > 16:
            raise ValueError(f"its numbers have {bits} bits, and which of them is white is not "
                             "known")
        values = np.asarray(image)
        grey = _quantize(values * np.float32(255 / (2**bits - 1)))
        if "transparency" in image.info:
            grey[values == image.info["transparency"]] = 255
    return 255 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey


def _floating_grey(values):
    """Floating-point grey as uint8, whether it is 0..1 or 0..255."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    if -SLACK <= low and high <= 1 + SLACK:
        white = 1
    elif -SLACK * 255 <= low and 16 <= high <= (1 + SLACK) * 255:
        white = 255
    else:
        raise ValueError(f"its numbers run from {low:g} to {high:g}, neither from 0 to 1 nor from "
                         "0 to 255")
    return _quantize(np.nan_to_num(values.clip(0, white), nan=0.0) * np.float32(255 / white))


def _scale_colour_key(image):
    """Bring a PNG's transparent colour to the 8 bits that Pillow brings the pixels to."""
    form = image.tile[0][3]
    if form == "RGB;16B":
        raise ValueError("one of its colours of 16 bits is transparent, of which Pillow reads "
                         "only 8")
    if form in ("L;2", "L;4"):
        image.info["transparency"] *= 255 // (2**int(form[2]) - 1)


def _upright(picture, orientation):
    """Undo an EXIF orientation 1..8: the upper four are the lower four of the transposed
    picture."""
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return picture


def _target(height, width, size):
    """(height, width) after resizing to `size`."""
    sides = numbers("resize", "size", size, dtype=None)
    if sides.dtype.kind not in "iu" or sides.shape not in ((), (2,)):
        raise TypeError("resize: size must be the longer side or (height, width) in whole pixels, "
                        f"got {size!r}")
    if sides.min() < 1:
        raise ValueError(f"resize: size must be at least 1 pixel, got {size}")
    if sides.ndim:
        return sides.tolist()
    return [max(1, round(side * int(sides) / max(height, width))) for side in (height, width)]


def _check_kind(operation, picture):
    if picture.dtype != np.uint8 and picture.dtype.kind != "f":
        raise TypeError(f"{operation}: picture must be uint8 or floating-point in 0..255, got "
                        f"{picture.dtype}")


def _quantize(values):
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def check_picture(operation, picture):
    """A picture as an array (H, W, 1) or (H, W, 3).

    Raises ValueError unless it is (H, W), (H, W, 1) or (H, W, 3) with pixels, TypeError unless it
    is uint8 or floating-point; `operation` is named.
    """
    picture = numbers(operation, "picture", picture, dtype=None)
    _check_kind(operation, picture)
    if (picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (1,), (3,))
            or 0 in picture.shape):
        raise ValueError(f"{operation}: picture must be (H, W, 3), (H, W) or (H, W, 1), with "
                         f"pixels, got {picture.shape}")
    return np.atleast_3d(picture)


def check_memory(operation, *shape):
    """Raise ValueError where pictures of this shape, a byte a number, are more than fit
    anywhere."""
    if math.prod(shape) > MOST_BYTES:
        raise ValueError(f"{operation}: {' × '.join(f'{n:.4g}' for n in shape)} numbers are more "
                         f"than {MOST_BYTES:,} bytes hold")


def _bytes(picture):
    """What Pillow can encode: uint8 (H, W, 3) or (H, W)."""
    picture = _checked_values(picture)
    return picture if picture.dtype == np.uint8 else _quantize(picture)


def _checked_values(picture):
    """A picture (H, W, 3) or (H, W); raises ValueError where it holds NaN, or 0..1."""
    picture = check_picture("save_image", picture)
    if picture.shape[2] == 1:
        picture = picture[..., 0]
    if picture.dtype != np.uint8 and np.isnan(picture).any():
        raise ValueError(f"save_image: {np.isnan(picture).sum():,} of the {picture.size:,} values "
                         "are NaN")
    check_brightness("save_image", "picture", picture)
    return picture


def _encode(picture, format, options):
    from PIL import Image
    buffer = io.BytesIO()
    try:
        Image.fromarray(picture).save(buffer, format, **options)
    except (OSError, ValueError, OverflowError) as error:   # a side too long for the format, say
        raise ValueError(f"save_image: a picture {picture.shape} cannot be written as {format}: "
                         f"{error}") from error
    return buffer.getvalue()


def _text_chunks(metadata):
    from PIL.PngImagePlugin import PngInfo
    chunks = PngInfo()
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(f"save_image: metadata maps strings to strings, got {key!r}: {value!r}")
        if not (1 <= len(key) <= 79 and key.isascii() and key.isprintable()):
            raise ValueError("save_image: a metadata key is 1 to 79 printable ASCII characters, "
                             f"got {key!r}")
        if value != value.encode("utf-8", "replace").decode():      # half of a character
            raise ValueError(f"save_image: metadata[{key!r}] cannot be written as UTF-8")
        chunks.add_text(key, value)
    return chunks
