"""The kernels behind convolution: every algorithm, strip size and number of threads gives the same."""
from concurrent.futures import ThreadPoolExecutor
import os
import signal
import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minidl import backend, kernels
from minidl.kernels import convolution, memory, product, winograd, workers
from minidl.kernels.algorithm import ALGORITHMS
from minidl.kernels.fold import fold
from minidl.kernels.geometry import Geometry, lines, pad


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def close(a, b, tolerance=winograd.ERROR):
    assert a.shape == b.shape and a.dtype == b.dtype
    assert np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max())          # a sum may cancel; its terms are of size 1


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("sizes, channels", [
    ((40, 41), (32, 33)), ((43, 42), (40, 32)), ((160, 9), (32, 32)), ((4, 200), (33, 35)), ((10, 9), (32, 67))])
def test_winograd_equals_the_direct_product(sizes, channels, padding):
    x, w, b = drawn(3, *sizes, channels[0]), drawn(3, 3, *channels, seed=1), drawn(channels[1], seed=2)
    g = Geometry(sizes, (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    assert winograd.applies(x, w, g) and winograd.choose(x, channels) is winograd.F4
    direct = convolution._correlate(x, w, b, g)
    close(kernels.conv(x, w, b, g), direct)
    u = drawn(*direct.shape, seed=3)
    exact = kernels.conv_input(u.astype("float64"), w.astype("float64"), g)     # float64 is always direct
    close(kernels.conv_input(u, w, g), exact.astype("float32"))
    exact = kernels.conv_weight(x.astype("float64"), u.astype("float64"), g)
    close(kernels.conv_weight(x, u, g), exact.astype("float32"))
    close(winograd.conv_weight(x, u, g, budget=1), exact.astype("float32"))


@pytest.mark.parametrize("budget", [1, 10_000, 300_000])
def test_winograd_in_strips(budget):
    x, filters = drawn(2, 23, 18, 5), winograd.panels(drawn(3, 3, 5, 4), winograd.F4, False)
    for padding in ((0, 0), (1, 2)):
        strips, whole = (winograd.correlate(x, filters, (winograd.F4.output, winograd.F4.input), None, padding, winograd.F4,
                                            budget=size) for size in (budget, 2 ** 30))
        close(strips, whole)


@pytest.mark.parametrize("channels", [(32, 96), (64, 128), (40, 72), (7, 65)])
def test_winograd_with_filters_that_serve_both_directions(monkeypatch, channels):
    """Large filters that meet few tiles are kept once: that changes nothing but rounding."""
    x, w, b = drawn(1, 22, 17, channels[0]), drawn(3, 3, *channels, seed=1), drawn(channels[1], seed=2)
    u, g = drawn(1, 22, 17, channels[1], seed=3), Geometry((22, 17), (3, 3), (1, 1), (1, 1), (1, 1), 1)

    def both():
        return winograd.conv(x, w, b, g, winograd.F4, True), winograd.conv_input(u, w, g, winograd.F4)

    apart = both()
    monkeypatch.setattr(winograd, "LARGE", 0)
    for shared, own in zip(both(), apart):
        close(shared, own)
    assert any(key[0] == id(w) for key in winograd.shared.found)


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


@pytest.mark.parametrize("form", [winograd.F4, winograd.F2])
def test_winograd_matrices_filter_one_row_exactly(form):
    """Aᵀ[(G w) ⊙ (Bᵀ d)] on small whole numbers is the outputs of the filter."""
    d, w = np.array([3, -1, 4, 1, -5, 9.0])[:form.side], np.array([2, -7, 1.0])
    np.testing.assert_allclose(form.a_t @ ((form.g @ w) * (form.b_t @ d)), np.correlate(d, w), rtol=1e-12)


def test_winograd_matrices_of_the_adjoint_turn_the_filter_around():
    d, w = np.array([3, -1, 4, 1, -5, 9.0]), np.array([2, -7, 1.0])
    a_t, b_t = winograd._adjoint(winograd.F4.a_t, winograd.F4.g, winograd.F4.b_t)
    np.testing.assert_allclose(a_t @ ((winograd.F4.g @ w) * (b_t @ d)), np.correlate(d, w[::-1]), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 16, 17, 4096, 5000])
def test_rows_apart_lie_an_odd_number_of_cache_lines_apart(length, dtype):
    shape = 2, 3, length
    for made in memory.empty(shape, dtype, apart=True), workers.workspace(np, "rows", shape, dtype, apart=True):
        lines, rest = divmod(made.strides[1], memory.LINE)
        assert made.shape == shape and made.dtype == dtype
        assert made.strides[1] >= length * made.itemsize and lines % 2 == 1 and rest == 0


@pytest.mark.parametrize("transform, options", [
    (winograd.shared, [()]), (winograd.panels, [(winograd.F4, False), (winograd.F4, True), (winograd.F2, True)])])
def test_transformed_filters_are_remembered_as_long_as_the_array_lives(monkeypatch, transform, options):
    monkeypatch.setenv("MINIDL_NUM_THREADS", "1")       # a thread that has not woken up yet would hold w for that moment

    def held():
        return sum(key[0] == identity for key in transform.found)

    w = drawn(3, 3, 32, 32)
    identity = id(w)
    for choice in options:
        first = transform(w, *choice)
        again = transform(w, *choice)       # not in the assertion, which would keep w
        assert again is first
    assert held() == len(options)
    del w
    assert held() == 0


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("sizes, channels", [((1, 16, 15), (64, 96)), ((2, 8, 7), (64, 128)), ((1, 12, 9), (100, 65)),
                                             ((3, 5, 6), (65, 64)), ((1, 10, 10), (512, 512))])
def test_winograd_with_few_tiles_equals_the_direct_product(sizes, channels, padding):
    x, w, b = drawn(*sizes, channels[0]), drawn(3, 3, *channels, seed=1), drawn(channels[1], seed=2)
    g = Geometry(sizes[1:], (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    assert winograd.choose(x, channels) is winograd.F2
    exact = kernels.conv(*(a.astype("float64") for a in (x, w, b)), g)
    close(kernels.conv(x, w, b, g), exact.astype("float32"))
    close(kernels.conv(x, w, b, g, True), np.maximum(exact, 0).astype("float32"))
    adjoint = kernels.conv_input(exact, w.astype("float64"), g)
    close(winograd.conv_input(exact.astype("float32"), w, g, winograd.F2), adjoint.astype("float32"))


@pytest.mark.parametrize("g, channels", [
    (Geometry((13, 17), (3, 3), (1, 1), (1, 1), (1, 1), 1), (8, 5)),
    (Geometry((16, 15), (5, 4), (1, 2), (2, 0), (1, 1), 1), (6, 16)),
    (Geometry((19, 70), (7, 3), (2, 1), (3, 2), (1, 1), 1), (9, 3)),
    (Geometry((12, 19), (3, 5), (1, 1), (0, 0), (1, 2), 1), (8, 4)),
    (Geometry((21, 14), (4, 3), (1, 1), (0, 2), (3, 1), 1), (16, 8)),
    (Geometry((15, 13), (3, 3), (1, 1), (1, 0), (1, 1), 2), (24, 10)),
    (Geometry((8, 7, 9), (3, 2, 3), (1, 1, 1), (1, 0, 2), (1, 1, 1), 1), (5, 4)),
    (Geometry((13, 70), (5, 5), (1, 1), (2, 2), (1, 1), 1), (1, 4)),
    (Geometry((19, 140), (7, 3), (2, 2), (3, 0), (1, 2), 2), (4, 6)),
    (Geometry((12, 9, 9), (5, 2, 3), (1, 1, 1), (1, 0, 1), (1, 1, 1), 1), (3, 4))])
@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("strip_size", [2 ** 21, 3000])
def test_columns_that_overlap_in_memory(monkeypatch, g, channels, images, strip_size):
    """They are what all columns are, wherever strips cut the pictures."""
    def all_three():
        return kernels.conv(x, w, b, g), kernels.conv(x, w, None, g, rectified=True), kernels.conv_input(u, w, g), \
            kernels.conv_weight(x, u, g)

    strips = workers.strips
    monkeypatch.setattr("minidl.kernels.algorithm.strips", lambda *a: strips(*a[:4], strip_size, *a[5:]))
    w, b = drawn(*g.kernel, channels[0] // g.groups, channels[1]), drawn(channels[1])
    x, u = drawn(images, *g.sizes, channels[0], seed=1), drawn(images, *g.output, channels[1], seed=2)
    found, chosen = {}, []
    for name in "by_row", "by_tap":
        monkeypatch.setattr(convolution, name, lambda *a, f=getattr(convolution, name): chosen.append(f) or f(*a))
    for algorithm in "plain", "strips":
        assert not chosen
        monkeypatch.setenv("MINIDL_CONV", algorithm)
        found[algorithm] = all_three()
    assert chosen
    for all_columns, overlapping in zip(*found.values(), strict=True):
        close(overlapping, all_columns)


def folded(u, w, b, g):
    """conv_input as its formula says, product by product, plus b."""
    x = np.zeros((len(u), *(n + 2 * p + s * (d * k) for n, p, s, d, k in
                            zip(g.sizes, g.padding, g.stride, g.dilation, g.kernel)), g.groups, w.shape[-2]))
    split = u.reshape(*u.shape[:-1], g.groups, -1), w.reshape(*w.shape[:-1], g.groups, -1)
    for place in np.ndindex(g.output):
        for tap in np.ndindex(g.kernel):
            at = tuple(s * p + d * k for s, p, d, k in zip(g.stride, place, g.dilation, tap))
            x[(slice(None), *at)] += np.einsum("ngo,cgo->ngc", split[0][(slice(None), *place)], split[1][tap])
    inside = tuple(slice(p, p + n) for p, n in zip(g.padding, g.sizes))
    x = x[(slice(None), *inside)]
    return x.reshape(*x.shape[:-2], -1) + b


@given(data=st.data())
def test_fold_is_what_its_formula_says(data):
    """Whatever the geometry, and wherever strips cut the pictures; in panels too."""
    def several(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * axes))

    axes = data.draw(st.integers(1, 3))
    sizes, kernel, stride, dilation, padding = several(1, 7), several(1, 4), several(1, 4), several(1, 3), several(0, 3)
    sizes = tuple(max(n, d * (k - 1) + 1 - 2 * p) for n, d, k, p in zip(sizes, dilation, kernel, padding))
    groups, channels, outputs = data.draw(st.sampled_from([(1, 1, 3), (1, 24, 2), (1, 70, 4), (2, 3, 4), (3, 25, 1)]))
    g = Geometry(sizes, kernel, stride, padding, dilation, groups)
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal((2, *g.output, groups * outputs)), rng.standard_normal((*kernel, channels, groups * outputs))
    b, strips, budget = rng.standard_normal(groups * channels), workers.strips, data.draw(st.sampled_from([500, 2 ** 22]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl.kernels.algorithm.strips", lambda *a: strips(*a[:4], budget, *a[5:]))
        patch.setattr("minidl.kernels.product.TURN", data.draw(st.sampled_from([1, 1000])))
        expected = folded(u, w, b, g)
        np.testing.assert_allclose(fold(u, w, b, g), expected, atol=1e-11)
        np.testing.assert_allclose(fold(u, w, None, g, True), np.maximum(expected - b, 0), atol=1e-11)


@given(data=st.data())
def test_lines_of_padded_pictures(data):
    sizes = data.draw(st.tuples(*[st.integers(1, 5)] * data.draw(st.integers(1, 3))))
    widths = [data.draw(st.tuples(*[st.integers((1 - n) // 2, 4)] * 2)) for n in sizes]
    x = drawn(3, *sizes, 2)
    padded = pad(x, widths)
    cut = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(sizes, widths))
    np.testing.assert_array_equal(padded, np.pad(
        x[(slice(None),) + cut], [(0, 0), *((max(before, 0), max(after, 0)) for before, after in widths), (0, 0)]))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, padded.shape[1])] * 2)))
    images = slice(*sorted(data.draw(st.tuples(*[st.integers(0, 3)] * 2))))
    np.testing.assert_array_equal(lines(x, images, slice(first, last), widths), padded[images, first:last])


@pytest.mark.parametrize("height", [1, 2, 5])
def test_strips_cover_everything_once(height):
    for images, rows, bytes_per_row in [(1, 7, 100), (3, 4, 10), (2, 1, 1000), (5, 6, 1), (1, 1, 1)]:
        seen = np.zeros((images, rows), int)
        for image, part in workers.strips(images, rows, bytes_per_row, np, budget=height * bytes_per_row):
            seen[image, part] += 1
        assert (seen == 1).all()


def contractions(threads, monkeypatch):
    monkeypatch.setenv("MINIDL_NUM_THREADS", str(threads))
    x, w = drawn(2, 70, 60, 24), drawn(3, 3, 24, 40, seed=1)
    g = Geometry((70, 60), (3, 3), (2, 1), (1, 0), (1, 2), 1)
    y = kernels.conv(x, w, None, g)
    return y, kernels.conv_input(y, w, g), kernels.conv_weight(x, y, g)


def test_threads_change_nothing_but_rounding(monkeypatch):
    for one, many in zip(contractions(1, monkeypatch), contractions(3, monkeypatch)):
        close(one, many, 1e-5)


def test_the_same_twice_bit_for_bit(monkeypatch):
    for first, second in zip(contractions(2, monkeypatch), contractions(2, monkeypatch)):
        assert (first == second).all()


def test_blas_threads_are_left_as_they_were(monkeypatch):
    def counts():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before, inside = counts(), []
    monkeypatch.setenv("MINIDL_NUM_THREADS", "2")
    workers.share(lambda i: i or inside.extend(counts()), [0, 1], np)
    assert counts() == before and 1 in inside      # SciPy may bring a BLAS of its own, which no kernel uses
    with pytest.raises(ZeroDivisionError):
        workers.share(lambda i: 1 / i, [0, 1], np)
    assert counts() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_convolves_too(monkeypatch):
    contractions(2, monkeypatch)
    child = os.fork()
    if child == 0:
        contractions(2, monkeypatch)
        os._exit(0)
    for _ in range(200):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
    assert finished and status == 0


def test_two_threads_may_convolve_at_once(monkeypatch):
    expected = contractions(2, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: contractions(2, monkeypatch), range(8)):
            for a, b in zip(result, expected):
                assert (a == b).all()


def test_after_an_error_what_was_begun_is_waited_for_and_nothing_else_begun(monkeypatch):
    monkeypatch.setenv("MINIDL_NUM_THREADS", "2")
    begun, failed, ended = threading.Event(), threading.Event(), []

    def job(i):
        if i == 0:
            begun.wait()
            failed.set()
            raise ZeroDivisionError
        begun.set()
        failed.wait()
        time.sleep(0.05)
        ended.append(i)

    with pytest.raises(ZeroDivisionError):
        workers.share(job, range(5), np)
    assert ended == [4]


def test_helpers_are_used_again_and_share_in_their_turn(monkeypatch):
    def helpers():
        return sum(isinstance(thread, workers._Helper) for thread in threading.enumerate())

    def inner(i):
        return workers.share(lambda j: (i, j), range(4), np)

    monkeypatch.setenv("MINIDL_NUM_THREADS", "3")
    before, expected = helpers(), [[(i, j) for j in range(4)] for i in range(5)]
    for _ in range(50):
        assert workers.share(inner, range(5), np) == expected
    assert helpers() <= max(before, 3)


@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
def test_a_wrong_number_of_threads(monkeypatch, value):
    monkeypatch.setenv("MINIDL_NUM_THREADS", value)
    with pytest.raises(ValueError, match="MINIDL_NUM_THREADS"):
        workers.number_of_threads()


def test_blas_is_put_back_by_whoever_leaves_last(monkeypatch):
    """One thread comes in first and goes while another is still inside."""
    before = [library.num_threads for library in workers.blas()]
    entered, leave = threading.Event(), threading.Event()

    def other():
        with workers._one_blas_thread:
            entered.set()
            leave.wait()

    with workers._one_blas_thread:
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
    assert {library.num_threads for library in workers.blas()} == {1}
    leave.set()
    thread.join()
    assert [library.num_threads for library in workers.blas()] == before


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(algorithm, data):
    """Odd sizes, rows of one pixel, channels 1 to 5 (and some at which Winograd pays), strides, uneven strips."""
    n, height, width = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 19)), data.draw(st.integers(1, 19))
    channels = data.draw(st.tuples(*[st.sampled_from([1, 2, 3, 4, 5, 32, 33])] * 2), "channels")
    kernel, stride = data.draw(st.sampled_from([((3, 3), (1, 1)), ((3, 2), (2, 3)), ((1, 1), (1, 1)), ((1, 2), (2, 1))]))
    padding = data.draw(st.integers(max(0, -(-(3 - min(height, width)) // 2)), 2), "padding")
    g = Geometry((height, width), kernel, stride, (padding, padding), (1, 1), 1)
    x, w, b = drawn(n, height, width, channels[0]), drawn(*kernel, *channels, seed=1), drawn(channels[1], seed=2)
    u = drawn(n, *g.output, channels[1], seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "WORTHWHILE", 1)             # small as they are, cut them for all threads
        patch.setenv("MINIDL_CONV", algorithm)
        patch.setenv("MINIDL_NUM_THREADS", str(data.draw(st.integers(1, 3), "threads")))
        for name, arrays in ("conv", (x, w, b)), ("conv_input", (u, w)), ("conv_weight", (x, u)):
            exact = getattr(kernels, name)(*(a.astype("float64") for a in arrays), g)
            close(getattr(kernels, name)(*arrays, g), exact.astype("float32"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_pictures(algorithm, monkeypatch):
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    g = Geometry((8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    x, w, u = drawn(0, 8, 8, 4), drawn(3, 3, 4, 5), drawn(0, 8, 8, 5)
    assert kernels.conv(x, w, None, g).shape == u.shape and kernels.conv_input(u, w, g).shape == x.shape
    np.testing.assert_array_equal(kernels.conv_weight(x, u, g), np.zeros_like(w))


def test_an_unknown_algorithm(monkeypatch):
    monkeypatch.setenv("MINIDL_CONV", "magic")
    with pytest.raises(ValueError, match="^MINIDL_CONV must be one of auto, plain, strips, winograd, got 'magic'$"):
        kernels.conv(drawn(1, 4, 4, 1), drawn(3, 3, 1, 1), None, Geometry((4, 4), (3, 3), (1, 1), (0, 0), (1, 1), 1))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_padded_strips_of_equal_shape_do_not_see_each_other(monkeypatch, threads):
    """Workspaces are written again: here by other pictures, other layers and other paddings."""
    monkeypatch.setenv("MINIDL_NUM_THREADS", threads)
    for turn in range(3):
        for padding in range(6):
            sizes = 10 - padding % 3, 8
            x, w = drawn(2, *sizes, 3, seed=turn), drawn(3, 3, 3, 2, seed=padding)
            padded = np.pad(x, [(0, 0), (padding, padding), (1, 1), (0, 0)])
            g, whole = (Geometry(s, (3, 3), (1, 1), p, (1, 1), 1) for s, p in
                        ((sizes, (padding, 1)), (padded.shape[1:3], (0, 0))))
            close(kernels.conv(x, w, None, g), kernels.conv(padded, w, None, whole), 1e-6)


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
@pytest.mark.parametrize("sizes, channels", [((90, 91), (64, 65)), ((5, 9), (3, 70))])
def test_winograd_on_every_device(device, sizes, channels, algorithm, monkeypatch):
    """Pictures large enough for a GPU, and a few tiles only because it is asked for."""
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    x, w, b = drawn(2, *sizes, channels[0]), drawn(3, 3, *channels, seed=1), drawn(channels[1], seed=2)
    there = [backend.asarray(array, device=backend.device(device)) for array in (x, w, b)]
    g = Geometry(sizes, (3, 3), (1, 1), (1, 1), (1, 1), 1)
    found = kernels.conv(*there, g, rectified=True)
    close(backend.to_host(found), np.maximum(convolution._correlate(x, w, b, g), 0))
    u = drawn(*found.shape, seed=3)
    there.append(backend.asarray(u, device=backend.device(device)))
    exact = kernels.conv_input(u.astype("float64"), w.astype("float64"), g)
    close(backend.to_host(kernels.conv_input(there[3], there[1], g)), exact.astype("float32"))
    exact = kernels.conv_weight(x.astype("float64"), u.astype("float64"), g)
    close(backend.to_host(kernels.conv_weight(there[0], there[3], g)), exact.astype("float32"))
