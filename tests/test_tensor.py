"""What a Tensor does in Python: conversions, length, truth, indexing, printing, and what it
refuses."""
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def test_numbers():
    t = md.tensor([[2.5]])
    assert t.item() == float(t) == 2.5 and int(t) == 2 and type(t.item()) is float
    assert type(int(t)) is int
    assert bool(md.tensor(1.0)) and not bool(md.tensor([0]))
    for convert in md.Tensor.item, float, int:
        with pytest.raises(ValueError, match=r"item: only a Tensor of one element is one number, "
                                             r"this one has shape \(2,\)"):
            convert(md.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"a Tensor of shape \(2,\) is neither true nor false; .*"
                                         r"t.any\(\) or t.all\(\)"):
        bool(md.tensor([1.0, 2.0]))


@pytest.mark.parametrize("call, words", [
    (lambda: md.tensor([1.0], "float32"), "requires_grad must be True or False, got 'float32'"),
    (lambda: nn.Parameter([1.0], "float64"), "requires_grad must be True or False"),
    (lambda: md.tensor(None), "array must be numbers, .* got NoneType"),
    (lambda: md.tensor({1, 2}), "array must be numbers, .* got set"),
    (lambda: md.tensor(2 ** 70), "array must be numbers, .* got int")])
def test_what_is_no_array_or_flag(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_what_is_assigned_to_data_is_said_wherever_it_is_read():
    w = md.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    w.data = w - w.grad                                             # of PyTorch's habits
    for read in (repr, lambda t: t.numpy(), lambda t: t.device, md.optim.SGD(w, 0.1).step):
        with pytest.raises(TypeError, match="must be an array, .*Tensor"):
            read(w) if read.__name__ != "step" else read()


def test_numpys_comparison_of_tensors_with_gradients_is_refused():
    w = md.tensor([1.0, 2.0], requires_grad=True, device="cpu")
    for compare in np.array_equal, np.array_equiv, np.allclose:
        with pytest.raises(TypeError, match="does not turn into a NumPy array by itself"):
            compare(w, w)
    assert np.array_equal(w.detach(), w.detach())


def test_integers_are_indices():
    assert ["a", "b", "c"][md.tensor(1)] == "b" and list(range(md.tensor(2))) == [0, 1]
    for wrong in md.tensor(1.0), md.tensor(True):
        with pytest.raises(TypeError, match="only an integer Tensor of one element can be an "
                                            f"index, this one is {wrong.dtype}"):
            [1, 2][wrong]
    with pytest.raises(TypeError, match=r"this one is int64 of shape \(2,\)"):
        [1, 2][md.tensor([0, 1])]


def test_length_and_iteration():
    t = md.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(t) == 2 and len(md.tensor(np.zeros((0, 3)))) == 0
    first, second = t
    assert [row.numpy().tolist() for row in (first, second)] == [[1, 2], [3, 4]]
    gradient, = md.grad(ops.sum(second * first), t)
    assert gradient.numpy().tolist() == [[3, 4], [1, 2]]
    for call in len, iter:
        with pytest.raises(TypeError, match="zero dimensions"):
            call(md.tensor(1.0))


def test_printing(device):
    where = "" if device == "cpu" else f", device={device!r}"
    assert (
        repr(md.tensor([1.0, 2.0], requires_grad=True))
        == f"tensor([1., 2.], float64{where}, requires_grad=True)"
    )
    assert repr(md.tensor([[1], [2]])) == f"tensor([[1],\n        [2]], int64{where})"
    t = md.tensor(1.23456)
    assert f"{t:.2f}" == "1.23" and f"{t}" == str(t) == f"tensor(1.23456, float64{where})"
    with pytest.raises(ValueError, match="one element"):
        f"{md.tensor([1.0, 2.0]):.2f}"


def test_numpy_arrays(device):
    t = md.tensor([1.0, 2.0])
    if device == "cpu":
        host = np.asarray(t)
        assert host.tolist() == [1, 2] and np.asarray(t, dtype="float32").dtype == np.float32
        host[:] = 0
        assert t.numpy().tolist() == [1, 2]
    else:
        with pytest.raises(TypeError, match=f"on {device!r} does not turn into a NumPy array by "
                                            "itself; call .numpy()"):
            np.asarray(t)
    with pytest.raises(TypeError, match="that requires a gradient"):
        np.asarray(md.tensor([1.0], requires_grad=True))


def test_numbers_are_operands():
    for f, expected in (ops.add, 5.0), (ops.multiply, 6.0), (ops.power, 8.0), (ops.maximum, 3.0):
        assert f(2.0, 3.0).item() == expected
    with pytest.raises(TypeError, match=r"^add: a must be a Tensor or an array, got str"):
        ops.add("x", 1.0)


def test_gradients_are_held_by_leaves(device):
    t = md.tensor([1.0, 2.0], requires_grad=True)
    t.grad = md.tensor([3.0, 4.0])
    ops.sum(t * t).backward()
    assert t.grad.numpy().tolist() == [5, 8] and t.grad.device == device
    for wrong in md.tensor([1.0]), t * 2.0:
        with pytest.raises(ValueError, match="grad: only a leaf that requires a gradient has one"):
            wrong.grad = t
    t.requires_grad = False
    assert t.grad is None and not (t * 2).requires_grad
    with pytest.raises(TypeError,
                       match="only floating-point Tensors have gradients, this one is int64"):
        md.tensor([1]).requires_grad = True
