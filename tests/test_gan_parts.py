"""Spectral normalisation, DiffAugment, the Dirac GAN, densities in the plane."""

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.gan import (
    GAMES,
    DiffAugment,
    SpectralNorm,
    density,
    diffaugment,
    dirac,
    mixtures,
    spectral_norm,
)
from minidl.testing import adjointcheck, gradcheck

rng = np.random.default_rng


# ---- spectral normalisation ---------------------------------------------------------------------


def unit(x):
    return x / np.linalg.norm(x)


def test_spectral_norm_by_hand(device):
    """diag(3, 1) is divided by 3."""
    y = spectral_norm(*(md.tensor(x) for x in (np.diag([3.0, 1.0]), [1.0, 0.0], [1.0, 0.0])))
    np.testing.assert_allclose(y.numpy(), np.diag([1, 1 / 3]))


def test_its_rule(device):
    u, v = unit(rng(0).normal(size=3)), unit(rng(1).normal(size=4))
    w = u[:, None] * v * 2 + 0.1 * rng(2).normal(size=(3, 4))
    u_, v_ = md.tensor(u), md.tensor(v)
    gradcheck(lambda w: spectral_norm(w, u_, v_), w, order=2)
    by_parts = lambda w: w / ops.sum(ops.matmul(u_, w) * v_)
    a, b = md.tensor(w, requires_grad=True), md.tensor(rng(3).normal(size=(3, 4)))
    for f in (lambda w: spectral_norm(w, u_, v_), by_parts):
        assert f(a).shape == (3, 4)
    mine, composed = (
        md.grad(f(a), a, b)[0].numpy() for f in (lambda w: spectral_norm(w, u_, v_), by_parts)
    )
    np.testing.assert_allclose(mine, composed, rtol=1e-10)


def test_its_gradient_is_that_of_the_largest_singular_value():
    """u and v depend on w, and nothing is lost by holding them: W / σ(W) by finite differences."""
    w, cotangent = rng(5).normal(size=(3, 4)), rng(6).normal(size=(3, 4))
    left, _, right = np.linalg.svd(w)
    a = md.tensor(w, requires_grad=True)
    g = md.grad(spectral_norm(a, left[:, 0], right[0]), a, cotangent)[0].numpy()

    def value(w):
        return np.sum(cotangent * w / np.linalg.svd(w)[1][0])

    step = 1e-6
    for i in np.ndindex(3, 4):
        moved = np.zeros((3, 4))
        moved[i] = step
        assert g[i] == pytest.approx(
            (value(w + moved) - value(w - moved)) / (2 * step), rel=1e-4, abs=1e-6
        )


@pytest.mark.parametrize(
    "make, shape",
    [
        (lambda: nn.Dense(6, 5, rng=0), (3, 6)),
        (lambda: nn.Conv2d(2, 5, 3, padding=1, rng=0), (1, 6, 6, 2)),
    ],
)
def test_a_layer_of_gain_one(device, make, shape):
    layer = SpectralNorm(make(), steps=200, rng=1)
    x = md.tensor(rng(2).normal(size=shape).astype("float32"))
    y, own = layer(x), layer.layer.weight
    gain = np.linalg.svd(own.numpy().reshape(-1, own.shape[-1]))[1][0]
    bias = layer.layer.bias
    np.testing.assert_allclose(
        (y - bias).numpy(), (layer.layer(x) - bias).numpy() / gain, rtol=2e-4, atol=1e-5
    )
    assert isinstance(own, nn.Parameter) and set(layer.state_dict()) == {
        "layer.weight",
        "layer.bias",
        "u",
        "v",
    }
    (g,) = md.grad(ops.sum(ops.square(y)), [own])
    assert abs(float(ops.sum(g * own))) < 1e-2 * float(
        ops.norm(g) * ops.norm(own)
    )  # along W nothing is gained


def test_power_iteration_goes_on_in_training_alone():
    layer = SpectralNorm(nn.Dense(6, 5, rng=0), steps=1, rng=1)
    x = np.zeros((1, 6), "float32")
    before = layer.v.copy()
    layer.eval()(x)
    assert (layer.v == before).all()
    layer.train()
    for _ in range(60):
        layer(x)
    gain = layer.u @ layer.layer.weight.data @ layer.v
    assert gain == pytest.approx(np.linalg.svd(layer.layer.weight.data)[1][0], rel=1e-4)
    with pytest.raises(TypeError, match="must have a weight, .* got ReLU"):
        SpectralNorm(nn.ReLU(), rng=0)
    with pytest.raises(ValueError, match=r"u \(m,\)"):
        spectral_norm(np.ones((2, 3)), np.ones(3), np.ones(2))


