"""One case, measured in all libraries, and what follows from the times."""
import contextlib
import os

import numpy as np

from .libraries import NAMES, to_host
from .measuring import count_operations, interleaved, matrix_product, summary

PRODUCT = "matmul"
TOLERANCE = 1e-3


class Disagreement(Exception):
    """The libraries did not compute the same."""


def compare(case, libraries, repeat, device="cpu", algorithms=()):
    """Measure a case.  algorithms: values of MINIDL_CONV; minidl then takes part once with each.

    Gives name, section;  seconds: {label: median, lower, upper, samples};  best: {library: label of its faster layout, or of
    minidl's own choice};  ratios: {library: its time / minidl's};  operations: multiplications and additions, or None;
    of_matmul: minidl's rate by that of a plain matrix product, or None.
    Raises Disagreement where the libraries do not compute the same.
    """
    steps = {label: make() for label, make in case.contestants(libraries).items()}
    if algorithms:
        step = steps.pop("minidl")
        steps = {f"minidl {name}": under(algorithm(name), step) for name in algorithms} | steps
    counted = check(case.name, steps)
    operations = case.operations or counted
    steps[PRODUCT], product_operations = matrix_product(device)
    times = {label: summary(samples) for label, samples in interleaved(steps, repeat).items()}
    best = {}
    for name in NAMES.values():
        if labels := [label for label in times if label.split()[0] == name]:
            best[name] = min(labels, key=lambda label: times[label]["median"])
    if "minidl auto" in times:              # what minidl chooses by itself, not what would have been best
        best["minidl"] = "minidl auto"
    ours = times[best["minidl"]]["median"]
    ratios = {name: times[label]["median"] / ours for name, label in best.items() if name != "minidl"}
    rate = product_operations / times[PRODUCT]["median"]
    return {"name": case.name, "section": case.section, "seconds": times, "best": best, "ratios": ratios,
            "operations": operations, "of_matmul": operations / ours / rate if operations else None}


def check(name, steps):
    """Call every step for the first time; the operations that PyTorch counts, or None.  Raises Disagreement."""
    norms, operations = {}, None
    for label, step in steps.items():
        if label.startswith("PyTorch") and operations is None:
            result, operations = count_operations(step)
        else:
            result = step()
        norms[label] = float(np.linalg.norm(to_host(result).astype("float64").ravel()))
    first = next(iter(norms.values()))
    if not all(abs(norm - first) <= TOLERANCE * first for norm in norms.values()):
        raise Disagreement(f"{name}: the libraries do not compute the same; norms of the first result: "
                           + ", ".join(f"{label} {norm:.6g}" for label, norm in norms.items()))
    return operations


def under(circumstances, step):
    """The step within a context, which is entered anew for every call."""
    def call():
        with circumstances():
            return step()
    return call


def algorithm(name):
    """A context in which minidl convolves with one algorithm."""
    @contextlib.contextmanager
    def chosen():
        before = os.environ.get("MINIDL_CONV")
        os.environ["MINIDL_CONV"] = name
        try:
            yield
        finally:
            if before is None:
                del os.environ["MINIDL_CONV"]
            else:
                os.environ["MINIDL_CONV"] = before
    return chosen
