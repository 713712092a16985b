"""What a rule is: the forms that `record` takes, what it says of others, and the values that a rule
sees."""
import copy
import functools
import gc
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.recording import recording
from minidl.testing import gradcheck


def leaf(values, device="cpu"):
    return md.tensor(np.array(values, "float64"), requires_grad=True, device=device)


def slope(operation, x=(1.0, 2.0)):
    x = leaf(x)
    return md.grad(ops.sum(operation(x)), x)[0].numpy().tolist()


# --- forms

def test_a_default_of_a_rule_is_no_parameter():
    """Python's way to bind a value in a loop."""
    assert slope(lambda x: md.record(2 * x.data, (x, lambda gy, k=2: gy * k))) == [2, 2]


def test_a_partial_an_object_and_a_bound_method_are_rules():
    class Times:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, gy):
            return gy * self.factor

        def rule(self, gy):
            return self(gy)

    def scaled(factor, gy):
        return gy * factor

    for rule in functools.partial(scaled, 3), Times(3), Times(3).rule, functools.partial(Times(3)):
        assert slope(lambda x, rule=rule: md.record(3 * x.data, (x, rule))) == [3, 3]


def test_a_rule_that_needs_the_output_says_so():
    def exp(x):
        return md.record(np.exp(x.data), (x, md.with_output(lambda gy, y, k=1: k * gy * y)))

    gradcheck(exp, [0.5, -1.0], order=2)
    kept = leaf([1.0])
    assert exp(kept).node.value is not None and (kept * 2).node.value is None


# --- rules that several inputs share

def joint(a, b):
    a, b = md.operand("joint", a, "a"), md.operand("joint", b, "b")
    return md.record(a.data * b.data ** 2, ((a, b), lambda gy: (gy * b * b, 2 * gy * a * b)))


def apart(a, b):
    a, b = md.operand("apart", a, "a"), md.operand("apart", b, "b")
    return md.record(a.data * b.data ** 2, (a, lambda gy: gy * b * b),
                     (b, lambda gy: 2 * gy * a * b))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,)])
def test_a_shared_rule_equals_separate_ones_to_third_order(shape, device):
    rng = np.random.default_rng(0)
    a, b = leaf(rng.normal(size=3), device), leaf(rng.normal(size=shape), device)
    found = []
    for operation in joint, apart:
        gradients, orders = [ops.sum(operation(a, b))], []
        for _ in range(3):
            gradients = md.grad(ops.sum(sum(ops.sum(g * g) for g in gradients)), [a, b],
                                create_graph=True)
            orders += [g.numpy() for g in gradients]
        found.append(orders)
    for shared, single in zip(*found):
        np.testing.assert_allclose(shared, single, rtol=1e-12)


def test_a_shared_rule_passes_gradcheck():
    gradcheck(joint, [0.5, -1.0], [[2.0, 0.3]], order=2)


def test_a_shared_rule_is_called_once_for_all_its_inputs():
    calls = []

    def operation(a, b):
        def rule(gy):
            calls.append(gy)
            return gy * b, gy * a
        return md.record(a.data * b.data, ((a, b), rule))

    a, b = leaf(2.0), leaf(3.0)
    assert [g.item() for g in md.grad(operation(a, b), [a, b])] == [3, 2]
    assert len(calls) == 1


def test_a_shared_rule_may_leave_out_what_needs_no_gradient():
    a, frozen = leaf(2.0), md.tensor(3.0)
    y = md.record(a.data * frozen.data, ((a, frozen), lambda gy: (gy * frozen, None)))
    assert md.grad(y, a)[0].item() == 3
    assert md.record(frozen.data, ((frozen, frozen), lambda gy: (gy, gy))).node is None


@pytest.mark.parametrize("operation, inputs", [
    ("conv", [(2, 5, 4, 3), (3, 2, 3, 4), (4,)]),
    ("conv_relu", [(2, 5, 4, 3), (3, 2, 3, 4), (4,)]),
    ("batch_norm", [(2, 5, 3), (3,), (3,)]),
])
def test_convolution_and_batch_norm_share_rules_to_any_order(operation, inputs, device):
    rng = np.random.default_rng(1)
    tensors = [leaf(rng.normal(size=shape), device) for shape in inputs]
    y = getattr(ops, operation)(*tensors)
    assert any(isinstance(parents, tuple) for parents, _ in _nodes(y.node))
    gradcheck(getattr(ops, operation), *tensors, order=2)


