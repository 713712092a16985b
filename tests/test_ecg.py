"""Heartbeats: drawn ones, recorded ones, and files that are none."""
import numpy as np
import pytest

from minidl.data import drawn_beats, find_beats, levelled, read_ecg
from minidl.data.drawn_beats import HERTZ, KINDS, LENGTH
from minidl.data.ecg import Recording


def pulse(beats=8, gap=0.8, hertz=360, unit=200.0):
    """A recording of narrow peaks, known by hand."""
    t = np.arange(0, beats * gap, 1 / hertz)
    times = gap * (np.arange(beats) + 0.5)
    v = np.exp(-((t[:, None] - times) / 0.012) ** 2 / 2).sum(1)
    return Recording("pulse", unit * (v + 0.1 * np.sin(t)), hertz), times


# ---- drawn --------------------------------------------------------------------------------------

def test_drawn_beats_are_of_all_kinds_with_r_in_the_middle():
    found = drawn_beats(40, 0)
    assert found.values.shape == (40, LENGTH, 1) and found.values.dtype == np.float32
    assert np.bincount(found.labels).tolist() == [10] * 4 and found.names == KINDS
    for beat, label in zip(found.values[..., 0], found.labels):
        near = np.abs(beat - np.median(beat))[LENGTH // 2 - 20:LENGTH // 2 + 21]
        if KINDS[label] != "premature":
            assert abs(near.argmax() - 20) <= 1
    assert (drawn_beats(40, 0).values == found.values).all()
    assert (drawn_beats(40, 1).values != found.values).any()


def test_a_missing_p_is_missing_and_a_lifted_st_lifted():
    """The means over many beats differ just where the waves are."""
    found = drawn_beats(1600, 3)
    mean = [found.values[found.labels == k, :, 0].mean(0) for k in range(4)]
    p = LENGTH // 2 - int(0.17 * HERTZ)
    assert mean[0][p] - mean[2][p] > 0.08                   # millivolts; drawn with 0.15
    st = LENGTH // 2 + int(0.12 * HERTZ)
    assert mean[3][st] - mean[0][st] > 0.15
    t = LENGTH // 2 + int(0.9 * HERTZ)
    assert abs(mean[2][st] - mean[0][st]) < 0.06 and abs(mean[3][t] - mean[0][t]) < 0.3


@pytest.mark.parametrize("count", [0, -3])
def test_fewer_than_one_beat_is_refused(count):
    with pytest.raises(ValueError, match="drawn_beats: count must be an integer ≥ 1"):
        drawn_beats(count)


# ---- recorded -----------------------------------------------------------------------------------

@pytest.mark.parametrize("hertz", [100, 125, 360, 1000])
def test_beats_are_found_where_they_are_at_any_rate(hertz):
    recording, times = pulse(hertz=hertz)
    values, seconds = find_beats(recording)
    inside = times[(times > 1) & (times < 8 * 0.8 - 1)]
    np.testing.assert_allclose(seconds, inside, atol=0.017)
    assert values.shape == (len(inside), LENGTH, 1)
    middle = values[:, LENGTH // 2 - 20:LENGTH // 2 + 21, 0]
    assert (np.abs(middle.argmax(1) - 20) <= 1).all()


def test_unit_and_gain_do_not_count():
    (one, _), (other, _) = (find_beats(pulse(unit=unit)[0]) for unit in (1.0, -300.0))
    np.testing.assert_allclose(levelled(one), -levelled(other), atol=1e-4)
    assert np.isfinite(levelled(np.ones((1, 250, 1), "float32"))).all()


@pytest.mark.parametrize("recording, words", [
    (pulse()[0]._replace(hertz=3600.0), "is 0.6 seconds long at 3600 moments a second"),
    (Recording("slow", pulse(beats=40)[0].values, 72.0), "has 1. beats a minute at 72"),
    (Recording("flat", np.zeros(4000), 360.0), "has 0 beats a minute"),
    (Recording("short", np.ones(100), 360.0), "short: is 0.3 seconds long"),
])
def test_another_sampling_rate_is_not_believed(recording, words):
    with pytest.raises(ValueError, match=words) as caught:
        find_beats(recording)
    assert "\n" not in str(caught.value)


def test_files_of_text_and_arrays(tmp_path):
    values = np.array([1.5, -2.0, 3.25])
    (tmp_path / "a.csv").write_text("data,label\n1.5,0\n-2,1\n3.25,0\n")
    (tmp_path / "b.txt").write_text("1.5\n-2\n\n3.25\n")
    np.savez(tmp_path / "c.npz", ecg=values)
    for name in ("a.csv", "b.txt", "c.npz"):
        found = read_ecg(tmp_path / name, 250)
        assert (found.values == values).all() and found.hertz == 250 and found.name == name


@pytest.mark.parametrize("content, words", [
    (b"time,value\n1,2\nx,3\n", "no electrocardiogram"),
    (b"\xff\xd8\xff\xe0", "no electrocardiogram"),
    (b"1\nnan\n", "finite"),
    (b"", "no numbers"),
    (b"time,value\n", "no numbers"),
    (b"PK\x03\x04 cut off", "damaged"),
])
def test_what_is_no_recording_is_refused(tmp_path, content, words):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match=f"bad: .*{words}"):
        read_ecg(tmp_path / "bad", 250)


def test_arrays_that_are_no_recording(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    np.savez(tmp_path / "flat.npz", a=np.ones((3, 2)))
    np.savez(tmp_path / "text.npz", a=np.array(["a"]))
    for name, words in (
        ("two", "one array, it has 2"),
        ("flat", "one channel"),
        ("text", "one channel"),
    ):
        with pytest.raises(ValueError, match=words):
            read_ecg(tmp_path / f"{name}.npz", 250)
    with pytest.raises(ValueError, match="50 moments a second or more, got 20"):
        read_ecg(tmp_path / "two.npz", 20)
