"""Arrays without elements: an operation works as NumPy's does, or raises a ValueError, as stated
here.

A sum over nothing is 0.  What has no value over nothing, a mean, an extreme, a softmax, raises:
NumPy's NaN would only be found later.  A batch of no examples goes through every layer but
BatchNorm in training.
"""
import numpy as np

from minidl import losses, nn, ops
from minidl.learn.cases.layers import layer
from minidl.learn.cases.registry import case, cases, constant, constants, refuse, refused
from minidl.learn.domains import integers, mask, normal, positive

_before = {id(c) for c in cases + constants + refused}
none = normal(0, 3)

# --- elementwise

for _name in ("negative", "exp", "expm1", "sin", "cos", "square", "tanh", "log", "log1p", "sqrt",
              "absolute",
              "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh"):
    case(_name, none, words="empty")
for _name in ("erf", "sigmoid", "softplus", "gelu", "relu", "leaky_relu", "elu"):
    case(_name, none, value=lambda x: x, words="empty")
for _name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "remainder"):
    case(_name, none, normal(0, 3), words="empty")
    case(_name, none, normal(3), words="empty-broadcast", flat=True)
    case(_name, normal(2, 1), normal(0), words="empty-columns", flat=True)
case("power", none, normal(0, 3), words="empty")
case("power", positive(0, 3), args=(2,), words="empty-number")
case("clip", none, args=(0.0, 1.0), words="empty")
case("where", mask(0, 1), none, normal(3), words="empty", flat=True)
case("astype", none, call=lambda x: ops.astype(x, x.dtype), value=lambda x: x, words="empty")
for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    constant(_name, none, normal(3), words="empty")
constant("floor_divide", none, normal(3), words="empty")
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    constant(_name, mask(0, 3), mask(3), words="empty")
constant("invert", mask(0, 3), words="empty")
for _name, *_args in [("zeros", (0, 3)), ("ones", 0), ("full", (2, 0), 1.0), ("arange", 0),
                      ("arange", 3, 1), ("linspace", 0, 1, 0), ("eye", 0), ("eye", 0, 2)]:
    constant(_name, args=tuple(_args), words=f"empty-{_args}".replace(" ", ""))
for _name in ("sign", "zeros_like", "ones_like"):
    constant(_name, none, words="empty")
constant("stop_gradient", none, value=lambda x: x, words="empty")

# --- shapes and positions

for _name, *_args in [
        ("reshape", (3, 0)), ("transpose",), ("swapaxes", 0, 1), ("moveaxis", 0, 1),
        ("expand_dims", 0), ("squeeze", ()), ("broadcast_to", (2, 0, 3)), ("pad", 1), ("flip",),
        ("flip", 0), ("roll", 1), ("roll", 1, 0), ("repeat", 2), ("repeat", 2, 0), ("tile", (2, 2)),
        ("split", 3, 1), ("split", 2), ("take", [], 0), ("take", [2, 0], 1)]:
    case(_name, none, args=tuple(_args), words=f"empty-{_args}".replace(" ", ""))
case("flatten", none, value=np.ravel, words="empty")
case("squeeze", normal(0, 1), words="empty")
for _name, _args in {"repeat": (0, 0), "tile": (0,), "take": ([], 0)}.items():
    case(_name, normal(2, 3), args=_args,
         value=lambda x, _f=getattr(np, _name), _a=_args: _f(x, *_a), words="nothing",
         flat=True)
refuse("pad", none, args=(((1, 0), (0, 0)), "edge"), words="empty")
refuse("reshape", none, args=((-1, 0),), words="empty")
case("concatenate", none, normal(2, 3), call=lambda *t: ops.concatenate(t),
     value=lambda *a: np.concatenate(a),
     words="empty")
case("stack", none, none, call=lambda *t: ops.stack(t), value=lambda *a: np.stack(a), words="empty")
refuse("concatenate", call=lambda: ops.concatenate([]), words="nothing")
refuse("stack", call=lambda: ops.stack([]), words="nothing")
case("index", none, args=((slice(None), [0, 2]),), value=lambda x: x[:, [0, 2]], words="empty")
case("index", normal(2, 3), args=([],), value=lambda x: x[:0], words="nothing", flat=True)
case("add_at", normal(2, 3), none, call=lambda x, v: ops.add_at(x, [], v), value=lambda x, v: x,
     words="nothing")
case("set_at", normal(2, 3), none, call=lambda x, v: ops.set_at(x, [], v), value=lambda x, v: x,
     words="nothing")
case("scatter", none, args=([], (4, 3)), value=lambda u: np.zeros((4, 3)), words="empty")
case("take_along_axis", none, integers(3, 0, 2), args=(1,), words="empty")
constant("one_hot", integers(3, 0), args=(3,), value=lambda labels: np.zeros((0, 3)), words="empty")

# --- sums and extremes

for _axis in (None, 0, 1):
    case("sum", none, args=(_axis,), words=f"empty-{_axis}")
    case("norm", none, args=(_axis,), value=lambda x, _a=_axis: x.sum(_a), words=f"empty-{_axis}")
