"""Padding that is more on one side than on the other, and TensorFlow's "same"."""
import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.kernels.geometry import same_padding
from minidl.testing import adjointcheck

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


@pytest.mark.parametrize("n, window, stride, dilation, expected", [
    (6, 3, 2, 1, (0, 1)), (5, 3, 2, 1, (1, 1)), (5, 3, 1, 1, (1, 1)), (5, 2, 1, 1, (0, 1)),
    (5, 2, 2, 1, (0, 1)), (4, 2, 2, 1, (0, 0)), (224, 7, 2, 1, (2, 3)), (300, 3, 2, 1, (0, 1)),
    (7, 3, 1, 2, (2, 2)), (5, 1, 3, 1, (0, 0))])
def test_tensorflows_rule_by_hand(n, window, stride, dilation, expected):
    """https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2"""
    assert same_padding(n, window, stride, dilation) == expected


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
def test_same_is_the_least_padding_for_that_many_places(n, window, stride, dilation):
    before, after = same_padding(n, window, stride, dilation)
    reach, places = dilation * (window - 1) + 1, math.ceil(n / stride)
    assert (n + before + after - reach) // stride + 1 == places and 0 <= after - before <= 1
    assert before + after == 0 or (n + before + after - 1 - reach) // stride + 1 < places


def geometry(data, ndim, half):
    """Sizes, window, stride, dilation and (before, after) of each axis, in which the window fits.

    half: pads half a window at most, and has no dilation.
    """
    axes = []
    for _ in range(ndim):
        window, stride, dilation = (data.draw(st.integers(1, n)) for n in (4, 3, 1 if half else 2))
        pair = data.draw(st.tuples(*[st.integers(0, window // 2 if half else 3)] * 2))
        least = max(1, dilation * (window - 1) + 1 - sum(pair))
        axes.append((data.draw(st.integers(least, least + 4)), window, stride, dilation, pair))
    return tuple(zip(*axes))


def by_dimension(test):
    return pytest.mark.parametrize("ndim", [1, 2, 3])(given(data=st.data())(test))


def extended(x, pairs, value=0):
    return np.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=value)


@by_dimension
def test_convolution_is_that_of_the_padded_array(ndim, data):
    sizes, window, stride, dilation, pairs = geometry(data, ndim, half=False)
    same = data.draw(st.booleans())
    padding = "same" if same else pairs
    pairs = tuple(map(same_padding, sizes, window, stride, dilation)) if same else pairs
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *sizes, 4))
    w, b = (md.tensor(rng.standard_normal(shape)) for shape in ((*window, 2, 6), 6))
    padded = md.tensor(extended(x, pairs))
    options = dict(stride=stride, dilation=dilation, groups=2)
    expected = ops.conv(padded, w, b, **options).numpy()
    for operation, made in (ops.conv, expected), (ops.conv_relu, np.maximum(expected, 0)):
        y = operation(md.tensor(x), w, b, padding=padding, **options)
        np.testing.assert_allclose(y.numpy(), made, atol=1e-12)
    if same:
        assert expected.shape[1:-1] == tuple(math.ceil(n / s) for n, s in zip(sizes, stride))
    inside = (slice(None), *(slice(before, before + n) for (before, _), n in zip(pairs, sizes)))
    adjointcheck(lambda x: ops.conv(x, w, padding=padding, **options),
                 lambda u: ops.conv_input(u, w, padded.shape[1:-1], **options)[inside],
                 x, rng.standard_normal(expected.shape), allow_zero=True)


@by_dimension
def test_pooling_is_that_of_the_padded_array(ndim, data):
    sizes, window, stride, dilation, pairs = geometry(data, ndim, half=True)
    same = data.draw(st.booleans())
    padding = "same" if same else pairs
    pairs = tuple(map(same_padding, sizes, window, stride, dilation)) if same else pairs
    x = np.random.default_rng(0).standard_normal((2, *sizes, 2))
    lower, wider = (md.tensor(extended(x, pairs, value)) for value in (-math.inf, 0))
    np.testing.assert_array_equal(ops.max_pool(md.tensor(x), window, stride, padding).numpy(),
                                  ops.max_pool(lower, window, stride).numpy())
    np.testing.assert_allclose(ops.average_pool(md.tensor(x), window, stride, padding).numpy(),
                               ops.average_pool(wider, window, stride).numpy(), atol=1e-12)
    # whatever x is, the padding takes no cotangent
    leaf = md.tensor(np.full_like(x, -math.inf), requires_grad=True)
    y = ops.max_pool(leaf, window, stride, padding)
    assert md.grad(y.sum(), leaf)[0].numpy().sum() == y.size


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float16", "float32"])
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (1, 1)])
def test_padding_is_never_the_maximum(dtype, pair):
    x = np.array([-3, -1, -5, -2]).astype(dtype).reshape(1, 4, 1)
    y = ops.max_pool(md.tensor(x), 2, 1, (pair,))
    assert y.dtype == x.dtype
    expected = [max(x[0, max(i, 0):i + 2, 0]) for i in range(-pair[0], 3 + pair[1])]
    np.testing.assert_array_equal(y.numpy().ravel(), expected)


