"""The strongest patches: against brute force, cut out and run again, with everything outside of
them changed."""
import weakref

import numpy as np
import pytest

import minidl as md
from minidl import nn
from minidl.data import save_image
from minidl.visualize import TopPatches, load_patches, receptive_fields, save_patches, top_patches

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def small_net(ndim=2, channels=3):
    """Two strides, so that a crop which is not aligned to them gives other values; dilation and
    padding."""
    rng, conv = np.random.default_rng(0), {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim]
    return nn.Sequential({
        "conv1": conv(channels, 4, 3, padding=1, rng=rng), "relu1": nn.ReLU(),
        "pool1": nn.MaxPool(2),
        "conv2": conv(4, 5, 3, padding=2, dilation=2, rng=rng), "norm": nn.BatchNorm(5),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool(3, 2, 1), "conv3": conv(5, 6, 2, padding=((1, 0),) * ndim, rng=rng),
        "flatten": nn.Flatten()})


def drawn_pictures(count, ndim=2, channels=3, low=26, high=40):
    rng = np.random.default_rng(1)
    return [rng.normal(0, 1, (*rng.integers(low, high, ndim), channels)).astype("float32")
            for _ in range(count)]


def brute_force(net, pictures, layer, k, one_per_picture=True):
    """{unit: [(activation, picture, position), …]}: all activations of all pictures, sorted."""
    found = {}
    net.eval()
    for number, picture in enumerate(pictures):
        a = net(md.tensor(picture[None]), layer)[layer].numpy()[0]
        for unit in range(a.shape[-1]):
            rows = sorted(((float(a[place + (unit,)]), number, place)
                           for place in np.ndindex(a.shape[:-1])),
                          key=lambda row: (-row[0], row[2]))
            found.setdefault(unit, []).extend(rows[:1 if one_per_picture else k])
    return {unit: sorted(rows, key=lambda row: (-row[0], row[1:]))[:k]
            for unit, rows in found.items()}


def rows(found):
    return {unit: [(patch.activation, patch.picture, patch.position) for patch in patches]
            for unit, patches in found.patches.items()}


@pytest.mark.parametrize("layer", ["relu1", "relu2", "conv3"])
@pytest.mark.parametrize("one_per_picture", [True, False])
def test_they_are_those_of_brute_force(layer, one_per_picture):
    net, pictures = small_net(), drawn_pictures(24)
    found = top_patches(net, iter(pictures), layer, k=5, one_per_picture=one_per_picture)
    assert rows(found) == brute_force(net, pictures, layer, 5, one_per_picture)
    assert (found.layer, found.field, found.pictures,
            found.skipped) == (layer, receptive_fields(net)[layer], 24, [])
    if one_per_picture:
        assert all(len({patch.picture for patch in patches}) == 5
                   for patches in found.patches.values())
        order = np.random.default_rng(2).permutation(24)
        shuffled = rows(top_patches(net, [pictures[i] for i in order], layer, k=5))
        assert rows(found) == {unit: [(a, order[number], place) for a, number, place in these]
                               for unit, these in shuffled.items()}


def test_ties_go_to_the_first_picture_and_place():
    net = nn.Sequential({"relu": nn.ReLU(), "pool": nn.MaxPool(2)})
    pictures = [np.full((6, 4, 1), value, "float32") for value in (0, 1, 1, 0, 1)]
    found = top_patches(net, pictures, "pool", k=4)
    assert rows(found)[0] == [(1, 1, (0, 0)), (1, 2, (0, 0)), (1, 4, (0, 0)), (0, 0, (0, 0))]
    several = top_patches(net, pictures, "pool", k=8, one_per_picture=False)
    assert rows(several) == brute_force(net, pictures, "pool", 8, one_per_picture=False)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_patch_by_itself(ndim):
    """Its aligned crop gives its activation; everything outside its box may change, and it
    stays."""
    net, pictures, rng = small_net(ndim).eval(), drawn_pictures(8, ndim), np.random.default_rng(3)
    padded = 0
    for layer in "relu1", "pool1", "relu2", "conv3":
        found = top_patches(net, pictures, layer, k=3)
        for unit, patches in found.patches.items():
            for patch in patches:
                picture = pictures[patch.picture]
                crop, position = patch.crop(picture)
                again = net(md.tensor(crop[None]), layer)[layer].numpy()[(0, *position, unit)]
                assert again == pytest.approx(patch.activation, rel=1e-5, abs=1e-6)
                other = rng.normal(0, 1, picture.shape).astype("float32")
                inside = tuple(slice(max(low, 0), high) for low, high in patch.box)
                other[inside] = picture[inside]
                again = net(md.tensor(other[None]),
                            layer)[layer].numpy()[(0, *patch.position, unit)]
                assert again == pytest.approx(patch.activation, rel=1e-5, abs=1e-6)
                padded += any(low < 0 or high > n
                              for (low, high), n in zip(patch.box, picture.shape))
    assert padded


