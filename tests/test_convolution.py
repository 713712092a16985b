"""Convolution against plain loops, and its three contractions against each other, in geometries
drawn by `minidl.testing.strategies`; the edges of geometry, and sizes at which the work is cut into
strips."""
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.testing import adjointcheck, gradcheck, strategies

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def plain(x, w, places, stride, padding, dilation, groups):
    """y[n, p, o] = Σ x[n, s·p + d·k − pad, c] w[k, c, o], one place and one tap after the other."""
    channels, filters = w.shape[-2], w.shape[-1] // groups
    y = np.zeros(x.shape[:1] + places + w.shape[-1:])
    for n, *p in np.ndindex(x.shape[:1] + places):
        for k in np.ndindex(w.shape[:-2]):
            at = tuple(s * pi + d * ki - q
                       for s, pi, d, ki, q in zip(stride, p, dilation, k, padding))
            if not all(0 <= i < size for i, size in zip(at, x.shape[1:-1])):
                continue
            for group in range(groups):
                ins, outs = (slice(group * m, (group + 1) * m) for m in (channels, filters))
                y[(n, *p, outs)] += x[(n, *at, ins)] @ w[(*k, slice(None), outs)]
    return y


def by_dimension(test):
    """Run a property for 1, 2 and 3 spatial axes."""
    return pytest.mark.parametrize("ndim", [1, 2, 3])(given(data=st.data())(test))


@by_dimension
def test_plain_loops(ndim, data):
    case = data.draw(strategies.conv_cases(ndim))
    y = ops.conv(md.tensor(case.x), md.tensor(case.w), **case.options)
    expected = plain(case.x, case.w, case.y_shape[1:-1], **case.options)
    assert y.shape == case.y_shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


@by_dimension
def test_three_contractions_of_one_form(ndim, data):
    """⟨conv(x, w), u⟩ = ⟨x, conv_input(u, w)⟩ = ⟨w, conv_weight(x, u)⟩"""
    case = data.draw(strategies.conv_cases(ndim))
    x, w, u, sizes, kernel = *map(md.tensor,
                                  (case.x, case.w, case.u)), case.x_shape[1:-1], case.w_shape[:-2]
    # zero where strides skip from padding to padding
    adjointcheck(lambda x: ops.conv(x, w, **case.options),
                 lambda u: ops.conv_input(u, w, sizes, **case.options), x, u, allow_zero=True)
    adjointcheck(lambda w: ops.conv(x, w, **case.options),
                 lambda u: ops.conv_weight(x, u, kernel, **case.options), w, u, allow_zero=True)


@by_dimension
def test_gradients(ndim, data):
    case = data.draw(strategies.conv_cases(ndim))
    # stride and padding may keep x or w out of y
    check = dict(order=2, mode="directional", allow_zero=True)
    b = np.ones(case.w_shape[-1])
    gradcheck(lambda x, w, b: ops.conv(x, w, b, **case.options), case.x, case.w, b, **check)
    gradcheck(lambda u, w: ops.conv_input(u, w, case.x_shape[1:-1], **case.options), case.u, case.w,
              **check)
    gradcheck(lambda x, u: ops.conv_weight(x, u, case.w_shape[:-2], **case.options), case.x, case.u,
              **check)


@by_dimension
def test_convolution_and_relu_in_one(ndim, data):
    case = data.draw(strategies.conv_cases(ndim))
    leaves = [md.tensor(a, requires_grad=True) for a in (case.x, case.w, np.ones(case.w_shape[-1]))]
    fused, apart = ops.conv_relu(*leaves,
                                 **case.options), ops.relu(ops.conv(*leaves, **case.options))
    np.testing.assert_array_equal(fused.numpy(), apart.numpy())
    for one, other in zip(*(md.grad(y, leaves, md.tensor(case.u)) for y in (fused, apart))):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@by_dimension
def test_filters_and_bias_are_differentiated_together_or_not(ndim, data):
    """w̄ and b̄ are what they are one by one: whichever are wanted, recorded or not, and for one ȳ
    after the other."""
    case = data.draw(strategies.conv_cases(ndim))
    x, w, b = (md.tensor(a, requires_grad=True)
               for a in (case.x, case.w, np.ones(case.w_shape[-1])))
    y = ops.conv(x, w, b, **case.options)
    for u in md.tensor(case.u), md.tensor(-2 * case.u):
        expected = {w: ops.conv_weight(x, u, case.w_shape[:-2], **case.options).numpy(),
                    b: u.numpy().sum(tuple(range(u.ndim - 1)))}
        for wanted, create_graph in product(([w, b], [b, w], [w], [b]), (False, True)):
            for parameter, found in zip(wanted, md.grad(y, wanted, u, create_graph), strict=True):
                np.testing.assert_allclose(found.numpy(), expected[parameter], rtol=1e-10,
                                           atol=1e-10)


