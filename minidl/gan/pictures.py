"""Pictures of what a generator makes: grids, walks through the noise, a run's album."""
import numpy as np

from minidl import backend
from minidl.data import captioned, contact_sheet
from minidl.gan.networks import Generator
from minidl.gan.training import draw
from minidl.operands import check_sizes
from minidl.settings import having, numbers


def noise_of(generator: Generator, n: int, rng: np.random.Generator | int) -> np.ndarray:
    """Noise (n, generator.noise) from N(0, I), float32."""
    having("noise_of", "generator", generator, "a gan.Generator", "noise", "classes", "size")
    check_sizes("noise_of", n=n)
    return backend.generator(rng).standard_normal((n, generator.noise), "float32")


def samples(generator: Generator, n: int, rng: np.random.Generator | int,
            labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """(pictures uint8 (n, H, W, C), labels (n,) or None): labels in turn, unless they are given."""
    having("samples", "generator", generator, "a gan.Generator", "noise", "classes", "size")
    check_sizes("samples", n=n)
    if labels is not None:
        labels = numbers("samples", "labels", labels, "(N,)", None)
    elif generator.classes:
        labels = np.arange(n) % generator.classes
    return draw(generator, noise_of(generator, n, rng), labels), labels


def grid_of_noise(generator, rows, rng):
    """(noise, labels or None) of `rows` rows: each row is one noise, each column one class.

    What stays along a row is what the noise says: slant, weight, style.
    Without classes, ten columns of new noise.
    """
    having("class_grid", "generator", generator, "a gan.Generator", "noise", "classes", "size")
    check_sizes("class_grid", rows=rows)
    classes = generator.classes
    if not classes:
        return noise_of(generator, 10 * rows, rng), None
    return (np.repeat(noise_of(generator, rows, rng), classes, axis=0),
            np.tile(np.arange(classes), rows))


def class_grid(generator: Generator, rows: int, rng: np.random.Generator | int) -> np.ndarray:
    """Pictures of `grid_of_noise`, (rows · columns, H, W, C)."""
    return draw(generator, *grid_of_noise(generator, rows, rng))


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """From a (t = 0) to b (t = 1) along the sphere:  (sin((1 − t) ω) a + sin(t ω) b) / sin ω,

    where ω is the angle between a and b, for lengths that differ little, as Gaussian noise's do.  A
    straight line would pass nearer to 0 than noise ever is; it is taken where sin ω is 0 alone.
    a, b (D,), neither of them 0; t (T,) → (T, D).
    Source: White 2016.
    """
    a, b = numbers("slerp", "a", a, "(D,)"), numbers("slerp", "b", b, "(D,)")
    t = numbers("slerp", "t", t, "(T,)")[:, None]
    if a.shape != b.shape or not (a.any() and b.any()):
        raise ValueError(f"slerp: a {a.shape} and b {b.shape} must be of one shape, and not 0")
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def walks(generator: Generator, rows: int, steps: int,
          rng: np.random.Generator | int) -> np.ndarray:
    """Walks between two noises each, a class for each row; pictures (rows · steps, H, W, C)."""
    check_sizes("walks", rows=rows, steps=steps)
    ends = noise_of(generator, 2 * rows, rng).reshape(rows, 2, -1)
    z = np.concatenate([slerp(a, b, np.linspace(0, 1, steps)) for a, b in ends]).astype("float32")
    labels = None
    if generator.classes:
        labels = np.repeat(np.arange(rows) % generator.classes, steps)
    return draw(generator, z, labels)


def captioned_sheet(text, pictures, columns, least=300):
    """A contact sheet below text: uint8 (H', W', 3).

    Pictures are enlarged, whole times, to about 56 pixels, and until the sheet is `least` wide.
    """
    check_sizes("captioned_sheet", least=least)
    pictures = numbers("captioned_sheet", "pictures", pictures, "(N, H, W, C)", None)
    sheet = contact_sheet(pictures, columns)
    times = max(1, round(56 / pictures.shape[1]), -(-least // sheet.shape[1]))
    sheet = np.repeat(np.repeat(np.broadcast_to(sheet, sheet.shape[:2] + (3,)), times, 0), times, 1)
    return captioned(sheet, text)


def stacked(*sheets, gap=14):
    """Sheets (H, W, 3) one below the other, white beside the narrower ones."""
    sheets = [numbers("stacked", "a sheet", sheet, "(H, W, 3)", None) for sheet in sheets]
    if not sheets:
        raise ValueError("stacked: sheets must be one or more, got none")
    check_sizes("stacked", gap=gap)
    width = max(sheet.shape[1] for sheet in sheets)
    rows = []
    for sheet in sheets:
        beside = width - sheet.shape[1]
        rows.append(np.pad(sheet, ((0, gap), (0, beside), (0, 0)), constant_values=255))
    return np.concatenate(rows)[:-gap]


def album_sheet(album, columns, rows=8):
    """The same noise at several steps: a row for each, and what the steps were."""
    _check_album("album_sheet", album, columns)
    check_sizes("album_sheet", rows=rows)
    steps = list(album.pages)
    chosen = [steps[i] for i in sorted({*np.linspace(0, len(steps) - 1, rows).round().astype(int)})]
    said = ", ".join(f"{step:,}" for step in chosen)
    pages = np.concatenate([album.pages[step][:columns] for step in chosen])
    return captioned_sheet(f"the same noise after {said} steps (from the top)", pages, columns)


def album_frames(album, columns):
    """A picture of each page."""
    _check_album("album_frames", album, columns)
    return [captioned_sheet(f"step {step:,}", page, columns) for step, page in album.pages.items()]


def _check_album(operation, album, columns):
    """Raise TypeError for what is no Album, ValueError for an empty one."""
    having(operation, "album", album, "the album of a gan.Training", "pages")
    check_sizes(operation, columns=columns)
    if not album.pages:
        raise ValueError(f"{operation}: album must hold a page or more, got none")
