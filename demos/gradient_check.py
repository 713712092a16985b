"""Is a gradient right?  Check it, and see how the error of a difference quotient depends on its step.

    python -m demos.gradient_check
    python -m demos.gradient_check softplus layer_norm
    python -m demos.gradient_check relu --range 0 0
    python -m demos.gradient_check my_module:my_operation --shape 3,4 --shape 4

Along a line through all inputs L(t) = Σₖ ⟨ȳₖ, yₖ(x + t v)⟩ is a function of one number.  Reverse mode gives L'(0) to
rounding, difference quotients give it with an error that depends on their step h:

    (L(h) − L(0)) / h                     = L' + h L''/2 + …           forward differences
    D(h) = (L(h) − L(−h)) / 2h            = L' + h² L'''/6 + …         central differences
    (4 D(h/2) − D(h)) / 3                 = L' + O(h⁴)                 Richardson's extrapolation

and each adds the rounding error of L divided by h.  On logarithmic axes that is a V: a line of slope 1, 2 or 4 on the
right, one of slope −1 on the left, and the best step between them.
"""
import argparse
import difflib
import importlib
import math
from operator import attrgetter
import os
import sys

import numpy as np

from demos.command_line import (
    Parser,
    Stopwatch,
    answer,
    progress,
    run,
    say,
    start,
    warn,
    write_json,
)
from demos.example_inputs import CONSTANT, OPERATIONS, example_call, normal, required_parameters
import minidl as md
from minidl import ops
from minidl.testing import GradientError, NotDifferentiableError, gradcheck

LESSONS = ["exp", "softmax", "norm", "conv", "relu", "max_pool"]
PANELS = 6
STEPS = np.logspace(-14, 0, 56 * 4, endpoint=False).reshape(56, 4)  # four bins a decade, four steps h in each
MIDDLE = 36                                                         # the bin at h = 10⁻⁵
SMALLEST = 1e-17                                                    # what an error of exactly zero is drawn as


def main(arguments=None):
    options = _options(arguments)
    start(options)
    subjects = [_subject(name, options) for name in options.operations]
    watch, bar = Stopwatch(), progress(len(subjects), "gradient check", options.quiet)
    results = []
    try:
        for subject in subjects:
            results.append(_check(*subject, options.seed))
            bar.update()
    finally:
        bar.close()
    picture = _plot(results[:PANELS], options)
    write_json(options.json, {"operations": [_figures(result) for result in results], "device": md.tensor(0.0).device,
                              "seed": options.seed, "picture": picture and str(picture), "seconds": watch.seconds})
    answer(*_table(results))
    if picture and len(results) > PANELS:
        say(options, f"The picture shows the first {PANELS} of {len(results)}.")
    say(options, picture or "There is no picture: `pip install matplotlib` and it will be drawn.")
    for result in results:
        if result["message"]:
            warn(" ".join(result["message"].split()))
    if any(result["message"] for result in results):
        sys.exit(1)


