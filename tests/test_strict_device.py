"""The strict device is as strict as its docstring says: every difference from NumPy, and where it
is like NumPy."""
import operator
import subprocess
import sys

import numpy as np
import pytest
from strict_device import StrictArray, erf, scatter_add, xp

import minidl as md


def strict(values, dtype=None):
    return xp.asarray(np.array(values, dtype))


x = strict([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_nothing_turns_into_a_numpy_array_by_itself():
    for convert in (
        np.asarray,
        np.array,
        np.float64,
        np.sum,
        np.exp,
        np.concatenate,
        lambda x: np.stack([x, x]),
    ):
        with pytest.raises(TypeError):
            convert(x)
    assert type(x.get()) is np.ndarray and x.get().tolist() == [[1, 2, 3], [4, 5, 6]]
    x.get()[:] = 0                                                  # a copy
    assert float(x[0, 0]) == 1.0


@pytest.mark.parametrize("name",
                         "add sub mul truediv floordiv mod pow matmul eq ne lt le gt ge".split())
@pytest.mark.parametrize("other", [np.ones((2, 3)), np.array(1.0), [1.0, 2.0, 3.0]],
                         ids=["array", "0d", "list"])
def test_operators_refuse_what_is_on_the_host(name, other):
    for a, b in (x, other), (other, x):
        with pytest.raises(TypeError):
            getattr(operator, name)(a, b)


def test_functions_refuse_what_is_on_the_host():
    for call in (lambda: xp.exp(np.ones(2)), lambda: xp.exp([1.0]),
                 lambda: xp.maximum(x, [1.0, 2.0, 3.0]),
                 lambda: xp.concatenate([x, np.ones((1, 3))]), lambda: x[np.array([0])],
                 lambda: x[[0]],
                 lambda: x[np.ones((2, 3), bool)], lambda: scatter_add(x, 0, np.ones(3))):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError):
        strict([1.0])[0] = np.ones(1)


def test_operators_take_arrays_of_the_device_and_numbers():
    for value, expected in [(x + x, [[2, 4, 6], [8, 10, 12]]), (x * 2, [[2, 4, 6], [8, 10, 12]]),
                            (1 - x, [[0, -1, -2], [-3, -4, -5]]),
                            (np.float64(2) * x, [[2, 4, 6], [8, 10, 12]]),
                            (x @ x.T, [[14, 32], [32, 77]]),
                            (x > 2, [[False, False, True], [True] * 3])]:
        assert type(value) is StrictArray and value.get().tolist() == expected
    y = strict([1.0, 2.0])
    before = y
    y += 1
    assert y is before and y.get().tolist() == [2, 3]
    assert (strict([1.0], "float32") * 2.5).dtype == np.float32


@pytest.mark.parametrize("name", ["insert", "block", "geomspace", "errstate", "nditer", "vecdot",
                                  "unstack", "isdtype"])
def test_functions_that_cupy_lacks(name):
    with pytest.raises(AttributeError, match=f"cupy has no function '{name}'"):
        getattr(xp, name)


def test_methods_and_options_that_cupy_lacks():
    for name in "resize byteswap setflags __array_interface__ __index__ __imatmul__".split():
        assert not hasattr(x, name)
    for call in (lambda: x.sum(where=x > 1), lambda: x.max(initial=0.0),
                 lambda: xp.sum(x, initial=1.0)):
        with pytest.raises(TypeError, match="has no option"):
            call()


def test_reductions_give_arrays_of_zero_dimensions():
    for value in x.sum(), x.max(), xp.mean(x), x.argmax(), x[0, 0], x[0].dot(x[1]):
        assert type(value) is StrictArray and value.shape == ()
    with pytest.raises(TypeError):
        operator.index(x.argmax())
    with pytest.raises(TypeError):
        [1, 2, 3][x.argmax()]
    assert int(x.argmax()) == 5 and float(x.sum()) == 21 and bool(x.sum() > 20)
    assert x.sum().item() == 21


def test_integer_arrays_out_of_range_wrap_around():
    i = strict([0, 4, -1])
    assert x[:, i].get().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (
        x[..., i].get().tolist()
        == x.take(i, axis=1).get().tolist()
        == xp.take(x, i, 1).get().tolist()
    )
    y = strict(np.zeros(3))
    y[strict([3, 4])] = 5.0
    scatter_add(y, strict([3, 4, 4]), strict([1.0, 2.0, 3.0]))
    assert y.get().tolist() == [6, 10, 0]
    with pytest.raises(IndexError):
        x[2]
    assert strict(np.zeros((2, 0)))[strict([0])].shape == (1, 0)


def test_masks_are_not_indices():
    mask = strict([True, False])
    assert x[mask].get().tolist() == [[1, 2, 3]]
    assert x[mask, strict([True, False, True])].get().tolist() == [1, 3]
    with pytest.raises(IndexError, match="must be integer or boolean"):
        x[strict([0.0])]


def test_results_are_in_c_order():
    turned = x.T
    assert turned.flags.f_contiguous and not turned.flags.c_contiguous
    for value in turned + turned, -turned, xp.exp(turned), xp.maximum(turned, 2.0):
        assert value.flags.c_contiguous


def test_views_can_be_written_to():
    y = strict(np.zeros((2, 2)))
    y.diagonal()[:] = 1.0
    xp.lib.stride_tricks.sliding_window_view(y, (1, 1))[0, 1] = 7.0
    assert y.get().tolist() == [[1, 7], [0, 1]]
    z = strict([0.0])
    xp.broadcast_to(z, (1, 3))[:] = 2.0
    assert z.get().tolist() == [2]


def test_scatter_add_takes_values_of_the_shape_it_adds_to():
    y = strict([0, 0], "int8")
    scatter_add(y, strict([0, 0]), strict([100, 100], "int8"))
    scatter_add(y, strict([True, False]), strict([1], "int8"))
    assert y.get().tolist() == [-55, 0]
    with pytest.raises(ValueError, match="scatter_add"):
        scatter_add(y, strict([0, 0]), strict([1], "int8"))


def test_erf_of_float16_is_float64():
    for dtype, expected in ("float16", "float64"), ("float32", "float32"), ("float64", "float64"):
        assert erf(strict([1.0], dtype)).dtype == expected


def test_what_cupy_leaves_undefined():
    y = strict(np.zeros(3))
    with pytest.raises(ValueError, match="names a position twice"):
        y[strict([1, 1])] = strict([1.0, 2.0])
    with pytest.raises(ValueError, match="names a position twice"):
        y[strict([1, 4])] = 1.0                                     # after wrapping around
    assert y.get().tolist() == [0, 0, 0]
    for values, dtype in ([np.nan], "int64"), ([np.inf], "uint8"), ([-1.0], "uint8"):
        with pytest.raises(ValueError, match="undefined"):
            strict(values).astype(dtype)
    assert strict([-1.5, 2.5]).astype("int64").get().tolist() == [-1, 2]


def test_it_is_a_device_of_the_tests_only():
    assert "strict" in md.devices()
    assert md.tensor([1.0], device="strict").data.__class__ is StrictArray
    told = subprocess.run([sys.executable, "-c",
                           "import minidl; print('strict' in minidl.devices())"],
                          capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_the_names_are_cupys():
    """Needs CuPy, but no GPU."""
    cupy = pytest.importorskip("cupy")
    import strict_device
    listed = " ".join((strict_device._creating, strict_device._functions,
                       strict_device._borrowed)).split()
    assert [name for name in listed if not hasattr(cupy, name)] == []
    members = " ".join((strict_device._attributes, strict_device._views,
                        strict_device._methods)).split()
    assert [name for name in members if not hasattr(cupy.ndarray, name)] == []
    assert [name for name in vars(StrictArray) if not name.startswith("_")
            and not hasattr(cupy.ndarray, name)] == []