def test_every_place_by_its_crop():
    """In every corner of pictures of many sizes: also where a stride leaves the last pixels out."""
    net = small_net().eval()
    field = receptive_fields(net)["conv3"]
    for picture in drawn_pictures(4):
        a = net(md.tensor(picture[None]), "conv3")["conv3"].numpy()[0]
        for place in np.ndindex(a.shape[:-1]):
            crop, position = field.aligned(place, picture.shape[:-1])
            part = picture[tuple(slice(*bounds) for bounds in crop)]
            again = net(md.tensor(part[None]), "conv3")["conv3"].numpy()[0]
            np.testing.assert_allclose(again[position], a[place], rtol=1e-5, atol=1e-6)


def test_vgg_and_the_pooling_grid():
    """Its aligned crop gives a unit of VGG-19 its activation; the box alone, cut anywhere, does
    not."""
    rng, before, blocks = np.random.default_rng(0), 3, []
    for count in md.models.vgg.CONVOLUTIONS["vgg19"]:
        blocks.append([])
        for _ in range(count):
            weight = rng.normal(0, (2 / 9 / before) ** 0.5, (3, 3, before, 8)).astype("float32")
            blocks[-1].append((weight, np.zeros(8, "float32")))
            before = 8
    net = md.models.VGG(blocks, (120.0, 110.0, 100.0))
    pictures = [rng.integers(0, 256, (170 + 13 * i, 200 - 7 * i, 3)).astype("uint8")
                for i in range(3)]
    run = lambda pixels, layer: net(md.tensor(pixels[None], dtype="float32"),
                                    layer)[layer].numpy()[0]
    for layer in "relu2_2", "relu3_1", "relu4_1", "relu5_1":
        inside, wrong = 0, 0
        for unit, patches in top_patches(net, pictures, layer, k=2).patches.items():
            for patch in patches:
                crop, position = patch.crop(pictures[patch.picture])
                assert run(crop,
                           layer)[(*position, unit)] == pytest.approx(patch.activation, rel=1e-5)
                if all(low >= 0 and high <= n
                       for (low, high), n in zip(patch.box, pictures[patch.picture].shape)):
                    box = patch.shown(pictures[patch.picture])
                    inside += 1
                    wrong += np.abs(run(box, layer)[..., unit]
                                    - patch.activation).min() > 1e-3 * patch.activation
        assert layer == "relu5_1" or inside and bool(wrong) == (layer in ("relu3_1", "relu4_1")), (
            layer
        )


def test_padding_is_shown():
    weight = np.ones((3, 3, 3, 1), "float32")
    net = nn.Sequential({"conv": nn.Conv2d.from_weights(weight, padding=1)})
    picture = np.zeros((5, 6, 3), "uint8")
    picture[4, 0] = 200
    patch, = top_patches(net, [picture], "conv", [0], k=2).patches[0]
    assert patch == (600, 0, "pictures[0]", (3, 0), (3, 1, 0)) and patch.box == ((2, 5), (-1, 2))
    shown = patch.shown(picture, padding=(255, 0, 9))
    assert shown.dtype == np.uint8 and shown.shape == (3, 3, 3)
    assert (shown[:, 0] == (255, 0, 9)).all() and (shown[:, 1:] == picture[2:5, :2]).all()
    far = patch._replace(position=(40, 40))
    assert (far.shown(picture, padding=7) == 7).all()


