"""One case or more for every public operation: how to call it, on what, and what is known of it.

`test_ops.py` runs every check on every case; a public operation without a case fails a test there.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minidl import ops

# --- arrays: each of these gives a function of a numpy Generator


def normal(*shape):
    """Any reals."""
    return lambda rng: rng.normal(size=shape)


def positive(*shape):
    """Between ½ and 2: the domain of logarithms, roots and general powers."""
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def away(*shape, points=(0.0,), gap=0.1):
    """Reals that keep a distance from the points where the function has a kink."""
    def draw(rng):
        x = rng.normal(size=shape)
        for p in points:
            x = np.where(abs(x - p) < gap, p + gap * np.where(x < p, -2.0, 2.0), x)
        return x
    return draw


def distinct(*shape):
    """No two entries closer than 0.05: maxima have no ties."""
    return lambda rng: (rng.permutation(int(np.prod(shape))).reshape(shape) - np.prod(shape) / 2) * 0.1 \
        + rng.uniform(0, 0.05, shape)


def integers(high, *shape):
    return lambda rng: rng.integers(high, size=shape)


def mask(*shape):
    """As many true as false."""
    return lambda rng: rng.permutation(int(np.prod(shape))).reshape(shape) % 2 == 0


@dataclass(frozen=True)
class Case:
    """name: the operation's in minidl.ops.  call: a function of the Tensors that `inputs` draws.

    linear: "each" where it is linear in every input while the others are fixed, "joint" where in all together.
    adjoint: of a linear operation with one input, as an operation.   order: up to which derivatives are checked.
    """
    name: str
    call: Callable
    inputs: tuple
    words: str
    linear: str = ""
    adjoint: Callable = None
    order: int = 2
    float32: float = 2e-5       # how far float32 may be from float64, relative to the largest entry

    def draw(self, seed, dtype="float64"):
        rng = np.random.default_rng(seed)
        drawn = [make(rng) for make in self.inputs]
        return [x.astype(dtype) if x.dtype.kind == "f" else x for x in drawn]

    def __str__(self):
        return self.name + (f"-{self.words}" if self.words else "")


cases = []


def case(name, *inputs, call=None, words="", linear="", adjoint=None, order=2, float32=2e-5, **options):
    call = call or (lambda *tensors: getattr(ops, name)(*tensors, **options))
    call.__name__ = name                            # what gradcheck says in its errors
    words = words or ",".join(f"{k}={v}".replace(" ", "") for k, v in options.items())
    cases.append(Case(name, call, inputs, words, linear, adjoint, order, float32))


no_gradient = {
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",         # booleans
    "argmax", "argmin", "one_hot",                                                  # integers, or made from them
    "sign", "zeros_like", "ones_like", "stop_gradient",                             # constants by definition
}

# --- elementwise

for _name in ("add", "subtract"):
    case(_name, normal(3, 4), normal(3, 4), linear="joint")
    case(_name, normal(3, 1), normal(2, 1, 4), words="broadcast", linear="joint")
case("multiply", normal(3, 4), normal(3, 4), linear="each")
case("multiply", normal(3, 1), normal(2, 1, 4), words="broadcast", linear="each")
case("multiply", normal(3), call=lambda x: ops.multiply(x, 3.0), words="number", linear="each")
case("multiply", normal(3), call=lambda x: ops.multiply(x, x), words="itself")
case("divide", normal(3, 4), positive(3, 4))
case("divide", normal(3, 1), positive(4), words="broadcast")
case("divide", positive(3), call=lambda x: ops.divide(2.0, x), words="number")
case("negative", normal(3, 4), linear="each", adjoint=lambda u: -u)
case("power", positive(3, 4), normal(3, 4))
case("power", positive(3, 1), normal(2, 1, 4), words="broadcast")
for _exponent in (0.5, 1, 2, 3.0, -1):
    case("power", positive(3), call=lambda x, _e=_exponent: ops.power(x, _e), words=f"to-{_exponent}")
case("power", normal(3), call=lambda x: ops.power(2.0, x), words="of-2")
case("power", away(3), call=lambda x: ops.power(x, 3), words="of-negative")
for _name in ("exp", "expm1", "sin", "cos", "erf", "square", "sigmoid", "tanh", "softplus", "gelu"):
    case(_name, normal(3, 4), order=3)
for _name in ("log", "log1p", "sqrt"):
    case(_name, positive(3, 4), order=3)
case("absolute", away(3, 4))
case("relu", away(3, 4))
case("leaky_relu", away(3, 4))
case("leaky_relu", away(3, 4), slope=0.2)
case("elu", away(3, 4))
case("elu", away(3, 4), alpha=0.5)
for _name in ("maximum", "minimum"):
    case(_name, distinct(3, 4), call=lambda x, _n=_name: getattr(ops, _n)(x, x[::-1, ::-1] + 0.025), words="of-one")
    case(_name, away(8), call=lambda x, _n=_name: getattr(ops, _n)(x, 0.0), words="number")
    case(_name, away(6, 1, gap=0.3), normal(2, 1, 4), words="broadcast",
         call=lambda x, y, _n=_name: getattr(ops, _n)(x, 0.05 * ops.tanh(y)))
case("clip", away(3, 4, points=(-0.5, 0.5)), lowest=-0.5, highest=0.5)
case("clip", away(3, 4, points=(-0.5,)), lowest=-0.5)
case("clip", away(3, 4, points=(0.5,)), highest=0.5)
case("where", mask(3, 4), normal(3, 4), normal(3, 4), linear="joint")
case("where", mask(3, 1), normal(2, 1, 4), normal(4), words="broadcast", linear="joint")
case("where", mask(3), normal(3), call=lambda c, x: ops.where(c, x, 0.0), words="number", linear="each")
case("astype", normal(3, 4), call=lambda x: ops.astype(x, x.dtype), linear="each", adjoint=lambda u: u)

# --- shapes

case("reshape", normal(3, 4), call=lambda x: ops.reshape(x, (2, -1)), linear="each",
     adjoint=lambda u: ops.reshape(u, 3, 4))
case("transpose", normal(3, 4), linear="each", adjoint=ops.transpose)
case("transpose", normal(2, 3, 4), call=lambda x: ops.transpose(x, 2, 0, 1), words="permuted", linear="each",
     adjoint=lambda u: ops.transpose(u, (1, 2, 0)))
case("swapaxes", normal(2, 3, 4), call=lambda x: ops.swapaxes(x, 0, -1), linear="each",
     adjoint=lambda u: ops.swapaxes(u, -1, 0))
case("swapaxes", normal(3, 4), call=lambda x: ops.swapaxes(x, 0, -2), words="itself", linear="each")
case("moveaxis", normal(2, 3, 4), call=lambda x: ops.moveaxis(x, 0, -1), linear="each",
     adjoint=lambda u: ops.moveaxis(u, -1, 0))
case("moveaxis", normal(2, 3, 4), call=lambda x: ops.moveaxis(x, (0, 1), (-1, 0)), words="two", linear="each",
     adjoint=lambda u: ops.moveaxis(u, (-1, 0), (0, 1)))
case("expand_dims", normal(3, 4), axis=(0, -1), linear="each", adjoint=ops.squeeze)
case("squeeze", normal(3, 1, 4), axis=1, linear="each", adjoint=lambda u: ops.expand_dims(u, 1))
case("flatten", normal(3, 4), linear="each", adjoint=lambda u: ops.reshape(u, 3, 4))
case("broadcast_to", normal(3, 1), shape=(2, 3, 4), linear="each", adjoint=lambda u: ops.sum_to(u, (3, 1)))
case("concatenate", normal(2, 3), normal(1, 3), call=lambda *t: ops.concatenate(t), linear="joint")
case("concatenate", normal(2, 3), normal(2, 1), normal(2, 2), call=lambda *t: ops.concatenate(t, -1), words="last",
     linear="joint")
case("stack", normal(2, 3), normal(2, 3), call=lambda *t: ops.stack(t, 1), linear="joint")
case("split", normal(4, 3), call=lambda x: tuple(ops.split(x, 2)), linear="each")
case("split", normal(3, 5), call=lambda x: tuple(ops.split(x, [1, 3], -1)), words="at", linear="each")
case("pad", normal(2, 3), widths=((1, 0), (0, 2)), linear="each", adjoint=lambda u: u[1:, :3])
for _mode in ("edge", "reflect", "symmetric", "wrap"):
    case("pad", normal(3, 4), widths=((1, 2), (0, 3)), mode=_mode, linear="each")
case("pad", normal(3), call=lambda x: ops.pad(x, 1, value=5.0), words="value")
case("flip", normal(3, 4), linear="each", adjoint=ops.flip)
case("flip", normal(2, 3, 4), axis=(0, -1), linear="each", adjoint=lambda u: ops.flip(u, (2, 0)))
case("roll", normal(3, 4), shift=2, linear="each", adjoint=lambda u: ops.roll(u, -2))
case("roll", normal(3, 4), shift=(1, -1), axis=(0, 1), linear="each", adjoint=lambda u: ops.roll(u, (-1, 1), (0, 1)))
case("repeat", normal(2, 3), repeats=2, axis=1, linear="each", adjoint=lambda u: ops.sum(ops.reshape(u, 2, 3, 2), -1))
case("repeat", normal(2, 3), repeats=3, linear="each", adjoint=lambda u: ops.sum(ops.reshape(u, 2, 3, 3), -1))
case("tile", normal(2, 3), repeats=(2, 1, 2), linear="each",
     adjoint=lambda u: ops.sum(ops.reshape(u, 2, 2, 2, 3), (0, 2)))

# --- reading and writing at positions

_keys = {"integer": 1, "slices": (slice(None, None, -1), slice(1, 4, 2)), "ellipsis": (..., None, 0),
         "list": [2, 0, 2], "lists": ([0, 2, 0], [1, 1, 1]), "list-and-slice": ([0, 0], slice(1, None)),
         "grid": ([[0], [2]], [1, 3])}
for _words, _key in _keys.items():
    case("index", normal(3, 4), call=lambda x, _k=_key: x[_k], words=_words, linear="each")
    case("add_at", normal(3, 4), normal(), call=lambda x, v, _k=_key: ops.add_at(x, _k, v), words=_words,
         linear="joint")
case("index", normal(3, 4), integers(3, 5), call=lambda x, i: x[i], words="tensor", linear="each")
case("index", normal(3, 4), mask(3, 4), call=lambda x, m: ops.concatenate([x[m], x[0]]), words="mask", linear="each")
case("set_at", normal(3, 4), normal(4), call=lambda x, v: ops.set_at(x, 1, v), words="row", linear="joint")
case("set_at", normal(3, 4), normal(2, 1), call=lambda x, v: ops.set_at(x, [2, 0], v), words="rows", linear="joint")
case("set_at", normal(3, 4), normal(), call=lambda x, v: ops.set_at(x, (slice(None), 2), v), words="column",
     linear="joint")
case("scatter", normal(3, 4), call=lambda u: ops.scatter(u, [2, 0, 2], (5, 4)), linear="each",
     adjoint=lambda x: x[[2, 0, 2]])
case("scatter", normal(2, 3), call=lambda u: ops.scatter(u, (slice(1, 3), slice(None)), (4, 3)), words="slice",
     linear="each", adjoint=lambda x: x[1:3])
case("take", normal(3, 4), integers(3, 2, 2), call=lambda x, i: ops.take(x, i, 0), linear="each")
case("take", normal(3, 4), call=lambda x: ops.take(x, [1, 1, 11]), words="flat", linear="each")
case("take_along_axis", normal(3, 4), integers(4, 3, 2), axis=1, linear="each")
case("take_along_axis", normal(3, 4), integers(3, 5, 4), axis=0, linear="each")

# --- sums, extremes, norms

for _options in ({}, {"axis": 0}, {"axis": (0, -1), "keepdims": True}):
    for _name in ("sum", "mean"):
        case(_name, normal(2, 3, 4), linear="each", **_options)
    for _name in ("max", "min"):
        case(_name, distinct(2, 3, 4), **_options)
    for _name in ("var", "std", "norm", "logsumexp"):
        case(_name, normal(2, 3, 4), **_options)
case("sum", normal(20, 2, 2), axis=0, linear="each", words="tall", adjoint=lambda u: ops.broadcast_to(u, (20, 2, 2)))
case("sum", normal(2, 3), axis=(), linear="each")
case("var", normal(3, 4), axis=1, ddof=1)
case("std", normal(3, 4), axis=1, ddof=1)
case("sum_to", normal(2, 3, 4), shape=(3, 1), linear="each", adjoint=lambda u: ops.broadcast_to(u, (2, 3, 4)))
case("cumsum", normal(3, 4), axis=1, linear="each", adjoint=lambda u: ops.flip(ops.cumsum(ops.flip(u, 1), 1), 1))
case("cumsum", normal(3, 4), linear="each")
for _name in ("softmax", "log_softmax"):
    case(_name, normal(3, 4), order=3)
    case(_name, normal(2, 3, 4), axis=(0, 2))

# --- matrices

case("matmul", normal(3, 4), normal(4, 2), linear="each")
case("matmul", normal(4), normal(4), words="vectors", linear="each")
case("matmul", normal(4), normal(2, 4, 3), words="vector-matrices", linear="each")
case("matmul", normal(2, 1, 3, 4), normal(4), words="matrices-vector", linear="each")
case("matmul", normal(2, 1, 3, 4), normal(5, 4, 2), words="broadcast", linear="each")
case("outer", normal(3), normal(4), linear="each")
case("diagonal", normal(3, 4), linear="each")
case("diagonal", normal(2, 3, 4), offset=1, axis1=-1, axis2=0, linear="each")
case("diagonal", normal(3, 4), offset=-1, linear="each")
case("trace", normal(3, 3), linear="each",
     adjoint=lambda u: ops.scatter(ops.broadcast_to(u, (3,)), ([0, 1, 2], [0, 1, 2]), (3, 3)))
for _subscripts, *_shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)), ("nik,nkj->nij", (2, 3, 4), (2, 4, 2)), ("ij->j", (3, 4)), ("ii->i", (3, 3)),
        ("ii", (3, 3)), ("ij,kl->k", (2, 3), (4, 2)), ("...i,...i", (2, 3), (3,)), ("i,j,k->kij", (2,), (3,), (2,)),
        ("ij,ij->ij", (1, 3), (2, 3)), ("ik,ij->ij", (1, 4), (2, 3)), ("iji,j->ij", (2, 3, 2), (3,))):
    case("einsum", *(normal(*s) for s in _shapes), words=_subscripts, linear="each",
         call=lambda *t, _s=_subscripts: ops.einsum(_s, *t))

# --- convolution, pooling, pictures

case("conv", normal(2, 5, 3), normal(3, 3, 2), normal(2), words="1d")
case("conv", normal(2, 5, 3), normal(3, 3, 2), words="1d-plain", linear="each")
case("conv", normal(1, 5, 4, 2), normal(3, 2, 2, 3), stride=(2, 1), padding=1, linear="each")
case("conv", normal(1, 6, 5, 2), normal(2, 2, 2, 2), dilation=2, linear="each")
case("conv", normal(2, 4, 4, 4), normal(3, 3, 2, 6), groups=2, padding=(0, 1), linear="each")
case("conv", normal(1, 3, 3, 4, 2), normal(2, 2, 2, 2, 1), words="3d", padding=1, stride=2, linear="each")
case("conv", normal(2, 3, 3, 2), normal(1, 1, 2, 3), words="1x1", linear="each")
case("conv_input", normal(1, 2, 3, 3), normal(3, 2, 2, 3), call=lambda u, w: ops.conv_input(
    u, w, (4, 4), stride=2, padding=(1, 1)), linear="each")
case("conv_weight", normal(2, 5, 4), normal(2, 2, 2), call=lambda x, u: ops.conv_weight(
    x, u, 2, stride=2, dilation=2, groups=2), linear="each")
case("conv_transpose", normal(1, 2, 3, 2), normal(3, 3, 2, 2), normal(2), stride=2, padding=1, output_padding=1)
case("conv_transpose", normal(1, 3, 4), normal(3, 2, 4), stride=2, groups=2, dilation=2, linear="each")
case("max_pool", distinct(2, 5, 2), window=2)
case("max_pool", distinct(1, 4, 5, 2), window=(3, 2), stride=(1, 2), padding=1)
case("max_pool", distinct(1, 3, 2, 3, 1), window=2, stride=1)
case("average_pool", normal(1, 4, 5, 2), window=(3, 2), stride=(1, 2), padding=1, linear="each")
case("average_pool", normal(2, 6, 2), window=2, linear="each", adjoint=lambda u: 0.5 * ops.repeat(u, 2, 1))
case("max_pool_with_switches", distinct(1, 4, 5, 2), call=lambda x: ops.max_pool_with_switches(x, 2, 1, 0)[0])
case("unpool", normal(1, 2, 2, 2), integers(100, 1, 4, 4, 2), linear="each",
     call=lambda u, i: ops.unpool(u, ops.max_pool_with_switches(i, 2, 2, 0)[1]))
case("global_average_pool", normal(2, 3, 2, 4), linear="each")
case("global_max_pool", distinct(2, 3, 2, 4))
case("upsample", normal(1, 2, 3, 2), factor=2, linear="each")
case("upsample", normal(1, 2, 3, 2), factor=(2, 3), mode="bilinear", linear="each")
case("resize", normal(1, 4, 3, 2), sizes=(3, 5), linear="each")
case("pixel_shuffle", normal(1, 2, 3, 8), factor=2, linear="each")

# --- normalisation

case("standardize", normal(3, 4, 2), axis=(0, 1), float32=1e-4)
case("standardize", normal(3, 4), axis=-1, eps=0.1)
case("batch_norm", normal(2, 2, 3, 2), normal(2), normal(2), float32=1e-4)
case("batch_norm", normal(2, 3, 2), normal(2), normal(2), normal(2), positive(2), words="running")
case("layer_norm", normal(3, 4), normal(4), normal(4), float32=1e-4)
case("dropout", normal(3, 4), rate=0.5, rng=0, linear="each")
