"""One case, measured in all libraries, and what follows from the times."""
import os
import statistics

import numpy as np

from .libraries import NAMES, to_host
from .measuring import count_operations, interleaved, matrix_product, summary

PRODUCT = "matmul"
TOLERANCE = 1e-3


class Disagreement(Exception):
    """The libraries did not compute the same."""


def compare(case, libraries, repeat, device="cpu", algorithms=()):
    """Measure a case.  algorithms: values of MINIDL_CONV; minidl then takes part once with each.

    Gives name, section;  seconds: {label: median, lower, upper, samples};  best: {library: label of
    its faster layout, or of minidl's own choice};  ratios: {library: its time / minidl's};
    operations: multiplications and additions, or None;
    product_rate: operations a second of a plain matrix product.
    Raises Disagreement where the libraries do not compute the same.
    """
    steps = {label: make() for label, make in case.contestants(libraries).items()}
    if algorithms:
        step = steps.pop("minidl")
        steps = {f"minidl {name}": with_algorithm(name, step) for name in algorithms} | steps
    counted = check(case.name, steps)
    operations = case.operations or counted
    steps[PRODUCT], product_operations = matrix_product(device)
    times = {label: summary(samples) for label, samples in interleaved(steps, repeat).items()}
    best = {}
    for name in NAMES.values():
        if labels := [label for label in times if label.split()[0] == name]:
            best[name] = min(labels, key=lambda label: times[label]["median"])
    if "minidl auto" in times:  # what minidl chooses by itself, not what would have been best
        best["minidl"] = "minidl auto"
    ours = times[best["minidl"]]["median"]
    ratios = {name: times[label]["median"] / ours for name, label in best.items()
              if name != "minidl"}
    return {"name": case.name, "section": case.section, "seconds": times, "best": best,
            "ratios": ratios,
            "operations": operations, "product_rate": product_operations / times[PRODUCT]["median"]}


def relate_to_product(records):
    """of_matmul: minidl's rate in each case by that of the plain product, in the median of all
    cases; or None."""
    rate = statistics.median(record["product_rate"] for record in records) if records else None
    for record in records:
        seconds = record["seconds"][record["best"]["minidl"]]["median"]
        record["of_matmul"] = (
            record["operations"] / seconds / rate if record["operations"] else None
        )


def check(name, steps):
    """Call every step for the first time; the operations that PyTorch counts, or None.  Raises
    Disagreement."""
    norms, operations = {}, None
    for label, step in steps.items():
        if label.startswith("PyTorch") and operations is None:
            result, operations = count_operations(step)
        else:
            result = step()
        norms[label] = float(np.linalg.norm(to_host(result).astype("float64").ravel()))
    first = next(iter(norms.values()))
    if not all(abs(norm - first) <= TOLERANCE * first for norm in norms.values()):
        raise Disagreement(f"{name}: the libraries do not compute the same; norms of the first "
                           "result: "
                           + ", ".join(f"{label} {norm:.6g}" for label, norm in norms.items()))
    return operations


def with_algorithm(name, step):
    """The step, in which minidl convolves with one algorithm."""
    def call():
        before = os.environ.get("MINIDL_CONV")
        os.environ["MINIDL_CONV"] = name
        try:
            return step()
        finally:
            if before is None:
                del os.environ["MINIDL_CONV"]
            else:
                os.environ["MINIDL_CONV"] = before
    return call