def _nodes(node):
    """Every entry of `inputs` below a Node."""
    for parents, rule in node.inputs:
        yield parents, rule
        for parent in parents if isinstance(parents, tuple) else (parents,):
            if parent is not None:
                yield from _nodes(parent)


@pytest.mark.parametrize("frozen", range(3))
def test_frozen_inputs_of_a_shared_rule_cost_nothing_and_change_nothing(frozen):
    rng = np.random.default_rng(2)
    three = [(1, 5, 2), (3, 2, 4), (4,)]
    for operation, shapes in (
        (ops.conv, three),
        (ops.conv_relu, three),
        (ops.batch_norm, [(6, 3), (3,), (3,)]),
    ):
        tensors = [leaf(rng.normal(size=shape)) for shape in shapes]
        cotangent = rng.normal(size=operation(*tensors).shape)
        whole = md.grad(operation(*tensors), tensors, cotangent)
        tensors[frozen].requires_grad = False
        rest = [i for i in range(3) if i != frozen]
        for i, g in zip(rest, md.grad(operation(*tensors), [tensors[i] for i in rest], cotangent)):
            np.testing.assert_allclose(g.numpy(), whole[i].numpy(), rtol=1e-12)


# --- what is no rule

def wrong_array(x):
    return md.record(x.data * 2, (x, lambda gy: gy.data * 2))


def wrong_none(x):
    return md.record(x.data * 2, (x, lambda gy: None))


def wrong_shape(x):
    return md.record(x.data * 2, (x, lambda gy: gy[:1]))


def wrong_call(x):
    return md.record(np.exp(x.data), (x, lambda gy, y: gy * y))


def wrong_call_with_output(x):
    return md.record(np.exp(x.data), (x, md.with_output(lambda gy: gy)))


def wrong_number(x):
    return md.record(2 * x.data, (x, 2.0))


def wrong_pair(x):
    return md.record(2 * x.data, x, lambda gy: gy)


def wrong_input(x):
    return md.record(2 * x.data, (x, lambda gy: gy), (x.data, lambda gy: gy))


def wrong_tuple(x):
    return md.record(2 * x.data, ((x, x), lambda gy: gy))


def wrong_count(x):
    return md.record(2 * x.data, ((x, x), lambda gy: (gy,)))


def wrong_none_of_two(x):
    return md.record(2 * x.data, ((x, x), lambda gy: (gy, None)))


@pytest.mark.parametrize("operation, kind, says", [
    (wrong_array, TypeError, r"line \d+: .*input of shape \(3,\) gave an array of shape \(3,\)"),
    (wrong_none, TypeError, r"line \d+: .*input of shape \(3,\) gave None"),
    (wrong_shape, ValueError, r"line \d+: .*input of shape \(3,\) gave a Tensor of shape \(1,\)"),
    (wrong_call, TypeError, "is called with ȳ, .*missing a required argument: 'y'.*with_output"),
    (wrong_call_with_output, TypeError, "is called with ȳ and y, as with_output says"),
    (wrong_number, TypeError, "input 1 given to record has float 2.0 for a rule"),
    (wrong_pair, TypeError, r"input 1 given to record must be a pair \(Tensor, rule\)"),
    (wrong_input, TypeError,
     r"input 2 given to record must be a Tensor, got an array of shape \(3,\)"),
    (wrong_tuple, TypeError, "shared by 2 inputs gives a tuple of 2 cotangents, .* gave a Tensor"),
    (wrong_count, ValueError, "shared by 2 inputs gives a tuple of 2 cotangents; this one gave 1"),
    (wrong_none_of_two, TypeError, r"input of shape \(3,\) gave None"),
])
def test_what_is_no_rule_is_named(operation, kind, says):
    with pytest.raises(kind, match=f"^{operation.__name__}.*{says}"):
        slope(operation, [1.0, 2.0, 3.0])


def test_a_mistake_inside_of_a_rule_stays_what_it_is():
    nothing = None
    with pytest.raises(TypeError, match="^'NoneType' object is not callable"):
        slope(lambda x: md.record(2 * x.data, (x, lambda gy: nothing())))


# --- the values that a rule sees

def test_a_rule_sees_the_values_that_its_operation_used(device):
    w, x = leaf(2.0, device), leaf(3.0, device)
    y = w * x
    w.data = md.tensor(100.0, device=device).data
    assert md.grad(y, x)[0].item() == 2
    assert md.grad(w * x, x)[0].item() == 100


def test_a_constant_may_change_between_too():
    c, x = md.tensor(2.0), leaf(3.0)
    y = ops.exp(c * x)
    c.data = np.array(100.0)
    assert md.grad(y, x)[0].item() == pytest.approx(2 * np.exp(6))