def test_files_and_a_folder(tmp_path):
    net, rng, paths = small_net(), np.random.default_rng(4), []
    for i in range(4):
        paths.append(tmp_path / f"{i}.png")
        save_image(paths[-1], rng.integers(0, 256, (30 + i, 33, 3)).astype("uint8"))
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not looked at")
    save_image(tmp_path / "3.png", np.zeros((30, 5, 3), "uint8"))
    found = top_patches(net, tmp_path, "relu2", units=[3, 1, 3], k=9)
    assert list(found.patches) == [3, 1] and found.pictures == 2
    one, other = found.skipped
    assert one.startswith(f"{tmp_path / '1.png'} is not a usable picture: ")
    assert (
        other
        == f"{tmp_path / '3.png'}: 30 × 5 is smaller than what a unit of 'relu2' sees, 12 × 12"
    )
    assert {patch.name for patch in found.patches[3]} == {
        str(tmp_path / "0.png"),
        str(tmp_path / "2.png"),
    }
    patch = found.patches[3][0]
    assert patch.shown(patch.name).shape == (12, 12, 3)
    assert rows(top_patches(net, paths, "relu2",
                            [3])) == rows(top_patches(net, tmp_path, "relu2", [3]))


def test_what_is_skipped_is_named_and_counted():
    net, pictures = small_net(), drawn_pictures(3)
    holes = pictures[0].copy()
    holes[3, 3] = np.nan
    bad = [None, pictures[0][..., :2], pictures[0][0, 0], holes, "missing.png"]
    found = top_patches(net, [bad[0], pictures[0], *bad[1:], *pictures[1:]], "relu1", k=2)
    assert found.pictures == 3 and [line.split(":")[0] for line in found.skipped] == [
        "pictures[0]", "pictures[2]", "pictures[3]", "pictures[4]",
        "[Errno 2] No such file or directory"]
    assert all("\n" not in line for line in found.skipped) and "missing.png" in found.skipped[-1]
    assert [patch.activation for patch in found.patches[0]] == [
        row[0] for row in brute_force(net, pictures, "relu1", 2)[0]]


def test_the_table_does_not_grow():
    """Pictures, and what was computed from them, are gone when the next but one is taken."""
    seen, rng = [], np.random.default_rng(0)

    def stream():
        for _ in range(6):
            assert all(reference() is None for reference in seen[:-1])
            picture = rng.normal(0, 1, (20, 20, 3)).astype("float32")
            seen.append(weakref.ref(picture))
            yield picture
            del picture

    top_patches(small_net(), stream(), "relu1", k=9)
    assert len(seen) == 6


def test_two_hundred_pictures_of_many_sizes():
    """All units, as a full sort of all activations has them."""
    net, rng = small_net(), np.random.default_rng(5)
    pictures = [rng.normal(0, 1, (*rng.integers(12, 24, 2), 3)).astype("float32")
                for _ in range(200)]
    found, rows_of = top_patches(net, pictures, ["relu1", "relu2"]), {}
    for number, picture in enumerate(pictures):
        with md.no_grad():
            outputs = net.eval()(md.tensor(picture[None]), ["relu1", "relu2"])
        for layer, a in outputs.items():
            a = a.numpy()[0]
            for unit in range(a.shape[-1]):
                place = np.unravel_index(a[..., unit].argmax(), a.shape[:-1])
                rows_of.setdefault((layer, unit), []).append(
                    (float(a[(*place, unit)]), number, tuple(map(int, place))))
    for layer, one in found.items():
        assert rows(one) == {unit: sorted(rows_of[layer, unit],
                                          key=lambda row: (-row[0], row[1]))[:9]
                             for unit in one.patches}
    assert len(rows_of) == 9


