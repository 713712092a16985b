"""Products of matrices: linear in each operand."""
import numpy as np

from minidl import ops
from minidl.learn.cases.registry import case
from minidl.learn.domains import normal

for _words, _first, _second in [
        ("matrices", (3, 4), (4, 2)), ("vectors", (4,), (4,)), ("vector-matrices", (4,), (2, 4, 3)),
        ("matrices-vector", (2, 1, 3, 4), (4,)), ("broadcast", (2, 1, 3, 4), (5, 4, 2)),
        ("one", (1, 1), (1, 1))]:
    case("matmul", normal(*_first), normal(*_second), words=_words, linear="each")
for _words, _first, _second in [
        ("vectors", (4,), (4,)), ("matrices", (3, 4), (4, 2)), ("stack", (2, 3, 4), (4,)),
        ("stacks", (2, 4), (3, 4, 2)), ("vector-stack", (4,), (3, 4, 2))]:
    case("dot", normal(*_first), normal(*_second), words=_words, linear="each")
case("gram", normal(4, 3), value=lambda x: x.T @ x)
case("gram", normal(2, 3, 2), words="batch", value=lambda x: x.swapaxes(1, 2) @ x)
case("gram", normal(1, 1), words="one", value=lambda x: x * x)
case("outer", normal(3), normal(4), linear="each")
case("diagonal", normal(3, 4), linear="each")
case("diagonal", normal(2, 3, 4), args=(1, -1, 0), linear="each")
case("diagonal", normal(3, 4), args=(-1,), linear="each")
case("trace", normal(3, 3), linear="each",
     adjoint=lambda u: ops.scatter(ops.broadcast_to(u, (3,)), ([0, 1, 2], [0, 1, 2]), (3, 3)))
case("trace", normal(2, 3, 4), args=(1, 2, 1), linear="each")
for _subscripts, *_shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)), ("nik,nkj->nij", (2, 3, 4), (2, 4, 2)), ("ij->j", (3, 4)),
        ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij,kl->k", (2, 3), (4, 2)),
        ("...i,...i", (2, 3), (3,)), ("i,j,k->kij", (2,), (3,), (2,)),
        ("ij,ij->ij", (1, 3), (2, 3)), ("ik,ij->ij", (1, 4), (2, 3)),
        ("iji,j->ij", (2, 3, 2), (3,)), ("k,ik", (2,), (3, 1))):
    case("einsum", *(normal(*s) for s in _shapes), words=_subscripts, linear="each",
         call=lambda *t, _s=_subscripts: ops.einsum(_s, *t),
         value=lambda *a, _s=_subscripts: np.einsum(_s, *a))
