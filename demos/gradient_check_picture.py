"""The picture of demos.gradient_check: a panel for each operation, the error against the step."""
import math

import numpy as np

from minidl.plots import panels_of, write
from minidl.testing.differences import MIDDLE, SMALLEST, STEPS

METHODS = {     # slope of the truncation error, colour, words
    "forward": (1, "#d55e00", "forward:  (L(h) − L(0)) / h  =  L' + O(h)"),
    "central": (2, "#0072b2", "central:  D(h) = (L(h) − L(−h)) / 2h  =  L' + O(h²)"),
    "richardson": (4, "#009e73", "Richardson:  (4 D(h/2) − D(h)) / 3  =  L' + O(h⁴)")}
ASPECT = 0.7  # of a decade's height to a decade's width: a line of slope s rises by arctan(0.7 s)


def draw(path, results):
    """Draw a panel for each operation into `path`; raises ImportError without Matplotlib."""
    columns = 2 if len(results) == 4 else min(len(results), 3)
    rows, side = math.ceil(len(results) / columns), 6.2 if len(results) == 1 else 4.6
    size = side * columns + 0.5, (side + 0.3) * rows + 1.3
    figure, panels = panels_of(rows, columns, size, sharex=True, sharey=True)
    for axes, result in zip(panels, results):
        _draw(axes, result)
    for axes in panels[len(results):]:
        axes.set_visible(False)
    for axes in panels[len(results) - columns:len(results)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step size  h")
    for axes in panels[::columns]:
        axes.set_ylabel("relative error of the directional derivative L'")
    figure.get_layout_engine().set(h_pad=0.12)                  # inches above and below each panel
    figure.suptitle("How wrong is a difference quotient?", fontsize=17, fontweight="bold")
    figure.legend(handles=[_line(color, words) for *_, color, words in METHODS.values()],
                  loc="outside lower center", ncols=3 if columns == 3 else 1, frameon=False,
                  fontsize=11)
    return write(path, figure)


def _line(color, words):
    from matplotlib.lines import Line2D
    return Line2D([], [], color=color, label=words)


def _draw(axes, result):
    """The panel of one operation."""
    curves, right = result["curves"], result["message"] is None
    axes.set(xscale="log", yscale="log", xlim=(1e-14, 1), ylim=(SMALLEST / 10, 100), aspect=ASPECT,
             xticks=10.0 ** np.arange(-14, 1, 2), yticks=10.0 ** np.arange(-16, 1, 2))
    axes.grid(color="0.92")
    axes.set_title(result["name"], loc="left", fontsize=min(13, 280 / len(result["name"])),
                   fontweight="bold")
    axes.set_title(("✓ " if right else "✗ ") + result["verdict"], loc="right",
                   color="#117733" if right else "#bb2222")
    axes.text(0.5, 0.95 if right else 0.4, _remark(result), transform=axes.transAxes, ha="center",
              va="top", style="italic")
    for row, (method, error) in enumerate(curves["errors"].items()):
        (power, color,
         words), slope, best = METHODS[method], curves["slopes"][method], curves["best"][method]
        if right:
            axes.plot(STEPS.ravel(), curves["samples"][method].ravel(), ".", color=color, alpha=0.3,
                      markersize=4,
                      markeredgewidth=0)
            axes.plot(curves["h"], error, color=color, linewidth=1.8)
        else:  # they lie on each other: dashes that take turns show all
            axes.plot(curves["h"], error, color=color, linewidth=1.2, alpha=0.4)
            axes.plot(curves["h"], error, color=color, linewidth=3, linestyle=(3 * row, (3, 6)))
        if slope is not None and slope > 0.5:
            part = curves["read_from"][method]
            _along(axes, curves["h"], error, part[part.size // 2], power, f"slope {slope:.2f}",
                   color)
        if right:
            axes.plot(best["h"], best["error"], "o", color="white", markeredgecolor=color,
                      markeredgewidth=1.8, zorder=5)
            axes.text(0.03, 0.14 - 0.05 * row,
                      f"{words.split(':')[0]}: {_scientific(best['error'])} at h = "
                      + _scientific(best["h"]), transform=axes.transAxes, color=color, fontsize=8.5)
    if right:
        axes.text(0.03, 0.19, "smallest error", transform=axes.transAxes, fontsize=8.5, color="0.3")
        error = curves["errors"]["richardson"]
        falling = error[:np.nanargmin(error) + 1]
        _along(axes, curves["h"], error, np.nanargmin(abs(np.log(falling / 1e-4))), -1,
               f"rounding: slope {curves['rounding_slopes']['central']:.2f}", "0.3", lift=5)


def _along(axes, h, error, at, slope, text, color, lift=1):
    """Write text above a curve, at that point and in its direction."""
    angle = math.atan(ASPECT * slope)
    axes.annotate(text.replace("-", "−"), (h[at], error[at]),
                  (-lift * math.sin(angle), lift * math.cos(angle)), textcoords="offset points",
                  rotation=math.degrees(angle), rotation_mode="anchor", ha="center", va="bottom",
                  color=color, fontsize=9)


def _remark(result):
    """What the panel shows, in two lines."""
    curves, verdict = result["curves"], result["verdict"]
    if "no derivative" in verdict:
        return "on a kink the two sides have different slopes:\nthere is no derivative"
    if "wrong" in verdict:
        return (f"relative error {_scientific(curves['errors']['central'][MIDDLE])}, whatever the "
                "step:\n"
                f"the {'second derivative' if 'order 2' in verdict else 'gradient'} is wrong")
    if verdict == "zero":
        return "the gradient is zero, which shows little\n(errors relative to the outputs)"
    if curves["kink_reached_at"]:
        return "straight up to the first kink;\nbeyond it every quotient is wrong"
    if curves["slopes"]["forward"] is None:
        return "a straight line: only rounding is left,\nand the longest step is best"
    if curves["slopes"]["central"] is None:
        return "like a parabola: central differences\nare exact but for rounding"
    if curves["slopes"]["richardson"] is None:
        return "like a cubic: Richardson's extrapolation\nis exact but for rounding"
    return ""


def _scientific(number):
    if number >= 0.01:
        return f"{number:.2g}"
    digit, exponent = f"{number:.0e}".split("e")
    return rf"${digit}\cdot10^{{{int(exponent)}}}$"