def test_causal_convolution():
    """With all padding before, y[t] sees nothing that comes after t."""
    x = md.tensor(np.random.default_rng(0).standard_normal((1, 9, 2)), requires_grad=True)
    y = ops.conv(x, md.tensor(np.ones((3, 2, 1))), dilation=2, padding=((4, 0),))
    seen = md.grad(y[0, 5, 0], x)[0].numpy()[0, :, 0]
    assert y.shape == (1, 9, 1) and np.flatnonzero(seen).tolist() == [1, 3, 5]


W = np.ones((3, 3, 1, 1))


@pytest.mark.parametrize("call, error, words", [
    (lambda x: ops.conv(x, W, padding="valid"), ValueError,
     "^conv: padding must be an integer ≥ 0, or for each of the 2 axes such an integer or "
     r'\(before, after\), or "same", got \'valid\''),
    (lambda x: ops.conv_relu(x, W, padding=((0, 1),)), ValueError, "^conv_relu: padding .*, got "),
    (lambda x: ops.conv(x, W, padding=((0, 1, 2), 0)), ValueError, "^conv: padding "),
    (lambda x: ops.conv(x, W, padding=((0, -1), 0)), ValueError, "^conv: padding "),
    (lambda x: ops.conv(x, W, padding=((0, 1.5), 0)), TypeError, "^conv: padding "),
    (lambda x: ops.conv(x, np.ones((7, 3, 1, 1)), padding=((0, 1), 0)), ValueError,
     "^conv: window 7 is larger than the padded input 6 along H"),
    (lambda x: ops.max_pool(x, 3, 1, ((0, 2), 0)), ValueError,
     r"^max_pool: padding \(\(0, 2\), 0\) is more than half the window \(3, 3\)"),
    (lambda x: ops.max_pool(x, (5, 7), 1, ((2, 0), (3, 0))), ValueError,
     "^max_pool: window 7 is larger than the padded input 6 along W"),
    (lambda x: ops.average_pool(x[:, :0], 3, 1, "same"), ValueError,
     "^average_pool: x of shape .* has no pixels"),
    (lambda x: ops.max_pool_with_switches(x, 2, 2, "same"), TypeError,
     "^max_pool_with_switches: padding must be"),
    (lambda x: ops.conv_transpose(x, W, padding="same"), TypeError, "^conv_transpose: padding"),
    (lambda x: nn.Conv2d(1, 1, 3, padding="full"), ValueError, "^Conv2d: padding .* got 'full'"),
    (lambda x: nn.MaxPool(3, padding=(1, (0, 1, 2))), ValueError, "^MaxPool: padding "),
    (lambda x: nn.ConvTranspose2d(1, 1, 3, padding="same"), TypeError,
     "^ConvTranspose2d: padding must be an integer")])
def test_errors_say_what_padding_may_be(call, error, words):
    x = np.zeros((1, 5, 3, 1))
    with pytest.raises(error, match=words):
        call(x)


# --- layers

