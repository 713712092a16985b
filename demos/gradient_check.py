"""Is a gradient right?  Check it, and see how the error of a difference quotient depends on its
step.

    python -m demos.gradient_check
    python -m demos.gradient_check softplus layer_norm
    python -m demos.gradient_check relu --range 0 0
    python -m demos.gradient_check my_module:my_operation --shape 3,4 --shape 4

What the picture shows is told in minidl/testing/differences.py, which computes it.
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
from demos.gradient_check_picture import draw
import minidl as md
from minidl.testing import GradientError, NotDifferentiableError, gradcheck
from minidl.testing.differences import difference_curves

LESSONS = ["exp", "softmax", "norm", "conv", "relu", "max_pool"]
PANELS = 6


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
    picture = _picture(results[:PANELS], options.output / "gradient_check.png")
    write_json(options.json, {"operations": [_figures(result) for result in results],
                              "device": md.tensor(0.0).device,
                              "seed": options.seed, "picture": picture and str(picture),
                              "seconds": watch.seconds})
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
    parser = Parser("gradient_check",
                    "Check gradients at first and second order, and draw the error of difference "
                    "quotients against their step. Exit code 1: a gradient is wrong.")
    parser.epilog = "operations: " + ", ".join(OPERATIONS)
    add = parser.add_argument
    add("operations", nargs="*", default=LESSONS, metavar="OPERATION",
        help="a name from md.ops, or module:function, imported from the current folder")
    add("--all", action="store_true", help="every differentiable operation of md.ops")
    add("--shape", type=_shape, action="append", metavar="N,M",
        help="of an input of a module:function; once for each (default: 3,4 for each parameter "
             "without a default)")
    add("--range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="draw the inputs uniformly from this interval; 0 0 puts them on relu's kink (default: "
             "it depends)")
    options = parser.parse_args(arguments)
    if options.range and not -math.inf < options.range[0] <= options.range[1] < math.inf:
        parser.error(f"--range needs LOW ≤ HIGH, both finite, got {options.range[0]:g} "
                     f"{options.range[1]:g}")
    if options.all:
        options.operations = OPERATIONS
    if options.shape and not any(":" in name for name in options.operations):
        parser.error("--shape is for a module:function; the operations of md.ops bring their own "
                     "example inputs")
    return options


def _shape(text):
    """The shape that "3,4", "(3, 4)" or, for a single number, "()" names."""
    numbers = [n.strip() for n in text.strip("() ").split(",")]
    if not all(n.isdecimal() and int(n) > 0 for n in numbers if n):
        raise argparse.ArgumentTypeError(f"needs positive whole numbers such as 3,4, got {text}")
    return tuple(int(n) for n in numbers if n)


# --- what is checked


def _subject(name, options):
    """(name, function of Tensors, its inputs) of an operation of md.ops or of a user's
    module:function."""
    draws, f = _users(name, options.shape) if ":" in name else _operation(name)
    rng = np.random.default_rng(options.seed)
    inputs = [draw(rng) for draw in draws]
    if options.range:
        inputs = [rng.uniform(*options.range, x.shape) if x.dtype.kind == "f" else x
                  for x in inputs]
    return name, f, inputs


def _operation(name):
    if name in CONSTANT:
        raise ValueError(f"{name} has no gradient: its values do not change, or jump, where its "
                         "inputs change a little")
    if name not in OPERATIONS:
        near = difflib.get_close_matches(name, OPERATIONS)
        raise ValueError(f"there is no differentiable operation md.ops.{name}"
                         + (f"; is it {' or '.join(near)}?" if near
                            else "; --help lists them, yours is module:function"))
    return example_call(name)


def _users(name, shapes):
    """The function module:function, imported from the current folder, and arrays of the given
    shapes for it."""
    module, path = name.split(":", 1)
    if not (module and path):
        raise ValueError(f"{name}: a function of yours is named module:function, such as "
                         "my_module:my_operation")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        f = attrgetter(path)(importlib.import_module(module))
    except (Exception, SystemExit) as error:  # whatever a user's file does when it is imported
        raise ValueError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(f):
        raise ValueError(f"{name} is not a function but {type(f).__name__}")
    shapes = shapes or [(3, 4)] * required_parameters(f)
    if not shapes:
        raise ValueError(f"{name} has no parameter without a default; say the shapes of its inputs "
                         "with --shape")
    return [normal(*shape) for shape in shapes], f


# --- the check


def _check(name, f, inputs, seed):
    """What is known of one operation.  Raises ValueError for whatever goes wrong in it."""
    try:
        with np.errstate(all="ignore"):             # a long step may leave the domain
            return _found(name, f, inputs, seed)
    except Exception as error:
        raise ValueError(f"{name} fails on inputs of shapes "
                         f"{', '.join(str(x.shape) for x in inputs)}: "
                         f"{type(error).__name__}: {error}") from error


def _found(name, f, inputs, seed):
    """The errors at both orders, the verdict, and the curves: those of order 2 where only the
    second is wrong."""
    curves, errors, message = difference_curves(f, inputs, seed), [None, None], None
    verdict = "zero" if curves["zero"] else "right"
    try:
        for order in (1, 2):
            errors[order - 1] = gradcheck(f, *inputs, order=order, seed=seed, allow_zero=True)
    except GradientError as error:
        message, errors[order - 1] = str(error), error.relative_error
        verdict = "no derivative" if isinstance(error, NotDifferentiableError) else "wrong"
        if order == 2:
            verdict, curves = f"{verdict} at order 2", difference_curves(f, inputs, seed, order=2)
    return {"name": name, "shapes": [list(x.shape) for x in inputs], "errors": errors,
            "verdict": verdict,
            "message": message, "curves": curves}


# --- what is shown


def _picture(results, path):
    """The file drawn; None where Matplotlib is not installed."""
    try:
        return draw(path, results)
    except ImportError:
        return None


def _table(results):
    """The largest relative error of the gradients of each operation, at first and second order, and
    the verdict."""
    width = max(len(result["name"]) for result in results) + 2
    yield f"{'operation':{width}}{'order 1':>10}{'order 2':>10}  verdict"
    for result in results:
        errors = "".join(f"{'–' if e is None else f'{e:.1e}':>10}" for e in result["errors"])
        yield f"{result['name']:{width}}{errors}  {result['verdict']}"


def _figures(result):
    """One operation's results as JSON has them: lists, and null where a step left the domain."""
    curves = result["curves"]
    listed = {method: [float(e) if math.isfinite(e) else None for e in error]
              for method, error in curves["errors"].items()}
    return {**{key: result[key] for key in ("name", "shapes", "verdict", "message")},
            **{f"order_{order}_error": e if e is not None and math.isfinite(e) else None
               for order, e in enumerate(result["errors"], 1)},
            **{key: curves[key]
               for key in ("slopes", "rounding_slopes", "best", "kink_reached_at")},
            "h": curves["h"].tolist(), "errors": listed}


if __name__ == "__main__":
    run(main)
