"""Whose colours the picture has: the painting's, or the content's.

Pictures here are float arrays (H, W, 3), RGB in 0..255.  Luminance and chroma of a pixel x are

    Y = 0.299 R + 0.587 G + 0.114 B,        x − Y (1, 1, 1)

so that YUV, YIQ and YCbCr, which are linear in these, all say the same.  Source: Gatys, Bethge,
Hertzmann and Shechtman 2016, "Preserving color in neural artistic style transfer".
"""
import numpy as np

from minidl.settings import numbers, one_of

KINDS = ("content", "luminance", "match", "cholesky")
LUMINANCE = (0.299, 0.587, 0.114)           # BT.601: the eye's red, green and blue


def luminance(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) → Y (H, W, 1)"""
    picture = _picture("luminance", "picture", picture)
    return (picture @ np.asarray(LUMINANCE, picture.dtype))[..., None]


def match_luminance(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The style's luminance with the content's mean and deviation, as grey (H, W, 3):

    L' = σ_C / σ_S (L − μ_S) + μ_C,        and μ_C where the style is flat
    """
    ours, theirs = luminance(content), luminance(style)
    flat = np.ptp(theirs) < 1e-3                    # but for rounding, which must not be stretched
    grey = (theirs - theirs.mean()) * (1 if flat else ours.std() / theirs.std()) + ours.mean()
    return np.repeat(grey, 3, axis=2)


def with_chroma(picture: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The picture's luminance with the content's chroma.

    Where that leaves 0..255 the luminance gives way: of a pixel with chroma d, Y is held to
    −min d ≤ Y ≤ 255 − max d.  The chroma is the content's everywhere.
    """
    picture = _picture("with_chroma", "picture", picture)
    content = _picture("with_chroma", "content", content)
    if picture.shape != content.shape:
        raise ValueError(f"with_chroma: picture {picture.shape} and content {content.shape} must "
                         "be of one size")
    chroma = content - luminance(content)
    low, high = -chroma.min(2, keepdims=True), 255 - chroma.max(2, keepdims=True)
    return chroma + luminance(picture).clip(low, high)


def match_colors(style: np.ndarray, content: np.ndarray, method: str = "match") -> np.ndarray:
    """The style's pixels moved so that their colours have the content's mean μ and covariance Σ.

    x' = A (x − μ_S) + μ_C,        A Σ_S Aᵀ = Σ_C
    method: "match", Monge and Kantorovich's A, which moves the pixels least (optimal transport
        between two normal distributions), and is symmetric:
            A = Σ_S^-½ (Σ_S^½ Σ_C Σ_S^½)^½ Σ_S^-½
        or "cholesky": A = L_C L_S⁻¹, of Σ = L Lᵀ.
    Moments are exact; the result may leave 0..255, and is not clipped.
    Raises ValueError where the style's covariance has no inverse, as a grey painting's.
    """
    style = _picture("match_colors", "style", style)
    content = _picture("match_colors", "content", content)
    one_of("match_colors", "method", method, ("match", "cholesky"))
    pixels, ours = style.reshape(-1, 3).astype("float64"), content.reshape(-1, 3).astype("float64")
    sigma_s, sigma_c = np.cov(pixels.T, bias=True), np.cov(ours.T, bias=True)
    values = np.linalg.eigvalsh(sigma_s)
    if values[0] <= 1e-9 * max(values[-1], 1):
        raise ValueError("match_colors: all of the style's colours lie in one plane (it is grey, "
                         "for example), so they cannot be stretched to the content's; keep the "
                         "content's colours by colors='luminance'")
    if method == "match":
        root = _power(sigma_s, 0.5)
        inverse = _power(sigma_s, -0.5)
        a = inverse @ _power(root @ sigma_c @ root, 0.5) @ inverse
    else:
        a = _lower(sigma_c) @ np.linalg.inv(np.linalg.cholesky(sigma_s))
    moved = (pixels - pixels.mean(0)) @ a.T + ours.mean(0)
    return moved.reshape(style.shape)


def _picture(operation, argument, picture):
    """A picture (H, W, 3) in its floating-point type, whole numbers as float64."""
    picture = numbers(operation, argument, picture, "(H, W, 3)", None, finite=True)
    if not picture.size:
        raise ValueError(f"{operation}: {argument} has no pixels, its shape is {picture.shape}")
    return picture if picture.dtype.kind == "f" else picture.astype("float64")


def clipped(picture):
    """(the picture held to 0..255, the share of its pixels that lay outside by more than
    rounding)"""
    held = picture.clip(0, 255)
    return held, float((abs(held - picture) > 0.5).any(-1).mean())


def _power(matrix, exponent):
    """Of a symmetric matrix, none of whose eigenvalues is negative (but for rounding)."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values.clip(0) ** exponent) @ vectors.T


def _lower(matrix):
    """L of L Lᵀ = matrix, which may be singular: of a QR decomposition of its root."""
    r = np.linalg.qr(_power(matrix, 0.5), mode="r")
    return (r * np.where(np.diag(r) < 0, -1, 1)[:, None]).T