case("cumsum", none, args=(0,), words="empty")
case("prod", none, args=(0,), words="empty-0", flat=True)
case("prod", none, args=(1,), words="empty-1")
for _name in ("any", "all"):
    constant(_name, none, args=(0,), words="empty")
case("normalize", none, value=lambda x: x, words="empty")
case("sum_to", none, args=((1, 3),), value=lambda x: np.zeros((1, 3)), words="empty")
for _name in ("mean", "max", "min", "var", "std", "logsumexp", "softmax", "log_softmax", "argmax",
              "argmin"):
    _value = {"argmax": None, "argmin": None, "softmax": lambda x: x, "log_softmax": lambda x: x,
              "logsumexp": lambda x: x.sum(1)}.get(_name)
    (constant if "arg" in _name else case)(_name, none, args=(1,), value=_value, words="empty")
    refuse(_name, none, args=(0,), words="empty-axis")
case("standardize", none, args=(1,), value=lambda x: x, words="empty")
refuse("standardize", none, args=(0,), words="empty-axis")
case("batch_norm", none, *[normal(3)] * 3, positive(3), value=lambda x, *_: x,
     words="empty-running", flat=True)
refuse("batch_norm", none, normal(3), normal(3), words="empty")
case("layer_norm", none, normal(3), normal(3), value=lambda x, *_: x, words="empty", flat=True)
refuse("layer_norm", normal(3, 0), normal(0), normal(0), words="no-features")
case("group_norm", none, normal(3), normal(3), call=lambda x, g, b: ops.group_norm(x, g, b, 3),
     value=lambda x, *_: x, words="empty", flat=True)
case("instance_norm", normal(0, 2, 3), normal(3), normal(3), value=lambda x, *_: x, words="empty",
     flat=True)
refuse("group_norm", normal(2, 0, 2), normal(2), normal(2),
       call=lambda x, g, b: ops.group_norm(x, g, b, 1),
       words="no-places")
refuse("instance_norm", normal(2, 0, 2), normal(2), normal(2), words="no-places")
case("dropout", none, args=(0.5, 0), value=lambda x: x, words="empty")

# --- matrices

case("matmul", none, normal(3, 2), words="empty", flat=True)
case("matmul", normal(2, 0), normal(0, 3), words="empty-inside")
case("matmul", normal(0), normal(0), words="empty-vectors")
case("dot", none, normal(3, 2), words="empty", flat=True)
case("dot", normal(2, 0), normal(3, 0, 2), words="empty-inside")
case("gram", none, words="empty", value=lambda x: x.T @ x, flat=True)
case("matmul", normal(0, 2, 3), normal(3, 4), words="empty-stack", flat=True)
case("outer", normal(0), normal(3), words="empty", flat=True)
case("diagonal", none, words="empty")
case("diagonal", normal(2, 3), args=(5,), words="nothing", flat=True)
case("trace", none, words="empty")
case("einsum", none, normal(3, 2), words="empty", call=lambda a, b: ops.einsum("ij,jk->ik", a, b),
     value=lambda a, b: a @ b, flat=True)
case("einsum", normal(2, 0), normal(0, 3), words="empty-inside",
     call=lambda a, b: ops.einsum("ij,jk->ik", a, b),
     value=lambda a, b: a @ b)

# --- pictures: no examples, no channels, no pixels

pictures = normal(0, 4, 4, 2)
case("conv", pictures, normal(3, 3, 2, 3), normal(3), value=lambda x, w, b: np.zeros((0, 2, 2, 3)),
     words="empty", flat=True)
case("conv_relu", pictures, normal(3, 3, 2, 3), normal(3),
     value=lambda x, w, b: np.zeros((0, 2, 2, 3)), words="empty",
     flat=True)
case("conv_input", normal(0, 2, 2, 3), normal(3, 3, 2, 3), args=((4, 4),),
     value=lambda u, w: np.zeros((0, 4, 4, 2)),
     words="empty", flat=True)
case("conv_weight", pictures, normal(0, 2, 2, 3), args=(3,),
     value=lambda x, u: np.zeros((3, 3, 2, 3)), words="empty")
case("conv_transpose", pictures, normal(3, 3, 1, 2), normal(1),
     value=lambda x, w, b: np.zeros((0, 6, 6, 1)), words="empty",
     flat=True)
case("max_pool", pictures, args=(2,), value=lambda x: np.zeros((0, 2, 2, 2)), words="empty")
case("average_pool", pictures, args=(2,), value=lambda x: np.zeros((0, 2, 2, 2)), words="empty")
case("max_pool_with_switches", pictures, call=lambda x: ops.max_pool_with_switches(x, 2)[0],
     words="empty",
     value=lambda x: np.zeros((0, 2, 2, 2)))
case("unpool", normal(0, 2, 2, 2), integers(9, 0, 4, 4, 2), words="empty",
     value=lambda u, i: np.zeros((0, 4, 4, 2)),
     call=lambda u, i: ops.unpool(u, ops.max_pool_with_switches(i, 2)[1]))
