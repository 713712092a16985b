"""Pictures to encodings: f(x), by batches, on the host."""
import hashlib

import numpy as np

from minidl.recording import no_grad
from minidl.tensor import Tensor


def encode(encoder, images, batch=64):
    """f(x) of pictures: (N, D) float32 on the host.

    encoder: a Module from (N, size, size, channels), pixels in 0..255, to (N, D), with attributes `size` and `channels`.
    images: pictures of any sizes, (H, W), (H, W, 1) or (H, W, 3), uint8 or floating-point in 0..255; see `prepare`.
    No gradients are kept, and the encoder works as in use (Dropout and BatchNorm); its mode is put back afterwards.
    Raises ValueError for a picture of another shape or an encoding that is not finite, TypeError for another dtype.
    """
    images, encodings = list(images), []
    device = next((p.device for p in encoder.parameters()), None)
    modes = [(module, module.training) for _, module in encoder.named_modules()]
    encoder.eval()
    try:
        with no_grad():
            for start in range(0, len(images), batch):
                pictures = [prepare(image, encoder.size, encoder.channels) for image in images[start:start + batch]]
                found = encoder(Tensor(np.stack(pictures), device=device))
                encodings.append(found.numpy().astype("float32", copy=False))
    finally:
        for module, mode in modes:
            module.training = mode
    encodings = np.concatenate(encodings) if encodings else np.zeros((0, 0), "float32")
    bad = np.flatnonzero(~np.isfinite(encodings).all(-1))
    if len(bad):
        raise ValueError(f"encode: the encoding of picture {bad[0]} is not finite; {len(bad)} of {len(images)} are not")
    return encodings


def prepare(image, size, channels):
    """A picture as an encoder takes it: (size, size, channels) float32 in 0..255, the shorter side padded with black on
    both sides, resampled bilinearly (with the filter widened where it shrinks).

    Colours become grey by 0.299 R + 0.587 G + 0.114 B, grey becomes three equal colours, as the encoder wants it.
    """
    from PIL import Image
    image = np.asarray(image)
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise TypeError(f"encode: a picture must be uint8 or floating-point in 0..255, got {image.dtype}")
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)) or 0 in image.shape:
        raise ValueError(f"encode: a picture must be (H, W), (H, W, 1) or (H, W, 3) with pixels, got {image.shape}")
    planes = np.atleast_3d(image).astype("float32")
    if channels == 1 and planes.shape[2] == 3:
        planes = planes @ np.float32([[0.299], [0.587], [0.114]])
    missing = max(planes.shape[:2]) - np.array(planes.shape[:2])
    planes = np.pad(planes, [*zip(missing // 2, missing - missing // 2), (0, 0)])
    if planes.shape[0] != size:
        layers = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(planes, -1, 0)]
        planes = np.stack([np.asarray(layer.resize((size, size), Image.Resampling.BILINEAR)) for layer in layers], -1)
    return np.repeat(planes, channels // planes.shape[2], 2)


def fingerprint(encoder):
    """SHA-256, as hexadecimal digits, of all that decides an encoder's encodings: its kind, its parameters and buffers.

    Two encoders with one fingerprint give encodings that can be compared; after one more step of training they cannot.
    """
    digest = hashlib.sha256(f"{type(encoder).__name__} {encoder.size} {encoder.channels}".encode())
    for name, value in encoder.state_dict().items():
        array = value.numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
