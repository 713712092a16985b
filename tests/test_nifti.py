"""Volumes: NIfTI-1 files, whole, odd and damaged; the brain in three of them; drawn tubes."""
import gzip
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.data import nifti, read_brain, read_nifti, tubes_and_balls
from minidl.data.brain import balanced_places, patches


def described(values, order="<", code=2, offset=352, scale=(0.0, 0.0), axes=None, magic=b"n+1\0"):
    """The bytes of a file."""
    header = bytearray(offset)
    header[0:4] = np.array(348, f"{order}i4").tobytes()
    sizes = [values.ndim, *values.shape] if axes is None else axes
    header[40:40 + 2 * len(sizes)] = np.array(sizes, f"{order}i2").tobytes()
    header[70:72] = np.array(code, f"{order}i2").tobytes()
    header[76:92] = np.array([1, 2, 3, 4.5], f"{order}f4").tobytes()
    header[108:120] = np.array([offset, *scale], f"{order}f4").tobytes()
    header[344:348] = magic
    return bytes(header) + values.tobytes(order="F")


def written(tmp_path, content, name="a.nii"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


VALUES = np.arange(24, dtype="uint8").reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("order, code", [("<", 2), (">", 4), ("<", 8), (">", 16), ("<", 64),
                                         (">", 512)])
@pytest.mark.parametrize("offset", [352, 384])
def test_voxels_come_as_they_were(tmp_path, name, order, code, offset):
    kind = nifti.TYPES[code]
    content = described(VALUES.astype(f"{order}{kind}"), order, code, offset)
    found = read_nifti(written(tmp_path, content, name))
    assert (found.values == VALUES).all() and found.values.dtype == kind
    assert found.values.dtype.isnative and found.spacing == (2, 3, 4.5)


def test_scaled_voxels_are_float32(tmp_path):
    found = read_nifti(written(tmp_path, described(VALUES, scale=(0.5, -1))))
    assert found.values.dtype == np.float32 and (found.values == VALUES / 2 - 1).all()
    assert read_nifti(written(tmp_path, described(VALUES, scale=(1, 0)))).values.dtype == np.uint8


def test_scaling_takes_no_multiple_of_the_memory(tmp_path):
    path = written(tmp_path, described(np.zeros((64, 64, 64), "uint8"), scale=(0.5, -1)))
    tracemalloc.start()
    try:
        read_nifti(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 64 ** 3
    finally:
        tracemalloc.stop()


def test_a_fourth_axis_of_one_is_none(tmp_path):
    found = read_nifti(written(tmp_path, described(VALUES, axes=[4, 2, 3, 4, 1])))
    assert found.values.shape == (2, 3, 4)


@pytest.mark.parametrize("content, words", [
    (b"", "no whole header"),
    (b"x" * 400, "is no NIfTI-1 file"),
    (described(VALUES, magic=b"ni1\0"), "voxels in another file"),
    (described(VALUES, magic=b"abc\0"), "is no NIfTI-1 file"),
    (described(VALUES)[:-1], "is cut off: 23 of 24 bytes"),
    (described(VALUES, code=128), r"type 128 \(colours\), expected numbers"),
    (described(VALUES, code=99), r"type 99 \(unknown\)"),
    (described(VALUES, axes=[2, 6, 4]), r"sizes \[6, 4\], expected a volume of three axes"),
    (described(VALUES, axes=[3, 2, -3, 4]), r"sizes \[2, -3, 4\]"),
    (described(VALUES, axes=[4, 2, 3, 2, 2]), "holds 2 volumes, expected one"),
    (described(VALUES, axes=[3, 32767, 32767, 32767]), "claims 35,181,150,961,663 bytes"),
    (described(VALUES, scale=(np.nan, 0)), "scales its voxels by nan"),
])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, content, words, name):
    with pytest.raises(ValueError, match=f"{name}: .*{words}") as caught:
        read_nifti(written(tmp_path, content, name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 348, 360])
def test_an_archive_of_two_pieces_is_one_volume(tmp_path, cut):
    whole = described(VALUES)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(whole[:cut]) + gzip.compress(whole[cut:]))
    assert (read_nifti(tmp_path / "a.nii.gz").values == VALUES).all()


