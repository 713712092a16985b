"""Nonlinearities as layers.  The mathematics stands in `ops/activation.py`."""
from minidl import ops
from minidl.nn.module import Pointwise, changed
from minidl.operands import integers
from minidl.settings import learnable


class ReLU(Pointwise):
    """max(x, 0); see `ops.relu`."""

    def forward(self, x):
        return ops.relu(x)


class LeakyReLU(Pointwise):
    """x where x > 0, slope · x elsewhere, slope ≥ 0; see `ops.leaky_relu`.

    A slope that is a Parameter, of zero dimensions, is learned (PReLU).
    """

    def __init__(self, slope=0.01):
        self.slope = learnable("LeakyReLU", "0 ≤ slope < inf", slope)

    def forward(self, x):
        return ops.leaky_relu(x, self.slope)

    def details(self):
        return f"{float(self.slope)}"


class ELU(Pointwise):
    """x where x > 0, alpha · (eˣ − 1) elsewhere, alpha ≥ 0; see `ops.elu`.

    An alpha that is a Parameter, of zero dimensions, is learned.
    """

    def __init__(self, alpha=1.0):
        self.alpha = learnable("ELU", "0 ≤ alpha < inf", alpha)

    def forward(self, x):
        return ops.elu(x, self.alpha)

    def details(self):
        return f"{float(self.alpha)}"


class GELU(Pointwise):
    """x Φ(x); see `ops.gelu`."""

    def forward(self, x):
        return ops.gelu(x)


class Sigmoid(Pointwise):
    """1 / (1 + e^(−x)); see `ops.sigmoid`."""

    def forward(self, x):
        return ops.sigmoid(x)


class Tanh(Pointwise):
    """Hyperbolic tangent; see `ops.tanh`."""

    def forward(self, x):
        return ops.tanh(x)


class Softplus(Pointwise):
    """log(1 + eˣ); see `ops.softplus`."""

    def forward(self, x):
        return ops.softplus(x)


class Softmax(Pointwise):
    """eˣⁱ / Σⱼ eˣʲ along an axis; see `ops.softmax`.

    Losses want the logits before it, not its output.
    """

    def __init__(self, axis=-1):
        integers("Softmax", "axis", axis)
        self.axis = axis

    def forward(self, x):
        return ops.softmax(x, self.axis)

    def window(self):
        return super().window() if self.axis == -1 else None

    def details(self):
        return changed(self, axis=-1).removeprefix(", ")
