"""Networks, files, the judge and pictures of picture GANs, at their smallest."""

from gan_runs import CLASSES, bars, nets, rng, run
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.gan import (
    Generator,
    load_generator,
    penalties,
    pictures,
    report,
    save_generator,
    training,
)
from minidl.gan.judge import accuracy, features, train_judge
from minidl.gan.networks import stages
from minidl.weights import WeightsError

# ---- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, expected", [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (48, (6, 3)), (8, (4, 1))]
)
def test_sizes(device, size, expected):
    assert stages(size) == expected
    g, d = nets(size=size)
    x = g(md.tensor(rng(0).normal(size=(2, 4)).astype("float32")), md.tensor([0, 2]))
    assert x.shape == (2, size, size, 1) and np.abs(x.numpy()).max() <= 1
    assert d(x, md.tensor([0, 2])).shape == (2, 1)


@pytest.mark.parametrize("size", [7, 30, 4, 27, 100])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="28, 32, 48 or 64"):
        Generator(size, 1, rng=0)


def test_both_players_see_the_class():
    """A label that is ignored, or always the same, makes the same picture and the same score."""
    g, d = nets()
    z = np.repeat(rng(0).normal(size=(1, 4)).astype("float32"), 3, axis=0)
    x = g.eval()(z, np.arange(3)).numpy()
    assert np.abs(x[0] - x[1]).max() > 1e-3 and np.abs(x[1] - x[2]).max() > 1e-3
    same = np.repeat(x[:1], 3, axis=0)
    assert np.ptp(d(same, np.arange(3)).numpy()) > 1e-4
    one = d(same[:1], np.array([2])).numpy()
    np.testing.assert_allclose(d(same, np.arange(3)).numpy()[2:], one, rtol=1e-5)


def test_planes_are_of_the_pictures_own_class():
    """The plane of its class is 1, others 0: read off by a discriminator of one filter."""
    _, d = nets(size=8)
    conv = d.layers["conv1"]
    conv.weight.data = np.zeros_like(conv.weight.data)
    conv.weight.data[1, 1, 1 + 2, 0] = 1  # the plane of class 2
    conv.bias.data = np.zeros_like(conv.bias.data)
    y = conv(
        ops.concatenate(
            [
                md.tensor(np.zeros((3, 8, 8, 1), "float32")),
                ops.broadcast_to(
                    ops.reshape(ops.one_hot([0, 2, 1], 3), (3, 1, 1, 3)), (3, 8, 8, 3)
                ),
            ],
            3,
        )
    )
    assert y.numpy()[..., 0].mean((1, 2)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("spectral", [False, True])
def test_the_discriminator_judges_each_example_by_itself(spectral):
    """Its scores and their slopes do not see the batch: R1 is of each example."""
    d = nets(spectral=spectral)[1].eval()
    x, y = rng(0).uniform(-1, 1, (4, 8, 8, 1)).astype("float32"), np.array([0, 1, 2, 1])
    scores, slopes = penalties.slopes(lambda x: d(x, y), x)
    for i in range(4):
        one = y[i : i + 1]
        score, slope = penalties.slopes(lambda x, one=one: d(x, one), x[i : i + 1])
        np.testing.assert_allclose(scores.numpy()[i], score.numpy()[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(slopes.numpy()[i], slope.numpy()[0], rtol=1e-3, atol=1e-6)
    assert not any(isinstance(part, nn.BatchNorm) for _, part in d.named_modules())


def test_upsampling():
    with pytest.raises(ValueError, match="upsampling must be one of transposed, nearest"):
        Generator(8, 1, upsampling="bilinear", rng=0)
    g = Generator(8, 3, 4, 0, 4, "nearest", rng=0)
    assert g(np.zeros((2, 4), "float32")).shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda g, d: g(np.zeros((2, 5), "float32"), [0, 1]), r"z must be \(N, 4\)"),
        (lambda g, d: g(np.zeros((2, 4), "float32")), "labels must be given"),
        (lambda g, d: g(np.zeros((2, 4), "float32"), np.array([0, 3])), "0 to 2"),
        (lambda g, d: g(np.zeros((2, 4), "float32"), np.array([0])), r"need labels \(2,\)"),
        (lambda g, d: d(np.zeros((2, 8, 8, 3), "float32"), np.array([0, 1])), r"\(N, 8, 8, 1\)"),
        (
            lambda g, d: nets(0)[0](np.zeros((2, 4), "float32"), np.array([0, 1])),
            "labels must be None",
        ),
    ],
)
def test_mistakes_with_networks(call, words):
    with pytest.raises(ValueError, match=words):
        call(*nets())


# ---- files --------------------------------------------------------------------------------------


def test_a_generator_comes_back_from_its_file(tmp_path):
    made = run()
    save_generator(tmp_path / "g.npz", made.average.average, ["a", "b", "c"], seed=7)
    back = load_generator(tmp_path / "g.npz")
    assert back.names == ["a", "b", "c"] and back.notes == {"seed": 7} and not back.training
    for n in (5,):
        mine, labels = pictures.samples(made.average.average, n, 3)
        theirs, again = pictures.samples(back, n, 3)
        assert (mine == theirs).all() and (labels == again).all()


