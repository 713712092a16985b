"""The engine: what `record`, `grad`, `backward` and `no_grad` promise, whatever the operation."""
import threading
import weakref

import graphs
from graphs import no_collector
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.learn.cases import cases
from minidl.operands import operand
from minidl.tensor import record
from minidl.testing import gradcheck, jacobian

every_case = pytest.mark.parametrize("case", cases, ids=str)


def leaf(values, device="cpu"):
    return md.tensor(values, requires_grad=True, dtype=float, device=device)


def inputs_of(case, device="cpu"):
    return [md.tensor(a, requires_grad=a.dtype.kind == "f", device=device)
            for a in case.draw(seed=7)]


def total(y):
    return sum(ops.sum(t) for t in y) if isinstance(y, (tuple, list)) else ops.sum(y)


# --- size and shape of graphs

@pytest.mark.parametrize("step", [lambda y: y + 1.0, lambda y: ops.tanh(y) * 1.5,
                                  lambda y: ops.reshape(y, (1,))],
                         ids=["add", "tanh-multiply", "reshape"])
def test_a_chain_of_100000_operations(step):
    x = leaf([0.5])
    y = x
    for _ in range(100_000):
        y = step(y)
    gradient, = md.grad(y, x)
    assert gradient.shape == (1,) and np.isfinite(gradient.item())
    del y                                           # taking it apart must not recurse either


def test_a_chain_can_be_differentiated_twice():
    x = leaf(1.0)
    y = x
    for _ in range(2_000):
        y = y * 1.0 + 0.0 * x * x
    first, = md.grad(y, x, create_graph=True)
    second, = md.grad(first, x)
    assert first.item() == 1.0 and second.item() == 0.0


def test_diamonds_cost_one_visit_per_node():
    calls = []

    def double(x):
        def rule(gy):
            calls.append(1)
            return gy
        return record(x.data + x.data, (x, rule), (x, rule))

    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = double(y)
    gradient, = md.grad(y, x)
    assert gradient.item() == 2.0 ** 60 and len(calls) == 120


def test_y_plus_y_sixty_times(device):
    x = leaf(1.0, device)
    y = x
    for _ in range(60):
        y = y + y
    gradient, = md.grad(y, x)  # by paths, there are 2⁶⁰ of them, it would not end
    assert gradient.item() == 2.0 ** 60


@pytest.mark.parametrize("invariant", graphs.invariants, ids=lambda f: f.__name__)
@given(program=graphs.programs, seed=st.integers(0, 1000))
def test_random_programs(invariant, program, seed):
    invariant(program, seed)


# --- memory

@every_case
def test_a_graph_is_freed_without_the_collector(case):
    """No reference cycle in any operation's rules, nor in those of its gradient."""
    inputs = inputs_of(case)
    wanted = [x for x in inputs if x.requires_grad]
    with no_collector():
        y = total(case.call(*inputs))
        gradients = md.grad(y, wanted, create_graph=True)
        again = md.grad(total(tuple(ops.sum(g * g) for g in gradients)), wanted)
        watched = [weakref.ref(y.node),
                   weakref.ref(y.data)] + [weakref.ref(g.data) for g in gradients]
        watched += [weakref.ref(g.node) for g in gradients if g.node is not None]
        del y, gradients, again
        assert [r() for r in watched] == [None] * len(watched)


def test_a_value_lives_only_while_a_rule_needs_it(device):
    x, w = leaf([[1.0, -2.0]], device), leaf([[0.5], [1.0]], device)
    with no_collector():
        h = x @ w                                   # the product's rules look at x and w
        y = ops.relu(h)                             # relu's looks at y
        assert h.node.value is None and y.node.value is y.data
        array = weakref.ref(h.data)
        del h
        assert array() is None
        gradient, = md.grad(y, w, leaf([[1.0]], device))
        np.testing.assert_array_equal(gradient.numpy(), [[0.0], [0.0]])


def test_frozen_inputs_leave_nothing_behind():
    x, w, frozen = leaf([1.0, 2.0]), leaf([3.0, 4.0]), md.tensor([5.0, 6.0])
    assert len((x * w).node.inputs) == 2
    assert len((x * frozen).node.inputs) == len((frozen * x).node.inputs) == 1
    assert (frozen * frozen).node is None
    array = weakref.ref(frozen.data)
    with no_collector():
        y = x + frozen
        del frozen
        assert array() is None and y.requires_grad


def overlap(*tensors):
    return any(np.may_share_memory(s.data, t.data) for i, s in enumerate(tensors)
               for t in tensors[:i])


