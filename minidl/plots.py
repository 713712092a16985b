"""Matplotlib without its global state, in one place; it is imported when a plot is asked for."""
import io
from pathlib import Path

from minidl.files import atomic_write

COLOURS = ("#2266aa", "#dd7711", "#117733", "#aa3377", "#66aacc", "#999933", "#555555", "#bb2222")


def learning_curves(path, history, panels, x="step", title="Training"):
    """How a run went: one panel for each group of quantities, one under the other, over `x`.

    history: a list of dictionaries, what was measured at a moment; an entry may lack quantities that are measured more
        seldom.  panels: {"label of the axis": ["quantity", …], …}.
    """
    figure, drawn = new_panels(len(panels), 1, (8, 2.4 * len(panels) + 0.8), sharex=True)
    for axes, (label, quantities) in zip(drawn, panels.items()):
        for i, quantity in enumerate(quantities):
            seen = [(entry[x], entry[quantity]) for entry in history if entry.get(quantity) is not None]
            if seen:
                axes.plot(*zip(*seen), color=COLOURS[i % len(COLOURS)], linewidth=1.6, label=quantity.replace("_", " "),
                          marker="o" if len(seen) < 30 else None, markersize=3.5)
        axes.set(ylabel=label)
        if len(axes.lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False)
    drawn[0].set_title(title)
    drawn[-1].set_xlabel(x)
    return write_figure(path, figure)


def check_matplotlib():
    """Matplotlib's Figure; raises ImportError, saying what to install, where there is none.  Ask before long work."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need Matplotlib: pip install 'minidl[demos]' (or matplotlib)") from None
    return Figure


def new_panels(rows, columns, size, layout="constrained", **options):
    """(figure, list of its axes), without Matplotlib's global state, so that nothing is left open."""
    figure = check_matplotlib()(size, layout=layout)
    drawn = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for axes in drawn:
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    return figure, drawn


def write_figure(path, figure):
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    with atomic_write(path) as stream:
        stream.write(content.getvalue())
    return Path(path)
