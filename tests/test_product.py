"""Products of matrices: whole, shared between threads, and in small pieces."""
from hypothesis import given
from hypothesis import strategies as st
from kernel_arrays import drawn
import numpy as np
import pytest

import minidl as md
from minidl import kernels
from minidl.kernels.fast import product


@pytest.mark.parametrize("m, k, n", [(3000, 150, 160), (150, 3000, 160), (150, 160, 3000),
                                     (1, 2 ** 23, 9), (513, 511, 300)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_products_are_cut(monkeypatch, m, k, n, threads):
    monkeypatch.setenv("MINIDL_NUM_THREADS", str(threads))
    a, b = drawn(m, k), drawn(1, k, n, seed=1)
    exact = a.astype("float64") @ b.astype("float64")
    for second in b, np.asfortranarray(b[0]):
        y = kernels.matmul(a, second)
        assert y.shape == second.shape[:-2] + (m, n)
        np.testing.assert_allclose(y.reshape(m, n), exact[0], atol=1e-4 * np.abs(exact).max())


def test_a_product_into_a_strided_place(device):
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    out = md.tensor(np.zeros((4, 2, 2))).data
    product.multiply(md.tensor(a).data, md.tensor(b).data, out[:, :, 1].T)
    expected = np.zeros((4, 2, 2))
    expected[:, :, 1] = (a @ b).T
    np.testing.assert_array_equal(md.tensor(out).numpy(), expected)


@pytest.mark.parametrize("sizes", [("long", 20, 20), (20, "long", 20), (20, 20, "long")])
@pytest.mark.parametrize("stack", [(), (1,), (3,)])
@pytest.mark.parametrize("long", [2_500, 2_501, 10_011])
def test_long_products_are_a_stack_of_small_ones(sizes, stack, long):
    """The operands and the result may lie in any order."""
    m, k, n = (long if size == "long" else size for size in sizes)
    a, b = drawn(*stack, m, k), drawn(*stack, k, n, seed=1)
    exact = a.astype("float64") @ b.astype("float64")
    for first in a, a.swapaxes(-1, -2).copy().swapaxes(-1, -2):
        for second in b, b.swapaxes(-1, -2).copy().swapaxes(-1, -2):
            for out in (
                np.empty(exact.shape, "float32"),
                np.empty((*stack, n, 2 * m), "float32")[..., ::2].swapaxes(-1, -2),
            ):
                product.multiply(first, second, out)
                np.testing.assert_allclose(out, exact, atol=1e-5 * np.abs(exact).max())


@given(sizes=st.tuples(*[st.integers(0, 12)] * 4), small=st.integers(1, 200),
       lengths=st.tuples(*[st.integers(1, 4)] * 2), turned=st.booleans(), apart=st.booleans())
def test_pieces_of_every_size(sizes, small, lengths, turned, apart):
    """Small numbers in place of the module's; whole numbers, which leave no room for rounding."""
    stack, m, k, n = sizes
    a, b = np.rint(drawn(stack, m, k) * 9), np.rint(drawn(stack, k, n, seed=1) * 9)
    a = a.swapaxes(1, 2).copy().swapaxes(1, 2) if turned else a
    with pytest.MonkeyPatch.context() as patched:
        values = {"SMALL": small, "ROWS": lengths[0], "DEPTH": lengths[1]}
        for name, value in values.items():
            patched.setattr(product, name, value)
        for second in b, b.swapaxes(1, 2).copy().swapaxes(1, 2):
            out = np.full((stack, m, n + apart), np.nan, "float32")[..., :n]
            product.multiply(a, second, out)
            np.testing.assert_array_equal(out, a @ b)
