"""Pictures to encodings: f(x), by batches, on the host."""
from collections.abc import Iterable
import contextlib
import hashlib
import threading
from typing import Protocol

import numpy as np

from minidl import ops
from minidl.data.images import check_picture
from minidl.faces.finding import Face, several, whole_faces
from minidl.operands import check_sizes
from minidl.recording import no_grad
from minidl.settings import bounded, having
from minidl.tensor import Tensor

_lock = threading.Lock()
_in_use: dict[int, tuple] = {}      # id of a module -> (its own mode, how many use it)


class Encoder(Protocol):
    """What `encode` asks of an encoder: a Module, and the size and channels of its pictures."""
    size: int
    channels: int

    def __call__(self, x): ...
    def parameters(self): ...
    def named_modules(self): ...
    def state_dict(self): ...


def check_encoder(operation, encoder):
    """The encoder; raises TypeError for what is no Module with a size and channels."""
    return having(operation, "encoder", encoder, "a Module with size and channels", "size",
                  "channels", "parameters", "named_modules", "state_dict", "__call__")


def encode(encoder: Encoder, images: Iterable, batch: int = 64,
           align: bool | None = None) -> np.ndarray:
    """f(x) of pictures of faces: (N, D) float32 on the host.

    encoder: a Module from (N, size, size, channels), pixels in 0..255, to (N, D), with attributes
        size, channels  of the pictures that it takes
        aligned         False unless it says otherwise: see `align`
        lowered         0 unless it says otherwise: see `prepare`
        mirrored        False unless it says otherwise.  True: a face and its mirror image are one
                        person, and pose and light differ from one to the other, so the mean of
                        both, (f(x) + f(x mirrored)) / 2, is steadier.
    images: faces that `find` found, and pictures that each show one face and little else, of any
        sizes, (H, W), (H, W, 1) or (H, W, 3), uint8 or floating-point in 0..255.
    align: whether the encoder sees a face's chip, upright and in its place (`alignment.chip`), or
        its box as it is (`prepare`).  None: as the encoder says.
    No gradients are kept, and the encoder works as in use (Dropout and BatchNorm); its mode is put
    back afterwards.  Several threads may encode at once.
    Raises ValueError for a picture of another shape or an encoding that is not finite, TypeError
    for another dtype.
    """
    check_encoder("encode", encoder)
    check_sizes("encode", batch=batch)
    given, found = several("encode", "images", images), []
    device = next((p.device for p in encoder.parameters()), None)
    own, lowered, mirrored = _habits(encoder)
    align = own if align is None else align
    with _as_in_use(encoder), no_grad():
        for start in range(0, len(given), batch):
            shown = given[start:start + batch]
            if align:
                shown = [face.chip(encoder.size) for face in _faces(shown)]
            else:
                shown = [image.cut() if isinstance(image, Face) else image for image in shown]
            pictures = [prepare(image, encoder.size, encoder.channels, 0 if align else lowered)
                        for image in shown]
            x = Tensor(np.stack(pictures), device=device)
            y = encoder(x)
            if mirrored:
                y = (y + encoder(ops.flip(x, 2))) * 0.5
            found.append(y.numpy().astype("float32", copy=False))
    encodings = np.concatenate(found) if found else np.zeros((0, 0), "float32")
    bad = np.flatnonzero(~np.isfinite(encodings).all(-1))
    if len(bad):
        raise ValueError(f"encode: the encoding of picture {bad[0]} is not finite; "
                         f"{len(bad)} of {len(given)} are not")
    return encodings


def _faces(images):
    """A Face for each of the images: a picture is one as a whole."""
    pictures = [image for image in images if not isinstance(image, Face)]
    whole = iter(whole_faces(pictures, "encode"))
    return [image if isinstance(image, Face) else next(whole) for image in images]


