"""Plots of all kinds, drawn into PNG files without Matplotlib's global state: nothing is left open,
and no setting of a program that also plots is touched.

    figure, (left, right) = panels_of(1, 2, (9, 4))
    left.plot(x, y, color=COLOURS[0])
    write("out.png", figure)

Matplotlib is imported only when a plot is asked for.
"""
import io
import math
from pathlib import Path

from minidl.files import atomic_write

COLOURS = ("#2266aa", "#dd7711", "#117733", "#aa3377", "#66aacc", "#999933", "#555555", "#bb2222")
DASHES = ("-", "--", "-.", ":")
LEAST_SPAN = 0.1                # of an axis, as a share of the values on it: noise stays small


def check_matplotlib():
    """Matplotlib's Figure.  Ask before long work.

    Raises ImportError, saying what to install, where there is no Matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need Matplotlib, which is not installed: "
                          "pip install matplotlib") from None
    return Figure


def panels_of(rows, columns, size, layout="constrained", **options):
    """(figure, list of its axes, row by row).  size: of the whole, in inches, (width, height)."""
    figure = check_matplotlib()(size, layout=layout)
    drawn = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for axes in drawn:
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    return figure, drawn


def write(path, figure):
    """Write a figure to `path` as a PNG, in one step; the path."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    with atomic_write(path) as stream:
        stream.write(content.getvalue())
    return Path(path)


def learning_curves(path, history, panels, x="step", title="Training"):
    """How a run went: one panel for each group of quantities, one under the other, over `x`.

    history: a list of dictionaries, what was measured at a moment; an entry may lack quantities
        that are measured more seldom.  What is not finite counts as not measured.
    panels: {"label of the axis": ["quantity", …], …}.  One of which nothing was measured is left
        out, and an axis spans at least a tenth of its largest value: what hardly moves looks so.
    Raises ValueError where nothing was measured at all.
    """
    seen = {quantity: [(entry[x], entry[quantity]) for entry in history
                       if entry.get(quantity) is not None and math.isfinite(entry[quantity])]
            for quantities in panels.values() for quantity in quantities}
    shown = {label: [quantity for quantity in quantities if seen[quantity]]
             for label, quantities in panels.items()}
    shown = {label: quantities for label, quantities in shown.items() if quantities}
    if not shown:
        raise ValueError(f"learning_curves: nothing was measured of {', '.join(seen)}")
    figure, drawn = panels_of(len(shown), 1, (8, 2.4 * len(shown) + 0.8), sharex=True)
    for axes, (label, quantities) in zip(drawn, shown.items()):
        for i, quantity in enumerate(quantities):
            points = seen[quantity]
            axes.plot(*zip(*points), color=COLOURS[i % len(COLOURS)], linewidth=1.6,
                      label=quantity.replace("_", " "),
                      marker="o" if len(points) < 30 else None, markersize=3.5)
        axes.set(ylabel=label, ylim=_limits([y for name in quantities for _, y in seen[name]]))
        if len(axes.lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False)
    drawn[0].set_title(title)
    drawn[-1].set_xlabel(x)
    return write(path, figure)


def _limits(values):
    """(lowest, highest) of an axis on which these values lie, with a margin."""
    low, high = min(values), max(values)
    missing = max(0.0,
                  LEAST_SPAN * max(abs(low), abs(high)) - (high - low)) or 1e-12 * (low == high)
    margin = 0.05 * (high - low) + missing / 2
    return low - margin, high + margin
