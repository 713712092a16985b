"""Mistakes found in other people's GANs: each is put in, and the test meant to catch it must fail.

A check that cannot fail is worse than none.
"""

import numpy as np
import pytest
import test_gan_games
import test_gan_measures
import test_gan_pictures
import test_gan_training

import minidl as md
from minidl import nn, ops
from minidl.gan import games, judge, measures, mixtures, networks, penalties
from minidl.tensor import grad
from minidl.training import EMA

rng = np.random.default_rng
mutants = {}


def mutant(check):
    """File a mistake: a function of monkeypatch that makes it; `check` must then fail."""

    def file(make):
        mutants[make.__name__] = make, check
        return make

    return file


@mutant(lambda: test_gan_games.test_the_penalty_is_the_mean_of_each_examples("cpu"))
def length_of_the_whole_batchs_gradient(patch):
    patch.setattr(penalties, "lengths", lambda g: ops.reshape(ops.norm(g), (1,)))


@mutant(lambda: test_gan_games.test_the_penalty_is_the_mean_of_each_examples("cpu"))
def length_along_the_channels_only(patch):
    patch.setattr(penalties, "lengths", lambda g: ops.norm(g, -1))


@mutant(test_gan_games.test_one_epsilon_for_each_example)
def one_epsilon_for_the_batch(patch):
    patch.setattr(penalties, "between", lambda a, b, r: md.tensor(a * rng(r).random()))


@mutant(test_gan_games.test_one_epsilon_for_each_example)
def an_epsilon_for_each_pixel(patch):
    patch.setattr(penalties, "between", lambda a, b, r: md.tensor(a * rng(r).random(a.shape)))


@mutant(test_gan_games.test_one_epsilon_for_each_example)
def epsilon_from_a_normal_distribution(patch):
    patch.setattr(
        penalties, "between", lambda a, b, r: md.tensor(a * rng(r).normal(size=(len(a), 1, 1, 1)))
    )


@mutant(lambda: test_gan_games.test_a_critic_that_is_flat_everywhere("cpu"))
def root_of_a_sum_at_zero(patch):
    patch.setattr(penalties, "lengths", lambda g: ops.sqrt(ops.sum(ops.square(g), 1)))


@mutant(lambda: test_gan_games.test_penalties_by_hand("cpu"))
def r1_without_its_half(patch):
    patch.setattr(
        penalties, "mean_square_length", lambda g: 2 * ops.sum(ops.square(g)) / g.shape[0]
    )


@mutant(lambda: test_gan_games.test_penalties_by_hand("cpu"))
def penalty_without_the_second_order_graph(patch):
    real = grad
    patch.setattr(penalties, "grad", lambda y, x, create_graph: [real(y, x)[0] + 0 * ops.sum(y)])


@mutant(test_gan_games.test_a_critic_with_batch_norm_is_refused)
def batch_norm_in_the_critic_goes_unnoticed(patch):
    patch.setattr(penalties, "BatchNorm", nn.LayerNorm)


@mutant(lambda: test_gan_pictures.test_the_discriminator_judges_each_example_by_itself(False))
def batch_norm_in_the_discriminator(patch):
    class Coupled(nn.Module):
        def forward(self, x):
            return ops.standardize(x, (0, 1, 2)) * 3

    patch.setattr(networks.nn, "LeakyReLU", lambda slope: Coupled())


@mutant(lambda: test_gan_games.test_costs_by_hand("cpu"))
def costs_on_probabilities(patch):
    real = games.Game._scores
    patch.setattr(games.Game, "_scores", lambda self, which, s: ops.sigmoid(real(self, which, s)))


@mutant(lambda: test_gan_games.test_scores_are_logits("non-saturating"))
def log_of_a_sigmoid(patch):
    def critic(self, r, f):
        return -ops.mean(ops.log(ops.sigmoid(r))) - ops.mean(ops.log(1 - ops.sigmoid(f)))

    patch.setattr(games.Minimax, "critic", critic)


