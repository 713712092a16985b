"""Exercises on a watch, and pickled arrays that are read without running anything."""
import io
import os
import pickle
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.data import watch, windows
from minidl.data.watch import _read_pickled


def content():
    rng = np.random.default_rng(0)
    return {"X": [rng.normal(size=(n, 6)) for n in (9, 7)], "y": np.array([1, 0]),
            "side": np.array([0.0, 1.0]), "subject": np.array([3, 4]), "y_labels": ["PEN", "ABD"]}


def saved(tmp_path, value):
    """As NumPy wrote it for Python 2 as well: protocol 2, arrays as text of Latin-1."""
    return raw(tmp_path, pickle.dumps(np.array(value, object), protocol=2).replace(
        b"numpy._core.multiarray", b"numpy.core.multiarray"))


def raw(tmp_path, pickled):
    path, header = tmp_path / "data.npy", io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False,
                                                  "shape": ()})
    path.write_bytes(header.getvalue() + pickled)
    return path


def test_arrays_come_as_they_were(tmp_path):
    given_, found = content(), _read_pickled(saved(tmp_path, content()))
    assert found["y_labels"] == ["PEN", "ABD"] and found.keys() == given_.keys()
    for name in ("y", "side", "subject"):
        assert found[name].dtype == given_[name].dtype and (found[name] == given_[name]).all()
    assert all((a == b).all() for a, b in zip(found["X"], given_["X"]))


def test_a_left_arm_is_mirrored():
    exercises = watch._exercises(content(), mirrored=True)
    plain = watch._exercises(content(), mirrored=False)
    assert exercises.left.tolist() == [True, False] and exercises.names == ["pendulum", "abduction"]
    assert (exercises.recordings[0] == plain.recordings[0] * [-1, 1, 1, 1, -1, -1]).all()
    assert (exercises.recordings[1] == plain.recordings[1]).all()
    assert exercises.recordings[0].dtype == np.float32


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/minidl-was-here",)


@pytest.mark.parametrize("value", [Evil(), [Evil()], {"X": Evil()}, np.array(["text"]),
                                   np.array([1j]), {1, 2}])
def test_nothing_is_called_that_a_file_asks_for(tmp_path, value):
    with pytest.raises(ValueError, match=r"data.npy: .*ValueError"):
        _read_pickled(saved(tmp_path, {"a": value}))
    assert not os.path.exists("/tmp/minidl-was-here")


LISTS = b"]q\x00" + b"".join(
    b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))


@pytest.mark.parametrize("pickled, words", [
    (b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"Ns.", "key of type tuple"),
    (b"\x80\x02]r\x00\x00\x40\x00h\x00.", "KeyError"),     # of a memo of four million places
    (b"\x80\x02" + LISTS + b".", "more than its own size"),
    (b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.", "state to a function: refused"),
    (b"\x80\x02cnumpy\nndarray\n)R.", "a NoneType where a function belongs"),
])
def test_hostile_pickles_cost_nothing(tmp_path, pickled, words):
    path = raw(tmp_path, pickled)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"data.npy: .*{words}"):
            _read_pickled(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_one_array_again_and_again_is_no_way_to_fill_the_memory(tmp_path):
    array = np.zeros(10_000)
    assert len(_read_pickled(saved(tmp_path, {"X": [array.copy(), array.copy()]}))["X"]) == 2
    with pytest.raises(ValueError, match="unpacks to more than its own size"):
        _read_pickled(saved(tmp_path, {"X": [array] * 1000}))


@given(st.data())
def test_damaged_files_raise_one_kind_of_error(tmp_path_factory, data):
    path = saved(tmp_path_factory.mktemp("watch"), content())
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        damaged = whole[:place]
    else:
        damaged = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1:]
    path.write_bytes(damaged)
    try:
        _read_pickled(path)
    except ValueError as error:
        assert "data.npy" in str(error) and "\n" not in str(error)


def test_an_array_of_numbers_is_no_pickle(tmp_path):
    np.save(tmp_path / "plain.npy", np.ones(3))
    with pytest.raises(ValueError, match="plain.npy: .*expected a pickled object"):
        _read_pickled(tmp_path / "plain.npy")
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(ValueError, match="text.npy: cut off, damaged"):
        _read_pickled(tmp_path / "text.npy")


def test_windows_by_hand():
    x, of = windows(
        [np.arange(10).reshape(5, 2), np.ones((1, 2)), np.arange(6).reshape(3, 2)], 3, 2
    )
    assert x.tolist() == [[[0, 1], [2, 3], [4, 5]], [[4, 5], [6, 7], [8, 9]],
                          [[0, 1], [2, 3], [4, 5]]]
    assert of.tolist() == [0, 0, 2]
    with pytest.raises(ValueError, match="no recording has 9 moments"):
        windows([np.ones((5, 2))], 9, 1)
    with pytest.raises(ValueError, match=r"one number of channels, got \[2, 3\]"):
        windows([np.ones((5, 2)), np.ones((5, 3))], 3, 1)