def test_several_layers_in_one_pass():
    net, pictures = small_net(), [*drawn_pictures(3), np.zeros((8, 8, 3), "float32"),
                                  *drawn_pictures(2)]
    found = top_patches(net, iter(pictures), ["conv3", "relu1"], k=3)
    assert list(found) == ["conv3", "relu1"]
    for layer, one in found.items():
        assert one == top_patches(net, pictures, layer, k=3)
    line, = found["conv3"].skipped
    assert line.startswith("pictures[3]: 8 × 8 is smaller than what a unit of 'conv3' sees, ")
    assert (found["conv3"].pictures, found["relu1"].pictures, found["relu1"].taken) == (5, 6, 6)
    with pytest.raises(ValueError, match="top_patches: layer 'relu9' is none of"):
        top_patches(net, pictures, ["relu1", "relu9"])


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_places_inside_of_the_picture(ndim):
    net, pictures = small_net(ndim), drawn_pictures(4, ndim, low=18, high=24)
    for layer in "relu1", "relu2":
        field, expected = receptive_fields(net)[layer], {}
        for number, picture in enumerate(pictures):
            a = net.eval()(md.tensor(picture[None]), layer)[layer].numpy()[0]
            inside = [place for place in np.ndindex(a.shape[:-1]) if all(
                low >= 0 and high <= n for (low, high), n in zip(field.box(place), picture.shape))]
            for unit in range(a.shape[-1]):
                expected.setdefault(unit, []).append(max(
                    ((float(a[place + (unit,)]), number, place) for place in inside),
                    key=lambda row: row[0]))
        found = top_patches(net, pictures, layer, inside=True)
        assert rows(found) == {unit: sorted(these, key=lambda row: (-row[0], row[1]))
                               for unit, these in expected.items()}
        assert len(inside) < a[..., 0].size


def test_names_of_the_stream():
    pictures = drawn_pictures(2)
    found = top_patches(small_net(), [("first", pictures[0]), ("bad", None), pictures[1]], "relu1")
    assert {patch.name for patch in found.patches[0]} == {"first", "pictures[2]"}
    assert found.skipped == ["bad: top_patches: picture must be a Tensor or an array, got NoneType"]

    def fail():
        raise OSError("it is\nno picture")

    read = top_patches(small_net(), [("first", lambda: pictures[0]), ("bad", fail), pictures[1]],
                       "relu1")
    assert read.patches == found.patches and read.skipped == ["bad: it is no picture"]


def test_interrupted_and_resumed(tmp_path):
    """What was interrupted anywhere, kept in a file, and went on, is what one call gives."""
    net, pictures = small_net(), [*drawn_pictures(6), np.zeros((3, 3, 3), "float32"),
                                  *drawn_pictures(3)]
    whole = top_patches(net, pictures, ["relu2", "conv3"], k=3)
    for last in 1, 4, 7, 9:
        counted = []

        def stop(number, last=last, counted=counted):
            counted.append(number)
            if number == last:
                raise KeyboardInterrupt

        found = top_patches(net, pictures, ["relu2", "conv3"], k=3, callback=stop)
        assert counted == list(range(1, last + 1))
        assert all(one.interrupted and one.taken == last for one in found.values())
        for layer, one in found.items():
            save_patches(tmp_path / layer, one)
            assert load_patches(tmp_path / layer) == one
        found = {layer: load_patches(tmp_path / layer) for layer in found}
        assert top_patches(net, pictures, ["relu2", "conv3"], k=3, earlier=found) == whole
    for units in [2, 0], [2, 0, 2]:
        first = top_patches(net, pictures[:4], "relu2", units, k=3)
        assert top_patches(net, pictures, "relu2", units, k=3, earlier=first).patches == {
            unit: whole["relu2"].patches[unit] for unit in (2, 0)}


def test_interrupted_at_once(tmp_path):
    def stream():
        raise KeyboardInterrupt
        yield

    net, pictures = small_net(), drawn_pictures(2)
    found = top_patches(net, stream(), "relu1")
    assert found.interrupted and found.patches == {} and found.taken == 0
    save_patches(tmp_path / "nothing", found)
    later = top_patches(net, pictures, "relu1", earlier=load_patches(tmp_path / "nothing"))
    assert later == top_patches(net, pictures, "relu1")


def test_an_earlier_call_that_does_not_fit():
    net, pictures = small_net(), drawn_pictures(2)
    found = top_patches(net, pictures, "relu1", [0, 1], k=2)
    for arguments, words in (
        ({"layer": "relu2"}, "earlier is of relu1, asked for is relu2"),
        ({"k": 3}, "earlier has 2 patches of the units"),
        ({"units": [1, 0]}, "earlier has 2 patches of the units"),
    ):
        with pytest.raises(ValueError, match=f"^top_patches: {words}"):
            top_patches(net, pictures,
                        **{"layer": "relu1", "units": [0, 1], "k": 2, "earlier": found} | arguments)