def test_gradients_never_alias():
    x, y = leaf([[1.0, 2.0]]), leaf([[3.0, 4.0]])
    cotangent = md.tensor([[1.0, 1.0]])
    for z in (x + y, x + y + x, ops.reshape(x + y, (1, 2)), ops.concatenate([x, y])[:1] + y - x,
              ops.stack([x, y])[0] + ops.stack([x, y])[1]):
        assert not overlap(*md.grad(z, [x, y, x], cotangent), x, y, cotangent)
    gradient, = md.grad(ops.sum(ops.broadcast_to(x, (3, 2))), x)
    assert gradient.data.strides == x.data.strides  # an array, not a broadcast view
    (x + y).backward(cotangent)
    assert not overlap(x.grad, y.grad, cotangent)
    assert not overlap(*md.grad(x, [x, x], cotangent), cotangent)


# --- grad, backward, no_grad

@every_case
def test_inputs_are_left_as_they_were(case):
    inputs = inputs_of(case)
    before = [x.numpy() for x in inputs]
    total(case.call(*inputs)).backward()
    for x, values in zip(inputs, before):
        np.testing.assert_array_equal(x.numpy(), values)


def test_third_order(device):
    x = leaf(2.0, device)
    orders = [x * x * x]
    for _ in range(4):
        orders += md.grad(orders[-1], x, create_graph=True)
    assert [t.item() for t in orders] == [8.0, 12.0, 12.0, 6.0, 0.0]


def test_create_graph():
    x = leaf([1.0, 2.0])
    y = ops.sum(ops.exp(x))
    assert not md.grad(y, x)[0].requires_grad
    assert md.grad(y, x, create_graph=True)[0].requires_grad
    y.backward(create_graph=True)
    second, = md.grad(ops.sum(x.grad), x)
    np.testing.assert_allclose(second.numpy(), np.exp([1.0, 2.0]))


def test_backward_accumulates_into_leaves():
    x, frozen = leaf([1.0, 2.0]), md.tensor([3.0, 4.0])
    middle = x * frozen
    assert x.grad is None
    ops.sum(middle).backward()
    first = x.grad
    ops.sum(middle).backward()
    np.testing.assert_array_equal(first.numpy(), [3.0, 4.0])       # what was read does not change
    np.testing.assert_array_equal(x.grad.numpy(), [6.0, 8.0])
    assert middle.grad is None and frozen.grad is None
    x.grad = None
    assert x.grad is None


def test_inputs_that_play_no_part_get_zeros(device):
    x, unused = leaf([1.0], device), leaf([[1.0, 2.0]], device)
    gradients = md.grad(x * 2.0, [unused, x])
    np.testing.assert_array_equal(gradients[0].numpy(), [[0.0, 0.0]])
    assert gradients[0].device == device and gradients[1].item() == 2.0
    constant = md.grad(md.tensor(1.0, device=device), x)
    np.testing.assert_array_equal(constant[0].numpy(), [0.0])


def test_gradients_of_intermediate_results():
    x = leaf(3.0)
    y = x * x
    z = y * y
    by_y, by_z, by_x = md.grad(z, [y, z, x])
    assert (by_y.item(), by_z.item(), by_x.item()) == (18.0, 1.0, 108.0)


def test_no_grad_records_nothing(device):
    x = leaf([1.0], device)
    with md.no_grad():
        assert (x * x).node is None and ops.exp(x).node is None
        with md.no_grad():
            pass
        assert (x * x).node is None
    assert (x * x).node is not None

    @md.no_grad()
    def evaluate():
        return x * x
    assert evaluate().node is None and (x * x).node is not None