case("global_average_pool", pictures, value=lambda x: x.sum((1, 2)), words="empty")
case("global_max_pool", pictures, value=lambda x: x.sum((1, 2)), words="empty")
case("upsample", pictures, args=(2,), value=lambda x: np.zeros((0, 8, 8, 2)), words="empty")
case("resize", pictures, args=((3, 5),), value=lambda x: np.zeros((0, 3, 5, 2)), words="empty")
case("pixel_shuffle", normal(0, 2, 2, 4), args=(2,), value=lambda x: np.zeros((0, 4, 4, 1)),
     words="empty")
for _name, _args in {"max_pool": (1,), "average_pool": (1,), "max_pool_with_switches": (1,),
                     "global_average_pool": (),
                     "global_max_pool": (), "upsample": (2, "bilinear"), "resize": (3,),
                     "pixel_shuffle": (1,)}.items():
    refuse(_name, normal(1, 0, 4, 2), args=_args, words="no-pixels")
for _name in "conv", "conv_relu":
    refuse(_name, normal(1, 0, 2), normal(1, 2, 2), words="no-pixels")
    refuse(_name, normal(1, 4, 2), normal(0, 2, 2), words="no-taps")
    refuse(_name, normal(1, 4, 0), normal(3, 0, 2), words="no-channels")
    refuse(_name, normal(1, 4, 2), normal(3, 2, 0), words="no-filters")

# --- layers and losses

for _make, _inputs in [
        (lambda dtype: nn.Dense(3, 2, dtype=dtype, rng=0), none),
        (lambda dtype: nn.Embedding(4, 2, dtype=dtype, rng=0), integers(4, 0)),
        (lambda dtype: nn.Sequential(nn.Dense(3, 2, dtype=dtype, rng=0), nn.Tanh()), none),
        (lambda dtype: nn.Conv1d(2, 3, 3, dtype=dtype, rng=0), normal(0, 4, 2)),
        (lambda dtype: nn.Conv2d(2, 3, 3, dtype=dtype, rng=0), pictures),
        (lambda dtype: nn.ConvReLU(2, 3, 3, dtype=dtype, rng=0), pictures),
        (lambda dtype: nn.Conv3d(2, 3, 1, dtype=dtype, rng=0), normal(0, 2, 2, 2, 2)),
        (lambda dtype: nn.ConvTranspose1d(2, 3, 3, dtype=dtype, rng=0), normal(0, 4, 2)),
        (lambda dtype: nn.ConvTranspose2d(2, 3, 3, dtype=dtype, rng=0), pictures),
        (lambda dtype: nn.ConvTranspose3d(2, 3, 1, dtype=dtype, rng=0), normal(0, 2, 2, 2, 2)),
        (lambda dtype: nn.BatchNorm(3, dtype=dtype).eval(), none),
        (lambda dtype: nn.LayerNorm(3, dtype=dtype), none),
        (lambda dtype: nn.GroupNorm(3, 3, dtype=dtype), none),
        (lambda dtype: nn.InstanceNorm(3, dtype=dtype), normal(0, 2, 3))]:
    layer(_make, _inputs, words="empty", flat=True)
for _layer, _inputs in [
        (nn.ReLU(), none), (nn.LeakyReLU(), none), (nn.ELU(), none), (nn.GELU(), none),
        (nn.Sigmoid(), none), (nn.Tanh(), none), (nn.Softplus(), none), (nn.Softmax(), none),
        (nn.Normalize(), none), (nn.Dropout(rng=0), none), (nn.Flatten(), pictures),
        (nn.Reshape(2, 16), pictures), (nn.MaxPool(2), pictures), (nn.AveragePool(2), pictures),
        (nn.GlobalAveragePool(), pictures), (nn.GlobalMaxPool(), pictures)]:
    layer(lambda dtype, _layer=_layer: _layer, _inputs, words="empty")
layer(lambda dtype: nn.ConditionalBatchNorm(2, 3, dtype=dtype).eval(), none, integers(2, 0),
      words="empty", flat=True)
refuse("BatchNorm", none, call=lambda x: nn.BatchNorm(3)(x), words="empty-training")

for _name, *_inputs in [
        ("mean_squared_error", none, none), ("mean_absolute_error", none, none),
        ("huber", none, none), ("cross_entropy", none, integers(3, 0)),
        ("binary_cross_entropy_with_logits", none, normal(0, 3)),
        ("contrastive", none, none, mask(0)), ("triplet", none, none, none)]:
    _loss = getattr(losses, _name)
    case(_name, *_inputs, call=lambda *t, _f=_loss: _f(*t, reduction="sum"), value=lambda *a: 0.0,
         words="empty-sum")
    case(_name, *_inputs, call=lambda *t, _f=_loss: _f(*t, reduction="none"), words="empty-none")
    refuse(_name, *_inputs, call=lambda *t, _f=_loss: _f(*t), words="empty-mean")
refuse("cross_entropy", normal(2, 0), integers(1, 2), call=lambda *t: losses.cross_entropy(*t),
       words="no-classes")

# what is said about arrays of zero size
stated = [c for c in cases + constants + refused if id(c) not in _before]