def test_names_that_could_not_be_read_again(tmp_path):
    for names, kind in ((["a", "b"], ValueError), ([1, 2, 3], TypeError)):
        with pytest.raises(kind, match="^save_generator: "):
            save_generator(tmp_path / "g.npz", nets()[0], names)
    assert not (tmp_path / "g.npz").exists()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: a.pop("generator"), "not of a generator"),
        (lambda a: a.update(generator=np.array("{")), "does not describe"),
        (
            lambda a: a.update(
                generator=np.array(str(a["generator"]).replace('"size": 8', '"size": 80000'))
            ),
            "other sizes",
        ),
        (
            lambda a: a.update(
                generator=np.array(str(a["generator"]).replace('"width": 4', '"width": 4000000'))
            ),
            "other sizes",
        ),
        (
            lambda a: a.update(
                generator=np.array(str(a["generator"]).replace('"size": 8', '"size": "8"'))
            ),
            "settings",
        ),
        (
            lambda a: a.update({"layers.layers.dense.weight": np.ones((2, 2), "float32")}),
            "other sizes",
        ),
        (
            lambda a: a.update({"layers.layers.dense.weight": np.full((7, 64), np.nan, "float32")}),
            "NaN",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, words):
    path = tmp_path / "g.npz"
    save_generator(path, nets()[0], ["a", "b", "c"])
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(WeightsError, match=words):
        load_generator(path)


# ---- the judge ----------------------------------------------------------------------------------


def test_the_judge_reads_classes():
    x, y = bars(120)
    judge = train_judge(x, y, CLASSES, steps=60, batch=32)
    assert accuracy(judge, x, y) > 0.95 and features(judge, x).shape == (120, 128)
    assert accuracy(judge, x, (y + 1) % 3) < 0.05


def test_the_judge_is_trained_on_logits():
    """Not on probabilities: softmax before cross-entropy would bound its scores."""
    x, y = bars(120)
    judge = train_judge(x, y, CLASSES, steps=60, batch=32)
    with md.no_grad():
        scores = judge(training.to_network(x)).numpy()
    assert (scores < -0.5).any() and np.abs(scores.sum(1) - 1).max() > 0.1


@pytest.mark.parametrize("change", [lambda x: x / 255, lambda x: x[:, :4], lambda x: x[:0]])
def test_the_judge_reads_square_pictures_of_bytes(change):
    x, y = bars(9)
    judge = train_judge(x, y, CLASSES, steps=1)
    for use in (
        lambda x: train_judge(x, y[: len(x)], CLASSES, steps=1),
        lambda x: accuracy(judge, x, y),
        lambda x: features(judge, x),
    ):
        with pytest.raises(ValueError, match=r"pictures must be uint8 \(N, size, size, C\)"):
            use(change(x))
    for labels in (y[:5], y[:, None], 1):  # the last two would broadcast
        with pytest.raises(ValueError, match="accuracy: 9 pictures need as many labels"):
            accuracy(judge, x, labels)


def test_reports(monkeypatch):
    from collections import namedtuple

    monkeypatch.setattr(report, "LEARNED", 60)
    x, y = bars(90)
    source = namedtuple("Source", "train train_labels test test_labels")(
        x[:60], y[:60], x[60:], y[60:]
    )
    g = nets()[0].eval()
    figures, _ = report.labelled(g, source, steps=40)
    assert figures["judge_accuracy"] > 0.9 and 0 <= figures["gan_test"] < 0.9
    assert figures["frechet"] > 3 * figures["frechet_floor"] >= 0
    assert figures["recall"] < 0.9 and figures["recall_floor"] > 0.5
    assert figures["memorisation_ratio"] > 1
    figures = report.unlabelled(nets(0)[0].eval(), source)
    assert figures["compared"] == 30 and figures["frechet"] > figures["frechet_floor"]


# ---- pictures -----------------------------------------------------------------------------------


def test_slerp():
    a, b = np.array([3.0, 0.0]), np.array([0.0, 3.0])
    walk = pictures.slerp(a, b, np.linspace(0, 1, 5))
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 3)
    np.testing.assert_allclose(walk[[0, 2, 4]], [a, [3 / 2**0.5] * 2, b], atol=1e-12)
    np.testing.assert_allclose(pictures.slerp(a, a, [0, 0.5, 1]), [a] * 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda g: pictures.slerp(np.zeros(2), np.ones(2), [0.5]),
        lambda g: pictures.slerp(np.ones(3), np.ones(2), [0.5]),
        lambda g: training.draw(g, np.zeros((0, 4)), np.zeros(0, int)),
        lambda g: training.draw(g, np.zeros((5, 4)), np.zeros(5, int), batch=0),
        lambda g: training.draw(g, np.zeros((100, 4)), np.zeros(150, int)),
        lambda g: pictures.samples(g, 100, 0, np.zeros(150, int)),  # the last 50 of no picture
    ],
)
def test_mistakes_with_pictures(call):
    with pytest.raises(ValueError, match="^(slerp|draw): "):
        call(nets()[0].eval())


def test_a_sheet_of_a_list():
    x, _ = bars(6)
    assert (pictures.captioned_sheet("a", list(x), 3) == pictures.captioned_sheet("a", x, 3)).all()


def test_a_row_of_the_class_grid_is_one_noise():
    g = nets()[0].eval()
    seen = []
    forward = g.forward
    g.forward = lambda z, labels: seen.append((z.numpy(), labels.numpy())) or forward(z, labels)
    made = pictures.class_grid(g, 2, 0)
    z, labels = seen[0]
    assert made.shape == (6, 8, 8, 1) and labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert (z[0] == z[2]).all() and (z[3] == z[5]).all() and (z[0] != z[3]).any()
    assert pictures.class_grid(nets(0)[0].eval(), 2, 0).shape == (20, 8, 8, 1)
    assert pictures.walks(g, 2, 4, 0).shape == (8, 8, 8, 1)
    assert pictures.captioned_sheet("some words", made, 3).ndim == 3
