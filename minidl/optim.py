"""Optimisers: how parameters w follow their gradients g downhill.  The rules are PyTorch's.

    SGD         v ← μ v + g               then   w ← w − η v
    Adagrad     s ← s + g²                then   w ← w − η g / (√s + ε)
    RMSprop     s ← ρ s + (1 − ρ) g²      then   w ← w − η g / (√s + ε)
    Adam        m̂, ŝ: means of g and g²   then   w ← w − η m̂ / (√ŝ + ε)

    SGD, Adagrad, RMSprop, Adam     as above
    AdamW                           Adam with decoupled weight decay
    Optimizer                       what they share; yours is a subclass with `update`
    minimize_lbfgs, Minimum         SciPy's L-BFGS-B for a function of one Tensor (`minimize.py`)

    optimizer = Adam(net.parameters(), learning_rate=1e-3)
    for x, labels in batches:
        optimizer.zero_grad()
        cross_entropy(net(x), labels).backward()
        optimizer.step()

η is `learning_rate`, which may be assigned between steps (a schedule); λ is `weight_decay`.
A parameter without a gradient is not moved.  Steps put a new array into `parameter.data` and
change none in place.  float16 parameters are updated in float32, and their state is kept in
float32: in float16, a small g² or ε would be 0.  ε is at least 1e-37, which float32 can hold: so
where all g were 0, g / (√s + ε) is not 0 / 0.  An `elementwise` function runs in several threads,
or as one kernel of a GPU.  There an expression of numbers alone, as 1 − β, would be float64, and
make float64 of float32 arrays.  So it is computed outside, and passed in.
"""
import math

from minidl import backend, names, states
from minidl.kernels import accumulator, elementwise
from minidl.minimize import Minimum, minimize_lbfgs  # public here, too
from minidl.operands import operand
from minidl.settings import EPS, bounded
from minidl.tensor import Tensor, constant

__all__ = ["Adagrad", "Adam", "AdamW", "Minimum", "Optimizer", "RMSprop", "SGD", "minimize_lbfgs"]