def _options(arguments):
    parser = Parser("gradient_check", "Check gradients at first and second order, and draw the error of difference "
                    "quotients against their step. Exit code 1: a gradient is wrong.")
    parser.epilog = "operations: " + ", ".join(OPERATIONS)
    add = parser.add_argument
    add("operations", nargs="*", default=LESSONS, metavar="OPERATION",
        help="a name from md.ops, or module:function, imported from the current folder")
    add("--all", action="store_true", help="every differentiable operation of md.ops")
    add("--shape", type=_shape, action="append", metavar="N,M",
        help="of an input of a module:function; once for each (default: 3,4 for each parameter without a default)")
    add("--range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="draw the inputs uniformly from this interval; 0 0 puts them on relu's kink (default: it depends)")
    options = parser.parse_args(arguments)
    if options.range and not -math.inf < options.range[0] <= options.range[1] < math.inf:
        parser.error(f"--range needs LOW ≤ HIGH, both finite, got {options.range[0]:g} {options.range[1]:g}")
    if options.all:
        options.operations = OPERATIONS
    if options.shape and not any(":" in name for name in options.operations):
        parser.error("--shape is for a module:function; the operations of md.ops bring their own example inputs")
    return options


def _shape(text):
    """The shape that "3,4", "(3, 4)" or, for a single number, "()" names."""
    numbers = [n.strip() for n in text.strip("() ").split(",")]
    if not all(n.isdecimal() and int(n) > 0 for n in numbers if n):
        raise argparse.ArgumentTypeError(f"needs positive whole numbers such as 3,4, got {text}")
    return tuple(int(n) for n in numbers if n)


# --- what is checked


def _subject(name, options):
    """(name, function of Tensors, its inputs) of an operation of md.ops or of a user's module:function."""
    draws, f = _users(name, options.shape) if ":" in name else _operation(name)
    rng = np.random.default_rng(options.seed)
    inputs = [draw(rng) for draw in draws]
    if options.range:
        inputs = [rng.uniform(*options.range, x.shape) if x.dtype.kind == "f" else x for x in inputs]
    return name, f, inputs


def _operation(name):
    if name in CONSTANT:
        raise ValueError(f"{name} has no gradient: its values do not change, or jump, where its inputs change a little")
    if name not in OPERATIONS:
        near = difflib.get_close_matches(name, OPERATIONS)
        raise ValueError(f"there is no differentiable operation md.ops.{name}"
                         + (f"; is it {' or '.join(near)}?" if near else "; --help lists them, yours is module:function"))
    return example_call(name)


def _users(name, shapes):
    """The function module:function, imported from the current folder, and arrays of the given shapes for it."""
    module, path = name.split(":", 1)
    if not (module and path):
        raise ValueError(f"{name}: a function of yours is named module:function, such as my_module:my_operation")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        f = attrgetter(path)(importlib.import_module(module))
    except (Exception, SystemExit) as error:        # whatever a user's file does when it is imported
        raise ValueError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(f):
        raise ValueError(f"{name} is not a function but {type(f).__name__}")
    shapes = shapes or [(3, 4)] * required_parameters(f)
    if not shapes:
        raise ValueError(f"{name} has no parameter without a default; say the shapes of its inputs with --shape")
    return [normal(*shape) for shape in shapes], f


# --- the check and the curves


def _check(name, f, inputs, seed):
    """What is known of one operation.  Raises ValueError for whatever goes wrong in it."""
    try:
        with np.errstate(all="ignore"):             # a long step may leave the domain
            return _found(name, f, inputs, seed)
    except Exception as error:
        raise ValueError(f"{name} fails on inputs of shapes {', '.join(str(x.shape) for x in inputs)}: "
                         f"{type(error).__name__}: {error}") from error


def _found(name, f, inputs, seed):
    """The errors at both orders, the verdict, and the curves: those of order 2 where only the second is wrong."""
    curves, errors, message = _curves(f, inputs, seed), [None, None], None
    verdict = "zero" if curves["zero"] else "right"
    try:
        for order in (1, 2):
            errors[order - 1] = gradcheck(f, *inputs, order=order, seed=seed, allow_zero=True)
    except GradientError as error:
        message, errors[order - 1] = str(error), error.relative_error
        verdict = "no derivative" if isinstance(error, NotDifferentiableError) else "wrong"
        if order == 2:
            verdict, curves = f"{verdict} at order 2", _curves(f, inputs, seed, order=2)
    return {"name": name, "shapes": [list(x.shape) for x in inputs], "errors": errors, "verdict": verdict,
            "message": message, "curves": curves}


def _curves(f, inputs, seed, order=1):
    """The relative errors of the difference quotients of L at all STEPS, and what can be read off them."""
    rng = np.random.default_rng(seed)
    if order == 2:
        f = _gradient(f, _cotangents(rng, f(*_tensors(inputs))))
    L, slope, size = _line(f, inputs, rng)
    ahead, behind = L(STEPS), L(-STEPS)
    central = (ahead - behind) / (2 * STEPS)
    quotients = {"forward": ahead / STEPS, "central": central,
                 "richardson": (4 * (L(STEPS / 2) - L(-STEPS / 2)) / STEPS - central) / 3}
    if not np.isfinite([slope, size, *(q[:MIDDLE].sum() for q in quotients.values())]).all():
        raise ValueError("its values or its gradients near there are not finite; say with --range where they are")
    scale = max(abs(slope), *(abs(np.median(q[MIDDLE])) for q in quotients.values()))
    zero = bool(scale <= 1e-9 * size) or slope == size == 0        # at 0, of what is smaller than any slope there
    scale = size or 1.0 if zero else scale          # the errors of a slope of zero are relative to the terms of L
    samples = {method: np.maximum(abs(q - slope) / scale, SMALLEST) for method, q in quotients.items()}
    errors = {method: np.sqrt(np.mean(e ** 2, axis=1)) for method, e in samples.items()}
    return {"zero": zero, "samples": samples, "errors": errors, **_readings(errors)}


def _line(f, inputs, rng):
    """L(t) − L(0) as a function, L'(0) by reverse mode, and Σ |terms of L(0)|, along a random line through the inputs.

    Outputs are subtracted before they are summed: what is large and equal in both cancels before it can be rounded.
    """
    directions = [_away_from_zero(rng, x.shape) * (np.mean(abs(x)) or 1.0) if x.dtype.kind == "f" else None for x in inputs]

    def values(t):
        moved = [x if v is None else x + t * v for x, v in zip(inputs, directions)]
        return [y.numpy() for y in _outputs(f(*_tensors(moved)))]

    cotangents = _cotangents(rng, f(*_tensors(inputs)))
    gradients = _gradient(f, cotangents)(*_tensors(inputs))
    slope = sum(np.sum(g.numpy() * v) for g, v in zip(gradients, (v for v in directions if v is not None)))
    origin = values(0.0)
    size = sum(np.sum(abs(gy * y)) for gy, y in zip(cotangents, origin))

    def L(t):
        return sum(np.sum(gy * (y - y0)) for gy, y, y0 in zip(cotangents, values(t), origin))
    return np.vectorize(L, otypes=[float]), float(slope), float(size)


def _gradient(f, cotangents):
    """The function x → dL/dx, which can be differentiated again."""
    def gradient(*xs):
        L = sum(ops.sum(y * md.tensor(gy)) for y, gy in zip(_outputs(f(*xs)), cotangents))
        return md.grad(L, [x for x in xs if x.requires_grad], create_graph=True)
    return gradient


def _cotangents(rng, y):
    return [_away_from_zero(rng, t.shape) for t in _outputs(y)]


def _readings(curves):
    """Slopes of the truncation and the rounding error on logarithmic axes, the points from which the first was read,
    the best steps, and the first kink reached."""
    h = np.exp(np.mean(np.log(STEPS), axis=1))
    readings = {"h": h, "slopes": {}, "read_from": {}, "rounding_slopes": {}, "best": {}, "kink_reached_at": None}
    for method, error in curves.items():
        rounding = np.median((error * h)[h < 1e-9]) / h             # what it is at the small steps, continued as 1/h
        best = int(np.nanargmin(error))
        readings["best"][method] = {"h": float(h[best]), "error": float(error[best])}
        readings["rounding_slopes"][method] = _fit(h, error, h < max(h[best] / 10, 1e-9))[0]
        jumps = np.flatnonzero((error[:-1] < 100 * rounding[:-1]) & (error[1:] > 1e4 * rounding[1:]))
        if jumps.size:
            readings["kink_reached_at"] = float(h[jumps[0] + 1])
        truncation = np.flatnonzero((error > 100 * rounding) & (h < 0.3))
        lower = readings["read_from"][method] = truncation[:max(5, truncation.size // 2)]
        slope, distance = _fit(h, error, lower) if truncation.size >= 5 else (0.0, 1.0)
        readings["slopes"][method] = slope if distance < 0.1 else None          # None: there is no straight part
    return readings


def _fit(h, error, where):
    """(slope, root mean square distance) of the line through these points on logarithmic axes."""
    x, y = np.log(h[where]), np.log(error[where])
    line = np.polynomial.Polynomial.fit(x, y, 1)
    return float(line.deriv()(0.0)), float(np.sqrt(np.mean((line(x) - y) ** 2)))


def _tensors(inputs):
    return [md.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]


def _outputs(y):
    ys = y if isinstance(y, (tuple, list)) else [y]
    for y in ys:
        if not isinstance(y, md.Tensor):
            raise TypeError(f"it must return a Tensor or a tuple of them, not {type(y).__name__}")
    floating = [y for y in ys if y.dtype.kind == "f"]
    if not floating:
        raise TypeError(f"it returns no floating-point Tensor, but {', '.join(str(y.dtype) for y in ys) or 'nothing'}")
    return floating


def _away_from_zero(rng, shape):
    """Random numbers of either sign, of sizes between ½ and 3/2."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


# --- what is shown


def _table(results):
    """The largest relative error of the gradients of each operation, at first and second order, and the verdict."""
    width = max(len(result["name"]) for result in results) + 2
    yield f"{'operation':{width}}{'order 1':>10}{'order 2':>10}  verdict"
    for result in results:
        errors = "".join(f"{'–' if e is None else f'{e:.1e}':>10}" for e in result["errors"])
        yield f"{result['name']:{width}}{errors}  {result['verdict']}"


def _figures(result):
    """One operation's results as JSON has them: lists, and null where a step left the domain."""
    curves = result["curves"]
    listed = {method: [float(e) if math.isfinite(e) else None for e in error] for method, error in curves["errors"].items()}
    return {**{key: result[key] for key in ("name", "shapes", "verdict", "message")},
            **{f"order_{order}_error": e if e is not None and math.isfinite(e) else None
               for order, e in enumerate(result["errors"], 1)},
            **{key: curves[key] for key in ("slopes", "rounding_slopes", "best", "kink_reached_at")},
            "h": curves["h"].tolist(), "errors": listed}


METHODS = {     # slope of the truncation error, colour, words
    "forward": (1, "#d55e00", "forward:  (L(h) − L(0)) / h  =  L' + O(h)"),
    "central": (2, "#0072b2", "central:  D(h) = (L(h) − L(−h)) / 2h  =  L' + O(h²)"),
    "richardson": (4, "#009e73", "Richardson:  (4 D(h/2) − D(h)) / 3  =  L' + O(h⁴)")}
ASPECT = 0.7                        # of a decade's height to a decade's width: a line of slope s rises by arctan(0.7 s)


def _plot(results, options):
    """Draw a panel for each operation; returns the file's name, or None where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot
    columns = 2 if len(results) == 4 else min(len(results), 3)
    rows, side = math.ceil(len(results) / columns), 6.2 if len(results) == 1 else 4.6
    figure, panels = pyplot.subplots(rows, columns, figsize=(side * columns + 0.5, (side + 0.3) * rows + 1.3), squeeze=False,
                                     sharex=True, sharey=True, layout="constrained")
    for axes, result in zip(panels.flat, results):
        _draw(axes, result)
    for axes in panels.flat[len(results):]:
        axes.set_visible(False)
    for axes in panels.flat[len(results) - columns:len(results)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step size  h")
    for axes in panels[:, 0]:
        axes.set_ylabel("relative error of the directional derivative L'")
    figure.get_layout_engine().set(h_pad=0.12)                  # inches above and below each panel
    figure.suptitle("How wrong is a difference quotient?", fontsize=17, fontweight="bold")
    figure.legend(handles=[pyplot.Line2D([], [], color=color, label=words) for *_, color, words in METHODS.values()],
                  loc="outside lower center", ncols=3 if columns == 3 else 1, frameon=False, fontsize=11)
    path = options.output / "gradient_check.png"
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _draw(axes, result):
    """The panel of one operation."""
    curves, right = result["curves"], result["message"] is None
    axes.set(xscale="log", yscale="log", xlim=(1e-14, 1), ylim=(SMALLEST / 10, 100), aspect=ASPECT,
             xticks=10.0 ** np.arange(-14, 1, 2), yticks=10.0 ** np.arange(-16, 1, 2))
    axes.grid(color="0.92")
    axes.set_title(result["name"], loc="left", fontsize=min(13, 280 / len(result["name"])), fontweight="bold")
    axes.set_title(("✓ " if right else "✗ ") + result["verdict"], loc="right", color="#117733" if right else "#bb2222")
    axes.text(0.5, 0.95 if right else 0.4, _remark(result), transform=axes.transAxes, ha="center", va="top", style="italic")
    for row, (method, error) in enumerate(curves["errors"].items()):
        (power, color, words), slope, best = METHODS[method], curves["slopes"][method], curves["best"][method]
        if right:
            axes.plot(STEPS.ravel(), curves["samples"][method].ravel(), ".", color=color, alpha=0.3, markersize=4,
                      markeredgewidth=0)
            axes.plot(curves["h"], error, color=color, linewidth=1.8)
        else:                                       # they lie on each other: dashes that take turns show all
            axes.plot(curves["h"], error, color=color, linewidth=1.2, alpha=0.4)
            axes.plot(curves["h"], error, color=color, linewidth=3, linestyle=(3 * row, (3, 6)))
        if slope is not None and slope > 0.5:
            part = curves["read_from"][method]
            _along(axes, curves["h"], error, part[part.size // 2], power, f"slope {slope:.2f}", color)
        if right:
            axes.plot(best["h"], best["error"], "o", color="white", markeredgecolor=color, markeredgewidth=1.8, zorder=5)
            axes.text(0.03, 0.14 - 0.05 * row, f"{words.split(':')[0]}: {_scientific(best['error'])} at h = "
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
    axes.annotate(text.replace("-", "−"), (h[at], error[at]), (-lift * math.sin(angle), lift * math.cos(angle)),
                  textcoords="offset points", rotation=math.degrees(angle), rotation_mode="anchor", ha="center", va="bottom",
                  color=color, fontsize=9)


def _remark(result):
    """What the panel shows, in two lines."""
    curves, verdict = result["curves"], result["verdict"]
    if "no derivative" in verdict:
        return "on a kink the two sides have different slopes:\nthere is no derivative"
    if "wrong" in verdict:
        return (f"relative error {_scientific(curves['errors']['central'][MIDDLE])}, whatever the step:\n"
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


if __name__ == "__main__":
    run(main)
