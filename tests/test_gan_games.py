"""The games and penalties: hand numbers, slopes, second derivatives, and others' mistakes."""

import math

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.gan import GAMES, game, gradient_penalty, penalties, r1, r2, theory
from minidl.testing import gradcheck

LOG_2, LOG_4 = math.log(2), math.log(4)
zeros = np.zeros(4)


def costs(name, real, fake):
    return [
        cost.item()
        for cost in (GAMES[name].discriminator(real, fake), GAMES[name].generator(fake, real))
    ]


# ---- the games --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, critic, artist",
    [
        ("minimax", LOG_4, -LOG_2),
        ("non-saturating", LOG_4, LOG_2),
        ("least-squares", 0.5, 0.5),
        ("hinge", 2, 0),
        ("wasserstein", 0, 0),
        ("relativistic", LOG_2, LOG_2),
    ],
)
def test_costs_where_the_critic_knows_nothing(device, name, critic, artist):
    assert costs(name, zeros, zeros) == pytest.approx([critic, artist])
    assert costs(name, zeros[:, None], zeros[:, None]) == pytest.approx([critic, artist])


def test_costs_by_hand(device):
    r, f = np.array([1.0, 3.0]), np.array([-2.0, 0.0])
    d, g = costs("non-saturating", r, f)
    assert d == pytest.approx(np.mean(np.log1p(np.exp(-r))) + np.mean(np.log1p(np.exp(f))))
    assert g == pytest.approx(np.mean(np.log1p(np.exp(-f))))
    assert costs("minimax", r, f) == pytest.approx([d, -np.mean(np.log1p(np.exp(f)))])
    assert costs("least-squares", r, f) == pytest.approx([(2 + 2) / 2, (9 + 1) / 4])
    assert costs("hinge", r, f) == pytest.approx([0.5, 1.0])
    assert costs("wasserstein", r, f) == pytest.approx([-3, 1])
    assert costs("relativistic", r, f)[0] == pytest.approx(np.mean(np.log1p(np.exp(-3.0))))


@pytest.mark.parametrize("name", GAMES)
def test_costs_pass_gradcheck(device, name):
    r, f = np.random.default_rng(0).normal(0, 0.4, (2, 5))
    gradcheck(GAMES[name].discriminator, r, f, order=2)
    of_both = (f, r) if name == "relativistic" else (f,)
    gradcheck(GAMES[name].generator, *of_both, order=2)


def test_slopes_of_the_artist_are_those_of_the_book():
    """−σ(f) vanishes where the critic is sure, −σ(−f) does not."""
    f = md.tensor([-20.0, 0.0, 3.0], requires_grad=True)
    slopes = {
        name: 3 * md.grad(GAMES[name].generator(f), f)[0].numpy()
        for name in ("minimax", "non-saturating")
    }
    sigma = 1 / (1 + np.exp(-f.numpy()))
    np.testing.assert_allclose(slopes["minimax"], -sigma, rtol=1e-12)
    np.testing.assert_allclose(slopes["non-saturating"], sigma - 1, rtol=1e-12)
    assert abs(slopes["minimax"][0]) < 1e-8 and slopes["non-saturating"][0] < -0.999


@pytest.mark.parametrize("name", GAMES)
def test_scores_are_logits(name):
    """Scores of ±1,000 keep finite costs: no log of a sigmoid."""
    assert np.isfinite(
        costs(name, np.array([1e3, -1e3], "float32"), np.array([-1e3, 1e3], "float32"))
    ).all()