class Optimizer:
    """What all rules share.  A subclass gives `update(w, g, state)`: the new w, from arrays.

    state is this parameter's own dictionary, kept from step to step: the names in `remembers` are
    its keys, and arrays like w its values.  `load_state_dict` checks two names further: "step" is a
    whole number ≥ 1, and "square", of which a root is taken, has no negative entry.
    parameters: leaf Tensors in an order, each once; constants (frozen) among them are not moved.
    Raises TypeError for what is no Tensor; ValueError for an operation's result, one given twice,
    an empty list, and settings out of range.

    >>> class Signs(Optimizer):
    ...     def update(self, w, g, state):
    ...         return w - self.learning_rate * (g > 0) + self.learning_rate * (g < 0)
    >>> w = Tensor([1.0, -1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Signs(w, 0.5).step()
    >>> w
    tensor([ 0.5, -0.5], float64, requires_grad=True)
    """
    remembers = ()

    def __init_subclass__(cls, **options):
        """Wraps the subclass's __init__: of an unknown keyword lr the error says learning_rate."""
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = names.told(cls.__init__)

    def __init__(self, parameters, learning_rate, weight_decay=0.0):
        self.parameters = _leaves(type(self).__name__, parameters)
        self.learning_rate = learning_rate
        self.weight_decay = self._setting("0 ≤ weight_decay < inf", weight_decay)
        self.state = [{} for _ in self.parameters]

    @property
    def learning_rate(self):
        """The step size η, 0 ≤ η < ∞."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate = self._setting("0 ≤ learning_rate < inf", value)

    def _setting(self, condition, value):
        return bounded(type(self).__name__, condition, value)

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            if parameter.grad is not None:      # a constant refuses what is assigned, None too
                parameter.grad = None

    def step(self):
        """Move every parameter that has a gradient.

        Raises ValueError where a gradient, what `update` gives, or what is remembered has not the
        parameter's shape, and for what `update` keeps in state without a place in `remembers`.
        """
        for i, (parameter, state) in enumerate(zip(self.parameters, self.state)):
            gradient = parameter.grad
            if gradient is not None:
                # operand sees whether an array was assigned to the parameter's data
                w = operand(type(self).__name__, parameter, f"parameters[{i}]").data
                dtype, wide = w.dtype, accumulator(w.dtype)
                w, g = w.astype(wide, copy=False), gradient.data.astype(wide, copy=False)
                self._check(i, w.shape, {"gradient": g, **state})
                if self.weight_decay:
                    w, g = map(_array, self.decay(w, g))
                moved = self.update(w, g, state)
                self._check(i, w.shape, {"update()": moved, **state})
                parameter.data = _array(moved).astype(dtype, copy=False)

    def _check(self, i, shape, arrays):
        owner = type(self).__name__
        for name, value in arrays.items():
            if type(value) is not int and getattr(value, "shape", None) != shape:
                found = getattr(value, "shape", f"is a {type(value).__name__}")
                raise ValueError(f"{owner}: parameters[{i}] has shape {shape}, its {name} {found}")
            if name not in ("gradient", "update()", *self.remembers):
                raise ValueError(f"{owner}: update() keeps {name!r} in state; name it in "
                                 f"{owner}.remembers, so that it can be loaded again")

    def decay(self, w, g):
        """g ← g + λ w: the gradient of λ/2 ‖w‖² added."""
        return w, g + self.weight_decay * w

    def remembered(self, state, g):
        """The arrays in `state`, in the order of `remembers`, without the step; at first zeros."""
        zeros = backend.of(g).zeros_like
        return [state[name] if name in state else zeros(g)
                for name in self.remembers if name != "step"]

    def update(self, w, g, state):
        raise NotImplementedError(f"{type(self).__name__} has no update()")

    def state_dict(self):
        """The learning rate, and what is remembered of parameter i under "i.name".

        It is a snapshot that `save` can write.
        """
        entries = {f"{i}.{name}": value if isinstance(value, int) else constant(value)
                   for i, state in enumerate(self.state) for name, value in state.items()}
        return {"learning_rate": self.learning_rate} | entries

    def load_state_dict(self, state):
        """Go on from a state_dict.

        Where entries are missing, unexpected or do not fit the parameters, one ValueError lists
        them all, and nothing is changed.  (A parameter that was never moved has none.)
        """
        given, problems = states.entries(type(self).__name__, state), []
        rate = given.pop("learning_rate", None)
        if rate is None:
            problems.append("learning_rate is missing")
        elif rate.size != 1 or not 0 <= rate.item() < math.inf:
            problems.append(f"learning_rate must be one number, 0 ≤ η < inf, got {rate}")
        places = {f"{i}.{name}": (i, name) for i in range(len(self.parameters))
                  for name in self.remembers}
        loaded = [{} for _ in self.parameters]
        for key, value in given.items():
            if key not in places:
                problems.append(f"{key} is unexpected")
                continue
            i, name = places[key]
            loaded[i][name] = states.kept(problems, key, name, value, self.parameters[i].data)
        problems += [f"{i}.{name} is missing" for i, found in enumerate(loaded)
                     for name in self.remembers if found and name not in found]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: " + "; ".join(problems))
        self.learning_rate = rate.item()
        self.state = loaded


def _array(x):
    """x as an array: NumPy turns results without axes into scalars."""
    return constant(x).data


def _leaves(owner, parameters):
    """Parameters as a list of leaves in an order, each once."""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    if not hasattr(parameters, "__iter__") or isinstance(parameters, (set, frozenset)):
        raise TypeError(f"{owner}: parameters must be Tensors in an order, as net.parameters() "
                        f"gives them, got {type(parameters).__name__}")
    parameters = list(parameters)
    if not parameters:
        raise ValueError(f"{owner}: there are no parameters to optimise")
    for i, parameter in enumerate(parameters):
        if not isinstance(parameter, Tensor):
            raise TypeError(f"{owner}: parameters[{i}] must be a Tensor, "
                            f"got {type(parameter).__name__}")
        if parameter.node is not None and parameter.node.inputs:
            raise ValueError(f"{owner}: parameters[{i}] is the result of an operation, not a leaf: "
                             "it gets no .grad")
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise ValueError(f"{owner}: a parameter is given twice; it would be moved twice")
    return parameters


class SGD(Optimizer):
    """Stochastic gradient descent.

    g ← g + λ w
    v ← μ v + g                     (μ: momentum, 0 ≤ μ < 1; v starts at 0)
    w ← w − η v,   or with nesterov   w ← w − η (g + μ v)
    Raises ValueError for settings out of range, and for nesterov without momentum.
    Source: Sutskever et al. 2013, in PyTorch's form, where η multiplies the velocity.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()                        # g = 2 w
    >>> SGD(w, learning_rate=0.1).step()
    >>> w
    tensor([0.8, 1.6], float64, requires_grad=True)
    """

    def __init__(self, parameters, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.momentum = self._setting("0 ≤ momentum < 1", momentum)
        if nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov looks ahead along the momentum, which is 0")
        self.nesterov = nesterov
        self.remembers = ("velocity",) if self.momentum else ()

    def update(self, w, g, state):
        eta, mu = self.learning_rate, self.momentum
        if not mu:
            return _descended(w, g, eta)
        v, = self.remembered(state, g)
        step = _nesterov_step if self.nesterov else _momentum_step
        w, state["velocity"] = step(w, g, v, eta, mu)
        return w


@elementwise
def _descended(w, g, eta):
    return w - eta * g


@elementwise
def _momentum_step(w, g, v, eta, mu):
    v = mu * v + g
    return w - eta * v, v


@elementwise
def _nesterov_step(w, g, v, eta, mu):
    v = mu * v + g
    return w - eta * (g + mu * v), v


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    g ← g + λ w
    s ← s + g²                      (s starts at 0)
    w ← w − η g / (√s + ε)
    Raises ValueError for settings out of range.
    Source: Duchi, Hazan and Singer 2011.

    >>> w = Tensor([1.0, 200.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Adagrad(w, learning_rate=0.1).step()            # the first step has size η, for small g too
    >>> w
    tensor([  0.9, 199.9], float64, requires_grad=True)
    """
    remembers = ("square",)

    def __init__(self, parameters, learning_rate=1e-2, eps=1e-10, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.eps = self._setting(EPS, eps)

    def update(self, w, g, state):
        s, = self.remembered(state, g)
        w, state["square"] = _adagrad_step(w, g, s, self.learning_rate, self.eps)
        return w


@elementwise
def _adagrad_step(w, g, s, eta, eps):
    s = s + g * g
    return w - eta * g / (s ** 0.5 + eps), s


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients.

    g ← g + λ w
    s ← ρ s + (1 − ρ) g²            (ρ: smoothing, 0 ≤ ρ < 1; s starts at 0)
    v ← μ v + g / (√s + ε)          (μ: momentum, 0 ≤ μ < 1; v starts at 0)
    w ← w − η v
    Raises ValueError for settings out of range.
    Source: Tieleman and Hinton 2012.

    >>> w = Tensor([1.0, 200.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> RMSprop(w, learning_rate=0.01, smoothing=0.99).step()      # at first η / √(1 − ρ) = 0.1
    >>> w
    tensor([  0.9, 199.9], float64, requires_grad=True)
    """

    def __init__(self, parameters, learning_rate=1e-2, smoothing=0.99, eps=1e-8, momentum=0.0,
                 weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.smoothing = self._setting("0 ≤ smoothing < 1", smoothing)
        self.eps = self._setting(EPS, eps)
        self.momentum = self._setting("0 ≤ momentum < 1", momentum)
        self.remembers = ("square", "velocity") if self.momentum else ("square",)

    def update(self, w, g, state):
        rho, mu = self.smoothing, self.momentum
        s, *velocity = self.remembered(state, g)                # velocity: [v], [] where μ = 0
        scaled, state["square"] = _scaled_by_root(g, s, rho, 1 - rho, self.eps)
        if not mu:
            return _descended(w, scaled, self.learning_rate)
        w, state["velocity"] = _momentum_step(w, scaled, *velocity, self.learning_rate, mu)
        return w


@elementwise
def _scaled_by_root(g, s, rho, rest, eps):
    """g / (√s + ε), and the new s, the mean of g²; rest is 1 − ρ."""
    s = rho * s + rest * (g * g)
    return g / (s ** 0.5 + eps), s


class Adam(Optimizer):
    """Moving averages of the gradient and of its square, bias-corrected: they start at 0.

    g ← g + λ w
    m ← β₁ m + (1 − β₁) g,          s ← β₂ s + (1 − β₂) g²       (the paper's v)
    m̂ = m / (1 − β₁ᵗ),              ŝ = s / (1 − β₂ᵗ)            at step t = 1, 2, …
    w ← w − η m̂ / (√ŝ + ε)
    betas: (β₁, β₂), each 0 ≤ β < 1.
    Raises ValueError for settings out of range, TypeError where betas is no pair.
    Source: Kingma and Ba 2015.

    >>> w = Tensor([1.0, 200.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Adam(w, learning_rate=0.1).step()
    >>> w
    tensor([  0.9, 199.9], float64, requires_grad=True)
    """
    remembers = ("step", "mean", "square")

    def __init__(self, parameters, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8,
                 weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{type(self).__name__}: betas must be a pair (β₁, β₂), got {betas!r}")
        self.betas = tuple(self._setting("0 ≤ beta < 1", beta) for beta in betas)
        self.eps = self._setting(EPS, eps)

    def update(self, w, g, state):
        beta1, beta2 = self.betas
        state["step"] = t = state.get("step", 0) + 1
        m, s = self.remembered(state, g)
        w, state["mean"], state["square"] = _adam_step(
            w, g, m, s, beta1, beta2, 1 - beta1, 1 - beta2, 1 - beta1 ** t, 1 - beta2 ** t,
            self.learning_rate, self.eps)
        return w


@elementwise
def _adam_step(w, g, m, s, beta1, beta2, rest1, rest2, correction1, correction2, eta, eps):
    """w, m and s after the step; rest is 1 − β, correction is 1 − βᵗ."""
    m = beta1 * m + rest1 * g
    s = beta2 * s + rest2 * (g * g)
    m_hat = m / correction1
    s_hat = s / correction2
    return w - eta * m_hat / (s_hat ** 0.5 + eps), m, s


class AdamW(Adam):
    """Adam whose weight decay shrinks w directly, w ← (1 − η λ) w, and is no part of the averages.

    Raises ValueError for settings out of range.
    Source: Loshchilov and Hutter 2019.

    >>> w = Tensor([1.0], requires_grad=True)
    >>> (w * 0).sum().backward()
    >>> AdamW(w, learning_rate=0.1, weight_decay=0.5).step()
    >>> w
    tensor([0.95], float64, requires_grad=True)
    """

    def __init__(self, parameters, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8,
                 weight_decay=1e-2):
        super().__init__(parameters, learning_rate, betas, eps, weight_decay)

    def decay(self, w, g):
        """w ← (1 − η λ) w"""
        return (1 - self.learning_rate * self.weight_decay) * w, g


def __getattr__(name):
    raise AttributeError(names.unknown("minidl.optim", name))
