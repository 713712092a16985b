"""Measures of samples: known answers, and what each must not confuse."""

import numpy as np
import pytest

from minidl.gan import measures, mixtures

rng = np.random.default_rng


# ---- modes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [mixtures.ring(), mixtures.grid()], ids=["ring", "grid"])
def test_ideal_samples(shape):
    """98.9 % within 3σ, as 1 − e^(−4.5); reverse KL of counting alone."""
    found = measures.modes(shape.sample(20000, 0), shape.centres, shape.sigma)
    assert found.modes == len(shape.centres)
    assert found.good_share == pytest.approx(1 - np.exp(-4.5), abs=0.004)
    assert found.reverse_kl < 0.002 and found.rarest_share > 0.85


def test_modes_by_hand():
    centres = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0)]
    samples = [(0.0, 0.0)] * 3 + [(10.0, 2.9)] + [(10.0, 3.1), (5.0, 5.0), (np.nan, 0)]
    found = measures.modes(samples, centres, 1.0)
    assert (found.modes, found.good_share) == (2, 4 / 7)
    assert (
        found.reverse_kl == pytest.approx(0.75 * np.log(3) + 0.25 * np.log(1))
        and found.rarest_share == 0
    )
    assert measures.modes([(50.0, 50.0)], centres, 1.0) == (0, 0, np.log(4), 0)
    assert measures.modes([(0.0, 0.0)] * 5, centres, 1.0) == (1, 1, pytest.approx(np.log(4)), 0)
    diagonal = measures.modes([(2.5, 2.5)], centres, 1.0)  # 3σ is a circle, not a square
    assert diagonal.good_share == 0


def test_the_ring_has_eight_modes():
    """linspace(0, 2π, 8) would close it: seven, one of them twice as heavy."""
    ring = mixtures.ring()
    apart = np.linalg.norm(ring.centres[:, None] - ring.centres, axis=-1)
    assert len(ring.centres) == 8 and apart[~np.eye(8, dtype=bool)].min() > 0.7
    np.testing.assert_allclose(
        np.sort(np.unique(apart[0].round(9))),
        np.sort(2 * np.sin(np.pi * np.arange(5) / 8)),
        atol=1e-8,
    )
    assert np.linalg.norm(ring.centres, axis=1) == pytest.approx(1) and ring.sigma == 0.01
    grid = mixtures.grid()
    assert sorted({*grid.centres.ravel()}) == [-4, -2, 0, 2, 4] and grid.sigma == 0.05


@pytest.mark.parametrize(
    "shape", [*(make() for make in mixtures.SHAPES.values())], ids=list(mixtures.SHAPES)
)
def test_densities_are_densities(shape):
    """Their integral is 1, and samples have the stated mean and deviation."""
    steps = np.linspace(-1, 1, 601) * (np.abs(shape.centres).max() + 5 * shape.sigma)
    places = np.stack(np.meshgrid(steps, steps), -1)
    assert shape.density(places).sum() * (steps[1] - steps[0]) ** 2 == pytest.approx(1, abs=0.02)
    x = shape.sample(20000, 1)
    assert np.abs(x.mean(0) - shape.mean).max() < 0.03 * shape.scale
    assert np.sqrt(x.var(0).mean()) == pytest.approx(shape.scale, rel=0.02)
    assert shape.weights.sum() == pytest.approx(1)


def test_a_drawing():
    picture = np.full((30, 60, 3), 255, np.uint8)
    picture[2:6, 50:56] = 0  # up and to the right
    shape = mixtures.drawing(picture)
    assert (
        (shape.centres[:, 0] > 0.5).all() and (shape.centres[:, 1] > 0.2).all() and not shape.modal
    )
    with pytest.raises(ValueError, match="no pixel of the picture is dark"):
        mixtures.drawing(np.full((9, 9), 255, np.uint8))


def test_mixtures_of_lists_and_of_weights_that_are_0():
    shape = mixtures.Mixture("two", [(0, 0), (3, 0)], 1, [1, 0])
    assert (shape.sample(50, 0)[:, 0] < 10).all() and shape.mean.tolist() == [0, 0]
    assert shape.density([0.0, 0.0]) == pytest.approx(1 / (2 * np.pi))
    narrow = mixtures.mixture("narrow", [(0, 0)], 1e-200)
    assert narrow.log_density([0.0, 0.0]) == pytest.approx(400 * np.log(10) - np.log(2 * np.pi))


@pytest.mark.parametrize("weights", [[1, 1], [-2, 3], [1], [0, 0], [[1, 0]]])
def test_weights_are_probabilities(weights):
    with pytest.raises(ValueError, match="^Mixture: "):
        mixtures.Mixture("two", [(0, 0), (3, 0)], 1, weights)
    with pytest.raises(ValueError, match="as many weights ≥ 0 that add up to 1"):
        mixtures.mixture("two", [(0, 0), (3, 0)], 1, [-2, -1])  # divided by −3, they look well


@pytest.mark.parametrize("shape", [(9,), (9, 9, 2), (9, 9, 4), (9, 9, 3, 1)])
def test_a_drawing_is_grey_or_coloured(shape):
    with pytest.raises(ValueError, match=r"must be \(H, W\) or \(H, W, 3\)"):
        mixtures.drawing(np.zeros(shape, np.uint8))