@pytest.mark.parametrize("make, shape", [
    (lambda: nn.Dense(3, 3, rng=0), (4, 3)),
    (lambda: nn.Conv2d(3, 3, 3, padding=1, rng=0), (2, 4, 4, 3)),
    (lambda: nn.BatchNorm(3), (4, 3)), (lambda: nn.ConvTranspose2d(3, 3, 3, rng=0), (2, 4, 4, 3)),
    (lambda: nn.LayerNorm(3), (4, 3))])
def test_a_step_between_two_backward_passes_changes_no_gradient(make, shape):
    x = leaf(np.random.default_rng(0).normal(size=shape)).detach().astype("float32")
    first, second = nn.Dense(3, 3, rng=1), make()
    loss = ops.sum(ops.square(second(first(x))))
    right, = md.grad(loss, first.weight)
    for parameter in second.parameters():
        parameter.data = parameter.data * 3 + 1
    np.testing.assert_array_equal(md.grad(loss, first.weight)[0].numpy(), right.numpy())


# --- gradients that somebody sets

def test_a_gradient_that_is_set_is_checked_and_takes_its_leafs_dtype():
    p = nn.Parameter(np.ones(3, "float32"))
    p.grad = md.tensor(np.ones(3))
    assert p.grad.dtype == np.float32
    p.grad = np.full(3, 2.0)
    assert p.grad.numpy().tolist() == [2, 2, 2] and p.grad.dtype == np.float32
    with pytest.raises(ValueError, match=r"grad: the gradient has shape \(3, 1\), the leaf \(3,\)"):
        p.grad = np.ones((3, 1), "float32")
    with pytest.raises(TypeError, match="grad: the gradient must be a Tensor or an array, got str"):
        p.grad = "steep"
    p.grad = None
    assert p.grad is None


# --- copies, and other processes

def test_copies_of_leaves_are_leaves_of_their_own():
    p = nn.Parameter(np.ones(2))
    ops.sum(p * 2.0).backward()
    for q in copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p)):
        assert type(q) is nn.Parameter and q.requires_grad
        assert q.grad is not p.grad and q.grad.numpy().tolist() == [2, 2]
        ops.sum(q).backward()
        assert q.grad.numpy().tolist() == [3, 3] and p.grad.numpy().tolist() == [2, 2]
    constant = copy.deepcopy(md.tensor([1, 2]))
    assert not constant.requires_grad and constant.numpy().tolist() == [1, 2]


def test_a_tensor_inside_of_a_graph_is_not_copied_without_it():
    y = leaf(1.0)
    for _ in range(2000):
        y = y * 1.0
    for f in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match="computed from others.*detach"):
            f(y)


def test_what_was_pickled_here_is_differentiated_there(tmp_path):
    for _ in range(50):
        nn.Dense(3, 1, rng=0)                           # this process has made Nodes of its own
    w, net = nn.Parameter(1.0), nn.Dense(3, 1, rng=0)
    (tmp_path / "net.pickle").write_bytes(pickle.dumps((net, w)))
    program = """if True:
        import pickle, sys
        import minidl as md
        net, w = pickle.load(open(sys.argv[1], "rb"))
        total = 0.0
        for _ in range(100):
            total = total + w * 1.0
        print(md.grad(total, w)[0].item())
        md.ops.sum(net(md.ops.ones_like(md.tensor([[1.0, 2.0, 3.0]])))).backward()
        print(net.weight.grad.numpy().ravel().tolist())
        """
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path / "net.pickle")],
                          capture_output=True, text=True)
    assert told.stdout.split("\n")[:2] == ["100.0", "[1.0, 1.0, 1.0]"], told.stderr


def test_copying_leaves_no_cycle():
    gc.disable()
    try:
        p = copy.deepcopy(nn.Parameter(np.ones(2)))
        watched = weakref.ref(p.node)
        del p
        assert watched() is None
    finally:
        gc.enable()


def test_what_is_assigned_to_data_may_be_a_number_of_numpys_and_is_named_otherwise():
    w = leaf(2.0)
    w.data = w.data - 0.5 * w.data  # of an array of zero dimensions NumPy makes a number
    assert md.grad(w * w, w)[0].item() == 2
    with md.no_grad():
        assert (w * 2 + md.tensor(1.0)).item() == 3
    w.data = [1.0, 2.0]
    with pytest.raises(TypeError, match="exp: the data of x must be an array, list was assigned"):
        ops.exp(w)