def test_threads_differentiate_independently():
    gradients = {}

    def differentiate(k):
        x = leaf(np.full(5, float(k)))
        gradients[k] = [md.grad(ops.sum(ops.exp(x) * x), x)[0].numpy() for _ in range(100)]

    threads = [threading.Thread(target=differentiate, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_allclose(gradients[k], np.full((100, 5), np.exp(k) * (k + 1)))


def test_numpy_operands_give_tensors():
    x = leaf([1.0, 2.0])
    for other in (np.array([3.0, 4.0]), [3.0, 4.0], np.float64(3.0), 3, 3.0, True):
        for y in (other * x, x * other, other + x, other - x, x / other, other / x, x ** other):
            assert isinstance(y, md.Tensor) and y.requires_grad and y.dtype == np.float64
    y = np.array([[1.0, 2.0]]) @ x
    assert isinstance(y, md.Tensor) and y.item() == 5.0
    assert isinstance(np.array([1.0, 3.0]) == x, md.Tensor)


def test_mistakes_are_explained():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"grad: the output has shape \(2,\)"):
        md.grad(x * x, x)
    with pytest.raises(ValueError, match=r"backward: gradient has shape \(3,\), the output \(2,\)"):
        x.backward(np.ones(3))
    with pytest.raises(ValueError, match=r"grad: grad_output has shape \(3,\), the output \(2,\)"):
        md.grad(x * x, x, [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"grad: inputs\[1\] .* does not require a gradient"):
        md.grad(ops.sum(x), [x, md.tensor(1.0)])
    with pytest.raises(TypeError, match=r"grad: inputs\[0\] must be a Tensor"):
        md.grad(ops.sum(x), [np.ones(2)])
    with pytest.raises(ValueError, match="backward: .* does not depend"):
        md.tensor(1.0).backward()
    with pytest.raises(ValueError, match="grad: only a leaf"):
        (x * x).grad = x
    with pytest.raises(TypeError, match="requires_grad: only floating-point"):
        md.tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="exp: x must be a Tensor or an array, got str"):
        ops.exp("word")


class OfAnotherKind(np.ndarray):
    pass


def test_a_tensor_is_a_copy_of_what_gives_itself_as_an_array():
    class Holder:
        array = np.zeros(3)

        def __array__(self, dtype=None, copy=None):
            return self.array

    t = md.tensor(Holder())
    Holder.array += 1
    assert not t.numpy().any()


@pytest.mark.parametrize("kind", [OfAnotherKind, np.matrix, np.ma.MaskedArray])
def test_a_tensor_is_a_copy_of_other_kinds_of_arrays_too(kind):
    array = np.zeros((2, 3)).view(kind)
    t = md.tensor(array)
    array += 1
    assert not t.numpy().any() and type(t.data) is np.ndarray


def test_a_tensor_is_a_copy_of_pytorchs():
    torch = pytest.importorskip("torch")
    array = torch.zeros(3)
    t = md.tensor(array)
    array += 1
    assert not t.numpy().any()


def test_a_tensor_is_a_copy():
    array = np.ones(3)
    t = md.tensor(array)
    array[0] = 5.0
    t.numpy()[1] = 7.0
    np.testing.assert_array_equal(t.numpy(), np.ones(3))


def test_jacobian_and_hessian(device):
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(jacobian(lambda x: x * x[::-1], x).numpy(), [[2.0, 1.0], [2.0, 1.0]])
    hessian = jacobian(lambda x: md.grad(x[0] ** 2 * x[1], x, create_graph=True)[0], x)
    np.testing.assert_allclose(hessian.numpy(), [[4.0, 2.0], [2.0, 0.0]])


def test_your_own_operation(device):
    """The ten lines of the engine's documentation."""
    def cube(x):
        x = operand("cube", x)
        return record(x.data ** 3, (x, lambda gy: gy * 3 * x ** 2))

    gradcheck(cube, [1.0, -2.0], order=3)


def test_ready_tells_of_each_gradient_when_its_last_cotangent_has_arrived():
    """A leaf made first is known long before the sweep reaches its Node."""
    told, passed = [], []
    w1, w2, w3 = (md.tensor(v, requires_grad=True) for v in (2.0, 3.0, 5.0))

    def noted(name, x):
        return md.record(x.data, (x, lambda gy: passed.append(name) or gy))

    y = noted("first", w1 * w1)
    z = noted("second", y * w2 + w1)                    # w1 is used here, too
    found = md.grad(z * w2, [w1, w2, w3, w1], ready=lambda x, g: told.append(
        (x, g.item(), list(passed))))
    assert [g.item() for g in found] == [39.0, 26.0, 0.0, 39.0]
    assert [(name, value) for name, value, _ in told] == [(w2, 26.0), (w1, 39.0), (w3, 0.0)]
    assert [seen for *_, seen in told] == [["second"], ["second", "first"], ["second", "first"]]


def test_ready_tells_of_inputs_on_none_of_which_the_output_depends():
    x, z, told = leaf([1.0, 2.0]), leaf([3.0]), []
    zeros, = md.grad(md.ops.sum(x), z, ready=lambda t, g: told.append((t, g.numpy().tolist())))
    assert told == [(z, [0.0])] and zeros.numpy().tolist() == [0.0]


def test_ready_tells_of_intermediate_results_and_of_the_output_itself():
    told = []
    x = md.tensor(2.0, requires_grad=True)
    y = x * x
    z = y * y
    md.grad(z, [z, y, x], ready=lambda t, g: told.append((t, g.item())))
    assert told == [(z, 1.0), (y, 8.0), (x, 32.0)]
    told.clear()
    first, = md.grad(z, x, create_graph=True, ready=lambda t, g: told.append(g))
    assert told == [first] and md.grad(first, x)[0].item() == 48.0
