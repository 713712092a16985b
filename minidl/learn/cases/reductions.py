"""Sums, extremes, norms, and normalisation over axes."""
import numpy as np
from scipy import special

from minidl import ops
from minidl.learn.cases.registry import case, constant
from minidl.learn.domains import distinct, normal, positive

for _options in ({}, {"axis": 0}, {"axis": (0, -1), "keepdims": True}):
    for _name in ("sum", "mean"):
        case(_name, normal(2, 3, 4), options=_options, linear="each")
    for _name in ("max", "min"):
        case(_name, distinct(2, 3, 4), options=_options)
    for _name, _value in {"var": np.var, "std": np.std, "logsumexp": special.logsumexp,
                          "norm": lambda x, **o: np.sqrt(np.sum(x * x, **o))}.items():
        case(_name, normal(2, 3, 4), options=_options,
             value=lambda x, _f=_value, _o=_options: _f(x, **_o))
case("normalize", normal(3, 4), value=lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True))
case("normalize", normal(2, 3, 4), args=((0, 2),),
     value=lambda x: x / np.sqrt(np.sum(x * x, axis=(0, 2), keepdims=True)))
case("sum", normal(20, 2, 2), args=(0,), linear="each", words="tall",
     adjoint=lambda u: ops.broadcast_to(u, (20, 2, 2)))
case("sum", normal(2, 3), args=((),), linear="each")
for _name in ("var", "std"):
    case(_name, normal(3, 4), options={"axis": 1, "ddof": 1})
case("sum_to", normal(2, 3, 4), args=((3, 1),), value=lambda x: x.sum((0, 2))[:, None],
     linear="each",
     adjoint=lambda u: ops.broadcast_to(u, (2, 3, 4)))
case("cumsum", normal(3, 4), args=(1,), linear="each",
     adjoint=lambda u: ops.flip(ops.cumsum(ops.flip(u, 1), 1), 1))
case("cumsum", normal(3, 4), linear="each")
case("cumsum", normal(3, 4), args=(0,), linear="each")
for _options in ({}, {"axis": 0}, {"axis": (0, -1), "keepdims": True}, {"axis": ()}):
    case("prod", normal(2, 3, 4), options=_options)
for _words, _rows in {"one-zero": [[0.0, 2.0, 3.0]],
                      "two-zeros": [[0.0, 2.0, 0.0], [1.5, 2.0, 3.0]],
                      "all-zeros": [[0.0, 0.0, 0.0]]}.items():
    case("prod", lambda rng, _r=_rows: np.array(_r), args=(1,), words=_words, order=3,
         flat=_words == "all-zeros")
for _name in ("any", "all"):
    constant(_name, lambda rng: rng.integers(2, size=(3, 4)) == 1)
    constant(_name, lambda rng: rng.integers(2, size=(3, 4)), args=(1,), words="rows")
    constant(_name, lambda rng: rng.integers(2, size=(3, 4)) * 0.5,
             options={"axis": (0, 1), "keepdims": True})
for _name in ("softmax", "log_softmax"):
    _value = getattr(special, _name)
    case(_name, normal(2, 3), value=lambda x, _f=_value: _f(x, -1), order=3)
    case(_name, normal(2, 3, 4), args=((0, 2),), value=lambda x, _f=_value: _f(x, (0, 2)))
for _name in ("argmax", "argmin"):
    constant(_name, distinct(3, 4))
    constant(_name, distinct(3, 4), args=(0,))
    constant(_name, distinct(3, 4), options={"axis": 1, "keepdims": True})
    constant(_name, distinct(3, 4), options={"keepdims": True})


def _standardized(x, axis, eps=1e-5):
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


case("standardize", normal(3, 4, 2), args=((0, 1),), value=lambda x: _standardized(x, (0, 1)),
     float32=1e-4)
case("standardize", normal(3, 4), args=(-1, 0.1), value=lambda x: _standardized(x, -1, 0.1))
case("standardize", normal(1, 1), args=(0,), value=np.zeros_like, words="one", flat=True)
for _shape in (2, 2, 3, 2), (5, 2), (1, 3, 1, 2):
    case("batch_norm", normal(*_shape), normal(2), normal(2),
         words=f"{_shape[0]}x{len(_shape) - 2}d", float32=1e-4,
         value=lambda x, g, b: _standardized(x, tuple(range(x.ndim - 1))) * g + b)
for _shape in (2, 3, 2), (1, 1, 1, 2):
    case("batch_norm", normal(*_shape), normal(2), normal(2), normal(2), positive(2),
         words=f"running-{len(_shape) - 2}d",
         value=lambda x, g, b, m, v: (x - m) / np.sqrt(v + 1e-5) * g + b)
for _n in (3, 1):
    case("layer_norm", normal(_n, 4), normal(4), normal(4), words=f"of-{_n}", float32=1e-4,
         value=lambda x, g, b: _standardized(x, -1) * g + b)
def _in_groups(x, groups):
    return _standardized(x.reshape(len(x), -1, groups, x.shape[-1] // groups),
                         (1, 3)).reshape(x.shape)


for _groups in 1, 2, 4:
    case("group_norm", normal(2, 3, 2, 4), normal(4), normal(4), words=f"{_groups}-of-4",
         float32=1e-4,
         call=lambda x, g, b, _n=_groups: ops.group_norm(x, g, b, _n),
         value=lambda x, g, b, _n=_groups: _in_groups(x, _n) * g + b)
case("group_norm", normal(1, 4), normal(4), normal(4), words="dense", float32=1e-4,
     call=lambda x, g, b: ops.group_norm(x, g, b, 1),
     value=lambda x, g, b: _in_groups(x, 1) * g + b)
for _shape in (2, 5, 3), (1, 2, 2, 2):
    case("instance_norm", normal(*_shape), normal(_shape[-1]), normal(_shape[-1]),
         words=f"{len(_shape) - 2}d",
         value=lambda x, g, b: _in_groups(x, x.shape[-1]) * g + b, float32=1e-3)
case("dropout", normal(3, 4), options={"rate": 0.5, "rng": 0}, linear="each",
     value=lambda x: x * 2 * (np.random.default_rng(0).random(x.shape) >= 0.5))