def test_a_leaf_keeps_its_shape_and_dtype():
    """Else what is made of it would be summed to the shape that it had."""
    w = leaf([1.0])
    w.data = np.ones(3)
    for f in (lambda: w * w), (lambda: ops.exp(w)):
        with pytest.raises(ValueError,
                           match=r"leaf of shape \(1,\) and float64, data of shape \(3,\)"):
            f()
    w.data = np.ones(1, "float32")
    with pytest.raises(ValueError, match="data of shape .* and float32 was assigned"):
        ops.exp(w)


def test_what_was_computed_stays_in_its_graph():
    y = leaf([2.0]) * 3.0
    y.requires_grad = 2                                 # truth is what counts
    with pytest.raises(ValueError,
                       match="requires_grad: only a leaf can become a constant.*detach"):
        y.requires_grad = False
    assert y.requires_grad


def test_a_gradient_is_recorded_only_where_that_is_asked_for():
    x, g = leaf([1.0]), leaf([1.0])
    assert not md.grad(x + 1, x, g)[0].requires_grad and not md.grad(x * 1, x, g)[0].requires_grad
    again, = md.grad(md.grad(x * x, x, g, create_graph=True)[0], g)
    assert again.numpy() == [2]
    with md.no_grad():
        for _ in range(2):
            recorded_square(x).backward(create_graph=True)
    assert x.grad.requires_grad and x.grad.numpy() == [4]
    x.grad = None                                       # a gradient and its leaf hold each other


def recorded_square(x):
    with recording(True):
        return ops.sum(x * x)


def test_a_cotangent_of_a_constant_is_checked_too():
    with pytest.raises(ValueError, match=r"grad: grad_output has shape \(7,\), the output \(3,\)"):
        md.grad(md.tensor([1.0, 2.0, 3.0]), leaf(1.0), np.ones(7))


def test_a_rule_that_cannot_be_called_leaves_no_cycle():
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = wrong_call(x)
        watched = weakref.ref(y.node)
        with pytest.raises(TypeError):
            md.grad(ops.sum(y), x)
        del y
        assert watched() is None
    finally:
        gc.enable()


def test_a_value_that_is_no_array_of_numbers_is_refused():
    def forgotten(x):
        return md.record(None, (x, lambda gy: gy))

    def tensor_for_an_array(x):
        return md.record(2 * x, (x, lambda gy: gy))

    with pytest.raises(TypeError, match="^forgotten: the value given to record must be an array of "
                                        "numbers, got None"):
        forgotten(leaf(1.0))
    with pytest.raises(TypeError, match=r"^tensor_for_an_array: .*got a Tensor of shape .*x\.data"):
        tensor_for_an_array(leaf(1.0))


def test_no_grad_is_named_where_nothing_was_recorded():
    with md.no_grad(), pytest.raises(ValueError,
                                     match="backward: .*within no_grad.. nothing is recorded"):
        (leaf(1.0) * 2).backward()


@pytest.mark.parametrize("operation", [
    lambda s: ops.pad([1.0], 1, constant_values=s), lambda s: ops.var([1.0, 2.0], ddof=s),
    lambda s: ops.std([1.0, 2.0], ddof=s),
    lambda s: ops.dropout([1.0], s, 0), lambda s: ops.standardize([1.0, 2.0], 0, s),
    lambda s: ops.batch_norm(np.ones((3, 1)), [1.0], [0.0], eps=s), lambda s: nn.Dropout(s),
    lambda s: nn.BatchNorm(3, eps=s)])
def test_a_number_to_which_no_gradient_flows_is_no_tensor_that_requires_one(operation):
    with pytest.raises(TypeError, match="is a number, to which no gradient flows; got a Tensor "
                                        "that requires one"):
        operation(leaf(0.5))


def test_settings_that_are_learned_have_the_gradients_of_their_formulas():
    x, s = leaf([-1.0, 2.0]), leaf(0.5)
    for y, right in ((ops.clip(x, s), 1), (ops.clip(x, None, s), 1), (ops.leaky_relu(x, s), -1),
                     (ops.elu(x, s), np.exp(-1) - 1)):
        assert md.grad(ops.sum(y), s)[0].item() == pytest.approx(right)
    gradcheck(lambda x, s: ops.leaky_relu(x, s), [-1.0, 2.0], 0.5, order=2)
    gradcheck(lambda x, s: ops.elu(x, s), [-1.0, 2.0], 0.5, order=2)
    gradcheck(lambda x, low, high: ops.clip(x, low, high), [-1.0, 0.1, 2.0], [-0.5, -0.5, 0.0], 0.7)