# ---- distances of sets ------------------------------------------------------------------------


def standardized(n, seed):
    """n numbers whose mean is 0 and whose variance (by n − 1) is 1, exactly."""
    x = rng(seed).normal(size=(n, 1))
    return (x - x.mean()) / x.std(ddof=1)


def test_frechet_distance_by_hand():
    """Of N(0, 1) and N(1, 4): 1 + (1 − 2)² = 2."""
    assert measures.frechet_distance(
        standardized(50, 0), 1 + 2 * standardized(70, 1)
    ) == pytest.approx(2)


def test_frechet_distance_of_commuting_covariances():
    x = rng(0).normal(size=(400, 3))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T  # covariance 1
    a, b = x * [1, 2, 3], x * [2, 2, 1] + [1, 0, 0]
    assert measures.frechet_distance(a, b) == pytest.approx(1 + 1 + 0 + 4)
    assert measures.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert measures.frechet_distance(b, a) == pytest.approx(6)


def test_frechet_distance_is_real_with_dead_features_and_few_samples():
    a, b = rng(1).normal(size=(10, 40)), rng(2).normal(size=(12, 40))
    a[:, 5:20] = b[:, 5:20] = 0
    found = measures.frechet_distance(a, b)
    assert isinstance(found, float) and found > 0
    assert measures.frechet_distance(np.ones((5, 3)), np.ones((4, 3))) == 0
    assert min(measures.frechet_distance(x, x) for x in rng(0).normal(size=(20, 2, 4))) >= 0


def test_kernel_distance():
    same = measures.kernel_distance(
        rng(0).normal(size=(900, 6)), rng(1).normal(size=(900, 6)), rng=0
    )
    other = measures.kernel_distance(
        rng(0).normal(size=(900, 6)), rng(1).normal(0.5, 1, (900, 6)), rng=0
    )
    assert abs(same[0]) < 3 * same[1] < other[0]


def test_kernel_distance_is_unbiased():
    """Its mean over many small draws is 0: the diagonal is left out."""
    found = [
        measures.kernel_distance(*rng(i).normal(size=(2, 8, 4)), subsets=1, rng=0)[0]
        for i in range(800)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(800)


def test_precision_and_recall():
    real = rng(0).normal(size=(500, 2))
    few = real[np.abs(real).max(1) < 0.5] + 0.001
    narrow = measures.precision_recall(real, few)
    assert narrow.precision > 0.95 and narrow.recall < 0.4
    wide = measures.precision_recall(real, rng(1).uniform(-8, 8, (500, 2)))
    assert wide.precision < 0.3 and wide.recall > 0.8
    both = measures.precision_recall(real, rng(2).normal(size=(500, 2)))
    assert min(both) > 0.85
    assert measures.precision_recall([[0.0], [1], [2], [3]], [[9.0], [10], [11], [12]]) == (0, 0)


def test_precision_by_hand():
    """With k = 1 the balls around 0, 1 and 5 have radii 1, 1 and 4."""
    assert measures.precision_recall([[0.0], [1.0], [5.0]], [[1.9], [9.1]], k=1).precision == 0.5


def test_memorisation():
    train, held, fresh = (rng(i).normal(size=(300, 8)) for i in range(3))
    assert measures.memorisation(fresh, train, held).ratio == pytest.approx(1, abs=0.1)
    copied = measures.memorisation(train[:50] + 0.01, train, held)
    assert copied.ratio < 0.05 and copied.nearest.tolist() == list(range(50))
    assert measures.memorisation([[0.5]], [[0.0], [9.0]], [[1.0]]).ratio == 0.5
    assert measures.memorisation([[0.5]], [[0.0]], [[0.0]]).ratio == np.inf
    mostly = np.concatenate([train[:160], held[:140]])  # |x|² − 2⟨x, x⟩ + |x|² leaves 1e-8
    assert measures.memorisation(fresh, train, mostly).ratio == np.inf
    assert (measures.nearest(train, train)[1] == 0).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: measures.frechet_distance(np.ones((5, 2)), np.ones((5, 3))),
        lambda: measures.frechet_distance(np.ones((1, 2)), np.ones((5, 2))),
        lambda: measures.frechet_distance(np.ones(5), np.ones(5)),
        lambda: measures.frechet_distance(np.full((5, 2), np.nan), np.ones((5, 2))),
        lambda: measures.kernel_distance(np.ones((1, 2)), np.ones((5, 2)), rng=0),
        lambda: measures.precision_recall(np.ones((3, 2)), np.ones((5, 2))),
        lambda: measures.memorisation(np.ones((0, 2)), np.ones((5, 2)), np.ones((5, 2))),
        lambda: measures.modes(np.ones((4, 3)), np.ones((2, 2)), 1),
        lambda: measures.modes([], np.ones((2, 2)), 1),
        lambda: measures.modes(np.ones((4, 2)), np.ones((0, 2)), 1),
        lambda: measures.modes(np.ones((4, 2)), [[np.nan, 0]], 1),
    ],
)
def test_mistakes(call):
    with pytest.raises(ValueError, match="^(frechet|kernel|precision|memorisation|modes)"):
        call()
