"""Nonlinearities as layers.  The mathematics stands in `ops/activation.py`."""
from minidl import ops
from minidl.nn.module import Pointwise, changed
from minidl.operands import integer
from minidl.settings import learnable


class ReLU(Pointwise):
    """max(x, 0), entry by entry; see `ops.relu`.

    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.], float64)
    """

    def forward(self, x):
        return ops.relu(x)


class LeakyReLU(Pointwise):
    """x where x > 0, slope · x elsewhere; see `ops.leaky_relu`.

    slope: 0 ≤ slope < ∞; a Parameter of zero dimensions, in x's dtype, is learned (PReLU).

    >>> LeakyReLU(0.1)([-1.0, 2.0])
    tensor([-0.1,  2. ], float64)
    """

    def __init__(self, slope=0.01):
        self.slope = learnable("LeakyReLU", "0 ≤ slope < inf", slope)

    def forward(self, x):
        return ops.leaky_relu(x, self.slope)

    def details(self):
        return f"{float(self.slope)}"


class ELU(Pointwise):
    """x where x > 0, alpha · (eˣ − 1) elsewhere; see `ops.elu`.

    alpha: 0 ≤ alpha < ∞; a Parameter of zero dimensions, in x's dtype, is learned.

    >>> ELU()([-1.0, 2.0])
    tensor([-0.632121,  2.      ], float64)
    """

    def __init__(self, alpha=1.0):
        self.alpha = learnable("ELU", "0 ≤ alpha < inf", alpha)

    def forward(self, x):
        return ops.elu(x, self.alpha)

    def details(self):
        return f"{float(self.alpha)}"


class GELU(Pointwise):
    """x Φ(x), entry by entry; see `ops.gelu`.

    >>> GELU()([-1.0, 2.0])
    tensor([-0.158655,  1.9545  ], float64)
    """

    def forward(self, x):
        return ops.gelu(x)


class Sigmoid(Pointwise):
    """1 / (1 + e^(−x)), entry by entry; see `ops.sigmoid`.

    >>> Sigmoid()([0.0])
    tensor([0.5], float64)
    """

    def forward(self, x):
        return ops.sigmoid(x)


class Tanh(Pointwise):
    """Hyperbolic tangent, entry by entry; see `ops.tanh`.

    >>> Tanh()([0.0, 1.0])
    tensor([0.      , 0.761594], float64)
    """

    def forward(self, x):
        return ops.tanh(x)


class Softplus(Pointwise):
    """log(1 + eˣ), entry by entry; see `ops.softplus`.

    >>> Softplus()([0.0])
    tensor([0.693147], float64)
    """

    def forward(self, x):
        return ops.softplus(x)


class Softmax(Pointwise):
    """eˣⁱ / Σⱼ eˣʲ along an axis, by default the last; see `ops.softmax`.

    Losses take the logits before it, not its output.  Raises TypeError unless axis is an integer.

    >>> Softmax()([0.0, 0.0])
    tensor([0.5, 0.5], float64)
    """

    def __init__(self, axis=-1):
        self.axis = integer("Softmax", "axis", axis)

    def forward(self, x):
        return ops.softmax(x, self.axis)

    def window(self):
        return super().window() if self.axis == -1 else None

    def details(self):
        return changed(self, axis=-1).removeprefix(", ")
