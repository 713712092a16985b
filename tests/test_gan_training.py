"""Training of picture GANs: steps, averages, runs that go on to the same bits, warnings."""

from gan_runs import bars, nets, rng, run
import numpy as np
import pytest

import minidl as md
from minidl import nn
from minidl.gan import (
    PictureRecipe,
    Training,
    pictures,
    training,
)
from minidl.gan.monitor import Monitor
from minidl.training import EMA


def state(made):
    return {
        f"{name}/{key}": md.tensor(value).numpy().tobytes()
        for name, part in made.loop.parts.items()
        for key, value in part.state_dict().items()
    }


# ---- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"game": "hinge", "gamma": 0.0},
        {"game": "relativistic"},
        {"game": "wasserstein", "gamma": 1.0},
        {"augment": ("brightness", "translation", "cutout")},
    ],
)
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

    def critics_cost(**settings):
        made, costs = Training(*nets(), *bars(), PictureRecipe(steps=1, batch=6, **settings)), []
        monkeypatch.setattr(
            training, "descend", lambda player: costs.append(player[0].item()) or [0.0]
        )
        made.step(0, made.batch(0))
        return costs[0]

    without = critics_cost(gamma=0.0)
    every = critics_cost(gamma=0.5, lazy=1)
    second = critics_cost(gamma=0.5, lazy=2)
    assert every > without and second - without == pytest.approx(2 * (every - without), rel=1e-4)


def test_a_step_moves_each_player_by_its_own_cost():
    """The generator's step leaves the discriminator's weights, and the other way round."""
    made = Training(*nets(), *bars(), PictureRecipe(steps=2, batch=6))
    moved = []
    real = training.descend

    def watch(*players):
        before = {
            name: [p.data for p in net.parameters()]
            for name, net in (("g", made.generator), ("d", made.discriminator))
        }
        losses = real(*players)
        moved.append(
            {
                name
                for name, net in (("g", made.generator), ("d", made.discriminator))
                if any(p.data is not old for p, old in zip(net.parameters(), before[name]))
            }
        )
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
    alone = np.concatenate(
        [training.draw(made.average.average, z[i : i + 1], y[i : i + 1]) for i in range(7)]
    )
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


@pytest.mark.parametrize(
    "change, words",
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"recipe": PictureRecipe(steps=6, batch=6, lazy=2, gamma=0.7)}, "gamma was 0.1, is 0.7"),
        ({"identity": {"spectral": True}}, "spectral was None, is True"),
    ],
)
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


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x, y, g, d: (x[:1], y[:1], g, d), "1 picture is no distribution"),
        (lambda x, y, g, d: (x[:, :4], y, g, d), r"must be uint8 \(N, 8, 8, 1\)"),
        (lambda x, y, g, d: (x.astype(float), y, g, d), "must be uint8"),
        (lambda x, y, g, d: (x, y[:5], g, d), "as many whole numbers as labels"),
        (lambda x, y, g, d: (x, y + 1, g, d), "between 1 and 3; the networks know 0 to 2"),
        (lambda x, y, g, d: (x, y * 1.0, g, d), "whole numbers as labels"),
        (lambda x, y, g, d: (x, None, g, d), "labels must be given"),
        (lambda x, y, g, d: (x, y, g, nets(2)[1]), "discriminator looks at"),
        (lambda x, y, g, d: (x, y, g, nets(size=16)[1]), "discriminator looks at"),
    ],
)
def test_data_that_do_not_fit(change, words):
    x, y, g, d = change(*bars(), *nets())
    with pytest.raises(ValueError, match=words):
        Training(g, d, x, y)


@pytest.mark.parametrize(
    "settings",
    [
        {"game": "chess"},
        {"augment": ("blur",)},
        {"gamma": -1},
        {"flat": 1.0},
        {"steps": 0},
        {"lazy": 0},
    ],
)
def test_recipes_are_checked(settings):
    with pytest.raises(ValueError):
        PictureRecipe(**settings)


def test_a_discriminator_with_batch_norm_has_no_r1():
    (x, y), (g, d) = bars(), nets()
    d.norm = nn.BatchNorm(1)
    with pytest.raises(ValueError, match="BatchNorm in training, which couples"):
        Training(g, d, x, y)
    Training(g, d, x, y, PictureRecipe(gamma=0.0))


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


def test_right_answers_are_of_any_game():
    """Least squares wants real scores near 1 and generated ones near 0; Wasserstein, anywhere."""
    monitor, noise, near = Monitor(), rng(0).normal(size=(8, 4)), 0.1 * rng(1).random((8, 1))
    for real, fake, right in ((1 - near, near, 1), (50 + near, 40 + near, 1), (near, 1 - near, 0)):
        monitor.look(real, fake, noise, noise)
        assert monitor.right == right
    monitor.look(np.array([[3.0], [1.0]]), np.array([[2.0], [1.0]]), noise, noise)
    assert monitor.right == (2 + 0.5) / 4


def test_one_picture_a_step_is_no_collapse():
    """Where real pictures have no spread either, there is nothing to compare with."""
    monitor, x = Monitor(patience=2), np.ones((1, 4))
    for _ in range(2):
        monitor.look(x[:, :1], x[:, :1], 0 * x, x)
    assert monitor.warning() is None and monitor.alike == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_says_so():
    with pytest.raises(md.training.Diverged, match="gan.Training: "):
        run(recipe=PictureRecipe(steps=30, batch=6, learning_rate=1e30))
