"""Optimisers: how parameters w follow their gradients g downhill.  The rules are PyTorch's, step for step.

    optimizer = Adam(net.parameters(), learning_rate=1e-3)
    for x, labels in batches:
        optimizer.zero_grad()
        cross_entropy(net(x), labels).backward()
        optimizer.step()

η is `learning_rate`, which may be assigned between steps (a schedule); λ is `weight_decay`.  A parameter without a
gradient is left alone.  Steps put a new array into `parameter.data` and change none in place.
"""
from dataclasses import dataclass
import functools
import math

from minidl import backend
from minidl.kernels.memory import empty
from minidl.kernels.workers import even, share
from minidl.operands import operand
from minidl.tensor import Tensor, constant, grad

STRIP = 2 ** 20         # bytes of a parameter that are updated at once


def entrywise(update):
    """For an `update` that acts entry by entry: on the CPU it is given large arrays a strip at a time, on all threads, so
    that what it makes in between stays in the cache."""
    @functools.wraps(update)
    def in_strips(self, w, g, state):
        if w.nbytes <= STRIP or backend.of(w) is not backend.CPU.module:
            return update(self, w, g, state)
        before, gradient, moved = w.reshape(-1), g.reshape(-1), empty((w.size,), w.dtype)
        remembered = {name: value if isinstance(value, int) else value.reshape(-1) for name, value in state.items()}
        arrays = {name: empty((w.size,), w.dtype) for name in self.remembers}

        def move(part):
            own = {name: value if isinstance(value, int) else value[part] for name, value in remembered.items()}
            moved[part] = update(self, before[part], gradient[part], own)
            for name, value in own.items():
                if not isinstance(value, int):
                    arrays[name][part] = value
            return own

        own, *_ = share(move, even(w.size, math.ceil(w.nbytes / STRIP)), backend.CPU.module)
        for name, value in own.items():
            state[name] = value if isinstance(value, int) else arrays[name].reshape(w.shape)
        return moved.reshape(w.shape)
    return in_strips


