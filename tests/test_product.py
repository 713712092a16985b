"""Products of matrices: whole, shared between threads, and in small pieces."""
from hypothesis import given
from hypothesis import strategies as st
from kernel_arrays import close, drawn
import numpy as np
import pytest

import minidl as md
from minidl import kernels
from minidl.kernels.fast import product


@pytest.mark.parametrize("m, k, n", [(3000, 150, 160), (150, 3000, 160), (150, 160, 3000), (1, 2 ** 23, 9), (513, 511, 300)])
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
    """Small is up to 2,500 × 20 × 20; the operands and the result may lie in any order."""
    m, k, n = (long if size == "long" else size for size in sizes)
    a, b = drawn(*stack, m, k), drawn(*stack, k, n, seed=1)
    exact = a.astype("float64") @ b.astype("float64")
    for first in a, a.swapaxes(-1, -2).copy().swapaxes(-1, -2):
        for second in b, b.swapaxes(-1, -2).copy().swapaxes(-1, -2):
            for out in np.empty(exact.shape, "float32"), np.empty((*stack, n, 2 * m), "float32")[..., ::2].swapaxes(-1, -2):
                assert product.multiply(first, second, out) is out
                np.testing.assert_allclose(out, exact, atol=1e-5 * np.abs(exact).max())


@given(sizes=st.tuples(*[st.integers(0, 12)] * 4), small=st.integers(1, 200), lengths=st.tuples(*[st.integers(1, 4)] * 2),
       few=st.integers(0, 200), turn=st.integers(1, 8))
def test_pieces_of_every_size(sizes, small, lengths, few, turn):
    """Small numbers in place of the module's; whole numbers, which leave no room for rounding."""
    stack, m, k, n = sizes
    a, b = np.rint(drawn(stack, m, k) * 9), np.rint(drawn(stack, k, n, seed=1) * 9)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(product, "SMALL", small)
        patched.setattr(product, "SHORTEST", lengths[0])
        patched.setattr(product, "SHORTEST_INSIDE", lengths[1])
        patched.setattr(product, "LONG", 1)
        patched.setattr(product, "LITTLE", few)
        patched.setattr(product, "TURN", turn)
        for second in b, b.swapaxes(1, 2).copy().swapaxes(1, 2):
            np.testing.assert_array_equal(product.multiply(a, second, np.full((stack, m, n), np.nan, "float32")), a @ b)


@given(blocks=st.tuples(*[st.integers(1, 4)] * 2), k=st.integers(2, 40), stack=st.integers(0, 2),
       turned=st.booleans(), apart=st.booleans(), partial=st.sampled_from([40, 10_000]))
def test_blocks_of_every_size(blocks, k, stack, turned, apart, partial):
    """Of 2 × 3, or turned 3 × 3, with at most ten of k at once; rows of the result may be apart in memory."""
    m, n = 6 * blocks[0], 3 * blocks[1]
    a, b = np.rint(drawn(stack, m, k) * 9), np.rint(drawn(stack, k, n, seed=1) * 9)
    a = a.swapaxes(1, 2).copy().swapaxes(1, 2) if turned else a
    out = np.full((stack, m, n + apart), np.nan, "float32")[..., :n]
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"SMALL": 60, "SQUARISH": ((2, 3), (3, 3)), "DEEP": 2, "LENGTH": 7, "SHORTEST": 10 ** 6,
                            "SHORTEST_INSIDE": 10 ** 6, "PARTIAL": partial, "_multiplies_in_place": lambda: True}.items():
            patched.setattr(product, name, value)
        assert product.multiply(a, b, out) is out
    np.testing.assert_array_equal(out, a @ b)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("rows", [1, 15, 50, 64])
@pytest.mark.parametrize("k, n", [(3, 64), (300, 64), (20000, 32)])
def test_product_with_panels(monkeypatch, k, n, rows, in_place):
    monkeypatch.setattr(product, "_multiplies_in_place", lambda: in_place)
    a, panels = drawn(2, rows, k), drawn(2, 3, k, n, seed=1)
    whole = panels.transpose(0, 2, 1, 3).reshape(2, k, 3 * n)
    out = np.empty((2, rows, 3 * n), "float32")
    close(product.by_panels(a, panels, out), a @ whole)
    close(product.by_panels(a, whole[:, None], out), a @ whole)


@pytest.mark.parametrize("k, n, width", [(3, 128, 64), (1500, 128, 32), (1500, 48, 16), (3, 96, 32), (3, 40, 40)])
def test_a_panel_is_as_wide_as_small_products_allow(monkeypatch, k, n, width):
    monkeypatch.setattr(product, "_multiplies_in_place", lambda: True)
    a, b = drawn(2, 70, k), drawn(2, k, n, seed=1)
    panels = product.in_panels(b)
    assert panels.shape == (2, n // width, k, width)
    close(product.by_panels(a, panels, np.empty((2, 70, n), "float32")), a @ b)
    monkeypatch.setattr(product, "_multiplies_in_place", lambda: False)
    assert product.panels_pay(product.TURN, k) == (k < 900)