@pytest.mark.parametrize(
    "scores, words",
    [
        (np.zeros((3, 2)), "N, 1"),
        (np.zeros(0), "N"),
        (np.zeros((1, 3)), "N, 1"),
        (np.array(0.0), "N, 1"),
    ],
)
def test_scores_of_other_shapes_are_refused(scores, words):
    with pytest.raises(ValueError, match=words):
        GAMES["hinge"].generator(scores)
    with pytest.raises(ValueError, match="real"):
        GAMES["hinge"].discriminator(scores, zeros)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="name must be one of minimax, non-saturating.*got 'gan'"):
        game("gan")
    with pytest.raises(ValueError, match="4 generated scores and 0 real"):
        GAMES["relativistic"].generator(zeros)
    with pytest.raises(ValueError, match="4 generated scores and 3 real"):
        GAMES["relativistic"].discriminator(zeros[:3], zeros)
    assert GAMES["hinge"].discriminator(zeros[:3], zeros).item() == 2  # means of their own
    with pytest.raises(TypeError, match="fake"):
        GAMES["hinge"].generator("scores")


# ---- penalties --------------------------------------------------------------------------------


def linear(w):
    return lambda x: x @ w


def test_penalties_by_hand(device):
    """The critic ⟨w, x⟩ with w = (3, 4) has slope 5 everywhere."""
    w = md.tensor([3.0, 4.0], requires_grad=True)
    x = md.tensor(np.random.default_rng(0).normal(size=(6, 2)))
    gp = gradient_penalty(linear(w), x, -x, 10, rng=0)
    assert gp.item() == pytest.approx(160)
    np.testing.assert_allclose(md.grad(gp, w)[0].numpy(), [48, 64])
    for penalty in r1, r2:
        p = penalty(linear(w), x, gamma=2)
        assert p.item() == pytest.approx(25)
        np.testing.assert_allclose(md.grad(p, w)[0].numpy(), [6, 8])


def curved(a, b, c):
    """A critic with three parameters, smooth, and its scores of x (N, 2)."""
    return lambda x: ops.tanh(ops.tanh(x @ a + b) @ c)


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 3)), rng.normal(size=3), rng.normal(size=(3, 1))


@pytest.mark.parametrize("seed", range(3))
def test_penalties_pass_gradcheck_at_second_order(device, seed):
    x, y = map(md.tensor, np.random.default_rng(seed).normal(size=(2, 4, 2)))
    gradcheck(lambda a, b, c: r1(curved(a, b, c), x, 0.7), *parameters(seed), order=2)
    gradcheck(
        lambda a, b, c: gradient_penalty(curved(a, b, c), x, y, 3, rng=seed),
        *parameters(seed),
        order=2,
    )


def dead(a, b, c):
    """Beyond x₁ = 5 this critic is flat, whatever small the change of its parameters."""
    return lambda x: ops.square(ops.relu(5.0 - x[:, :1])) * curved(a, b, c)(x)


def test_penalties_at_zero_gradient(device):
    x = md.tensor([[9.0, 1.0], [8.0, -2.0], [0.5, 0.3]])
    w = parameters(1)
    _, g = penalties.slopes(dead(*map(md.tensor, w)), x)
    assert (g.numpy()[:2] == 0).all() and (g.numpy()[2] != 0).all()
    gradcheck(lambda a, b, c: r1(dead(a, b, c), x, 2), *w, order=2)
    gradcheck(lambda a, b, c: gradient_penalty(dead(a, b, c), x, x, 10, rng=0), *w, order=2)


def test_a_critic_that_is_flat_everywhere(device):
    """No NaN from √0: the penalty is λ, its gradient 0."""
    w = md.tensor(np.zeros((2, 1)), requires_grad=True)
    ones = md.tensor(np.ones((3, 2)))
    gp = gradient_penalty(lambda x: x @ w, ones, 0 * ones, 10, rng=0)
    assert gp.item() == 10 and (md.grad(gp, w)[0].numpy() == 0).all()
    p = r1(lambda x: x @ w, ones)
    assert p.item() == 0 and (md.grad(p, w)[0].numpy() == 0).all()


