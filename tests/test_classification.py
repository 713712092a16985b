"""Classifiers of signals and volumes: their sizes, training, measures, and what they look at."""
import itertools

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import classification, nn, visualize
from minidl.classification import (
    Block,
    Recipe,
    Standard,
    best_thresholds,
    confusion,
    convnet,
    interval,
    lecture_net,
    nearest_neighbour,
    score_gradient,
    scores,
    train,
)
from minidl.data import GridAugmentation

# ---- networks -----------------------------------------------------------------------------------

@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_lectures_sizes(axes):
    """14 ∗ 5, 16 filters → 10 × 16 ∗ 5, 32 filters → 6 × 32, along every axis."""
    net, x = lecture_net(axes, rng=0), md.zeros((2, *[14] * axes, 1), dtype="float32")
    found = net(x, layers=["conv1", "conv2"])
    assert found["conv1"].shape == (2, *[10] * axes, 16)
    assert found["conv2"].shape == (2, *[6] * axes, 32)
    assert net["conv1"].weight.shape == (*[5] * axes, 1, 16)
    assert net["conv2"].weight.shape == (*[5] * axes, 16, 32)
    assert sum(p.size for p in net.parameters()) == 5 ** axes * 16 + 16 + 5 ** axes * 512 + 32


@given(st.integers(1, 3), st.integers(1, 3), st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.sampled_from([1, 2]),
              st.sampled_from([None, 0])), min_size=1, max_size=2), st.booleans())
def test_any_blocks_give_scores(axes, channels, blocks, flattened):
    size = 10
    net = convnet(axes, channels, 3, [Block(*block) for block in blocks],
                  size=size if flattened else None, rng=0)
    x = np.random.default_rng(0).normal(size=(2, *[size] * axes, channels)).astype("float32")
    assert scores(net, x).shape == (2, 3)


def test_a_block_keeps_the_size_also_with_an_even_filter():
    net = convnet(1, 1, 3, [Block(2, 4)], rng=0)
    assert net(np.zeros((2, 10, 1), "float32"), layers=["conv1"])["conv1"].shape == (2, 10, 2)


@pytest.mark.parametrize("axes", [1, 2])
def test_blocks_that_leave_nothing_of_the_input(axes):
    """2 − 5 + 1 = −2 along each axis, whose square is a size again."""
    with pytest.raises(ValueError, match=r"nothing is left of the input behind block 1, Block\("):
        convnet(axes, 1, 3, [Block(4, 5, padding=0)], size=2, rng=0)


# ---- training -----------------------------------------------------------------------------------

