"""Networks, training, files and the judge of the picture GANs, at their smallest."""
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.gan import (
    Discriminator,
    Generator,
    PictureRecipe,
    Training,
    load_generator,
    penalties,
    pictures,
    report,
    save_generator,
    training,
)
from minidl.gan.judge import accuracy, features, train_judge
from minidl.gan.monitor import Monitor
from minidl.gan.networks import stages
from minidl.training import EMA
from minidl.weights import WeightsError

rng = np.random.default_rng
SIZE, CLASSES = 8, 3


def bars(n=60, size=SIZE, channels=1):
    """Pictures of three classes: bright above, in the middle, below; (uint8, labels)."""
    labels = np.arange(n) % CLASSES
    x = rng(0).integers(0, 60, (n, size, size, channels)).astype(np.uint8)
    third = size // CLASSES
    for i, label in enumerate(labels):
        x[i, third * label:third * (label + 1)] += 180
    return x, labels


def nets(classes=CLASSES, size=SIZE, channels=1, seed=0, **options):
    generator = rng(seed)
    return (Generator(size, channels, 4, classes, 4, rng=generator),
            Discriminator(size, channels, classes, 4, rng=generator, **options))


def run(steps=6, path=None, callback=None, recipe=None, labels=True, **options):
    x, y = bars()
    g, d = nets(CLASSES if labels else 0)
    shown = rng(3).standard_normal((6, 4), "float32"), np.arange(6) % 3 if labels else None
    made = Training(g, d, x, y if labels else None, recipe or PictureRecipe(
        steps=steps, batch=6, lazy=2), checkpoint=path, every=2, pages=3, shown=shown, **options)
    made.run(callback)
    return made


def state(made):
    return {f"{name}/{key}": md.tensor(value).numpy().tobytes() for name, part in made.loop.parts.items()
            for key, value in part.state_dict().items()}


# ---- networks -----------------------------------------------------------------------------------

@pytest.mark.parametrize("size, expected", [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (48, (6, 3)), (8, (4, 1))])
def test_sizes(device, size, expected):
    assert stages(size) == expected
    g, d = nets(size=size)
    x = g(md.tensor(rng(0).normal(size=(2, 4)).astype("float32")), md.tensor([0, 2]))
    assert x.shape == (2, size, size, 1) and np.abs(x.numpy()).max() <= 1
    assert d(x, md.tensor([0, 2])).shape == (2, 1)


