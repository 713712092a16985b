"""The few shapes that a drawing needs, as SVG text."""
from html import escape

FONT = "'DejaVu Sans', Verdana, Arial, sans-serif"
LETTER = 0.62                   # the mean width of a letter of that font, in heights
LABEL = 10.5                    # the height of what is written on a line


def text(x, y, words, size=12, colour="#222222", anchor="middle", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')


def width_of(words, size=12):
    """About how wide a text is."""
    letters = sum(1 for letter in words if letter != "\u0304")      # a bar stands above a letter
    return letters * size * LETTER


def box(x, y, width, height, fill, stroke, thick=1.0, corner=5):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{corner}" fill="{fill}" stroke="{stroke}" stroke-width="{thick}"/>')


def disc(x, y, radius, fill):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}"/>'


def line(points, colour, thick, arrow=False, bow=0.0):
    """A smooth line through points one above the other, with an arrowhead at its end.

    bow: 4/3 of how much lower it runs half-way between two of them.
    """
    (x, y), *rest = points
    path = f"M {x:.1f} {y:.1f}"
    for to_x, to_y in rest:
        middle = (y + to_y) / 2 + bow
        path += f" C {x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    head = ""
    if arrow:
        up = 1 if points[-2][1] > y else -1
        head = (f'<path d="M {x:.1f} {y:.1f} l -4.5 {9 * up} l 9 0 z" fill="{colour}"/>')
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick}"/>{head}'


def along(points, t, bow=0.0):
    """The point of such a line between two points, at t = 0 … 1."""
    (x, y), (to_x, to_y) = points
    early, late = (1 - t) ** 3 + 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2 + t ** 3
    middle = 3 * t * (1 - t) * ((y + to_y) / 2 + bow)
    return early * x + late * to_x, (1 - t) ** 3 * y + middle + t ** 3 * to_y


def label(left, top, right, bottom, words, colour, side=0):
    """Words within a rectangle that stands on a line, or on the line's left (−1) or right (1)."""
    x, anchor = {-1: (right, "end"), 0: ((left + right) / 2, "middle"), 1: (left, "start")}[side]
    written = text(x, (top + bottom) / 2 + 4, words, LABEL, colour, anchor)
    return written if side else box(left, top, right - left, bottom - top, "white", "none",
                                    0) + written


def group(shapes, x=0.0, y=0.0, inside=""):
    """Shapes moved by (x, y).  inside: what else the group holds, such as an animation."""
    return f'<g transform="translate({x:.1f} {y:.1f})"{inside}>{"".join(shapes)}</g>'


def film(frames, seconds):
    """Frames one after the other, over and over; the last is what a still picture shows."""
    shown, n = [], len(frames)
    for i, frame in enumerate(frames):
        times = f"0;{i / n:.4f};{(i + 1) / n:.4f}"
        turn = (f'<animate attributeName="visibility" values="hidden;visible;hidden" '
                f'keyTimes="{times}" calcMode="discrete" dur="{n * seconds}s" '
                'repeatCount="indefinite"/>')
        hidden = "visible" if i == n - 1 else "hidden"
        shown.append(f'<g visibility="{hidden}">{turn}{frame}</g>')
    return "".join(shown)


def page(shapes, width, height):
    """The whole file."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}">'
            f'<rect width="100%" height="100%" fill="white"/>{"".join(shapes)}</svg>\n')
