"""What is tried on an answer: calls whose results, and their gradients, are those of the source."""
from collections.abc import Callable
from dataclasses import dataclass
import inspect

import numpy as np

from minidl import ops
from minidl.learn.answers import Wrong
from minidl.tensor import Tensor, grad

DIGITS = {"float64": 1e-9, "float32": 2e-4}         # how far results may be off, relative


@dataclass(frozen=True)
class Trial:
    """call(module, *inputs) with what `inputs` draw, as Tensors, or as arrays.

    words: what is special about it, for the message.
    """
    call: Callable
    inputs: tuple = ()
    words: str = ""
    arrays: bool = False
    dtypes: tuple = ("float64", "float32")

    def outcomes(self, module):
        """[(what was looked at, its value)], for each dtype: the results, then the gradients."""
        found = []
        names = list(inspect.signature(self.call).parameters)[1:]
        for dtype in self.dtypes:
            rng = np.random.default_rng(1)
            drawn = [np.asarray(draw(rng)) for draw in self.inputs]
            drawn = [a.astype(dtype) if a.dtype.kind == "f" else a for a in drawn]
            inputs = drawn if self.arrays else [Tensor(a, requires_grad=a.dtype.kind == "f")
                                                for a in drawn]
            results = _several(self.call(module, *inputs))
            where = self._where(names, drawn, dtype)
            found += [(f"result{f' {i}' * (len(results) > 1)}{where}", value, dtype)
                      for i, value in enumerate(results)]
            found += self._gradients(results, inputs, names, where, dtype)
        return found

    def _gradients(self, results, inputs, names, where, dtype):
        """The gradients of the sum of all results, each times random numbers."""
        rng = np.random.default_rng(2)
        outputs = [y for y in results if isinstance(y, Tensor) and y.requires_grad]
        leaves = [(name, x) for name, x in zip(names, inputs)
                  if isinstance(x, Tensor) and x.requires_grad]
        if not outputs or not leaves:
            return []
        total = sum(ops.sum(y * Tensor(rng.normal(size=y.shape), dtype=y.dtype)) for y in outputs)
        gradients = grad(total, [x for _, x in leaves])
        return [(f"gradient of argument {name!r}{where}", gradient, dtype)
                for (name, _), gradient in zip(leaves, gradients)]

    def _where(self, names, drawn, dtype):
        shown = ", ".join(f"{name} = {written(a)}" if a.size <= 6 and dtype == "float64"
                          else f"{name} of shape {a.shape}" for name, a in zip(names, drawn))
        return (f" {self.words}" * bool(self.words) + f" for {shown}" * bool(shown)
                + f" in {dtype}" * (dtype != "float64"))


def written(array):
    """An array as nested lists, rounded to read."""
    return str(np.round(array, 2).tolist() if array.dtype.kind == "f" else array.tolist())


def _several(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def compare(name, found, expected):
    """Raise Wrong, with the first thing that differs, unless all outcomes are as expected."""
    for (what, value, dtype), (wanted_what, wanted, _) in zip(found, expected):
        if what != wanted_what:                             # a result that is no longer recorded
            break
        _compare(f"{name}: {what}", value, wanted, DIGITS[dtype])
    if [what for what, *_ in found] != [what for what, *_ in expected]:
        missing = [w for w, *_ in expected if w not in [f for f, *_ in found]]
        if any("gradient" in what for what in missing):
            raise Wrong(f"{name}: the {missing[0]} is lost: the result is not computed by "
                        "differentiable operations of minidl")
        raise Wrong(f"{name} gives {_count(found)} results, expected {_count(expected)}")


def _count(outcomes):
    return sum(what.startswith("result") for what, *_ in outcomes)


def _compare(what, value, wanted, digits):
    if isinstance(wanted, Tensor) != isinstance(value, Tensor):
        raise Wrong(f"{what} is {_kind(value)}, expected {_kind(wanted)}")
    if value is None and wanted is not None:
        raise Wrong(f"{what} is None: is a return missing?")
    a, b = (np.asarray(x.numpy() if isinstance(x, Tensor) else x) for x in (value, wanted))
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        if not np.array_equal(a, b):
            raise Wrong(f"{what} is {value!r:.80}, expected {wanted!r:.80}")
        return
    if a.shape != b.shape:
        raise Wrong(f"{what} has shape {a.shape}, expected {b.shape}")
    if a.dtype != b.dtype and (hasattr(wanted, "dtype") or a.dtype.kind != b.dtype.kind):
        raise Wrong(f"{what} is {a.dtype}, expected {b.dtype}")
    size = np.max(np.abs(b), initial=0.0, where=np.isfinite(b)) if b.size else 0.0
    close = np.isclose(a, b, rtol=digits, atol=digits * float(size), equal_nan=True)
    if not close.all():
        at = tuple(map(int, np.argwhere(~close)[0]))
        place = f" at {at}" if at else ""
        raise Wrong(f"{what}{place} is {a[at]:.10g}, expected {b[at]:.10g}")


def _kind(value):
    if isinstance(value, Tensor):
        return "a Tensor"
    return "None: is a return missing?" if value is None else f"of type {type(value).__name__}"