@by_dimension
def test_transposed_convolution_undoes_the_size(ndim, data):
    """conv_transpose with the right output_padding gives conv's adjoint, for every size that conv
    maps to P."""
    case = data.draw(strategies.conv_cases(ndim))
    w, u, sizes, o = md.tensor(case.w), md.tensor(case.u), case.x_shape[1:-1], case.options
    extra = tuple((n + 2 * p - d * (k - 1) - 1) % s
                  for n, p, d, k, s in zip(sizes, o["padding"], o["dilation"], case.w_shape[:-2],
                                           o["stride"]))
    y = ops.conv_transpose(u, w, output_padding=extra, **o)
    assert y.shape == case.x_shape
    np.testing.assert_allclose(y.numpy(), ops.conv_input(u, w, sizes, **o).numpy())


def test_errors_say_what_does_not_fit():
    with pytest.raises(ValueError, match=r"filter \(3, 3, 8, 16\) expects 8 input channels, x \(4, "
                                         r"32, 32, 3\) has 3"):
        ops.conv(np.zeros((4, 32, 32, 3)), np.zeros((3, 3, 8, 16)))
    with pytest.raises(ValueError,
                       match="^conv: window 5 is larger than the padded input 4 along W"):
        ops.conv(np.zeros((1, 8, 2, 1)), np.zeros((5, 5, 1, 1)), padding=1)
    with pytest.raises(ValueError, match="^conv: b of shape"):
        ops.conv(np.zeros((1, 8, 1)), np.zeros((3, 1, 2)), np.zeros(3))
    for name, value in ("stride", 1.5), ("padding", 1.5), ("dilation", None):
        with pytest.raises(TypeError, match=f"^conv: {name}"):
            ops.conv(np.zeros((1, 8, 1)), np.zeros((3, 1, 2)), **{name: value})
    u = np.zeros((1, 5, 1))
    with pytest.raises(ValueError, match="^conv_input: "):
        ops.conv_input(u, np.zeros((3, 2, 1)), 9)
    with pytest.raises(ValueError, match="^conv_weight: "):
        ops.conv_weight(np.zeros((1, 9, 2)), u, 3)
    with pytest.raises(ValueError, match="^conv_transpose: output_padding"):
        ops.conv_transpose(u, np.zeros((3, 2, 1)), stride=2, output_padding=2)


# --- sizes at which the work is cut into strips and dealt to threads

def tap_by_tap(x, w, stride, padding):
    """Convolution of pictures as one matrix product per tap of the filter, added up in float64."""
    x = np.pad(x.astype(float), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[1:3], w.shape[:2]))
    y = np.zeros((len(x), rows, columns, w.shape[-1]))
    for i, j in product(range(w.shape[0]), range(w.shape[1])):
        y += x[:, i:i + stride * (rows - 1) + 1:stride,
               j:j + stride * (columns - 1) + 1:stride] @ w[i, j].astype(float)
    return y


@pytest.mark.parametrize("x, w, stride, padding", [
    ((2, 64, 49, 32), (3, 3, 32, 24), 1, 1),
    ((1, 65, 64, 3), (7, 7, 3, 16), 2, 3),
    ((5, 20, 20, 48), (1, 1, 48, 64), 1, 0),
    ((17, 9, 9, 20), (3, 3, 20, 10), 3, 0),
    ((1, 128, 128, 16), (3, 3, 16, 16), 1, 1),
], ids=str)
def test_large_float32(x, w, stride, padding):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=x).astype("float32"), rng.normal(size=w).astype("float32")
    b = rng.normal(size=w.shape[-1:]).astype("float32")
    y = ops.conv(x, w, b, stride=stride, padding=padding)
    expected = tap_by_tap(x, w, stride, padding) + b
    scale = np.max(np.abs(expected))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=2e-5 * scale)
    again = ops.conv(x, w, b, stride=stride, padding=padding)
    np.testing.assert_array_equal(y.numpy(), again.numpy())         # same run, bit for bit

    u = rng.normal(size=y.shape).astype("float32")
    options = dict(stride=stride, padding=padding)
    gx, gw = ops.conv_input(u, w, x.shape[1:3],
                            **options), ops.conv_weight(x, u, w.shape[:2], **options)
    form = np.sum((expected - b) * u.astype(float))
    size = np.linalg.norm(expected) * np.linalg.norm(u)
    for other, gradient in (x, gx), (w, gw):
        assert gradient.dtype == np.float32 and gradient.shape == other.shape
        assert abs(np.sum(other.astype(float) * gradient.numpy().astype(float))
                   - form) < 1e-6 * size


def test_strided_operands(device):
    """Pictures and filters that are transposed views give what their copies give."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 5, 4, 1)), rng.normal(size=(3, 2, 3, 2))
    y = ops.conv(md.tensor(x, device=device).T, md.tensor(w, device=device).T)
    expected = plain(x.T, w.T, (3, 3), (1, 1), (0, 0), (1, 1), 1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    gradcheck(lambda x, w: ops.conv(ops.transpose(x), ops.transpose(w)), x, w, order=2)