def test_an_archive_cut_off_or_damaged(tmp_path):
    packed = gzip.compress(described(np.random.default_rng(0).integers(
        0, 255, (9, 9, 9), dtype="uint8")))
    for bad in (packed[:len(packed) // 2], packed[:5], packed[:300] + b"\xff" * 9 + packed[309:]):
        (tmp_path / "a.nii.gz").write_bytes(bad)
        with pytest.raises(ValueError, match="a.nii.gz"):
            read_nifti(tmp_path / "a.nii.gz")


def test_what_is_packed_is_unpacked_only_as_far_as_needed(tmp_path):
    """A small file that unpacks to a gigabyte costs what its header claims."""
    path = written(tmp_path, described(VALUES) + bytes(1 << 26), "bomb.nii.gz")
    unpacked = []
    real = nifti._Unpacked.read

    def read(self, count):
        found = real(self, count)
        unpacked.append(len(found))
        return found

    nifti._Unpacked.read = read
    try:
        assert (read_nifti(path).values == VALUES).all()
    finally:
        nifti._Unpacked.read = real
    assert sum(unpacked) == 352 + 24


@given(st.binary(max_size=60), st.integers(0, 351))
def test_no_header_gives_another_error(tmp_path_factory, noise, place):
    content = bytearray(described(VALUES))
    content[place:place + len(noise)] = noise
    path = written(tmp_path_factory.mktemp("nii"), bytes(content))
    try:
        assert read_nifti(path).values.ndim == 3
    except ValueError as error:
        assert "a.nii" in str(error)


# ---- the brain ----------------------------------------------------------------------------------

def three_files(tmp_path, t1, grey, white):
    return [written(tmp_path, described(np.asarray(each, "uint8")), f"{k}.nii")
            for k, each in enumerate((t1, grey, white))]


def test_tissues_by_hand(tmp_path):
    t1, grey, white = (np.array(row).reshape(1, 1, 6) for row in (
        [90, 90, 90, 90, 10, 90], [10, 200, 20, 60, 200, 2], [20, 50, 200, 80, 0, 2]))
    brain = read_brain(*three_files(tmp_path, t1, grey, white))
    assert brain.tissue.ravel().tolist() == [0, 1, 2, 2, -1, -1]
    assert brain.t1.dtype == np.uint8


def test_files_that_do_not_go_together(tmp_path):
    shape = (2, 2, 2)
    paths = three_files(tmp_path, np.ones(shape), np.ones(shape), np.ones((2, 2, 3)))
    with pytest.raises(
        ValueError, match=r"2.nii: is of \(2, 2, 3\) voxels, .*0.nii of \(2, 2, 2\)"
    ):
        read_brain(*paths)
    with pytest.raises(ValueError, match="one of the tissues is nowhere"):
        read_brain(*three_files(tmp_path, *[np.full(shape, 90)] * 3))
    other = written(tmp_path, described(np.ones(shape, "<i2"), code=4), "other.nii")
    with pytest.raises(ValueError, match="other.nii: has voxels of int16, expected uint8"):
        read_brain(other, *paths[:2])


def test_places_are_balanced_and_their_cubes_inside():
    tissue = np.random.default_rng(0).integers(-1, 3, (12, 13, 14)).astype(np.int8)
    places, labels = balanced_places(tissue, [(5, 7), (9, 10)], 60, 4, np.random.default_rng(0))
    assert np.bincount(labels).tolist() == [20, 20, 20]
    assert (tissue[tuple(places.T)] == labels).all() and set(places[:, 2]) <= {5, 6, 9}
    volume = np.arange(tissue.size, dtype=float).reshape(tissue.shape)
    cubes = patches(volume, places, 4)
    assert (
        cubes.shape == (60, 4, 4, 4, 1) and (cubes[:, 2, 2, 2, 0] == volume[tuple(places.T)]).all()
    )
    x, y, z = places[0]
    assert (cubes[0, ..., 0] == volume[x - 2:x + 2, y - 2:y + 2, z - 2:z + 2]).all()
    with pytest.raises(ValueError, match="do not hold all tissues"):
        balanced_places(tissue, [(0, 1)], 60, 4, np.random.default_rng(0))
    for size in (14, 40):               # more than the volume has
        with pytest.raises(ValueError, match="do not hold all tissues"):
            balanced_places(tissue, [(0, 14)], 60, size, np.random.default_rng(0))
    with pytest.raises(ValueError, match="count must be in 3 ≤ count"):
        balanced_places(tissue, [(5, 7)], 2, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="reach out of"):
        patches(volume, [[1, 6, 6]], 4)


# ---- tubes --------------------------------------------------------------------------------------

def test_a_tube_reaches_through_and_a_ball_does_not():
    x, labels = tubes_and_balls(40, noise=0, seed=0)
    assert x.shape == (40, 16, 16, 16, 1) and x.dtype == np.float32
    assert np.bincount(labels).tolist() == [20, 20] and 0 <= x.min() and x.max() == 1
    through = x.max((2, 3, 4)) > 0.5                    # of the slices, whether anything is in them
    assert through[labels == 1].all(1).mean() > 0.5
    assert (through[labels == 0].sum(1) <= 7).all()
    noisy, same = tubes_and_balls(40, noise=0.5, seed=0)
    assert (same == labels).all() and abs((noisy - x).std() - 0.5) < 0.01


@pytest.mark.parametrize("settings", [{"count": 0}, {"count": 2, "size": 4},
                                      {"count": 2, "noise": -1}, {"count": 2, "noise": np.nan}])
def test_tubes_of_odd_settings(settings):
    with pytest.raises(ValueError, match="tubes_and_balls: .* must be"):
        tubes_and_balls(**settings)
