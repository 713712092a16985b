"""L-BFGS: Newton's method with a curvature estimated from past gradients, by SciPy's L-BFGS-B.

This file adds what SciPy lacks for pictures and networks.  It takes Tensors; it stops after exactly
as many evaluations as allowed; it gives the best point rather than the last; and it goes on from a
step that left the function's domain.
"""
from dataclasses import dataclass
import reprlib

import numpy as np

from minidl import backend, operands
from minidl.operands import operand
from minidl.recording import recording
from minidl.settings import bounded, whole
from minidl.tensor import Tensor, grad

STOPPED = "stopped by the callback"
SHORTER = 0.3           # of a step that leaves the domain: about where the next one is tried


@dataclass(frozen=True)
class Minimum:
    """What minimize_lbfgs found: the best x, the function's value there, how the search went.

    >>> found = minimize_lbfgs(lambda x: ((x - 3) ** 2).sum(), [0.0])
    >>> round(found.x.item(), 4), found.interrupted
    (3.0, False)
    """
    x: Tensor
    value: float
    evaluations: int
    message: str
    interrupted: bool


def minimize_lbfgs(function, x0, *, evaluations=100, bounds=None, callback=None, history=10,
                   first_step=None, ftol=2.2e-9, gtol=1e-5):
    """Find x that makes function(x) small, by L-BFGS-B.

    function: from a Tensor of x0's shape, dtype and device to a scalar Tensor.  Where its value or
        its gradient is not finite, the point counts as outside its domain: the step is shortened.
    evaluations: at most so many calls of function, each with its gradient; the search stops exactly
        there.
    bounds: between which x stays: one pair (low, high) for all entries, SciPy's list of such pairs,
        one for each entry in C order, or a scipy.optimize.Bounds.  None, or an infinity, is no
        bound.  (SciPy prepares bounds one by one, which takes about 3 µs each.)
    callback(evaluation, x, value) is called after each evaluation (counted from 1); it stops the
        search by raising StopIteration.  KeyboardInterrupt (Ctrl-C) stops it as well, and is noted
        in the result.
    history: how many past steps are remembered; memory on the host is about 16 · history bytes per
        entry of x.
    first_step: how far the entries of x move, on average, in the first step, when no curvature is
        known yet; later steps follow from the curvature.  None leaves it to SciPy, which tries
        −∂f/∂x itself where all bounds are finite, and otherwise a step of length 1.  To get the
        former, of the size asked for, the function is scaled (and with it what ftol and gtol look
        at), and the largest numbers of x's dtype stand for infinite bounds.
    ftol, gtol: stop where a step lowers the value by less than ftol · max(|value|, 1), or where no
        entry of the gradient exceeds gtol.
    Returns a Minimum with the best x that was evaluated.
    Raises TypeError where x0 is not floating-point, ValueError for settings out of range, where
    x0, the function there or its gradient there is not finite, and where function gives no scalar
    that depends on x; RuntimeError where function, not callback, raises StopIteration.
    Source: Byrd, Lu, Nocedal and Zhu 1995, in SciPy's implementation, on a flat float64 vector.

    >>> bowl = lambda x: ((x - [1.0, -2.0]) ** 2).sum()
    >>> minimize_lbfgs(bowl, [0.0, 0.0], bounds=(-1, 1)).x.numpy().round(4)
    array([ 1., -1.])
    """
    from scipy.optimize import minimize

    x0 = operand("minimize_lbfgs", x0, "x0")
    _check_start(x0)
    operands.function("minimize_lbfgs", "function", function, "x -> number")
    if callback is not None:
        operands.function("minimize_lbfgs", "callback", callback, "(evaluation, x, value)")
    evaluations = whole("minimize_lbfgs", "1 ≤ evaluations < inf", evaluations)
    history = whole("minimize_lbfgs", "1 ≤ history < inf", history)
    if first_step is not None:
        first_step = bounded("minimize_lbfgs", "0 < first_step < inf", first_step)
    options = {"maxfun": evaluations + 1, "maxiter": evaluations + 1, "maxcor": history,
               "ftol": bounded("minimize_lbfgs", "0 ≤ ftol < inf", ftol),
               "gtol": bounded("minimize_lbfgs", "0 ≤ gtol < inf", gtol)}
    search = _Search(function, x0, evaluations, callback, first_step)
    interrupted = False
    try:
        message = minimize(search, backend.to_host(x0.data).astype("float64").ravel(), jac=True,
                           method="L-BFGS-B", bounds=_bounds(bounds, x0, first_step is not None),
                           callback=search.accept, options=options).message
    except _Stop as stop:
        message = str(stop)
    except KeyboardInterrupt:
        message, interrupted = "interrupted", True
    return Minimum(search.best, search.value, search.count, message, interrupted)


def _check_start(x0):
    if x0.dtype.kind != "f":
        raise TypeError(f"minimize_lbfgs: x0 must be floating-point, for x moves in fractions, "
                        f"got {x0.dtype}")
    if x0.size == 0:
        raise ValueError(f"minimize_lbfgs: x0 has no entries, its shape is {x0.shape}")
    if not backend.of(x0.data).isfinite(x0.data).all():
        raise ValueError("minimize_lbfgs: x0 holds a NaN or an infinity")