def test_a_file_of_patches_that_is_damaged(tmp_path):
    path = tmp_path / "found.json"
    found = top_patches(small_net(), drawn_pictures(2), "relu1", [1])
    save_patches(path, found)
    whole = path.read_text()
    assert load_patches(path) == found and isinstance(load_patches(path), TopPatches)
    for text in ("", whole[:-9], "[]", "{}", "[" * 100_000,
                 whole.replace('"top_patches": 1', '"top_patches": 2'),
                 whole.replace('"pictures": 2', '"pictures": "two"'),
                 whole.replace('"pictures[0]"', "3"),
                 whole.replace('"1": [[', '"1": [[NaN, '),
                 whole.replace('"field": [3', '"field": ["3"'),
                 whole.replace('"field": [3', '"field": [-3'),
                 whole.replace('"field": [3', '"field": [3.5'),
                 whole.replace('"field": [3, 1', '"field": [3, 0'),
                 whole.replace('"field": [3, 1, 0.0', '"field": [3, 1, NaN'),
                 whole.replace('"k": 9', '"k": 0'),
                 whole.replace('"pictures": 2', '"pictures": -2'),
                 whole.replace('"skipped": []', '"skipped": [1]'),
                 whole.replace('"interrupted": false', '"interrupted": "no"'),
                 whole.replace('{"1": [[', '{"-1": [[')):
        assert text != whole
        path.write_text(text)
        with pytest.raises(ValueError,
                           match=r"found\.json is no file of save_patches, or damaged: "):
            load_patches(path)
    with pytest.raises(OSError):
        load_patches(tmp_path / "missing.json")


def test_other_pictures_than_the_patchs():
    patch = top_patches(small_net(), drawn_pictures(1), "relu2", [0]).patches[0][0]
    for use in patch.shown, patch.crop:
        with pytest.raises(ValueError, match=r"sizes \(5, 40\) is smaller than what .* \(12, 12\)"):
            use(np.zeros((5, 40, 3)))
        with pytest.raises(ValueError, match="must have as many axes"):
            use(np.zeros((40, 3)))


@pytest.mark.parametrize("padding", [300, -1, np.nan, (0, 0, 256)])
def test_padding_that_pixels_cannot_hold(padding):
    picture = np.zeros((40, 40, 3), np.uint8)
    patch = top_patches(small_net(), [picture], "relu2", [0]).patches[0][0]
    assert patch.box[0][0] < 0 and patch.shown(picture, 127.5).max() == 127
    assert np.isnan(patch.shown(picture / 1.0, np.nan)).any()
    with pytest.raises(ValueError, match="does not fit into pixels of uint8"):
        patch.shown(picture, padding)


@pytest.mark.parametrize("options, error, words", [
    ({"layer": "relu9"}, ValueError, r"layer 'relu9' is none of conv1, relu1, "),
    ({"layer": []}, ValueError, "layer must be a name or several, got none"),
    ({"layer": "flatten"}, ValueError, "a unit of 'flatten' sees more than a window"),
    ({"units": [2, 4, -1]}, ValueError, r"layer 'relu1' has the units 0 to 3, got \[4, -1\]"),
    ({"units": []}, ValueError, "layer 'relu1' has the units 0 to 3, got none"),
    ({"units": "edges"}, TypeError, "units must be an integer or several"),
    ({"k": 0}, ValueError, "k must be an integer ≥ 1"),
    ({"pictures": []}, ValueError, "there are no pictures"),
    ({"pictures": 3}, TypeError, "pictures must be a folder, or arrays and paths, got int"),
    ({"pictures": [np.zeros((2, 40, 3))]}, ValueError,
     r"none of the 1 pictures can be used; pictures\[0\]: 2 × 40 is smaller than what a unit of "
     r"'relu1' sees, 3 × 3"),
])
def test_bad_input(options, error, words):
    arguments = {"net": small_net(), "pictures": drawn_pictures(1), "layer": "relu1"} | options
    with pytest.raises(error, match=f"^top_patches: {words}"):
        top_patches(**arguments)
    with pytest.raises(TypeError, match="top_patches: net must be a nn.Sequential"):
        top_patches(nn.ReLU(), drawn_pictures(1), "relu")
