"""One HTML file that shows a run: the picture, the costs of every layer, the settings.

It needs no server: the browser reads the file again every few seconds while the run goes on.
"""
import base64
import html
import io
import math
import time

import numpy as np

from minidl.data import resize
from minidl.files import as_path, atomic_write
from minidl.settings import having, numbers, of_kind, whole

EVERY = 5               # seconds between two writings, and readings
SHOWN = 900             # pixels of the longer side of the picture on the page, at most
COLOURS = ("#222", "#c33", "#27c", "#292", "#c80", "#808", "#088", "#966")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{refresh}<title>{title}</title>
<style>body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em;
    color: #222 }}
img {{ max-width: 100% }} table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ padding: .1em 1em .1em 0; text-align: left; vertical-align: top }}
td.number {{ text-align: right }}
svg {{ width: 100%; height: auto }}</style></head>
<body><h1>{title}</h1><p>{status}</p>
<img alt="the picture now" src="data:image/jpeg;base64,{picture}">
<h2>Costs</h2>{plot}<p>Of the last evaluation:</p>{costs}
<h2>Settings</h2>{settings}</body></html>
"""


class Page:
    """The page of one run, in the file `path`; settings: a dictionary of what is to be shown."""

    def __init__(self, path, settings, title="Style transfer", steps=None):
        self.path = as_path("Page", "path", path)
        self.settings = of_kind("Page", "settings", settings, "a dictionary", dict)
        self.title = of_kind("Page", "title", title, "text", str)
        self.steps = None if steps is None else whole("Page", "0 ≤ steps < inf", steps)
        self.history, self.written, self.image = [], 0.0, None

    def show(self, evaluation):
        """Take in an Evaluation; the file is written every few seconds."""
        having("Page", "evaluation", evaluation, "an Evaluation", "costs", "image", "number")
        self.history.append(evaluation.costs)
        if time.monotonic() - self.written > EVERY:
            self.image = evaluation.image
            self.write(f"evaluation {evaluation.number}"
                       + (f" of {self.steps}" if self.steps else "")
                       + f", at {evaluation.size} pixels; written at {time.strftime('%H:%M:%S')}",
                       running=True)

    def finish(self, image: np.ndarray, status: str) -> None:
        """Show the result; the browser stops reading again."""
        self.image = numbers("Page", "image", image, "(H, W, 3)", "uint8")
        self.write(of_kind("Page", "status", status, "text", str), running=False)

    def write(self, status, running):
        text = PAGE.format(
            refresh=f'<meta http-equiv="refresh" content="{EVERY}">' if running else "",
            title=html.escape(self.title), status=html.escape(status), picture=_jpeg(self.image),
            plot=plot(self.history), costs=table(self.history[-1]) if self.history else "",
            settings=table(self.settings))
        with atomic_write(self.path) as file:
            file.write(text.encode())
        self.written = time.monotonic()


def _jpeg(image):
    from PIL import Image
    if max(image.shape[:2]) > SHOWN:
        image = resize(image, SHOWN)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def table(values):
    """A dictionary as a table of HTML."""
    def cell(value):
        if isinstance(value, float):
            return f'<td class="number">{value:.4g}</td>'
        return f"<td>{html.escape(str(value))}</td>"
    rows = "".join(f"<tr><th>{html.escape(str(name))}</th>{cell(value)}</tr>"
                   for name, value in values.items())
    return f"<table>{rows}</table>"


def plot(history, width=800, height=260):
    """J and the cost of every layer against the evaluations, on a logarithmic axis, as SVG."""
    names = [name for name in (history[0] if history else ()) if name == "J" or " " in name]
    logs = {name: [(i, math.log10(costs[name])) for i, costs in enumerate(history)
                   if costs[name] > 0]
            for name in names}
    values = [value for points in logs.values() for _, value in points]
    if not values:
        return ""
    low, high = math.floor(min(values)), math.ceil(max(values) + 1e-9)
    right, bottom = width - 150, height - 24

    def x(i):
        return 50 + i * (right - 50) / max(len(history) - 1, 1)

    def y(value):
        return bottom - (value - low) * (bottom - 10) / max(high - low, 1)

    parts = [f'<line x1="50" x2="{right}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/>'
             f'<text x="45" y="{y(v) + 4:.1f}" text-anchor="end">10'
             f'<tspan dy="-5" font-size="9">{v}</tspan></text>'
             for v in range(low, high + 1)]
    for k, (name, points) in enumerate(logs.items()):
        colour = COLOURS[k % len(COLOURS)]
        line = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                     f'<text x="{right + 10}" y="{16 + 18 * k}" fill="{colour}">{html.escape(name)}'
                     '</text>')
    parts.append(f'<text x="{(50 + right) / 2}" y="{height - 4}" text-anchor="middle">'
                 f'evaluations of J and its gradient, 1 to {len(history)}</text>')
    return f'<svg viewBox="0 0 {width} {height}" font-size="12">{"".join(parts)}</svg>'