def _bounds(given, x0, finite):
    """SciPy's Bounds for every entry of x0, in numbers that x0's dtype has, rounded inwards.

    finite: the largest numbers instead of infinities: then SciPy does not choose the first step.
    Raises ValueError for what cannot be understood, and where nothing lies between two bounds.
    """
    from scipy.optimize import Bounds

    if given is None and not finite:
        return None
    largest = np.finfo(x0.dtype).max if finite else np.inf
    ends = []
    for bound, inwards in zip(_ends(given, x0.size), (np.inf, -np.inf)):
        bound = np.clip(np.full(x0.size, bound, "float64"), -largest, largest)
        with np.errstate(over="ignore"):
            near = bound.astype(x0.dtype)
        outside = near < bound if inwards > 0 else near > bound
        ends.append(np.where(outside, np.nextafter(near, x0.dtype.type(inwards)), near))
    low, high = ends
    empty = ~(low <= high) | (low == np.inf) | (high == -np.inf)            # NaN is no bound
    if empty.any():
        i = int(empty.argmax())
        raise ValueError(f"minimize_lbfgs: bounds of entry {i} are ({low[i]}, {high[i]}), between "
                         f"which there is no {x0.dtype}")
    return Bounds(low, high)


def _ends(given, size):
    """(low, high), each one number or one for each entry, of bounds in any form."""
    if given is None:
        return -np.inf, np.inf
    try:
        if hasattr(given, "lb") and hasattr(given, "ub"):
            return np.full(size, given.lb, "float64"), np.full(size, given.ub, "float64")
        given = list(given)
        if len(given) == 2 and np.ndim(given[0]) == np.ndim(given[1]) == 0:
            return _pair(given)
        if len(given) == size:
            return np.array([_pair(pair) for pair in given]).T
    except (TypeError, ValueError):
        pass
    raise ValueError("minimize_lbfgs: bounds must be a pair (low, high) of numbers or None, or one "
                     f"such pair for each of the {size} entries of x0, got {reprlib.repr(given)}")


def _pair(pair):
    low, high = pair
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


class _Stop(Exception):
    """Why SciPy is left from within an evaluation: it looks at its limit between line searches."""


class _Search:
    """The function as SciPy sees it, and the best point so far."""

    def __init__(self, function, x0, evaluations, callback, first_step):
        self.function, self.evaluations, self.callback = function, evaluations, callback
        self.best, self.value, self.count = x0.detach(), float("inf"), 0
        self.first_step, self.scale = first_step, 1.0
        self.base = self.last = None        # (x, value, slopes) as SciPy saw them: see `beyond`

    def __call__(self, flat):
        """(value, ∂f/∂x) at a flat float64 vector, as SciPy is to see them."""
        x = Tensor(flat.reshape(self.best.shape), True, self.best.dtype, self.best.device)
        value, slopes = self.evaluate(x)
        inside = np.isfinite(value) and np.isfinite(slopes).all()
        if self.count == 1:
            self.begin(value, slopes)
        if -np.inf < value < self.value:        # also where its slope is infinite, as of √x at 0
            self.best, self.value = x.detach(), value
        self.tell(x.detach(), value)
        seen = (self.scale * value, self.scale * slopes) if inside else self.beyond(flat)
        self.last = (flat.copy(), *seen)
        self.base = self.base or self.last
        return seen

    def evaluate(self, x):
        """The function's value and, flat, its gradient."""
        try:
            with recording(True):               # also within no_grad()
                y = self.function(x)
        except StopIteration as error:
            raise RuntimeError("minimize_lbfgs: function raised StopIteration; only callback ends "
                               "the search with it") from error
        if not isinstance(y, Tensor) or y.size != 1 or not y.requires_grad:
            raise ValueError("minimize_lbfgs: function must return a scalar Tensor that depends on "
                             "x, got " + (f"shape {y.shape}" if isinstance(y, Tensor)
                                          else type(y).__name__))
        gradient, = grad(y, x)
        self.count += 1
        return y.item(), backend.to_host(gradient.data).astype("float64").ravel()

    def begin(self, value, slopes):
        """Refuse a start outside the domain; scale the function for the first step, −∂f/∂x."""
        if not np.isfinite(value):
            raise ValueError(f"minimize_lbfgs: function(x0) is {value}")
        if not np.isfinite(slopes).all():
            i = int(np.isfinite(slopes).argmin())
            raise ValueError(f"minimize_lbfgs: function(x0) is {value}, but entry {i} of its "
                             f"gradient there is {slopes[i]}")
        if self.first_step is not None and slopes.any():
            self.scale = self.first_step / abs(slopes).mean()

    def tell(self, x, value):
        """Call the callback, and stop where it is time to."""
        if self.callback is not None:
            try:
                self.callback(self.count, x, value)
            except StopIteration:
                raise _Stop(STOPPED) from None
        if self.count >= self.evaluations:
            raise _Stop(f"all {self.evaluations} evaluations used")

    def accept(self, x):
        """SciPy goes on from what it saw last."""
        self.base = self.last

    def beyond(self, flat):
        """(value, ∂f/∂x) to give to SciPy for a point outside the domain.

        From the point x that SciPy stepped from, the function is continued by the parabola with
        its value and slope at x whose minimum lies at SHORTER of the step s = flat − x:

            f(x) + ⟨∂f/∂x, s⟩ + c/2 ‖s‖²        c = −⟨∂f/∂x, s⟩ / (SHORTER · ‖s‖²)

        At its end it has risen above f(x).  So the line search turns back, and looks for a point
        near that minimum.  (Of a NaN SciPy's own line search makes further NaN.)
        """
        x, value, slopes = self.base
        step = flat - x
        fall = abs(slopes @ step)                   # −⟨∂f/∂x, s⟩: SciPy steps downhill
        rise = fall * (0.5 / SHORTER - 1)
        return value + rise, slopes + fall / (SHORTER * (step @ step)) * step
