"""The laboratory: two dense networks play for a shape in the plane, where all can be seen.

    noise z ~ N(0, I) in the plane → G → x in the plane → s → a score

G sees z alone, and s sees x alone.  The noise is connected, so G(z) must cross the space between
modes, "no GAN's land": the steeper G is there, the fewer samples fall into it.  So G is deep, its
learning rate falls to 0 at the end, and its weights are averaged.
Source: Tanielian et al. 2020, "Learning disconnected manifolds: a no GANs land".
"""
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from minidl import nn, optim
from minidl.gan import density, measures, theory
from minidl.gan.games import game
from minidl.gan.mixtures import Mixture, mixture
from minidl.gan.penalties import mean_square_length, slopes
from minidl.operands import check_sizes
from minidl.settings import betas_of, bounded, callback_of, check_seed, having, numbers, of_kind
from minidl.tensor import grad, no_grad, tensor
from minidl.training import EMA, Loop, descend


@dataclass(frozen=True)
class Recipe:
    """How a game in the plane is played.

    game: see `games.GAMES`.  gamma: of R1 on real points, 0 for none.  steps: of the generator,
    each after `critic_steps` of the critic.  batch: points of each kind.  learning_rate, betas:
    Adam's of both; the rate falls as (1 − t/steps)^`decay` after the share `flat` of the steps.
    width, generator_layers, critic_layers: hidden ones.  ema: decay of the average of G.
    """
    game: str = "non-saturating"
    gamma: float = 0.02
    steps: int = 12000
    critic_steps: int = 1
    batch: int = 128
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    flat: float = 0.1
    decay: float = 1.0
    width: int = 128
    generator_layers: int = 5
    critic_layers: int = 5
    ema: float = 0.999

    def __post_init__(self):
        game(self.game)
        check_sizes("Recipe", steps=self.steps, critic_steps=self.critic_steps, batch=self.batch,
                    width=self.width, generator_layers=self.generator_layers,
                    critic_layers=self.critic_layers)
        bounded("Recipe", "0 ≤ gamma < inf", self.gamma)
        bounded("Recipe", "0 ≤ learning_rate < inf", self.learning_rate)
        bounded("Recipe", "0 ≤ ema < 1", self.ema)
        betas_of("Recipe", self.betas)
        bounded("Recipe", "0 ≤ flat < 1", self.flat)
        bounded("Recipe", "0 ≤ decay < inf", self.decay)

    def schedule(self, t: int) -> float:
        left = (self.steps - t) / (self.steps * (1 - self.flat))
        return self.learning_rate * min(1.0, left) ** self.decay


class Moment(NamedTuple):
    """What is seen after `step` steps, in units of the shape's deviation: samples (N, 2) of the
    average, the critic's probabilities `field` (side, side) in the laboratory's `seen` cells."""
    step: int
    samples: np.ndarray
    field: np.ndarray


def network(rng, layers, width, out):
    """Dense layers with leaky ReLUs between them, from the plane to `out` numbers."""
    widths = [2] + [width] * layers
    parts = []
    for before, after in zip(widths, widths[1:]):
        parts += [nn.Dense(before, after, initializer=nn.initializers.he_normal, rng=rng),
                  nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts, nn.Dense(width, out, rng=rng))