class Optimizer:
    """What all rules share.  A subclass gives `update(w, g, state)`: the new w, from arrays; state is the dictionary in
    which it remembers something of this parameter from step to step, under the names in `remembers`: whole numbers, or
    arrays like w."""
    remembers = ()

    def __init__(self, parameters, learning_rate, weight_decay=0.0):
        name = type(self).__name__
        self.parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not self.parameters:
            raise ValueError(f"{name}: there are no parameters to optimise")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: parameters[{i}] must be a Tensor, got {type(parameter).__name__}")
            if parameter.node is not None and parameter.node.inputs:
                raise ValueError(f"{name}: parameters[{i}] is the result of an operation, not a leaf: it gets no .grad")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ValueError(f"{name}: a parameter is given twice; it would be moved twice")
        if not weight_decay >= 0:
            raise ValueError(f"{name}: weight_decay must not be negative, got {weight_decay}")
        self.learning_rate = learning_rate
        self.weight_decay = float(weight_decay)     # a NumPy number would turn float32 parameters into float64
        self.state = [{} for _ in self.parameters]

    @property
    def learning_rate(self):
        """The step size η."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        if not value >= 0:
            raise ValueError(f"{type(self).__name__}: learning_rate must not be negative, got {value}")
        self._learning_rate = float(value)

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad = None

    def step(self):
        """Move every parameter that has a gradient."""
        for parameter, state in zip(self.parameters, self.state):
            gradient = parameter.grad
            if gradient is not None:
                w, g = parameter.data, gradient.data
                if self.weight_decay:
                    w, g = self.decay(w, g)
                parameter.data = constant(self.update(w, g, state)).data    # NumPy makes a scalar of one number

    def decay(self, w, g):
        """g ← g + λ w: the gradient of λ/2 ‖w‖² added."""
        return w, g + self.weight_decay * w

    def update(self, w, g, state):
        raise NotImplementedError(f"{type(self).__name__} has no update()")

    def state_dict(self):
        """The learning rate, and what is remembered of parameter i under "i.name"; a snapshot that `save` can write."""
        remembered = {f"{i}.{name}": value if isinstance(value, int) else constant(value)
                      for i, state in enumerate(self.state) for name, value in state.items()}
        return {"learning_rate": self.learning_rate} | remembered

    def load_state_dict(self, state):
        """Go on from a state_dict.  Raises ValueError, and changes nothing, where it does not fit the parameters."""
        problems = [] if "learning_rate" in state else ["learning_rate is missing"]
        loaded = [{} for _ in self.parameters]
        for key, value in state.items():
            i, _, name = key.partition(".")
            value = operand("load_state_dict", value, key)
            if i.isdigit() and int(i) < len(loaded) and name in self.remembers:
                w = self.parameters[int(i)].data
                if name == "step":
                    loaded[int(i)][name] = int(value)
                elif value.shape == w.shape:
                    loaded[int(i)][name] = backend.move(value.data.astype(w.dtype), backend.device_of(w))
                else:
                    problems.append(f"{key} has shape {value.shape}, its parameter {w.shape}")
            elif key != "learning_rate":
                problems.append(f"{key} is unexpected")
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: " + "; ".join(problems))
        self.learning_rate, self.state = float(state["learning_rate"]), loaded


class SGD(Optimizer):
    """Stochastic gradient descent.

    g ← g + λ w
    v ← μ v + g                     (μ: momentum; v starts at 0)
    w ← w − η v,   or with nesterov   w ← w − η (g + μ v)
    Source: Sutskever et al. 2013, in PyTorch's form, where η multiplies the velocity.
    """
    remembers = ("velocity",)

    def __init__(self, parameters, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum must be in 0 ≤ momentum < 1, got {momentum}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov looks ahead along the momentum, which is 0")
        self.momentum, self.nesterov = float(momentum), nesterov

    @entrywise
    def update(self, w, g, state):
        if self.momentum:
            v = state["velocity"] = self.momentum * state.get("velocity", 0.0) + g
            g = g + self.momentum * v if self.nesterov else v
        return w - self.learning_rate * g


class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients so far.

    g ← g + λ w
    s ← s + g²                      (s starts at 0)
    w ← w − η g / (√s + ε)
    Source: Duchi, Hazan and Singer 2011.
    """
    remembers = ("square",)

    def __init__(self, parameters, learning_rate=1e-2, eps=1e-10, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.eps = float(eps)

    @entrywise
    def update(self, w, g, state):
        s = state["square"] = state.get("square", 0.0) + g * g
        return w - self.learning_rate * g / (s ** 0.5 + self.eps)


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients.

    g ← g + λ w
    s ← ρ s + (1 − ρ) g²            (ρ: smoothing; s starts at 0)
    v ← μ v + g / (√s + ε)          (μ: momentum; v starts at 0)
    w ← w − η v
    Source: Tieleman and Hinton 2012.
    """
    remembers = ("square", "velocity")

    def __init__(self, parameters, learning_rate=1e-2, smoothing=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.smoothing, self.eps, self.momentum = float(smoothing), float(eps), float(momentum)

    @entrywise
    def update(self, w, g, state):
        s = state["square"] = self.smoothing * state.get("square", 0.0) + (1 - self.smoothing) * (g * g)
        v = g / (s ** 0.5 + self.eps)
        if self.momentum:
            v = state["velocity"] = self.momentum * state.get("velocity", 0.0) + v
        return w - self.learning_rate * v


class Adam(Optimizer):
    """Moving averages of the gradient and of its square, freed of their start at 0.

    g ← g + λ w
    m ← β₁ m + (1 − β₁) g,          v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ),              v̂ = v / (1 − β₂ᵗ)            at step t = 1, 2, …
    w ← w − η m̂ / (√v̂ + ε)
    Source: Kingma and Ba 2015.
    """
    remembers = ("step", "mean", "square")

    def __init__(self, parameters, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be in 0 ≤ beta < 1, got {betas}")
        self.betas, self.eps = tuple(map(float, betas)), float(eps)

    @entrywise
    def update(self, w, g, state):
        beta1, beta2 = self.betas
        t = state["step"] = state.get("step", 0) + 1
        m, v = (state[name] if name in state else 0.0 * g for name in ("mean", "square"))       # arrays, for `fused`
        w, state["mean"], state["square"] = self._moved(w, g, m, v, beta1, beta2, 1 - beta1, 1 - beta2, 1 - beta1 ** t,
                                                        1 - beta2 ** t, self.learning_rate, self.eps)
        return w

    @staticmethod
    @backend.fused
    def _moved(w, g, m, v, beta1, beta2, beta1_rest, beta2_rest, beta1_sum, beta2_sum, eta, eps):
        """w, m and v after the step; rest is 1 − β, sum is 1 − βᵗ."""
        m = beta1 * m + beta1_rest * g
        v = beta2 * v + beta2_rest * (g * g)
        m_hat, v_hat = m / beta1_sum, v / beta2_sum
        return w - eta * m_hat / (v_hat ** 0.5 + eps), m, v


class AdamW(Adam):
    """Adam whose weight decay shrinks w directly, w ← (1 − η λ) w, and stays out of the averages.

    Source: Loshchilov and Hutter 2019.
    """

    def __init__(self, parameters, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, learning_rate, betas, eps, weight_decay)

    def decay(self, w, g):
        """w ← (1 − η λ) w"""
        return (1 - self.learning_rate * self.weight_decay) * w, g


@dataclass(frozen=True)
class Minimum:
    """What minimize_lbfgs found: the best x, the function's value there, and how the search went."""
    x: Tensor
    value: float
    evaluations: int
    message: str
    interrupted: bool