def test_the_penalty_is_the_mean_of_each_examples(device):
    """Not the length of the whole batch's gradient, nor that along an axis of a picture alone."""
    rng = np.random.default_rng(3)
    x, y, a = rng.normal(size=(5, 2, 3, 2)), rng.normal(size=(5, 2, 3, 2)), rng.normal(size=(12, 1))
    x, y, column = map(md.tensor, (x, y, a))
    critic = lambda x: ops.square(ops.reshape(x, (x.shape[0], -1))) @ column  # g = 2 x ⊙ a
    places = penalties.between(x, y, 4)
    between = places.numpy()
    g = 2 * between.reshape(5, 12) * a[:, 0]
    expected = 10 * np.mean((np.linalg.norm(g, axis=1) - 1) ** 2)
    assert gradient_penalty(critic, x, y, 10, rng=4).item() == pytest.approx(expected)
    alone = [
        gradient_penalty(critic, places[i : i + 1], places[i : i + 1], 10, rng=0).item()
        for i in range(5)
    ]
    assert expected == pytest.approx(np.mean(alone))
    whole_batch = 10 * (np.linalg.norm(g) - 1) ** 2
    along_channels = 10 * np.mean((np.linalg.norm(g.reshape(5, 6, 2), axis=-1) - 1) ** 2)
    assert abs(expected - whole_batch) > 1 and abs(expected - along_channels) > 1
    assert r1(critic, x, 2).item() == pytest.approx(
        np.mean(np.sum((2 * x.numpy().reshape(5, 12) * a[:, 0]) ** 2, 1))
    )


def test_one_epsilon_for_each_example():
    """Uniform between 0 and 1, the same for all pixels of a picture, another for the next."""
    real, fake = np.ones((400, 3, 3, 2)), np.zeros((400, 3, 3, 2))
    e = penalties.between(real, fake, 0).numpy()
    assert (e == e[:, :1, :1, :1]).all()
    e = e[:, 0, 0, 0]
    assert len(set(e)) == 400 and 0 <= e.min() < 0.02 and 0.98 < e.max() <= 1
    assert abs(e.mean() - 0.5) < 0.05 and e.std() == pytest.approx(12**-0.5, abs=0.03)


def test_real_and_fake_are_not_mixed_up():
    at_real = penalties.between(np.ones((9, 1)), np.zeros((9, 1)), 5).numpy()
    drawn = np.random.default_rng(5).random((9, 1))
    np.testing.assert_allclose(at_real, drawn)


def test_a_critic_with_batch_norm_is_refused():
    net = nn.Sequential(nn.Dense(2, 4, rng=0), nn.BatchNorm(4), nn.Dense(4, 1, rng=1))
    x = np.ones((3, 2), "float32")
    with pytest.raises(ValueError, match="BatchNorm in training, which couples"):
        r1(net, x)
    r1(net.eval(), x)
    with pytest.raises(ValueError, match="BatchNorm"):
        gradient_penalty(net.train(), x, x, rng=0)