def test_a_layer_of_zeros():
    layer = SpectralNorm(
        nn.Dense(3, 2, rng=0, initializer=lambda shape, rng: np.zeros(shape)), rng=0
    )
    assert np.isfinite(layer.u).all() and np.isfinite(layer.v).all()


# ---- DiffAugment --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", diffaugment.PARTS)
def test_parts_pass_gradcheck(device, part):
    x = rng(0).normal(size=(2, 4, 5, 3))
    gradcheck(lambda x: DiffAugment(part)(x, 3), x, order=2)


def test_translation_by_hand(device):
    """Whole pixels, zeros come in, nothing is scaled."""
    x = np.arange(1, 1 + 64, dtype=float).reshape(1, 8, 8, 1)
    for seed in range(12):
        y = diffaugment.translation(md.tensor(x), rng(seed)).numpy()[0, :, :, 0]
        again = rng(seed)
        down, right = (int(again.integers(-1, 2, 1)[0]) for _ in range(2))
        expected = np.zeros((10, 10))
        expected[1 + down : 9 + down, 1 + right : 9 + right] = x[0, :, :, 0]
        np.testing.assert_array_equal(y, expected[1:9, 1:9])


def test_translation_is_linear():
    x, y = rng(0).normal(size=(2, 3, 8, 8, 2))
    moved = lambda x: diffaugment.translation(md.operand("x", x), rng(4))
    a = md.tensor(x, requires_grad=True)
    adjointcheck(moved, lambda u: md.grad(moved(a), a, u)[0], x, y)


def test_cutout_hides_half_of_each_side():
    ones = md.tensor(np.ones((200, 8, 8, 1)))
    y = diffaugment.cutout(ones, rng(0)).numpy()[..., 0]
    assert set(np.unique(y)) == {0, 1}
    hidden = (y == 0).sum((1, 2))
    assert hidden.max() == 16 and 0 < hidden.min() < 16  # 4 × 4, less where it leaves the picture
    assert len({each.tobytes() for each in y}) > 20  # another place for each


def test_colours():
    x = md.tensor(rng(0).uniform(-1, 1, (50, 4, 4, 3)))
    y = diffaugment.brightness(x, rng(1)).numpy() - x.numpy()
    assert (
        np.ptp(y, axis=(1, 2, 3)).max() < 1e-12
        and -0.5 <= y.min()
        and y.max() <= 0.5
        and np.ptp(y) > 0.8
    )
    grey = diffaugment.saturation(x, rng(2)).numpy().mean(-1)
    np.testing.assert_allclose(grey, x.numpy().mean(-1), atol=1e-12)
    middle = diffaugment.contrast(x, rng(3)).numpy().mean((1, 2, 3))
    np.testing.assert_allclose(middle, x.numpy().mean((1, 2, 3)), atol=1e-12)


def test_each_picture_is_changed_in_its_own_way():
    x = md.tensor(np.repeat(rng(0).normal(size=(1, 16, 16, 3)), 30, axis=0))
    for part in diffaugment.PARTS:
        assert len({each.tobytes() for each in DiffAugment(part)(x, 0).numpy()}) > 4, part
    assert (DiffAugment()(x, 0).numpy() == x.numpy()).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: DiffAugment("blur"), "a part must be one of brightness.*got 'blur'"),
        (lambda: DiffAugment("cutout")(np.ones((3, 4)), 0), r"\(N, H, W, C\)"),
    ],
)
def test_mistakes_with_augmentation(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ---- the Dirac GAN ------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0, 0.3, 1, 2])
def test_eigenvalues(gamma):
    expected = np.linalg.eigvals(dirac.jacobian(gamma))
    np.testing.assert_allclose(
        np.sort_complex(dirac.eigenvalues(gamma)), np.sort_complex(expected), atol=1e-7
    )
    step = 1e-6
    for i, direction in enumerate(np.eye(2)):
        slope = np.array(dirac.velocity(*(step * direction), gamma)) / step
        np.testing.assert_allclose(slope, dirac.jacobian(gamma)[:, i], atol=1e-5)


def test_circles_and_their_damping():
    assert dirac.eigenvalues(0).tolist() == [0.5j, -0.5j]
    assert dirac.eigenvalues(1).tolist() == [-0.5, -0.5]
    h, start = 0.1, np.array([1e-4, 0])
    radius = np.linalg.norm(dirac.trajectory(start, 0, h, 100), axis=1)
    assert radius[-1] / radius[0] == pytest.approx((1 + h * h / 4) ** 50, rel=1e-3)
    alternating = np.linalg.norm(dirac.trajectory(start, 0, h, 400, alternating=True), axis=1)
    assert alternating.max() / alternating.min() < 1.06
    ends = {
        gamma: np.linalg.norm(dirac.trajectory((1.5, 0), gamma, h, 300)[-1])
        for gamma in (0, 0.3, 1, 2)
    }
    assert ends[0] > 1.5 and ends[1] < 1e-4 and ends[1] < ends[0.3] and ends[1] < ends[2]