@pytest.mark.parametrize("layer, shown, window", [
    (nn.Conv2d(1, 1, 3, 2, "same", rng=0), "Conv2d(1, 1, 3, stride=2, padding='same')",
     (3, 2, "same", 1)),
    (nn.Conv2d(1, 1, 3, padding="same", rng=0), "Conv2d(1, 1, 3, padding='same')", (3, 1, 1, 1)),
    (nn.Conv2d(1, 1, (3, 4), 1, "same", 2, rng=0),
     "Conv2d(1, 1, (3, 4), padding='same', dilation=2)", ((3, 4), 1, (2, 3), 2)),
    (nn.Conv2d(1, 1, (3, 2), 1, "same", rng=0), "Conv2d(1, 1, (3, 2), padding='same')",
     ((3, 2), 1, (1, (0, 1)), 1)),
    (nn.ConvReLU(1, 1, 3, 1, ((1, 1), [1, 1]), rng=0), "ConvReLU(1, 1, 3, padding=1)",
     (3, 1, 1, 1)),
    (nn.Conv1d(1, 1, 3, 1, ((2, 0),), rng=0), "Conv1d(1, 1, 3, padding=((2, 0),))",
     (3, 1, ((2, 0),), 1)),
    (nn.MaxPool(2, 1, "same"), "MaxPool(2, stride=1, padding='same')", (2, 1, ((0, 1),), 1)),
    (nn.MaxPool(2, padding="same"), "MaxPool(2, padding='same')", (2, 2, "same", 1)),
    (nn.AveragePool(3, 2, (1, (0, 1))), "AveragePool(3, stride=2, padding=(1, (0, 1)))",
     (3, 2, (1, (0, 1)), 1))], ids=str)
def test_layers_show_their_padding_and_their_window(layer, shown, window):
    assert repr(layer) == shown and layer.window() == window
    assert nn.Sequential(layer).geometry()[0][2:] == window


def test_layers_pad_as_the_operations_do():
    x = md.tensor(np.random.default_rng(0).standard_normal((1, 6, 5, 2)), dtype="float32")
    fused = nn.ConvReLU(2, 3, 3, stride=2, padding="same", rng=0)
    conv, relu = fused.unfused()
    np.testing.assert_array_equal(fused(x).numpy(), relu(conv(x)).numpy())
    assert fused(x).shape == (1, 3, 3, 3)
    assert repr(conv) == repr(fused).replace("ConvReLU", "Conv2d")
    np.testing.assert_array_equal(nn.MaxPool(2, padding="same")(x).numpy(),
                                  ops.max_pool(x, 2, padding="same").numpy())
    given_weights = nn.Conv2d.from_weights(np.ones((3, 3, 2, 1)), padding=((0, 1), 1))
    assert given_weights(x).shape == (1, 5, 5, 1)


@pytest.mark.parametrize("size", [20, 21])
def test_receptive_fields_begin_where_the_padding_before_says(size):
    """The pixels that a gradient reaches are those that size, jump and start name."""
    ones = lambda shape, rng: np.ones(shape)
    net = nn.Sequential(nn.Conv1d(1, 1, 3, stride=2, padding="same", initializer=ones, rng=0),
                        nn.AveragePool(2, stride=1, padding="same"),
                        nn.Conv1d(1, 1, 2, padding=((3, 0),), dilation=3, initializer=ones, rng=0))
    x = md.tensor(np.ones((1, size, 1)), dtype="float32", requires_grad=True)
    reach, jump, start, n = 1, 1, 0, size
    for name, _, kernel, stride, padding, dilation in net.geometry():
        padding = same_padding(n, kernel, stride, dilation) if padding == "same" else padding
        before = padding if isinstance(padding, int) else np.ravel(padding)[0]
        reach, start = reach + dilation * (kernel - 1) * jump, start - before * jump
        jump *= stride
        y = net(x, name)[name]
        n = y.shape[1]
        for place in 4, 5:
            reached = np.flatnonzero(md.grad(y[0, place, 0], x)[0].numpy())
            first = start + place * jump
            assert (reached[0], reached[-1]) == (first, first + reach - 1)
