"""Rearranging, joining, extending; reading and writing at positions.  All are linear."""
import numpy as np

from minidl import ops
from minidl.learn.cases.registry import case, constant
from minidl.learn.domains import integers, mask, normal

case("reshape", normal(3, 4), args=((2, -1),), linear="each",
     adjoint=lambda u: ops.reshape(u, 3, 4))
case("transpose", normal(3, 4), linear="each", adjoint=ops.transpose)
case("transpose", normal(2, 3, 4), args=((2, 0, 1),), linear="each",
     adjoint=lambda u: ops.transpose(u, 1, 2, 0))
case("swapaxes", normal(2, 3, 4), args=(0, -1), linear="each",
     adjoint=lambda u: ops.swapaxes(u, -1, 0))
case("swapaxes", normal(3, 4), args=(0, -2), words="itself", linear="each")
case("moveaxis", normal(2, 3, 4), args=(0, -1), linear="each",
     adjoint=lambda u: ops.moveaxis(u, -1, 0))
case("moveaxis", normal(2, 3, 4), args=((0, 1), (-1, 0)), linear="each",
     adjoint=lambda u: ops.moveaxis(u, (-1, 0), (0, 1)))
case("expand_dims", normal(3, 4), args=((0, -1),), linear="each", adjoint=ops.squeeze)
case("squeeze", normal(3, 1, 4), args=(1,), linear="each", adjoint=lambda u: ops.expand_dims(u, 1))
case("flatten", normal(3, 4), value=np.ravel, linear="each", adjoint=lambda u: ops.reshape(u, 3, 4))
case("broadcast_to", normal(3, 1), args=((2, 3, 4),), linear="each",
     adjoint=lambda u: ops.sum_to(u, (3, 1)))
for _shapes, _axis in (((2, 3), (1, 3)), 0), (((2, 3), (2, 1), (2, 2)), -1):
    case("concatenate", *(normal(*s) for s in _shapes),
         call=lambda *t, _a=_axis: ops.concatenate(t, _a),
         value=lambda *a, _a=_axis: np.concatenate(a, _a), words=f"axis{_axis}", linear="joint")
case("stack", normal(2, 3), normal(2, 3), call=lambda *t: ops.stack(t, 1),
     value=lambda *a: np.stack(a, 1), linear="joint")
case("split", normal(4, 3), args=(2,), linear="each")
case("split", normal(4, 3), args=(1,), linear="each")
case("split", normal(3, 5), args=([1, 3], -1), linear="each")
case("pad", normal(2, 3), args=(((1, 0), (0, 2)),), linear="each", adjoint=lambda u: u[1:, :3])
for _mode in ("edge", "reflect", "symmetric", "wrap"):
    case("pad", normal(3, 4), args=(((1, 2), (0, 3)), _mode), words=_mode, linear="each")
case("pad", normal(3, 4), args=(((1, 0), (0, 0)), "edge"), words="edge-of-one-axis", linear="each")
case("pad", normal(3), options={"constant_values": 5.0}, args=(1,))
case("pad", normal(2, 3), args=((1, 2),), words="one-pair", linear="each",
     adjoint=lambda u: u[1:3, 1:4])
case("pad", normal(3, 2), args=([(1, 2), 1],), value=lambda x: np.pad(x, ((1, 2), (1, 1))),
     linear="each")
case("flip", normal(3, 4), linear="each", adjoint=ops.flip)
case("flip", normal(2, 3, 4), args=((0, -1),), linear="each", adjoint=lambda u: ops.flip(u, (2, 0)))
case("roll", normal(3, 4), args=(2,), linear="each", adjoint=lambda u: ops.roll(u, -2))
case("roll", normal(3, 4), args=((1, -1), (0, 1)), linear="each",
     adjoint=lambda u: ops.roll(u, (-1, 1), (0, 1)))
case("repeat", normal(2, 3), args=(2, 1), linear="each",
     adjoint=lambda u: ops.sum(ops.reshape(u, 2, 3, 2), -1))
case("repeat", normal(2, 3), args=(3,), linear="each",
     adjoint=lambda u: ops.sum(ops.reshape(u, 2, 3, 3), -1))
case("tile", normal(2, 3), args=((2, 1, 2),), linear="each",
     adjoint=lambda u: ops.sum(ops.reshape(u, 2, 2, 2, 3), (0, 2)))

_keys = {"integer": 1, "slices": (slice(None, None, -1), slice(1, 4, 2)),
         "ellipsis": (..., None, 0), "list": [2, 0, 2], "lists": ([0, 2, 0], [1, 1, 1]),
         "list-and-slice": ([0, 0], slice(1, None)), "grid": ([[0], [2]], [1, 3]),
         "apart": ([0, 2], None, [1, 3])}


def _added(x, key, values):
    x = x.copy()
    np.add.at(x, key, values)
    return x


def _written(x, key, values):
    x = x.copy()
    x[key] = values
    return x


for _words, _key in _keys.items():
    case("index", normal(3, 4), args=(_key,), value=lambda x, _k=_key: x[_k], words=_words,
         linear="each")
    case("add_at", normal(3, 4), normal(), call=lambda x, v, _k=_key: ops.add_at(x, _k, v),
         words=_words,
         value=lambda x, v, _k=_key: _added(x, _k, v), linear="joint")
case("index", normal(3, 4), integers(3, 5), value=lambda x, i: x[i], words="tensor", linear="each")
case("index", normal(3, 4), mask(3, 4), value=lambda x, m: x[m], words="mask", linear="each")
case("index", normal(4, 3), mask(4), integers(3, 2), call=lambda x, m, i: ops.index(x, (m, i)),
     value=lambda x, m, i: x[m, i], words="mask-and-tensor", linear="each")
for _words, _key, *_shape in ("row", 1, 4), ("rows", [2, 0], 2, 1), ("column", (slice(None), 2)):
    case("set_at", normal(3, 4), normal(*_shape), call=lambda x, v, _k=_key: ops.set_at(x, _k, v),
         words=_words,
         value=lambda x, v, _k=_key: _written(x, _k, v), linear="joint")
case("scatter", normal(3, 4), args=([2, 0, 2], (5, 4)),
     value=lambda u: _added(np.zeros((5, 4)), [2, 0, 2], u),
     linear="each", adjoint=lambda x: x[[2, 0, 2]])
case("scatter", normal(2, 3), args=((slice(1, 3), slice(None)), (4, 3)), words="slice",
     linear="each",
     value=lambda u: np.pad(u, ((1, 1), (0, 0))), adjoint=lambda x: x[1:3])
case("take", normal(3, 4), integers(3, 2, 2), args=(0,), linear="each")
case("take", normal(3, 4), args=([1, 1, 11],), linear="each")
case("take_along_axis", normal(3, 4), integers(4, 3, 2), args=(1,), linear="each")
case("take_along_axis", normal(3, 4), integers(3, 5, 4), args=(0,), linear="each")
constant("one_hot", integers(3, 2, 2), args=(3,), value=lambda labels: np.eye(3)[labels])