def bumps(count, axes=1, size=12, seed=0):
    """Class 1 has a bump somewhere, class 0 has not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.3, (count, *[size] * axes, 1)).astype("float32")
    labels = np.arange(count) % 2
    for example in x[1::2]:
        low = rng.integers(0, size - 4, axes)
        example[tuple(slice(k, k + 4) for k in low)] += 1.5
    return x, labels


@pytest.mark.parametrize("axes", [1, 3])
def test_it_learns_what_it_was_not_shown(axes):
    x, labels = bumps(96, axes)
    asked, truth = bumps(100, axes, seed=1)
    net = convnet(axes, 1, 2, [Block(8, 3, 2), Block(8, 3)], dropout=0.1, rng=0)
    loop = train(net, x, labels, Recipe(epochs=10, batch=16, learning_rate=1e-2,
                                        augmentation=GridAugmentation(shift=1)), seed=0)
    assert len(loop.history) == 10 and loop.history[-1]["loss"] < loop.history[0]["loss"] / 2
    assert (scores(net, asked).argmax(1) == truth).mean() > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_another():
    x, labels = bumps(20)
    found = []
    for seed in (0, 0, 1):
        net = convnet(1, 1, 2, [Block(4, 3)], rng=0)
        train(net, x, labels, Recipe(epochs=2, batch=8,
                                     augmentation=GridAugmentation(noise=0.1)), seed=seed)
        found.append(scores(net, x))
    assert (found[0] == found[1]).all() and (found[0] != found[2]).any()


def test_every_example_is_seen_once_in_an_epoch(monkeypatch):
    seen = []
    x = np.arange(10, dtype="float32").reshape(10, 1, 1)

    def keep(x, rng):
        seen.append(x.ravel().tolist())
        return x

    net = convnet(1, 1, 2, [Block(2, 1)], rng=0)
    train(net, x, np.arange(10) % 2, Recipe(epochs=2, batch=4, augmentation=keep))
    assert [len(batch) for batch in seen[:3]] == [4, 3, 3] and len(seen) == 6
    assert sorted(sum(seen[:3], [])) == sorted(sum(seen[3:], [])) == list(range(10))
    assert seen[:3] != seen[3:]


def test_scores_do_not_depend_on_the_batch(device):
    x, labels = bumps(21)
    net = convnet(1, 1, 2, [Block(4, 3, 2)], size=12, rng=0)
    train(net, x, labels, Recipe(epochs=1))
    np.testing.assert_allclose(scores(net, x, batch=5), scores(net, x), rtol=1e-5, atol=1e-6)
    assert net.training                                 # as it was before


# ---- measures -----------------------------------------------------------------------------------

def test_standard_is_that_of_the_training_examples():
    x = np.random.default_rng(0).normal(3, 2, (50, 7, 2)).astype("float32")
    x[..., 1] = 4                                       # never changes
    y = Standard.of(x)(x)
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1)), [1, 0], atol=1e-5)
    assert y.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_channel_that_never_changes_is_not_stretched(dtype):
    x = np.full((1000, 3), 0.1, dtype)                  # whose mean is off by rounding
    np.testing.assert_allclose(Standard.of(x)(x), 0, atol=1e-6)


def test_standard_of_integers_and_of_many_large_numbers():
    assert Standard.of([[0, 1], [1, 0]])(np.array([[0, 1]])).tolist() == [[-1, 1]]
    x = (1000 + np.random.default_rng(0).normal(size=(100_000, 2))).astype("float32")
    standard = Standard.of(x)
    np.testing.assert_allclose(standard.mean, x.mean(0, dtype="float64"), rtol=1e-7)
    np.testing.assert_allclose(standard.deviation, x.std(0, dtype="float64"), rtol=1e-6)


def test_confusion_by_hand():
    assert confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3).tolist() == [
        [1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_nearest_neighbour_is_brute_force():
    rng = np.random.default_rng(0)
    x, asked, labels = (
        rng.normal(size=(30, 4, 2)),
        rng.normal(size=(9, 4, 2)),
        rng.integers(5, size=30),
    )
    nearest = [np.square(x - each).sum((1, 2)).argmin() for each in asked]
    assert (nearest_neighbour(x, labels, asked) == labels[nearest]).all()
    assert (nearest_neighbour(x + 1e8, labels, asked + 1e8) == labels[nearest]).all()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=12))
def test_best_thresholds_are_brute_force(pairs):
    values, labels = np.array(pairs).T
    cuts = best_thresholds(values, labels, 3)
    assert cuts.shape == (2,) and cuts[0] <= cuts[1]
    right = (np.searchsorted(cuts, values, side="right") == labels).sum()
    best = max((np.searchsorted(rule, values, side="right") == labels).sum()
               for rule in itertools.product(range(9), repeat=2) if rule[0] <= rule[1])
    assert right == best


def test_thresholds_of_what_is_no_number():
    with pytest.raises(ValueError, match="values must be numbers .*, all finite, got 1 that"):
        best_thresholds([1, np.nan, 2], [0, 0, 1], 2)


def test_an_interval_of_groups_is_wider_where_answers_hang_together():
    right = np.repeat([True, True, True, False], 25)
    low, high = interval(right)
    wide_low, wide_high = interval(right, np.repeat(np.arange(4), 25))
    assert wide_low < low < 0.75 < high < wide_high
    assert interval(np.ones(3000, bool))[1] == 1 and interval(np.zeros(3000, bool))[0] == 0
    assert interval(right, np.arange(100)) == pytest.approx((low, high), abs=0.03)
    with pytest.raises(ValueError, match=r"^interval: right must be numbers \(N,\) that bool"):
        interval([0.9, 0.2])                                # scores are no answers
    with pytest.raises(TypeError, match=r"groups must be finite numbers or names \(N,\), got list"):
        interval([True, False], [0.0, np.nan])


# ---- what they look at --------------------------------------------------------------------------

@pytest.mark.parametrize("axes", [1, 3])
def test_score_gradient_is_that_of_each_example(axes, device):
    rng = np.random.default_rng(0)
    conv, double = {1: nn.Conv1d, 3: nn.Conv3d}[axes], {"dtype": "float64"}
    net = nn.Sequential(conv(2, 3, 3, rng=0, **double), nn.BatchNorm(3, **double), nn.ReLU(),
                        nn.GlobalAveragePool(), nn.Dropout(0.5, rng=0),
                        nn.Dense(3, 3, rng=1, **double))
    x, labels = rng.normal(size=(2, *[6] * axes, 2)), np.array([2, 0])
    found = score_gradient(net, x, labels)
    net.eval()
    for example, label, gradient in zip(x, labels, found):
        step = rng.normal(size=example.shape)
        ends = [net(md.tensor((example + e * step)[None])).numpy()[0, label] for e in (-1e-6, 1e-6)]
        assert np.sum(gradient * step) == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_the_nine_pieces_are_those_of_brute_force(axes):
    """top_patches on signals and volumes: each piece, alone, gives its activation again."""
    rng = np.random.default_rng(0)
    net = convnet(axes, 1, 2, [Block(4, 3, 2), Block(5, 3)], rng=0).eval()
    given = [rng.normal(size=(*[14] * axes, 1)).astype("float32") for _ in range(12)]
    found = visualize.top_patches(net, given, "relu2", [1, 3], inside=True)
    a = classification.outputs(net, np.stack(given), "relu2")
    for unit, patches in found.patches.items():
        inside = a[(slice(None),) + (slice(2, -2),) * axes + (unit,)].reshape(12, -1).max(1)
        assert [patch.activation for patch in patches] == pytest.approx(
            sorted(inside, reverse=True)[:9], rel=1e-5)
        for patch in patches:
            assert patch.shown(given[patch.picture]).shape == (found.field.size,) * axes + (1,)
            crop, place = patch.crop(given[patch.picture])
            again = net(md.tensor(crop[None]), layers=["relu2"])["relu2"].numpy()
            assert again[(0, *place, unit)] == pytest.approx(patch.activation, rel=1e-5)


# ---- pictures -----------------------------------------------------------------------------------

def test_plots_are_written_and_say_what_they_show(tmp_path):
    pytest.importorskip("matplotlib")
    from minidl.classification import plots, signal_plots, volume_plots
    from minidl.data import load_image
    rng = np.random.default_rng(0)
    for channels in (1, 3, 9):
        x = rng.normal(size=(12, 16, channels)).astype("float32")
        net = convnet(1, channels, 2, [Block(4, 3)], rng=0)
        labels, names = np.arange(12) % 2, ["a", "b"]
        signal_plots.signals(tmp_path / "s.png", list(x[:4]), ["a"] * 4, "title")
        signal_plots.gradients(tmp_path / "g.png", net, x[:2], labels[:2], names, "title", hertz=5)
        signal_plots.pieces(tmp_path / "p.png", net, list(x), "relu1", [0, 2], "title", ["a"] * 12)
        plots.confusion_table(tmp_path / "c.png", labels, labels[::-1], names, "title")
        for name in "sgpc":
            picture = load_image(tmp_path / f"{name}.png")
            assert min(picture.shape[:2]) > 100 and picture.std() > 5
    cubes = rng.normal(size=(10, 8, 8, 8, 1)).astype("float32")
    net = convnet(3, 1, 2, [Block(2, 3)], size=8, rng=0)
    found = volume_plots.pieces(tmp_path / "v.png", net, list(cubes), "relu1", [1], "t", ["x"] * 10)
    assert len(found.patches[1]) == 9 and load_image(tmp_path / "v.png").std() > 5
    truth = np.pad(rng.integers(0, 2, (5, 5)), 1, constant_values=-1)
    volume_plots.maps(tmp_path / "m.png", rng.normal(size=(7, 7)), truth, truth, ["a", "b"], "t")
    assert load_image(tmp_path / "m.png").std() > 5


def test_plots_of_more_classes_than_colours_and_of_uneven_lengths(tmp_path):
    pytest.importorskip("matplotlib")
    from minidl.classification import signal_plots, volume_plots
    from minidl.data import Recording, load_image
    from minidl.plots import COLOURS
    words, moments = list("abcdefghi"), np.full(2831, 0.0)      # the last one 11 s after the first
    signal_plots.recordings(tmp_path / "r.png", [Recording("r", moments, 257.3)], [range(9)],
                            [words], "title")
    with pytest.raises(ValueError, match="signals: examples must be an integer ≥ 1, got 0"):
        signal_plots.signals(tmp_path / "s.png", [], [], "title")
    last = np.full((5, 6), 8)
    volume_plots.maps(tmp_path / "m.png", np.zeros((5, 6)), last, last, words, "title")
    first = np.array([int(COLOURS[0][i:i + 2], 16) for i in (1, 3, 5)])     # the ninth again
    assert (load_image(tmp_path / "m.png") == first).all(2).sum() > 10_000


def test_three_slices_are_the_middle_ones():
    volume = np.zeros((4, 4, 4))
    volume[1, 2, 2] = 1                                 # in the slices across axes 2 and 1
    from minidl.classification.volume_plots import ENLARGED, three_slices
    card = three_slices(volume, 0, 1)[::ENLARGED, ::ENLARGED, 0]
    assert card.shape == (11, 11) and (card == 255).sum() == 2
    with np.errstate(all="raise"):
        assert three_slices(volume * 0, 0.0, 0.0)[:, :, 0].min() == 0       # flat, and no 0 / 0
    assert card[1 + 1, 1 + 1] == 255 and card[1 + 1, 6 + 1] == 255      # upwards: row 4 − 1 − 2
    assert nn.summary(lecture_net(1, rng=0), (14, 1)).endswith("total 2,688 parameters")