@pytest.mark.parametrize("norm", [lambda: nn.LayerNorm(4), lambda: nn.GroupNorm(2, 4)])
def test_other_norms_let_each_example_be(norm):
    net = nn.Sequential(nn.Dense(2, 4, rng=0), norm(), nn.Dense(4, 1, rng=1))
    x = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    _, together = penalties.slopes(net, x)
    alone = [penalties.slopes(net, x[i : i + 1])[1].numpy()[0] for i in range(3)]
    np.testing.assert_allclose(together.numpy(), alone, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: r1(linear(np.ones(2)), np.ones((0, 2))), "examples"),
        (lambda: r1(linear(np.ones(2)), np.array(1.0)), "examples"),
        (lambda: r1(lambda x: x, np.ones((3, 2))), "one score for each of 3"),
        (lambda: r1(linear(np.ones(2)), np.ones((3, 2)), -1), "gamma"),
        (
            lambda: gradient_penalty(linear(np.ones(2)), np.ones((3, 2)), np.ones((1, 2)), rng=0),
            r"\(1, 2\)",
        ),
        (
            lambda: gradient_penalty(
                linear(np.ones(2)), np.ones((3, 2)), np.ones((3, 2)), math.nan, rng=0
            ),
            "weight",
        ),
    ],
)
def test_mistakes_with_penalties(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_randomness_is_explicit():
    with pytest.raises(TypeError, match="rng"):
        gradient_penalty(linear(np.ones(2)), np.ones((3, 2)), np.ones((3, 2)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_dtypes_stay(device, dtype):
    w = md.tensor(np.ones((2, 1)), dtype=dtype, requires_grad=True)
    x = md.tensor(np.ones((3, 2), dtype))
    for p in r1(lambda x: x @ w, x), gradient_penalty(lambda x: x @ w, x, 2 * x, rng=0):
        assert p.dtype == dtype and md.grad(p, w)[0].dtype == dtype and np.isfinite(p.item())
    for g in GAMES.values():
        assert g.discriminator(x[:, 0], x[:, 1]).dtype == dtype


# ---- theory -----------------------------------------------------------------------------------


def test_theory_by_hand():
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    d = theory.best_discriminator(p, q)
    np.testing.assert_allclose(d, [1 / 3, 1])
    assert theory.value(p, q, d) == pytest.approx(-0.9548, abs=1e-4)
    assert theory.jensen_shannon(p, q) == pytest.approx(0.2158, abs=1e-4)
    assert theory.bound(theory.value(p, q, d)) == pytest.approx(theory.jensen_shannon(p, q))
    assert theory.total_variation(p, q) == 0.5
    assert theory.wasserstein_line(p, q, [0, 3]) == 1.5
    assert theory.jensen_shannon(p, p) == 0 and theory.value(p, p, [0.5, 0.5]) == pytest.approx(
        -LOG_4
    )
    assert theory.jensen_shannon([1, 0], [0, 1]) == pytest.approx(LOG_2)
    assert theory.best_discriminator([0.0], [0.0]) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_no_critic_beats_the_best_and_its_bound_holds(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(6), 2)
    best, js = theory.best_discriminator(p, q), theory.jensen_shannon(p, q)
    v = theory.value(p, q, best)
    assert v == pytest.approx(2 * js - LOG_4)
    for _ in range(20):
        other = np.clip(best + rng.normal(0, 0.1, 6), 0.01, 0.99)
        assert theory.bound(theory.value(p, q, other)) <= js + 1e-12
    assert theory.jensen_shannon(q, p) == pytest.approx(js) and 0 < js < LOG_2


@pytest.mark.parametrize(
    "name, expected, score",
    [
        (
            "non-saturating",
            lambda p, q: LOG_4 - 2 * theory.jensen_shannon(p, q),
            lambda p, q: np.log(p / q),
        ),
        ("hinge", lambda p, q: 2 * (1 - theory.total_variation(p, q)), lambda p, q: np.sign(p - q)),
        ("least-squares", lambda p, q: np.sum(p * q / (p + q)) / 2, lambda p, q: p / (p + q)),
    ],
)
def test_what_the_games_measure(name, expected, score):
    """The critic's cost at the best scores, by weights that scores of single places stand for."""
    counts = np.array([[5, 1, 3, 1], [2, 4, 1, 3]])
    p, q = counts / counts.sum(1, keepdims=True)
    best = score(p, q)

    def cost(s):
        return GAMES[name].discriminator(np.repeat(s, counts[0]), np.repeat(s, counts[1])).item()

    assert cost(best) == pytest.approx(expected(p, q))
    rng = np.random.default_rng(0)
    assert all(cost(best + rng.normal(0, 0.3, 4)) > cost(best) for _ in range(20))


def test_masses_are_checked():
    with pytest.raises(ValueError, match="masses"):
        theory.jensen_shannon([0.5, 0.5], [1.0])
    with pytest.raises(ValueError, match="masses"):
        theory.jensen_shannon([1.5, -0.5], [0.5, 0.5])
    with pytest.raises(ValueError, match="p must be .* all finite"):
        theory.jensen_shannon([np.inf], [1.0])
    for d in ([2.0, 0.5], [-1.0, 0.5], [np.nan, 0.5], 1.5):
        with pytest.raises(ValueError, match=r"d .* must be probabilities"):
            theory.value([0.5, 0.5], [0.5, 0.5], d)
    with pytest.raises(ValueError, match="places, ascending"):
        theory.wasserstein_line([1, 0], [0, 1], [3, 0])  # would be −3
