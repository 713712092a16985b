"""The laboratory: games in the plane, at their smallest."""

import numpy as np
import pytest

from minidl.gan import GAMES, Laboratory, Recipe, mixtures, plots, theory


def played(shape=None, seed=0, **settings):
    recipe = Recipe(
        **{"steps": 4, "batch": 16, "width": 8, "generator_layers": 2, "critic_layers": 2}
        | settings
    )
    lab = Laboratory(shape or mixtures.grid(), recipe, seed=seed, judged=200, rows=3)
    lab.play()
    return lab


def test_the_same_seed_plays_the_same_game():
    first, again, other = (played(seed=seed).samples().tobytes() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("game", GAMES)
def test_every_game_can_be_played(game):
    row = played(game=game, critic_steps=2).history[-1]
    assert np.isfinite([row["critic"], row["generator"], row["js"], row["bound"]]).all()


@pytest.mark.parametrize("name", mixtures.SHAPES)
def test_every_shape_can_be_learned(name):
    lab = played(mixtures.SHAPES[name]())
    assert lab.samples().shape == (200, 2) and ("modes" in lab.history[-1]) == lab.shape.modal
    assert lab.unit.scale == pytest.approx(1, rel=1e-6) and np.abs(lab.unit.mean).max() < 1e-12
    assert lab.real_masses.sum() == pytest.approx(1, abs=1e-3)


def test_the_first_moments_are_seen_and_the_last():
    lab = played(steps=40)
    steps = [moment.step for moment in lab.moments]
    assert steps == [row["step"] for row in lab.history] == [4, 18, 40]
    assert lab.moments[0].field.shape == lab.seen.middles.shape[:2]
    frames = plots.laboratory_frames(lab, 64)
    assert len(frames) == 3 and frames[0].shape == (64, 64, 3)


def test_it_learns_one_blob():
    """A single Gaussian: after 300 steps its mean and deviation, and the divergence has fallen."""
    lab = played(
        mixtures.mixture("one", [(3.0, -2.0)], 0.5),
        steps=300,
        batch=128,
        width=32,
        learning_rate=4e-3,
        ema=0.9,
    )
    x = lab.samples()
    assert np.abs(x.mean(0) - (3, -2)).max() < 0.2 and 0.3 < x.std(0).min() < x.std(0).max() < 0.7
    first, last = lab.history[0], lab.history[-1]
    assert last["js"] < 0.7 * first["js"] and last["good_share"] > 0.8


def test_the_bound_is_a_bound():
    """(V + log 4)/2 of any critic, up to what counting in cells and in samples lacks."""
    for seed in range(3):
        for row in played(seed=seed, steps=30, learning_rate=1e-2).history:
            assert row["bound"] < row["js"] + 0.03


def test_value_and_pulls_by_hand():
    lab = played()
    lab.critic = lambda x: 2.0 * x[:, :1]  # s(x) = 2 x₁
    places = np.array([[0.0, 1.0], [1.0, -1.0]])
    s = np.array([0.0, 2.0])
    v = np.mean(-np.logaddexp(0, -s)) + np.mean(-np.logaddexp(0, s))
    assert lab.value(places, places) == pytest.approx(v)
    assert theory.bound(v) < 0
    np.testing.assert_allclose(lab.pulls(places)[:, 0], 2 / (1 + np.exp(s)), rtol=1e-5)
    assert (lab.pulls(places)[:, 1] == 0).all()


def test_r1_is_in_the_critics_cost():
    lab = played(gamma=0.0)
    real, noise = lab.batch(0)
    from minidl.gan import r1

    plain = lab.critic_cost(real[0], noise[0]).item()
    lab.recipe = Recipe(gamma=0.7)
    with_penalty = lab.critic_cost(real[0], noise[0]).item()
    assert with_penalty - plain == pytest.approx(r1(lab.critic, real[0], 0.7).item(), rel=1e-3)


@pytest.mark.parametrize(
    "settings", [{"game": "chess"}, {"gamma": -1.0}, {"steps": 0}, {"flat": 1.0}, {"batch": 0}]
)
def test_recipes_are_checked(settings):
    with pytest.raises(ValueError):
        Recipe(**settings)


def test_animations(tmp_path):
    from PIL import Image

    frames = [np.full((8, 9, 3), value, np.uint8) for value in (0, 100, 200)]
    for name in ("a.gif", "a.png"):
        with Image.open(plots.save_animation(tmp_path / name, frames)) as movie:
            assert movie.n_frames == 3
    with pytest.raises(ValueError, match="must end in"):
        plots.save_animation(tmp_path / "a.mp4", frames)
    with pytest.raises(ValueError, match="no pictures"):
        plots.save_animation(tmp_path / "b.gif", [])


def test_playing_again_begins_another_record(tmp_path):
    lab = played(mixtures.ring())
    lab.play()
    assert [m.step for m in lab.moments] == [row["step"] for row in lab.history]
    pytest.importorskip("matplotlib")
    plots.collapse_sheet(tmp_path / "a.png", lab, lab, 2)


def test_scores_of_any_size_are_probabilities(recwarn):
    lab = played()
    lab.scores = lambda places: np.array([-1e4, 0, 1e4])
    assert lab.probabilities(None).tolist() == [0, 0.5, 1] and not recwarn.list


FRAME = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda f: plots.laboratory_sheet(f, Laboratory(mixtures.ring())), "not played yet"),
        (lambda f: plots.laboratory_frames(Laboratory(mixtures.ring())), "not played yet"),
        (lambda f: plots.collapse_sheet(f, *[played(mixtures.line())] * 2), "line has no modes"),
        (lambda f: plots.collapse_sheet(f, *[played()] * 2, 0), "columns must be"),
        (lambda f: plots.dirac_sheet(f, ()), "gammas must be one or more"),
        (lambda f: plots.training_curves(f, []), "rows of a gan.Training.* got none"),
        (lambda f: plots.training_curves(f, played().history), "got step, critic"),
        (lambda f: plots.save_animation(f, [FRAME / 255]), "uint8 .* got float64"),
        (lambda f: plots.save_animation(f, [FRAME, FRAME[:3]]), "one size, got .* and "),
        (lambda f: plots.save_animation(f, [FRAME], -5), "milliseconds must be"),
    ],
)
def test_mistakes_with_plots(tmp_path, call, words):
    with pytest.raises(ValueError, match=words):
        call(tmp_path / "a.png")


def test_the_distance_to_the_best_critic():
    """Of a critic that is the best one: nearly 0, by det ∂G/∂z and by counting."""
    lab = played(mixtures.mixture("one", [(0.0, 0.0)], 1.0))
    lab.generator = lambda z: 2.0 * z  # q = N(0, 4)

    def scores(x):
        squares = (x * x).sum(1, keepdims=True)
        return squares * (-3 / 8) + float(np.log(4))  # log p − log q

    lab.critic = scores
    apart, exact = lab.distance_to_best(lab.best(200000))
    assert exact and apart < 1e-5
    lab.generator = lambda z: 2.0 * abs(z) * np.array([1.0, 1.0], "float32")
    _, exact = lab.distance_to_best(lab.best(20000))
    assert not exact
    lab.critic = lambda x: 0.0 * x[:, :1]
    lab.generator = lambda z: 2.0 * z
    assert 0.1 < lab.distance_to_best(lab.best(20000))[0] < 0.5