def _habits(encoder):
    """(aligned, lowered, mirrored), how an encoder wants to be shown pictures."""
    return (getattr(encoder, "aligned", False), getattr(encoder, "lowered", 0),
            getattr(encoder, "mirrored", False))


@contextlib.contextmanager
def _as_in_use(encoder):
    """Inside the block all parts of the encoder are in eval mode.

    Threads may be inside at once: the first to enter notes the mode of each part, the last to leave
    puts it back.
    """
    modules = [module for _, module in encoder.named_modules()]
    with _lock:
        for module in modules:
            mode, count = _in_use.get(id(module), (module.training, 0))
            _in_use[id(module)] = mode, count + 1
            module.training = False
    try:
        yield
    finally:
        with _lock:
            for module in modules:
                mode, count = _in_use.pop(id(module))
                if count > 1:
                    _in_use[id(module)] = mode, count - 1
                else:
                    module.training = mode


def prepare(image: np.ndarray, size: int, channels: int, lowered: float = 0) -> np.ndarray:
    """A picture as an encoder takes it: (size, size, channels) float32 in 0..255.

    The shorter side is padded with black on both sides; the square is resampled bilinearly, with
    the filter widened where it shrinks.  Colours become grey by 0.299 R + 0.587 G + 0.114 B, grey
    becomes three equal colours, as the encoder wants it.
    lowered: the share of its side by which the square is moved down in the picture first, black
        where that has ended.  A face that is cut out closely fills its picture from the brow to the
        chin; so an encoder trained on faces with room below the chin sees it where it expects it.
    """
    from PIL import Image
    check_sizes("encode", size=size)
    lowered = bounded("encode", "0 ≤ lowered < 1", lowered)
    if channels not in (1, 3):
        raise ValueError(f"encode: channels must be 1 or 3, got {channels!r:.60}")
    planes = check_picture("encode", image).astype("float32")
    if channels == 1 and planes.shape[2] == 3:
        planes = planes @ np.array([[0.299], [0.587], [0.114]], "float32")
    missing = max(planes.shape[:2]) - np.array(planes.shape[:2])
    planes = np.pad(planes, [*zip(missing // 2, missing - missing // 2), (0, 0)])
    down = round(lowered * len(planes))
    planes = np.pad(planes[down:], [(0, down), (0, 0), (0, 0)])
    if planes.shape[0] != size:
        layers = [Image.fromarray(np.ascontiguousarray(plane))
                  for plane in np.moveaxis(planes, -1, 0)]
        planes = np.stack([np.asarray(layer.resize((size, size), Image.Resampling.BILINEAR))
                           for layer in layers], -1)
    return np.repeat(planes, channels // planes.shape[2], 2)


def fingerprint(encoder: Encoder, align: bool | None = None) -> str:
    """SHA-256, as hexadecimal digits, of an encoder's class, how it is shown pictures, its
    parameters and buffers.

    Two encoders with one fingerprint give encodings that can be compared; after one more step of
    training they cannot.  (Where other settings leave all weights as they are, as siamese_encoder's
    `nonnegative`, it does not show.)  align: as in `encode`.
    """
    check_encoder("fingerprint", encoder)
    shown = f"{encoder.size} {encoder.channels}"
    own, lowered, mirrored = _habits(encoder)
    if lowered or mirrored:
        shown += f" {lowered} {mirrored}"
    if own if align is None else align:
        shown += " aligned"
    digest = hashlib.sha256(f"{type(encoder).__name__} {shown}".encode())
    for name, value in encoder.state_dict().items():
        array = value.numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def whose(made_with, encoder):
    """Whose fingerprint `made_with` is, in words, where it is not that of this encoder as it is
    shown pictures now."""
    for align, how in (True, "with"), (False, "without"):
        if made_with == fingerprint(encoder, align):
            return f"this encoder {how} alignment"
    return (f"another encoder or by an earlier minidl (fingerprint {made_with[:12]}…, this one's "
            f"is {fingerprint(encoder)[:12]}…)")