def test_the_field_descends_the_non_saturating_value():
    """By the games' own costs: minimax of s(x) = −ψ x, with data at 0 and samples at θ."""
    theta, psi = (md.tensor(x, requires_grad=True) for x in (0.8, -0.6))
    scores = [ops.reshape(-psi * x, (1,)) for x in (0.0, theta)]
    (up,) = md.grad(GAMES["minimax"].discriminator(*scores), [psi])
    (down,) = md.grad(GAMES["minimax"].generator(scores[1]), [theta])
    expected = dirac.velocity(0.8, -0.6)
    np.testing.assert_allclose([-down.item(), -up.item()], expected, rtol=1e-12)


def test_far_from_rest_and_mistakes(recwarn):
    assert dirac.velocity(1e3, 1e3) == (0, 0) and dirac.velocity(-1e3, 1e3) == (-1e3, -1e3)
    assert not recwarn.list
    with pytest.raises(ValueError, match=r"theta \(2,\) and psi \(3,\) must be of one shape"):
        dirac.velocity(np.zeros(2), np.zeros(3))


# ---- densities in the plane ---------------------------------------------------------------------


class Linear(nn.Module):
    """x = z A + b."""

    def __init__(self, a, b):
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def forward(self, z):
        return z @ self.a + self.b


def test_q_of_a_linear_map_is_a_gaussian():
    a, b = np.array([[2.0, 0.5], [0.0, -1.0]]), np.array([1.0, 2.0])
    z = rng(0).normal(size=(50, 2))
    pushed = density.push(Linear(a, b), z)
    covariance = a.T @ a
    apart = pushed.x - b
    expected = -0.5 * np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart) - np.log(
        2 * np.pi * np.sqrt(np.linalg.det(covariance))
    )
    np.testing.assert_allclose(pushed.log_q, expected, rtol=1e-10)
    assert (pushed.signs == -1).all() and pushed.folds == 0


def test_q_of_a_network_agrees_with_counting():
    from minidl.gan.plane import network

    net = network(rng(3), 2, 16, 2)
    pushed = density.push(net, rng(1).standard_normal((60, 2), "float32"))
    x = density.sample(net, 200000, 2)
    checked = 0
    for place, log_q in zip(pushed.x, pushed.log_q):
        near = np.abs(x - place).max(1) < 0.02
        if near.sum() > 200 and pushed.folds == 0:
            assert near.mean() / 0.04**2 == pytest.approx(np.exp(log_q), rel=0.4)
            checked += 1
    assert checked > 5 or pushed.folds > 0


class Folded(nn.Module):
    def forward(self, z):
        return ops.stack([ops.absolute(z[:, 0]), z[:, 1]], 1)


def test_folding_is_seen():
    pushed = density.push(Folded(), rng(0).normal(size=(400, 2)))
    assert 0.4 < pushed.folds <= 0.5


@pytest.mark.parametrize(
    "generator", [lambda z: z[:, :1], lambda z: z[:, 0], lambda z: ops.concatenate([z, z], 1),
                  lambda z: None]
)  # fmt: skip
def test_generators_make_places(generator):
    for use in (
        lambda: density.push(generator, np.zeros((3, 2))),
        lambda: density.sample(generator, 3, 0),
    ):
        with pytest.raises(ValueError, match=r"generator must make places \(3, 2\) of noise"):
            use()


def test_whole_numbers_as_noise_and_no_samples():
    assert density.push(lambda z: 2 * z, [[0, 1]]).x.tolist() == [[0, 2]]
    with pytest.raises(ValueError, match="samples must be one or more"):
        density.counted_masses(np.zeros((0, 2)), density.cells(1.0, 4))


def test_masses_in_cells():
    shape = mixtures.grid(3, 2.0, 0.3)
    where = density.cells(4.0, 40)
    p = density.real_masses(shape, where)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    counted = density.counted_masses(shape.sample(400000, 0), where)
    assert np.abs(p - counted).max() < 4 * np.sqrt(p.max() / 400000)
    np.testing.assert_allclose(where.middles[0, 0], [-3.9, -3.9])
    one = mixtures.mixture("one", [(2.0, -1.0)], 0.05)
    rows, columns = np.nonzero(density.real_masses(one, where) > 0.2)
    np.testing.assert_allclose(where.middles[rows, columns].mean(0), [2, -1], atol=0.11)