@pytest.mark.parametrize("size", [7, 30, 4, 27, 100])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="28, 32, 48, 64"):
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
    conv.weight.data[1, 1, 1 + 2, 0] = 1                        # the plane of class 2
    conv.bias.data = np.zeros_like(conv.bias.data)
    y = conv(ops.concatenate([md.tensor(np.zeros((3, 8, 8, 1), "float32")),
                              ops.broadcast_to(ops.reshape(ops.one_hot([0, 2, 1], 3), (3, 1, 1, 3)),
                                               (3, 8, 8, 3))], 3))
    assert y.numpy()[..., 0].mean((1, 2)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("spectral", [False, True])
def test_the_discriminator_judges_each_example_by_itself(spectral):
    """Its scores and their slopes do not see the batch: R1 is of each example."""
    d = nets(spectral=spectral)[1].eval()
    x, y = rng(0).uniform(-1, 1, (4, 8, 8, 1)).astype("float32"), np.array([0, 1, 2, 1])
    scores, slopes = penalties.slopes(lambda x: d(x, y), x)
    for i in range(4):
        score, slope = penalties.slopes(lambda x: d(x, y[i:i + 1]), x[i:i + 1])
        np.testing.assert_allclose(scores.numpy()[i], score.numpy()[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(slopes.numpy()[i], slope.numpy()[0], rtol=1e-3, atol=1e-6)
    assert not any(isinstance(part, nn.BatchNorm) for _, part in d.named_modules())


def test_upsampling():
    with pytest.raises(ValueError, match="upsampling must be one of transposed, nearest"):
        Generator(8, 1, upsampling="bilinear", rng=0)
    g = Generator(8, 3, 4, 0, 4, "nearest", rng=0)
    assert g(np.zeros((2, 4), "float32")).shape == (2, 8, 8, 3)


@pytest.mark.parametrize("call, words", [
    (lambda g, d: g(np.zeros((2, 5), "float32"), [0, 1]), r"z must be \(N, 4\)"),
    (lambda g, d: g(np.zeros((2, 4), "float32")), "labels must be given"),
    (lambda g, d: g(np.zeros((2, 4), "float32"), np.array([0, 3])), "0 to 2"),
    (lambda g, d: g(np.zeros((2, 4), "float32"), np.array([0])), r"need labels \(2,\)"),
    (lambda g, d: d(np.zeros((2, 8, 8, 3), "float32"), np.array([0, 1])), r"\(N, 8, 8, 1\)"),
    (lambda g, d: nets(0)[0](np.zeros((2, 4), "float32"), np.array([0, 1])), "labels must be None")])
def test_mistakes_with_networks(call, words):
    with pytest.raises(ValueError, match=words):
        call(*nets())


# ---- training -----------------------------------------------------------------------------------

@pytest.mark.parametrize("recipe", [
    {}, {"game": "hinge", "gamma": 0.0}, {"game": "relativistic"}, {"game": "wasserstein", "gamma": 1.0},
    {"augment": ("brightness", "translation", "cutout")}])
def test_recipes_run(recipe):
    made = run(recipe=PictureRecipe(steps=3, batch=5, lazy=2, **recipe))
    row = made.loop.history[-1]
    assert row["step"] == 3 and np.isfinite([row["critic"], row["generator"]]).all()
    assert 0 <= row["right"] <= 1 and row["alike"] > 0


def test_it_learns():
    """After 250 steps the class says where the bar is."""
    x, y = bars(150)
    g, d = nets()
    made = Training(g, d, x, y, PictureRecipe(steps=250, batch=32, learning_rate=4e-3, ema=0.9))
    made.run()
    fake, labels = pictures.samples(made.average.average, 60, 0)
    rows = fake.mean((2, 3))[:, [0, 3, 5]]
    assert (rows.argmax(1) == labels).mean() > 0.9


def test_r1_is_lazy_and_as_strong(monkeypatch):
    """Computed in every second step, twice as large: the same mean."""
    seen = []
    real = training.mean_square_length
    monkeypatch.setattr(training, "mean_square_length", lambda g: seen.append(1) or real(g))
    run(steps=6)
    assert len(seen) == 3
    weights = []
    for lazy in 1, 2:
        made = Training(*nets(), *bars(), PictureRecipe(steps=1, batch=6, lazy=lazy, gamma=0.5))
        batch = made.batch(0)
        costs = []
        monkeypatch.setattr(training, "descend", lambda *players: costs.append(players[0][0].item()) or [0.0])
        made.step(0, batch)
        weights.append(costs[0])
    plain = Training(*nets(), *bars(), PictureRecipe(steps=1, batch=6, gamma=0.0))
    costs = []
    plain.step(0, plain.batch(0))
    assert weights[1] - costs[0] == pytest.approx(2 * (weights[0] - costs[0]), rel=1e-4)


def test_a_step_moves_each_player_by_its_own_cost():
    """The generator's step leaves the discriminator's weights, and the other way round."""
    made = Training(*nets(), *bars(), PictureRecipe(steps=2, batch=6))
    moved = []
    real = training.descend

    def watch(*players):
        before = {name: [p.data for p in net.parameters()] for name, net in
                  (("g", made.generator), ("d", made.discriminator))}
        losses = real(*players)
        moved.append({name for name, net in (("g", made.generator), ("d", made.discriminator))
                      if any(p.data is not old for p, old in zip(net.parameters(), before[name]))})
        return losses

    training.descend, kept = watch, training.descend
    try:
        made.step(0, made.batch(0))
    finally:
        training.descend = kept
    assert moved == [{"d"}, {"g"}]


def test_the_average_has_averaged_statistics():
    """EMA of the weights alone would leave those of the start: mean 0, variance 1."""
    g, _ = nets(0)
    average = EMA(g, 0.5)
    z = rng(0).standard_normal((16, 4), "float32")
    for _ in range(12):
        g(z)
        average.update()
    name = next(name for name in g.state_dict() if name.endswith("running_variance"))
    theirs, own = average.average.state_dict()[name].numpy(), g.state_dict()[name].numpy()
    assert np.abs(own - 1).max() > 0.05 and np.abs(theirs - own).max() < 0.2 * np.abs(own - 1).max()


def test_a_picture_does_not_depend_on_its_batch():
    """The average is in eval(): batch norm by running statistics."""
    made = run()
    z, y = rng(1).standard_normal((7, 4), "float32"), np.arange(7) % 3
    together = training.draw(made.average.average, z, y)
    alone = np.concatenate([training.draw(made.average.average, z[i:i + 1], y[i:i + 1]) for i in range(7)])
    assert np.abs(together.astype(int) - alone).max() <= 1


def stop_at(number):
    def callback(loop):
        if loop.t == number:
            raise StopIteration
    return callback


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_run_goes_on_to_the_same_bits(tmp_path, number):
    recipe = PictureRecipe(steps=6, batch=6, lazy=2, augment=("translation", "cutout"))
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    straight = run(path=whole, recipe=recipe)
    run(path=cut, recipe=recipe, callback=stop_at(number))
    again = run(path=cut, recipe=recipe)
    assert state(again) == state(straight) and again.loop.history == straight.loop.history
    assert whole.read_bytes() == cut.read_bytes()
    assert list(again.album.pages) == list(straight.album.pages) == [1, 3, 6]
    assert all((again.album.pages[t] == straight.album.pages[t]).all() for t in again.album.pages)


@pytest.mark.parametrize("change, words", [
    ({"seed": 1}, "seed was 0, is 1"), ({"recipe": PictureRecipe(steps=6, batch=6, lazy=2, gamma=0.7)}, "gamma was 0.1, is 0.7"),
    ({"identity": {"spectral": True}}, "spectral was None, is True")])
def test_another_run_is_refused(tmp_path, change, words):
    path = tmp_path / "run.npz"
    run(path=path, callback=stop_at(2))
    with pytest.raises(ValueError, match=words):
        run(path=path, **change)


def test_a_generator_of_another_size_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    run(path=path, callback=stop_at(2))
    x, y = bars(size=16)
    made = Training(*nets(size=16), x, y, PictureRecipe(steps=6, batch=6, lazy=2), checkpoint=path)
    with pytest.raises(ValueError, match="is of another run.*generator was another"):
        made.run()


@pytest.mark.parametrize("change, words", [
    (lambda x, y, g, d: (x[:1], y[:1], g, d), "1 picture is no distribution"),
    (lambda x, y, g, d: (x[:, :4], y, g, d), r"must be uint8 \(N, 8, 8, 1\)"),
    (lambda x, y, g, d: (x.astype(float), y, g, d), "must be uint8"),
    (lambda x, y, g, d: (x, y[:5], g, d), "as many whole numbers as labels"),
    (lambda x, y, g, d: (x, y + 1, g, d), "between 1 and 3; the networks know 0 to 2"),
    (lambda x, y, g, d: (x, y * 1.0, g, d), "whole numbers as labels"),
    (lambda x, y, g, d: (x, None, g, d), "labels must be given"),
    (lambda x, y, g, d: (x, y, g, nets(2)[1]), "discriminator looks at"),
    (lambda x, y, g, d: (x, y, g, nets(size=16)[1]), "discriminator looks at")])
def test_data_that_do_not_fit(change, words):
    x, y, g, d = change(*bars(), *nets())
    with pytest.raises(ValueError, match=words):
        Training(g, d, x, y)


@pytest.mark.parametrize("settings", [{"game": "chess"}, {"augment": ("blur",)}, {"gamma": -1}, {"flat": 1.0},
                                      {"steps": 0}, {"lazy": 0}])
def test_recipes_are_checked(settings):
    with pytest.raises(ValueError):
        PictureRecipe(**settings)


# ---- warnings -----------------------------------------------------------------------------------

def test_warnings_name_the_remedy():
    monitor, noise = Monitor(patience=3), rng(0).normal(size=(8, 4))
    sure, unsure = np.full((8, 1), 9.0), np.zeros((8, 1)) - 0.1
    for expected in (None, None, "raise --gamma", None, None, "raise --gamma"):
        monitor.look(sure, -sure, noise, noise)
        warning = monitor.warning()
        assert (warning is None) if expected is None else expected in warning and "99 %" in warning
    monitor.look(unsure, unsure, noise, noise)
    assert monitor.warning() is None and monitor.right == 0.5
    for _ in range(3):
        monitor.look(unsure, unsure, noise, noise[:1] + 0.01 * noise)
    assert "a collapse" in monitor.warning() and "lower --learning-rate" in monitor.warning()
    again = Monitor(patience=3)
    again.load_state_dict(monitor.state_dict())
    assert (again.sure, again.same) == (0, 3)


def test_a_run_that_diverges_says_so():
    with pytest.raises(md.training.Diverged, match="gan.Training: "):
        run(recipe=PictureRecipe(steps=30, batch=6, learning_rate=1e30))


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


@pytest.mark.parametrize("change, words", [
    (lambda a: a.pop("generator"), "not of a generator"),
    (lambda a: a.update(generator=np.array("{")), "does not describe"),
    (lambda a: a.update(generator=np.array(str(a["generator"]).replace('"size": 8', '"size": 80000'))), "other sizes"),
    (lambda a: a.update(generator=np.array(str(a["generator"]).replace('"width": 4', '"width": 4000000'))), "other sizes"),
    (lambda a: a.update(generator=np.array(str(a["generator"]).replace('"size": 8', '"size": "8"'))), "settings"),
    (lambda a: a.update({"layers.layers.dense.weight": np.ones((2, 2), "float32")}), "other sizes"),
    (lambda a: a.update({"layers.layers.dense.weight": np.full((7, 64), np.nan, "float32")}), "NaN")])
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


def test_reports(monkeypatch):
    from collections import namedtuple
    monkeypatch.setattr(report, "LEARNED", 60)
    x, y = bars(90)
    source = namedtuple("Source", "train train_labels test test_labels")(x[:60], y[:60], x[60:], y[60:])
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
    np.testing.assert_allclose(walk[[0, 2, 4]], [a, [3 / 2 ** 0.5] * 2, b], atol=1e-12)
    np.testing.assert_allclose(pictures.slerp(a, a, [0, 0.5, 1]), [a] * 3)


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
    assert pictures.captioned("some words", made, 3).ndim == 3