@mutant(
    lambda: test_gan_games.test_costs_where_the_critic_knows_nothing(
        "cpu", "non-saturating", np.log(4), np.log(2)
    )
)
def smoothed_labels_in_silence(patch):
    patch.setattr(
        games.Minimax,
        "critic",
        lambda self, r, f: ops.mean(0.95 * ops.softplus(-r) + ops.softplus(f)),
    )


@mutant(test_gan_games.test_mistakes_are_named)
def scores_that_broadcast(patch):
    patch.setattr(
        games.Relativistic, "paired", lambda self, r, f: ops.zeros_like(f) if r is None else r[:1]
    )


@mutant(test_gan_measures.test_the_ring_has_eight_modes)
def seven_modes_instead_of_eight(patch):
    def ring(modes=8, radius=1.0, sigma=0.01):
        a = np.linspace(0, 2 * np.pi, modes)
        return mixtures.mixture("ring", radius * np.stack([np.cos(a), np.sin(a)], 1), sigma)

    patch.setattr(mixtures, "ring", ring)


@mutant(test_gan_measures.test_modes_by_hand)
def good_in_a_box(patch):
    def modes(samples, centres, sigma):
        apart = np.abs(np.asarray(samples)[:, None] - np.asarray(centres)).max(-1)
        return real(
            np.asarray(centres)[apart.argmin(1)] + (apart.min(1) > 3 * sigma)[:, None] * 1e9,
            centres,
            sigma,
        )

    real = measures.modes
    patch.setattr(measures, "modes", modes)


@mutant(test_gan_measures.test_frechet_distance_is_real_with_dead_features_and_few_samples)
def root_of_an_asymmetric_product(patch):
    from scipy.linalg import sqrtm

    def frechet(a, b):
        a, b = np.asarray(a, float), np.asarray(b, float)
        s = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
        value = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
            s[0] + s[1] - 2 * sqrtm(s[0] @ s[1])
        )
        return value

    patch.setattr(measures, "frechet_distance", frechet)


@mutant(test_gan_measures.test_kernel_distance_is_unbiased)
def kernel_distance_with_its_diagonal(patch):
    def biased(a, b, **options):
        k = measures._cubic
        return (k(a, a).mean() + k(b, b).mean() - 2 * k(a, b).mean(), 0.0)

    patch.setattr(measures, "kernel_distance", biased)


@mutant(test_gan_training.test_the_average_has_averaged_statistics)
def average_without_statistics(patch):
    real = EMA.update

    def update(self):
        before = {
            name: value for name, value in self.average.state_dict().items() if "running" in name
        }
        real(self)
        self.average.load_state_dict(self.average.state_dict() | before)

    patch.setattr(EMA, "update", update)


@mutant(test_gan_training.test_a_picture_does_not_depend_on_its_batch)
def batch_statistics_in_use(patch):
    patch.setattr(nn.Module, "eval", lambda self: self)


@mutant(test_gan_pictures.test_both_players_see_the_class)
def label_ignored(patch):
    real = networks.one_hot
    patch.setattr(networks, "one_hot", lambda *given: 0 * real(*given))


@mutant(test_gan_pictures.test_both_players_see_the_class)
def label_always_the_same(patch):
    real = networks.one_hot
    patch.setattr(
        networks, "one_hot", lambda owner, labels, *rest: real(owner, np.zeros_like(labels), *rest)
    )


@mutant(test_gan_pictures.test_the_judge_is_trained_on_logits)
def softmax_before_cross_entropy(patch):
    real = judge.Judge.forward
    patch.setattr(judge.Judge, "forward", lambda self, x: ops.softmax(real(self, x)))


@pytest.mark.parametrize("name", mutants)
@pytest.mark.filterwarnings("ignore")
def test_a_mistake_is_caught(name, monkeypatch):
    make, check = mutants[name]
    check()  # what is right passes
    make(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, TypeError)):
        check()
