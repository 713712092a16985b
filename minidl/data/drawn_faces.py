"""Faces drawn by a generator: as many people as wanted, where there are no photographs.

What stays is the person (shape of face, eyes, brows, nose, mouth, ears, hair, beard, glasses,
tones: some forty numbers); what changes from picture to picture is the moment (pose, light,
expression, clothes, background, noise).

A face is a list of closed curves on a head.  The head's axes: x to the right, y down, z towards us;
the face is 2 high, from y = −1 (hairline) to y = 1 (chin).  A pose turns the curves' points in
space, so that a nose moves more than the ear behind it; Pillow fills the curves, from back to
front, at twice the size; light and noise come last, per pixel.
"""
from concurrent.futures import ThreadPoolExecutor
import os
from types import SimpleNamespace

import numpy as np

from .. import backend
from ..files import as_path
from ..operands import check_sizes
from ..settings import whole
from .images import check_memory, save_image

SKIN = np.array([(246, 214, 190), (236, 196, 164), (222, 170, 130), (176, 122, 86), (122, 82, 58),
                 (84, 56, 42)], float)
HAIR = np.array([(28, 22, 24), (66, 42, 30), (112, 72, 42), (168, 118, 64), (222, 188, 122)], float)
IRIS = np.array([(58, 36, 24), (104, 66, 34), (84, 110, 62), (74, 118, 160), (128, 156, 172)],
                float)
GREY_HAIR, RED_HAIR, RED = (np.array(colour, float)
                            for colour in ((196, 194, 192), (176, 72, 30), (206, 66, 70)))
# a head unit as a share of the picture's side; how far below the middle the head is
SCALE, DOWN = 0.33, 0.12
BLACK, WHITE, TEETH = np.zeros(3), np.full(3, 255.0), np.array([246.0, 242, 234])
FIRST = ("Alex Ariel Billie Charlie Dana Eli Frankie Gabi Hayden Indigo Jamie Jules Kim Lee Max "
         "Morgan Noa Ollie Pat Quinn Robin Sam Toni Vic").split()
LAST = ("Acacia Alder Ash Aspen Beech Birch Cedar Cherry Elm Fig Fir Hazel Holly Larch Linden "
        "Maple Oak Olive Pine Poplar Quince Rowan Willow Yew").split()
STYLES = ("bald", "short", "short", "side", "side", "fringe", "long", "long", "bob", "curly", "bun")


