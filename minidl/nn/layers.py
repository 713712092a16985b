"""Dense layers, embeddings, dropout, and changes of shape.

rng: a numpy Generator or an integer seed, required by every layer that draws numbers.  Give one
Generator to all layers of a network: an integer given to two of them draws the same numbers twice.
"""
import math

from minidl import backend, ops
from minidl.nn.initializers import drawn, fan_in_uniform, normal
from minidl.nn.module import Module, Parameter, Pointwise, given
from minidl.operands import (
    check_features,
    check_labels,
    check_sizes,
    floating,
    integers,
    operand,
)
from minidl.ops import communication
from minidl.settings import bounded
from minidl.tensor import Tensor


class Dense(Pointwise):
    """y = x W + b

    x (…, in_features) → y (…, out_features); weight W (in, out), bias b (out,).
    initializer draws W; b is drawn uniformly from ±1/√in.  With the default initializer both start
    as PyTorch's.  rng: a numpy Generator or an integer seed.
    Raises ValueError where x's last axis does not fit.

    >>> layer = Dense(3, 2, rng=0)
    >>> layer, layer([[1.0, 2.0, 3.0]]).shape
    (Dense(3, 2), (1, 2))
    """

    def __init__(self, in_features, out_features, bias=True, *, initializer=fan_in_uniform,
                 dtype="float32", rng=None):
        check_sizes("Dense", in_features=in_features, out_features=out_features)
        rng = backend.generator(rng)
        self.weight = Parameter(drawn("Dense", initializer, (in_features, out_features), rng),
                                dtype=dtype)
        self.bias = None
        if bias:
            self.bias = Parameter(fan_in_uniform((out_features,), rng, in_features), dtype=dtype)

    @classmethod
    def from_weights(cls, weight, bias=None):
        """The layer with a given W (in, out) and b (out,): arrays are copied, Parameters shared.

        Raises ValueError for other shapes, TypeError for what is no floating-point array.
        """
        weight = given(cls.__name__, "weight", weight)
        bias = bias if bias is None else given(cls.__name__, "bias", bias)
        if weight.ndim != 2:
            raise ValueError(f"{cls.__name__}: weight must be (in, out), got shape {weight.shape}")
        if bias is not None and bias.shape != weight.shape[1:]:
            raise ValueError(f"{cls.__name__}: bias must have one entry for each of the "
                             f"{weight.shape[1]} columns of weight, got shape {bias.shape}")
        layer = cls.__new__(cls)
        layer.weight, layer.bias = weight, bias
        return layer

    def forward(self, x):
        y = check_features(self, x, self.weight.shape[0]) @ self.weight
        return y if self.bias is None else y + self.bias

    def details(self):
        return "{}, {}".format(*self.weight.shape) + ", bias=False" * (self.bias is None)


class Embedding(Module):
    """y = W[indices]: a learned vector for each of `count` things.

    indices (…) integers in 0 … count−1 → y (…, features); W (count, features) starts from N(0, 1).
    Raises TypeError unless the indices are integers, ValueError where one is out of range.

    >>> Embedding(10, 4, rng=0)([1, 2, 3]).shape
    (3, 4)
    """

    def __init__(self, count, features, *, initializer=normal(1.0), dtype="float32", rng=None):
        check_sizes("Embedding", count=count, features=features)
        start = drawn("Embedding", initializer, (count, features), backend.generator(rng))
        self.weight = Parameter(start, dtype=dtype)

    def forward(self, indices):
        indices = operand("Embedding", indices, "indices")
        check_labels("Embedding", indices, self.weight.shape[0], "indices")
        return ops.take(self.weight, indices, 0)

    def details(self):
        return "{}, {}".format(*self.weight.shape)


class Dropout(Pointwise):
    """In training, each entry is set to 0 with probability `rate`, the others divided by 1 − rate.

    So the expected value stays.  After `eval()` it gives x itself, whole numbers as floats.
    rate: 0 ≤ rate < 1.  rng: the Generator that it draws its masks from, or a seed for one.
    Source: Srivastava et al. 2014.

    >>> Dropout(0.5, rng=0)([1.0, 1.0, 1.0, 1.0])
    tensor([2., 0., 0., 0.], float64)
    >>> Dropout(0.5, rng=0).eval()([1.0, 1.0])
    tensor([1., 1.], float64)
    """

    def __init__(self, rate=0.5, *, rng=None):
        self.rate = bounded("Dropout", "0 ≤ rate < 1", rate)
        self.rng = backend.generator(rng)

    def forward(self, x):
        if self.training:
            return communication.dropout(x, self.rate, self.rng)
        is_itself = isinstance(x, Tensor) and x.dtype.kind == "f"
        return x if is_itself else floating("Dropout", x)

    def details(self):
        return f"{self.rate}"


class Flatten(Module):
    """Each example as one row: (N, …) → (N, product of the rest).

    Raises ValueError where x has no axis of examples.

    >>> Flatten()([[[1, 2], [3, 4]]])
    tensor([[1, 2, 3, 4]], int64)
    """

    def forward(self, x):
        x = _examples(self, x)
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Reshape(Module):
    """Each example in another shape: (N, …) → (N, *shape); one length may be −1, what is left.

    Raises ValueError where the examples do not fit.

    >>> Reshape(2, -1)([[1, 2, 3, 4]])
    tensor([[[1, 2],
             [3, 4]]], int64)
    """

    def __init__(self, *shape):
        self.shape = integers("Reshape", "shape", shape)
        if self.shape.count(-1) > 1 or any(n < 1 and n != -1 for n in self.shape):
            raise ValueError(f"Reshape: lengths must be at least 1, or one of them −1, got {shape}")

    def forward(self, x):
        x = _examples(self, x)
        size, known = math.prod(x.shape[1:]), math.prod(n for n in self.shape if n != -1)
        shape = tuple(size // known if n == -1 else n for n in self.shape)
        if math.prod(shape) != size:
            raise ValueError(f"{self!r}: an example of shape {x.shape[1:]} has {size} entries")
        return ops.reshape(x, (x.shape[0], *shape))

    def details(self):
        return ", ".join(map(str, self.shape))


def _examples(layer, x):
    x = operand(type(layer).__name__, x)
    if x.ndim == 0:
        raise ValueError(f"{layer!r}: x must be (N, …), got one number")
    return x