class Laboratory:
    """One game for a shape.

    shape: a Mixture.  recipe: a Recipe.  judged: samples for the measures.  rows: of the history.
    seed: of everything.

    `play()` takes all steps.  generator, critic: the networks of this moment; average: G averaged.
    unit: the shape moved to mean 0 and deviation 1, which is what the networks learn; `measure` and
    `Moment` are in its units, `samples` in those of the shape.
    history: rows {"step", "critic", "generator", "bound", "js", "modes", "good_share", …}, the last
    four only for shapes that have modes.  moments: as many Moments.
    """

    def __init__(self, shape: Mixture, recipe: Recipe = Recipe(), *, seed: int = 0,
                 judged: int = 2500, rows: int = 24):
        having("Laboratory", "shape", shape, "a Mixture", "centres", "sigma", "weights", "sample")
        of_kind("Laboratory", "recipe", recipe, "a Recipe", Recipe)
        check_sizes("Laboratory", judged=judged, rows=rows)
        self.shape, self.recipe, self.seed = shape, recipe, check_seed("Laboratory", seed)
        self.judged, self.rows = judged, rows
        self.unit = mixture(shape.name, (shape.centres - shape.mean) / shape.scale,
                            shape.sigma / shape.scale, shape.weights, shape.modal)
        reach = 1.25 * np.abs(self.unit.centres).max() + 4 * self.unit.sigma
        self.seen, self.counted = density.cells(reach, 96), density.cells(reach, 160)
        self.real_masses = density.real_masses(self.unit, self.counted)
        rng = np.random.default_rng(seed)
        self.generator = network(rng, recipe.generator_layers, recipe.width, 2)
        self.critic = network(rng, recipe.critic_layers, recipe.width, 1)
        self.game, self.average = game(recipe.game), EMA(self.generator, recipe.ema)
        self.g_adam, self.d_adam = (
            optim.Adam(net.parameters(), recipe.learning_rate, betas=recipe.betas)
            for net in (self.generator, self.critic))
        self.moments: list[Moment] = []
        self.history: list[dict] = []

    def batch(self, t):
        """Real points for each of the critic's steps, and noise for these and the generator's."""
        rng, recipe = np.random.default_rng([self.seed, t]), self.recipe
        real = [self.unit.sample(recipe.batch, rng).astype("float32")
                for _ in range(recipe.critic_steps)]
        noise = [rng.standard_normal((recipe.batch, 2), "float32")
                 for _ in range(recipe.critic_steps + 1)]
        return [tensor(each) for each in real], [tensor(each) for each in noise]

    def step(self, t, batch):
        reals, (*noises, last) = batch
        for real, noise in zip(reals, noises):
            with no_grad():
                fake = self.generator(noise)
            cost = self.critic_cost(real, fake)
            critic, = descend((cost, self.d_adam))
        scores = self.critic(self.generator(last))
        real = self.critic(reals[-1]).detach() if self.recipe.game == "relativistic" else None
        generator, = descend((self.game.generator(scores, real), self.g_adam))
        self.average.update()
        return {"critic": critic, "generator": generator}

    def critic_cost(self, real, fake):
        """The game's cost, with R1 on the real points; their scores are computed once."""
        if not self.recipe.gamma:
            return self.game.discriminator(self.critic(real), self.critic(fake))
        scores, g = slopes(self.critic, real)
        penalty = self.recipe.gamma / 2 * mean_square_length(g)
        return self.game.discriminator(scores, self.critic(fake)) + penalty

    def play(self, callback: Callable[[Loop], object] | None = None) -> list[dict]:
        """Take all steps; returns the history.  Raises `training.Diverged` where a loss is NaN."""
        callback_of("play", callback, "of the Loop")
        self.moments = []
        self.history = Loop(
            self.step, self.batch, self.recipe.steps, schedule=self.recipe.schedule,
            parts={"generator": self.generator, "critic": self.critic, "average": self.average,
                   "g_adam": self.g_adam, "d_adam": self.d_adam},
            every=self.due, evaluate=self.measure, callback=callback, owner="gan.Laboratory").run()
        return self.history

    def due(self, t):
        """Rows after 1, 4, 9, … of rows² equal parts: dense at the start, where most happens."""
        part = self.recipe.steps / self.rows ** 2
        return t in {round(part * i * i) for i in range(1, self.rows + 1)}

    def points(self, n, what):
        """n samples of the average, in the unit's measure; `what` numbers their stream."""
        rng = np.random.default_rng([self.seed, check_seed("points", what), 77])
        return density.sample(self.average.average, n, rng)

    def samples(self) -> np.ndarray:
        """The points that are judged (judged, 2), in the shape's own measure."""
        return self.points(self.judged, 1) * self.shape.scale + self.shape.mean

    def measure(self, loop=None):
        """Modes and shares of the judged samples; V's bound and the Jensen–Shannon divergence.

        The bound and the divergence are those of the critic and the generator of this moment: by
        10,000 points of each kind, and by 40,000 samples counted in cells.
        """
        drawn = np.random.default_rng([self.seed, 2, 77])
        fake = density.sample(self.generator, 40000, drawn)
        real = self.unit.sample(10000, drawn)
        row = {"bound": theory.bound(self.value(real, fake[:10000])),
               "js": theory.jensen_shannon(self.real_masses,
                                           density.counted_masses(fake, self.counted))}
        judged = self.points(self.judged, 1)
        if self.unit.modal:
            row |= measures.modes(judged, self.unit.centres, self.unit.sigma)._asdict()
        if loop is not None:
            self.moments.append(Moment(loop.t, judged, self.probabilities(self.seen.middles)))
        return row

    def best(self, n=400000, side=80):
        """(cells, p, q): the masses of the data and of the generator's n samples in side² cells."""
        fake = density.sample(self.generator, n, np.random.default_rng([self.seed, 4, 77]))
        where = density.cells(self.seen.edges[-1], side)
        return where, density.real_masses(self.unit, where), density.counted_masses(fake, where)

    def distance_to_best(self, best, n=4000):
        """(E |D − D*| at n samples, whether q there is exact).

        Where G does not fold, q is φ(z) / |det ∂G/∂z|; else it is counted, as `best` gives it.
        """
        noise = np.random.default_rng([self.seed, 5, 77]).standard_normal((n, 2), "float32")
        pushed, (where, p, q) = density.push(self.generator, noise), best
        exact = pushed.folds == 0
        ideal = pushed.best(self.unit) if exact else \
            theory.best_discriminator(p, q)[where.of(pushed.x)]
        return float(np.abs(self.probabilities(pushed.x) - ideal).mean()), exact

    def value(self, real, fake):
        """V(D) = E log D(x) + E log(1 − D(G(z))) of the critic's scores."""
        def mean_softplus(scores):
            return np.logaddexp(0, scores).mean()
        return float(-mean_softplus(-self.scores(real)) - mean_softplus(self.scores(fake)))

    def scores(self, places: np.ndarray) -> np.ndarray:
        """s at places (…, 2) in the unit's measure."""
        places = numbers("scores", "places", places, "(…, 2)", "float32")
        flat = tensor(places.reshape(-1, 2))
        with no_grad():
            return self.critic(flat).numpy().astype(float).reshape(places.shape[:-1])

    def probabilities(self, places: np.ndarray) -> np.ndarray:
        """D = σ(s)."""
        return np.exp(-np.logaddexp(0, -self.scores(places)))

    def pulls(self, places: np.ndarray) -> np.ndarray:
        """Where the generator's cost pulls samples at places (N, 2): −N ∂cost/∂x, its descent."""
        places = numbers("pulls", "places", places, "(N, 2)", "float32")
        x = tensor(places, requires_grad=True)
        scores = self.critic(x)
        g, = grad(self.game.generator(scores, scores.detach()), x)
        return -len(places) * g.numpy().astype(float)

    def settings(self) -> dict:
        """What a run depends on, for a file of figures."""
        return {"shape": self.shape.name, "seed": self.seed} | asdict(self.recipe)