def drawn_faces(people: int, pictures: int, size: int = 64,
                seed: np.random.Generator | int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw `pictures` pictures of each of `people` people.

    size: pixels of a side, at least 16.  seed: a numpy Generator or an integer; the person of a
    number stays the same when more people or more pictures are asked for.
    Returns (uint8 (people · pictures, size, size, 3), RGB; int64 labels 0, 0, …, 1, 1, …).
    Raises ValueError for fewer than one person or picture, or a smaller size.
    """
    check_sizes("drawn_faces", people=people, pictures=pictures)
    size = whole("drawn_faces", "16 ≤ size < inf", size)
    check_memory("drawn_faces", people, pictures, size, size, 3)
    faces = np.empty((people, pictures, size, size, 3), np.uint8)
    for number, rng in enumerate(backend.generator(seed).spawn(people)):
        person = _person(rng)
        for picture in range(pictures):
            faces[number, picture] = _draw(person, _moment(rng), size, rng)
    return faces.reshape(-1, size, size, 3), np.repeat(np.arange(people), pictures)


def write_drawn_faces(folder: str | os.PathLike, people: int, pictures: int, size: int = 96,
                      seed: np.random.Generator | int = 0) -> None:
    """Draw faces as `drawn_faces` does, and write them as photographs of people are kept:
    folder/NAME/NAME_0001.jpg."""
    folder = as_path("write_drawn_faces", "folder", folder)
    faces, labels = drawn_faces(people, pictures, size, seed)
    paths = []
    for i, name in enumerate(map(drawn_name, labels.tolist())):
        paths.append(folder / name / f"{name}_{i % pictures + 1:04}.jpg")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(16) as writers:             # they mostly wait for the disk
        list(writers.map(save_image, paths, faces))


def drawn_name(number):
    """A name for the person of that number: Alex_Alder, Billie_Ash, …; the first 576 differ, later
    ones are numbered."""
    round_, place = divmod(number, len(FIRST) * len(LAST))
    first, last = FIRST[place % len(FIRST)], LAST[(place + place // len(FIRST)) % len(LAST)]
    return f"{first}_{last}" + (f"_{round_ + 1}" if round_ else "")


def _person(rng):
    """Who somebody is: lengths in head units, tones, styles."""
    u, n = rng.uniform, rng.normal
    dark, red = u(), u(0.0, 0.13)
    skin = _between(SKIN, dark)
    hair = _between(HAIR, min(1.0, abs(n(0, 0.55))) * (1 - 0.75 * dark))
    hair = _mix(hair, RED_HAIR, 0.7 * (u() < 0.2 * (1 - dark)))
    hair = _mix(hair, GREY_HAIR, u(0.5, 1.0) * (u() < 0.18))
    style = STYLES[rng.integers(len(STYLES))]
    return SimpleNamespace(
        skin=_mix(skin, RED, red), hair=hair, iris=_between(IRIS, u() * (1 - 0.6 * dark)),
        lips=_mix(_mix(skin, RED, u(0.25, 0.7)), BLACK, 0.12), blush=u(0.0, 0.2) * (1 - 0.7 * dark),
        width=u(0.66, 0.86), jaw=u(0.66, 0.95), chin=u(0.25, 0.5), chin_length=u(0.9, 1.08),
        temple=u(0.82, 0.98),
        eye_apart=u(0.29, 0.4), eye_y=u(-0.16, 0.02), eye_width=u(0.13, 0.2),
        eye_height=u(0.065, 0.125),
        eye_slant=n(0, 0.14), iris_size=u(0.07, 0.095), lid=u(0.0, 0.35), lashes=u() < 0.4,
        brow_y=u(0.17, 0.3), brow_length=u(0.15, 0.23), brow_thick=u(0.018, 0.062),
        brow_slant=n(0, 0.15),
        brow_arch=u(0.0, 0.08),
        nose_y=u(0.26, 0.42), nose_width=u(0.08, 0.18), nose_height=u(0.05, 0.1),
        nose_bridge=u(0.02, 0.05),
        mouth_y=u(0.56, 0.7), mouth_width=u(0.17, 0.31), upper_lip=u(0.02, 0.06),
        lower_lip=u(0.03, 0.085),
        ear_size=u(0.13, 0.22), ear_y=u(-0.05, 0.12), ear_out=u(0.0, 0.07),
        style=style, volume=u(0.06, 0.24), hairline=u(-0.72, -0.42), parting=u(-0.5, 0.5),
        length=u(0.35, 1.3),
        beard=u(0.3, 1.0) * (u() < 0.22 and style not in ("long", "bob", "bun")),
        moustache=u() < 0.18 and style not in ("long", "bob", "bun"),
        freckles=rng.uniform(-1, 1, (14, 2)) if u() < 0.12 else np.empty((0, 2)),
        glasses=u() < 0.25, frame=_mix(_between(HAIR, u()), RED, u(0, 0.7)),
        frame_round=u(2.0, 5.0),
        frame_size=u(0.19, 0.25))


def _moment(rng):
    """How somebody is met this time: angles in radians, shifts in head units."""
    u, n = rng.uniform, rng.normal
    return SimpleNamespace(
        yaw=np.clip(n(0, 0.2), -0.38, 0.38), pitch=np.clip(n(0, 0.12), -0.3, 0.3),
        roll=np.clip(n(0, 0.1), -0.3, 0.3),
        zoom=np.exp(n(0, 0.06)), shift=u(-0.1, 0.1, 2),
        smile=u(-0.35, 1.0), opening=max(0.0, n(-0.1, 0.5)), raised=n(0, 0.03), frown=n(0, 0.07),
        open_eyes=np.clip(n(0.95, 0.2), 0.12, 1.2), gaze=u(-1, 1, 2) * (0.035, 0.015),
        without_glasses=u() < 0.15,
        backdrop=u(60, 220) + n(0, 22, (2, 3)), clothes=u(40, 210) + n(0, 30, 3),
        light=n(0, 0.22, 2), front_light=u(0.0, 0.35), brightness=np.exp(n(-0.05, 0.12)),
        tint=n(0, 0.035, 3),
        noise=u(1.0, 7.0), soft=u() < 0.3)


# ---- curves --------------------------------------------------------------------------------------

def _spline(samples):
    """(samples, 4): the weights of four neighbouring points of a Catmull–Rom spline, which goes
    through its points."""
    t = np.arange(samples)[:, None] / samples
    weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.concatenate(weights, axis=1) / 2


SPLINE = _spline(6)
CIRCLE = np.stack([np.cos(np.arange(20) * np.pi / 10), np.sin(np.arange(20) * np.pi / 10)], axis=1)


def _smooth(*points):
    """A closed smooth curve through points (x, y)."""
    points = np.array(points, float)
    four = np.stack([np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2)])  # (4, K, 2)
    return np.einsum("sf,fkc->ksc", SPLINE, four).reshape(-1, 2)


def _ellipse(x, y, across, down, slant=0.0, roundness=2.0):
    """A closed curve |x/across|^r + |y/down|^r = 1 about (x, y), turned by `slant`."""
    unit = np.sign(CIRCLE) * np.abs(CIRCLE) ** (2 / roundness) * (across, down)
    cos, sin = np.cos(slant), np.sin(slant)
    return unit @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


def _mirrored(points):
    """Points down one side of the face as points up the other."""
    return [(-x, y) for x, y in reversed(points)]


def _both(curve):
    """A curve and its mirror image on the other side of the face."""
    return curve, curve * (-1, 1)


# ---- the parts of a face, from back to front: (curve, colour, how far it stands out of the head) -

def _parts(p, m):
    shade, deep = _mix(p.skin, BLACK, 0.13), _mix(p.skin, BLACK, 0.3)
    yield from _behind(p, m, shade)
    for ear in _both(_ellipse(p.width + p.ear_out, p.eye_y + p.ear_y + 0.1, 0.55 * p.ear_size,
                              p.ear_size, -0.15)):
        yield ear, shade, -0.35
    outline = _outline(p)
    yield outline, p.skin, None
    if p.beard:
        beard = _mix(p.hair, p.skin, 1 - p.beard if p.beard < 0.55 else 0.0)
        right = [(0.9 * p.width, 0.2), (0.97 * p.width * p.jaw, 0.65),
                 (0.9 * p.chin, p.chin_length + 0.1 * p.beard)]
        upper = [(-0.62 * p.width, 0.46), (0, p.mouth_y - 0.13), (0.62 * p.width, 0.46)]
        yield _smooth(*upper, *right, *_mirrored(right)), beard, 0.0
    for cheek in _both(_ellipse(0.6 * p.width, 0.36, 0.17, 0.11)):
        yield cheek, _mix(p.skin, RED, p.blush * (0.4 + 0.6 * (p.beard == 0))), 0.0
    for x, y in p.freckles:
        yield _ellipse(0.42 * x, 0.25 + 0.14 * y, 0.018, 0.018), deep, 0.05
    yield from _mouth(p, m)
    yield from _nose(p, shade, deep)
    for side in (-1, 1):
        yield from _eye(p, m, side, deep)
    yield from _hair(p)
    if p.glasses and not m.without_glasses:
        yield from _glasses(p)


def _outline(p):
    jaw = p.width * p.jaw
    right = [(0.55 * p.width, -0.95), (p.temple * p.width, -0.55), (p.width, -0.05),
             (0.98 * jaw, 0.5),
             (p.chin, 0.93 * p.chin_length)]
    return _smooth((0, -1.06), *right, (0, p.chin_length + 0.02), *_mirrored(right))


def _behind(p, m, shade):
    """Long hair, neck, shoulders."""
    if p.style in ("long", "bob"):
        low = 0.25 + (0.35 if p.style == "bob" else p.length)
        wide = p.width + p.volume + 0.05
        right = [(0.8 * wide, -0.85), (1.05 * wide, -0.1), (1.02 * wide, low - 0.15),
                 (0.7 * wide, low)]
        yield _smooth((0, -1.1 - p.volume), *right,
                      *_mirrored(right)), _mix(p.hair, BLACK, 0.2), -0.3
    if p.style == "bun":
        bun = _ellipse(0.15 * p.parting, -1.2, 0.3 + 0.5 * p.volume, 0.26 + 0.4 * p.volume)
        yield bun, _mix(p.hair, BLACK, 0.1), -0.2
    neck, shoulder = [(0.4, 0.5), (0.42, 1.4), (0.6, 1.6)], [(0.45, 1.3), (1.15, 1.5), (1.4, 2.2)]
    yield _smooth(*neck, *_mirrored(neck)), _mix(shade, BLACK, 0.08), -0.3
    yield _smooth((0, 1.5), *shoulder, (0, 2.5), *_mirrored(shoulder)), m.clothes, -0.3


def _eye(p, m, side, deep):
    x, y, wide, high = side * p.eye_apart, p.eye_y, p.eye_width, p.eye_height * m.open_eyes
    slant = side * -p.eye_slant
    # the socket
    yield _ellipse(x, y - 0.012, 1.14 * wide, high + 0.045, slant), _mix(deep, p.skin, 0.45), 0.0
    white = _ellipse(x, y, wide, high, slant, 1.8)
    yield white, _mix(WHITE, p.skin, 0.08), 0.02
    eye_x, eye_y = x + m.gaze[0], y + m.gaze[1]
    size = min(p.iris_size, 1.15 * high)
    yield _ellipse(eye_x, eye_y, p.iris_size * 0.95, size), p.iris, 0.03
    yield _ellipse(eye_x, eye_y, 0.45 * p.iris_size, 0.5 * size), 0.3 * p.iris, 0.04
    yield _ellipse(eye_x + 0.025, eye_y - 0.3 * size, 0.017, 0.017), WHITE, 0.05
    lid = _ellipse(x, y - high * (0.95 - p.lid), 1.05 * wide, 0.018 + 0.35 * high * p.lid, slant)
    yield lid, _mix(deep, BLACK, 0.75 if p.lashes else 0.35), 0.04
    along, brow_y = np.linspace(-1, 1, 5), p.eye_y - p.brow_y - m.raised
    upper = brow_y - p.brow_arch * (1 - along**2) - (p.brow_slant + m.frown) * p.brow_length * along
    taper = p.brow_thick * (1.15 - 0.5 * np.abs(along + 0.2))
    line = x + side * along * p.brow_length
    yield _smooth(*zip(line, upper - taper),
                  *zip(line[::-1], (upper + taper)[::-1])), _mix(p.hair, BLACK, 0.25), 0.04


def _nose(p, shade, deep):
    tip, wide = p.nose_y, p.nose_width
    yield _smooth((p.nose_bridge, p.eye_y + 0.05), (0.75 * wide, tip - 0.06),
                  (0.55 * wide, tip + 0.4 * p.nose_height),
                  (-0.3 * wide, tip),
                  (-0.2 * p.nose_bridge, p.eye_y + 0.1)), _mix(p.skin, shade, 0.75), 0.18
    yield _ellipse(0, tip, wide, p.nose_height), _mix(p.skin, shade, 0.9), 0.2
    yield _ellipse(0, tip - 0.3 * p.nose_height, 0.5 * wide,
                   0.45 * p.nose_height), _mix(p.skin, WHITE, 0.16), 0.25
    for nostril in _both(_ellipse(0.5 * wide, tip + 0.55 * p.nose_height, 0.26 * wide,
                                  0.26 * p.nose_height)):
        yield nostril, _mix(deep, BLACK, 0.3), 0.2


def _mouth(p, m):
    wide, y = p.mouth_width * (1 + 0.16 * m.smile), p.mouth_y
    corner = y - 0.075 * m.smile
    gap = 0.09 * min(m.opening, 1.2)
    if p.moustache or p.beard > 0.8:
        right = [(0.6 * wide, y - 0.1), (1.25 * wide, corner + 0.02)]
        yield _smooth((0, y - 0.1), *right, (0, y), *_mirrored(right)), p.hair, 0.08
    lips = [(0.35 * wide, y - 1.25 * p.upper_lip), (wide, corner),
            (0.45 * wide, y + gap + 0.9 * p.lower_lip)]
    yield _smooth((0, y - 0.85 * p.upper_lip), *lips, *_mirrored(lips)), p.lips, 0.08
    between = [(0.9 * wide, corner), (0.4 * wide, y + gap + 0.012)]
    yield _smooth((0, y - 0.008), *between, *_mirrored(between)), _mix(p.lips, BLACK, 0.65), 0.08
    if gap > 0.035:
        teeth = [(0.6 * wide, y - 0.02 * m.smile), (0.3 * wide, y + 0.5 * gap)]
        yield _smooth((0, y), *teeth, *_mirrored(teeth)), TEETH, 0.08


def _hair(p):
    """What covers the head: from the ear over the crown to the other ear, and back along the
    hairline."""
    if p.style == "bald":
        return
    top, wide = -1.06 - p.volume, p.width + 0.35 * p.volume
    # at the ears
    low = {"short": -0.25, "side": -0.2, "fringe": -0.1, "curly": -0.15,
           "bun": -0.3}.get(p.style, 0.05)
    crown = [(0.72 * wide, -0.96 - 0.4 * p.volume), (wide + 0.03, -0.55), (wide + 0.02, low)]
    crown = [*_mirrored(crown), (0, top), *crown]
    yield _smooth(*crown, *_hairline(p, low)), p.hair, -0.02
    if p.style == "curly":
        curl = 0.15 + 0.3 * p.volume
        for x, y in np.concatenate([crown, (np.array(crown[1:]) + crown[:-1]) / 2]):
            yield _ellipse(x, y, curl, curl), p.hair, -0.05
    gloss = [(-0.5 * wide, top + 0.22), (-0.1 * wide, top + 0.1), (0.2 * wide, top + 0.12),
             (-0.1 * wide, top + 0.17)]
    yield _smooth(*gloss), _mix(p.hair, WHITE, 0.12), -0.02


def _hairline(p, low):
    """Points from the right ear over the forehead to the left ear."""
    side, inner, line = 0.88 * p.width, 0.72 * p.width, p.hairline
    if p.style == "fringe":
        line = min(line + 0.2, p.eye_y - 0.12)
        right = [(side, low), (0.82 * side, line - 0.05), (0.4 * side, line + 0.02)]
        return [*right, (0, line - 0.02), *_mirrored(right)]
    if p.style in ("side", "bob", "long", "bun"):
        part = p.parting * p.width
        return [(side, low), (inner, line + 0.12), (part + 0.3 * (inner - part), line - 0.08),
                (part, line - 0.3), (part - 0.3 * (inner + part), line - 0.08),
                (-inner, line + 0.12), (-side, low)]
    return [(side, low), (0.95 * inner, line), (0.4 * inner, line - 0.1),
            (-0.4 * inner, line - 0.1), (-0.95 * inner, line), (-side, low)]


def _glasses(p):
    """Two rims, each an outer and an inner curve joined into one; and the bridge."""
    for side in (-1, 1):
        rim = [_ellipse(side * p.eye_apart, p.eye_y + 0.02, p.frame_size * s,
                        0.85 * p.frame_size * s, 0.0, p.frame_round)
               for s in (1.0, 0.87)]
        yield np.concatenate([rim[0], rim[0][:1], rim[1][:1], rim[1][::-1]]), p.frame, 0.16
    end, y = p.eye_apart - p.frame_size + 0.02, p.eye_y - 0.03
    yield _smooth((-end, y), (0, y - 0.04), (end, y), (0, y)), p.frame, 0.2


# ---- from curves to pixels -----------------------------------------------------------------------

def _draw(p, m, size, rng):
    from PIL import Image, ImageDraw, ImageFilter
    parts = list(_parts(p, m))
    canvas = 2 * size
    places = _project(parts, m, canvas)
    image = Image.fromarray(_backdrop(m, canvas))
    pen = ImageDraw.Draw(image)
    for (_, colour, _), points in zip(parts, places):
        pen.polygon(points, fill=tuple(int(min(max(c, 0), 255)) for c in colour))
    image = image.reduce(2)
    if m.soft:
        image = image.filter(ImageFilter.BoxBlur(size / 128))
    return _light(np.asarray(image, np.float32), m, rng)


def _project(parts, m, canvas):
    """Turn the curves' points in space and give the pixels where they are seen, a flat list x, y,
    x, y, … for each."""
    lengths = [len(curve) for curve, _, _ in parts]
    x, y = np.concatenate([curve for curve, _, _ in parts]).T
    out = np.repeat([np.nan if out is None else out for _, _, out in parts], lengths)
    bulge = 0.68 * np.sqrt(np.maximum(0.0, 1 - (x / 1.05)**2 - (y / 1.35)**2))
    # an outline turns like a disc, at z = 0
    z = np.where(np.isnan(out), 0.0, np.where(out < 0, out, bulge + out))
    cos, sin = np.cos(m.yaw), np.sin(m.yaw)
    x, z = x * (0.5 + 0.5 * cos) + z * sin, z * cos - x * sin
    y = y * (0.5 + 0.5 * np.cos(m.pitch)) + z * np.sin(m.pitch)
    turn = np.array([[np.cos(m.roll), np.sin(m.roll)], [-np.sin(m.roll), np.cos(m.roll)]])
    seen = np.stack([x, y], axis=1) @ turn * m.zoom + m.shift + (0, DOWN)
    pixels = canvas * (0.5 + SCALE * seen)
    return [piece.ravel().tolist() for piece in np.split(pixels, np.cumsum(lengths)[:-1])]


def _backdrop(m, canvas):
    down = np.linspace(0, 1, canvas)[:, None, None]
    colours = (1 - down) * m.backdrop[0] + down * m.backdrop[1]
    return np.broadcast_to(colours.clip(0, 255), (canvas, canvas, 3)).astype(np.uint8)


def _light(picture, m, rng):
    """Shade as a lamp does a ball, brightness 1 + ⟨light, normal⟩, then tint it and add the
    camera's noise."""
    size = len(picture)
    across = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) / SCALE
    x = np.clip((across - m.shift[0]) / 0.95, -1, 1)  # in radii of the head, which is a ball
    y = np.clip((across - m.shift[1] - DOWN) / 1.3, -1, 1)[:, None]
    facing = np.maximum(0, 1 - x**2 - y**2)  # the square of the normal's share towards us
    shade = np.clip(m.brightness * (1 + m.light[0] * x + m.light[1] * y
                                    + m.front_light * (facing - 0.5)), 0.25, 1.9)
    lit = picture * (shade[..., None] * (1 + m.tint)).astype(np.float32)
    return (lit + m.noise
            * rng.standard_normal(picture.shape, np.float32)).clip(0, 255).astype(np.uint8)


def _between(colours, share):
    """The colour at `share`, 0..1, of the way along a list of colours."""
    place = share * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    return _mix(colours[first], colours[first + 1], place - first)


def _mix(first, second, share):
    return (1 - share) * first + share * second
