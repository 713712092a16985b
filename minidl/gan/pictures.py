"""Pictures of what a generator makes: grids, walks through the noise, a run's album."""
import numpy as np

from minidl import backend
from minidl.data import captioned, contact_sheet
from minidl.gan.training import draw


def noise_of(generator, n, rng):
    """Noise (n, generator.noise) from N(0, I), float32."""
    return backend.generator(rng).standard_normal((n, generator.noise), "float32")


def samples(generator, n, rng, labels=None):
    """(pictures uint8 (n, H, W, C), labels (n,) or None): labels in turn, unless they are given."""
    if labels is None and generator.classes:
        labels = np.arange(n) % generator.classes
    return draw(generator, noise_of(generator, n, rng), labels), labels


def grid_of_noise(generator, rows, rng):
    """(noise, labels or None) of `rows` rows: each row is one noise, each column one class.

    What stays along a row is what the noise says: slant, weight, style.
    Without classes, ten columns of new noise.
    """
    classes = generator.classes
    if not classes:
        return noise_of(generator, 10 * rows, rng), None
    return (np.repeat(noise_of(generator, rows, rng), classes, axis=0),
            np.tile(np.arange(classes), rows))


def class_grid(generator, rows, rng):
    """Pictures of `grid_of_noise`, (rows · columns, H, W, C)."""
    return draw(generator, *grid_of_noise(generator, rows, rng))


def slerp(a, b, t):
    """From a (t = 0) to b (t = 1) along the sphere:  (sin((1 − t) ω) a + sin(t ω) b) / sin ω,

    where ω is the angle between a and b, for lengths that differ little, as Gaussian noise's do.  A
    straight line would pass nearer to 0 than noise ever is.  a, b (D,); t (T,) → (T, D).
    Source: White 2016.
    """
    a, b, t = np.asarray(a, float), np.asarray(b, float), np.asarray(t, float)[:, None]
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def walks(generator, rows, steps, rng):
    """Walks between two noises each, a class for each row; pictures (rows · steps, H, W, C)."""
    ends = noise_of(generator, 2 * rows, rng).reshape(rows, 2, -1)
    z = np.concatenate([slerp(a, b, np.linspace(0, 1, steps)) for a, b in ends]).astype("float32")
    labels = None
    if generator.classes:
        labels = np.repeat(np.arange(rows) % generator.classes, steps)
    return draw(generator, z, labels)


def captioned_sheet(text, pictures, columns, least=300):
    """A contact sheet below text: uint8 (H', W', 3).  Small pictures are enlarged, whole times."""
    sheet = contact_sheet(pictures, columns)
    times = max(1, round(2 * 28 / pictures.shape[1]), -(-least // sheet.shape[1]))
    sheet = np.repeat(np.repeat(np.broadcast_to(sheet, sheet.shape[:2] + (3,)), times, 0), times, 1)
    return captioned(sheet, text)


def stacked(*sheets, gap=14):
    """Sheets (H, W, 3) one below the other, white beside the narrower ones."""
    width = max(sheet.shape[1] for sheet in sheets)
    rows = []
    for sheet in sheets:
        beside = width - sheet.shape[1]
        rows.append(np.pad(sheet, ((0, gap), (0, beside), (0, 0)), constant_values=255))
    return np.concatenate(rows)[:-gap]


def album_sheet(album, columns, rows=8):
    """The same noise at several steps: a row for each, and what the steps were."""
    steps = list(album.pages)
    chosen = [steps[i] for i in sorted({*np.linspace(0, len(steps) - 1, rows).round().astype(int)})]
    said = ", ".join(f"{step:,}" for step in chosen)
    pages = np.concatenate([album.pages[step][:columns] for step in chosen])
    return captioned_sheet(f"the same noise after {said} steps (from the top)", pages, columns)


def album_frames(album, columns):
    """A picture of each page."""
    return [captioned_sheet(f"step {step:,}", page, columns) for step, page in album.pages.items()]