def minimize_lbfgs(function, x0, *, evaluations=100, bounds=None, callback=None, history=10, first_step=None,
                   ftol=2.2e-9, gtol=1e-5):
    """Find x that makes function(x) small, by L-BFGS-B: Newton's method with a curvature estimated from past gradients.

    function: from a Tensor of x0's shape, dtype and device to a scalar Tensor.
    evaluations: at most so many calls of function, each with its gradient; the search stops exactly there.
    bounds: (low, high), numbers or None, between which every entry of x stays (SciPy prepares them one by one, which
    takes about 3 µs each).
    callback(evaluation, x, value) is called after each evaluation (counted from 1); it stops the search by raising
    StopIteration.  KeyboardInterrupt (Ctrl-C) stops it as well, and is noted in the result.
    history: how many past steps are remembered; memory on the host is about 16 · history bytes per entry of x.
    first_step: how far the entries of x move, on average, in the first step, when no curvature is known yet; later steps
        follow from the curvature.  So the function is scaled, and what ftol and gtol look at, and SciPy prepares bounds.
        None leaves it to SciPy, which tries −∂f/∂x itself where both bounds are finite, and otherwise a step of length 1.
    ftol, gtol: stop where a step lowers the value by less than ftol · max(|value|, 1), or where no entry of the
        gradient exceeds gtol.
    Returns a Minimum with the best x that was evaluated.  Raises ValueError where function gives no scalar that
    depends on x, or the first value is not finite; a later value that is not finite stops the search.
    Source: Byrd, Lu, Nocedal and Zhu 1995, in SciPy's implementation, on a flat float64 vector.
    """
    import numpy as np
    from scipy.optimize import Bounds, minimize

    x0 = operand("minimize_lbfgs", x0, "x0")
    if evaluations < 1:
        raise ValueError(f"minimize_lbfgs: evaluations must be at least 1, got {evaluations}")
    search = _Search(function, x0, evaluations, callback, first_step)
    if bounds is not None or first_step is not None:
        largest = np.inf if first_step is None else np.finfo(x0.dtype).max      # finite, for SciPy not to choose the step
        given = (None, None) if bounds is None else bounds
        low, high = (sign * largest if bound is None else np.clip(bound, -largest, largest)
                     for bound, sign in zip(given, (-1, 1)))
        bounds = Bounds(np.full(x0.size, low, x0.dtype), np.full(x0.size, high, x0.dtype))
    settings = {"maxfun": evaluations + 1, "maxiter": evaluations + 1, "maxcor": history, "ftol": ftol, "gtol": gtol}
    interrupted = False
    try:
        message = minimize(search, backend.to_host(x0.data).astype("float64").ravel(), jac=True, method="L-BFGS-B",
                           bounds=bounds, options=settings).message
    except _Stop as stop:
        message = str(stop)
    except StopIteration:
        message = "stopped by the callback"
    except KeyboardInterrupt:
        message, interrupted = "interrupted", True
    return Minimum(search.x, search.value, search.count, message, interrupted)


class _Stop(Exception):
    """Why SciPy is left from within an evaluation: its own limit is only looked at between line searches."""


class _Search:
    """The function as SciPy sees it, and the best point so far."""

    def __init__(self, function, x0, evaluations, callback, first_step):
        self.function, self.evaluations, self.callback = function, evaluations, callback
        self.x, self.value, self.count = x0.detach(), float("inf"), 0
        self.first_step, self.scale = first_step, 1.0

    def __call__(self, flat):
        """(value, gradient) at a flat float64 vector."""
        x = Tensor(flat.reshape(self.x.shape), True, self.x.dtype, self.x.device)
        y = self.function(x)
        if not isinstance(y, Tensor) or y.size != 1 or not y.requires_grad:
            raise ValueError("minimize_lbfgs: function must return a scalar Tensor that depends on x, got "
                             + (f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__))
        gradient, = grad(y, x)
        value = y.item()
        self.count += 1
        self.look(x.detach(), value)
        slopes = backend.to_host(gradient.data).astype("float64").ravel()
        if self.count == 1 and self.first_step is not None and slopes.any():
            self.scale = self.first_step / abs(slopes).mean()       # the first step is −∂f/∂x of what SciPy sees
        return self.scale * value, self.scale * slopes

    def look(self, x, value):
        """Keep x if it is the best so far, tell the callback, and stop where it is time to."""
        if not abs(value) < float("inf"):
            if self.count == 1:
                raise ValueError(f"minimize_lbfgs: function(x0) is {value}")
            raise _Stop(f"evaluation {self.count} gave {value}")
        if value < self.value:
            self.x, self.value = x, value
        if self.callback is not None:
            self.callback(self.count, x, value)
        if self.count >= self.evaluations:
            raise _Stop(f"all {self.evaluations} evaluations used")
