"""Training of a generator and a discriminator of pictures, in `minidl.training`'s loop.

A step, both players with the same generated batch:

    x, y    real pictures with their classes;    z, y'    noise and classes for the generator
    1. the discriminator goes down its cost on s(T(x), y) and s(T(G(z, y')), y'), with R1 or not
    2. the generator goes down its own on s(T(G(z, y')), y'), by the discriminator that has moved
    3. the average of G follows

T is DiffAugment, or nothing.  R1 is computed in every `lazy`-th step only, and `lazy` times as
strong there: the same mean for one `lazy`-th of its cost (Karras et al. 2020).
The average of G holds the averages of its running statistics, too: weights with the statistics of
others give greyed or glaring pictures.
"""
from collections.abc import Callable
from dataclasses import asdict, dataclass
import os
import zlib

import numpy as np

from minidl.gan.diffaugment import DiffAugment
from minidl.gan.games import game
from minidl.gan.monitor import Monitor
from minidl.gan.networks import Discriminator, Generator
from minidl.gan.penalties import check_uncoupled, mean_square_length, slopes
from minidl.operands import check_sizes, function, listed
from minidl.optim import Adam
from minidl.settings import betas_of, bounded, callback_of, check_seed, having, numbers, of_kind
from minidl.tensor import no_grad, tensor
from minidl.training import EMA, Loop, descend, jointly


@dataclass(frozen=True)
class PictureRecipe:
    """How pictures are learned.

    game: see `games.GAMES`.  gamma: of R1 at real pictures, 0 for none, in every `lazy`-th step.
    batch: pictures of each kind.  learning_rate, betas: Adam's of both; from the share `flat` of
    the steps on, the rate falls to 0 along a line.  ema: decay of the average of G.  augment: parts
    of DiffAugment.
    """
    game: str = "non-saturating"
    gamma: float = 0.1
    lazy: int = 8
    steps: int = 5000
    batch: int = 64
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.0, 0.99)
    flat: float = 0.6
    ema: float = 0.999
    augment: tuple[str, ...] = ()

    def __post_init__(self):
        game(self.game)
        DiffAugment(*listed("PictureRecipe", "augment", self.augment, "parts of DiffAugment"))
        check_sizes("PictureRecipe", steps=self.steps, batch=self.batch, lazy=self.lazy)
        bounded("PictureRecipe", "0 ≤ gamma < inf", self.gamma)
        bounded("PictureRecipe", "0 ≤ learning_rate < inf", self.learning_rate)
        bounded("PictureRecipe", "0 ≤ ema < 1", self.ema)
        betas_of("PictureRecipe", self.betas)
        bounded("PictureRecipe", "0 ≤ flat < 1", self.flat)

    def schedule(self, t: int) -> float:
        left = (self.steps - t) / (self.steps * (1 - self.flat))
        return self.learning_rate * min(1.0, left)


class Album:
    """Pictures of the same noise, seen at several steps; a checkpoint keeps them, too."""

    def __init__(self):
        self.pages = {}                                 # step → uint8 (N, H, W, C)

    def state_dict(self):
        return {str(step): page for step, page in self.pages.items()}

    def load_state_dict(self, state):
        pages = {int(step): page.numpy() if hasattr(page, "numpy") else page
                 for step, page in state.items()}
        if any(page.dtype != np.uint8 or page.ndim != 4 for page in pages.values()):
            raise ValueError("its album holds something other than pictures")
        self.pages = dict(sorted(pages.items()))


class Training:
    """A run.  `run()` takes the steps that are left, and returns the history.

    generator, discriminator: as `networks.py` makes them, of one size and one number of classes.
    pictures: uint8 (N, H, W, C); labels: integers (N,), or None.
    checkpoint: a path, from which the run goes on to the same bits; every: steps between its
    writings, and rows of the history.  pages: how many pictures of the same noise are kept in
    `album`; shown: (noise, labels) that they are made of.
    average: G averaged.  warnings: see `Monitor`.  identity: what else a checkpoint must be of.
    Raises ValueError for pictures or labels that do not fit the networks, and for R1 of a
    discriminator with batch norm.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, pictures: np.ndarray,
                 labels: np.ndarray | None = None, recipe: PictureRecipe = PictureRecipe(), *,
                 seed: int = 0, checkpoint: str | os.PathLike | None = None, every: int = 100,
                 pages: int = 24, shown: tuple | None = None, identity: dict | None = None):
        of_kind("gan.Training", "recipe", recipe, "a PictureRecipe", PictureRecipe)
        of_kind("gan.Training", "identity", identity, "a dictionary or None", dict, type(None))
        check_sizes("gan.Training", every=every, pages=pages)
        seed = check_seed("gan.Training", seed)
        if shown is not None and not (isinstance(shown, tuple) and len(shown) == 2):
            raise TypeError("gan.Training: shown must be (noise, labels) or None, got "
                            f"{type(shown).__name__}")
        self.pictures, self.labels = check_pictures(generator, discriminator, pictures, labels)
        if recipe.gamma:
            check_uncoupled(discriminator)
        self.generator, self.discriminator = generator, discriminator
        self.recipe, self.seed, self.game = recipe, seed, game(recipe.game)
        self.augment, self.monitor, self.album = DiffAugment(*recipe.augment), Monitor(), Album()
        self.average = EMA(generator, recipe.ema, ramp=True)
        self.g_adam, self.d_adam = (
            Adam(net.parameters(), recipe.learning_rate, betas=recipe.betas)
            for net in (generator, discriminator))
        self.shown = shown
        self.turned = {round(recipe.steps * (i / pages) ** 2) for i in range(1, pages + 1)}
        self.checkpoint, self.every = checkpoint, every
        self.identity = asdict(recipe) | {
            "seed": seed, "generator": generator.settings, "pictures": self.pictures.shape,
            "data": zlib.crc32(self.pictures.tobytes()),
            "labels": None if labels is None else zlib.crc32(self.labels.tobytes())
        } | (identity or {})

    def batch(self, t):
        """Real pictures, their classes; noise, its classes; a Generator for T."""
        rng, n = np.random.default_rng([self.seed, t]), self.recipe.batch
        which, others = rng.integers(len(self.pictures), size=(2, n))
        noise = rng.standard_normal((n, self.generator.noise), "float32")
        return (tensor(to_network(self.pictures[which])), self.classes(which),
                tensor(noise), self.classes(others), rng)

    def classes(self, which):
        return None if self.labels is None else tensor(self.labels[which])

    def step(self, t, batch):
        real, y, noise, y_fake, changes = batch
        fake = jointly(self.generator, noise, y_fake)

        def score(x, classes):
            return self.discriminator(self.augment(x, changes), classes)

        penalty = 0.0
        if self.recipe.gamma and t % self.recipe.lazy == 0:
            r, g = jointly(lambda x, y: slopes(lambda x: score(x, y), x), real, y)
            penalty = self.recipe.lazy * self.recipe.gamma / 2 * mean_square_length(g)
        else:
            r = jointly(score, real, y)
        f = jointly(score, fake.detach(), y_fake)
        critic, = descend((self.game.discriminator(r, f) + penalty, self.d_adam))
        again = (jointly(score, real, y).detach() if self.recipe.game == "relativistic" else None)
        artist, = descend((self.game.generator(jointly(score, fake, y_fake), again), self.g_adam))
        self.average.update()
        self.monitor.look(r.numpy(), f.numpy(), real.numpy(), fake.numpy())
        return {"critic": critic, "generator": artist, "right": self.monitor.right,
                "alike": self.monitor.alike}

    def run(self, callback: Callable[[Loop], object] | None = None) -> list[dict]:
        """Take the steps that are left.  Raises what `training.Loop` raises."""
        callback_of("gan.Training", callback, "of the Loop")

        def look(loop):
            if self.shown is not None and loop.t in self.turned:
                self.album.pages[loop.t] = draw(self.average.average, *self.shown)
            if callback:
                callback(loop)

        parts = {"generator": self.generator, "discriminator": self.discriminator,
                 "average": self.average, "g_adam": self.g_adam, "d_adam": self.d_adam,
                 "monitor": self.monitor, "album": self.album}
        self.loop = Loop(
            self.step, self.batch, self.recipe.steps, parts=parts, every=self.every,
            schedule=self.recipe.schedule, monitor=lambda loop: self.monitor.warning(),
            callback=look, checkpoint=self.checkpoint, identity=self.identity,
            owner="gan.Training")
        return self.loop.run()


def to_network(pictures: np.ndarray) -> np.ndarray:
    """uint8 0..255 → float32 −1..1."""
    return pictures.astype("float32") / 127.5 - 1


def to_pictures(x: np.ndarray) -> np.ndarray:
    """−1..1 → uint8 0..255, rounded."""
    return np.rint(np.clip((np.asarray(x) + 1) * 127.5, 0, 255)).astype(np.uint8)


def draw(generator: Generator, noise: np.ndarray, labels: np.ndarray | None = None,
         batch: int = 100) -> np.ndarray:
    """uint8 pictures of noise (N, noise) and labels (N,), a batch at a time.

    In `eval()` (an average is) a picture depends on its own noise alone, not on the batch.
    Raises ValueError for no noise, or labels of another number.
    """
    function("draw", "generator", generator, "of noise and labels")
    noise = numbers("draw", "noise", noise, "(N, noise)", None)
    check_sizes("draw", batch=batch)
    if len(noise) == 0 or labels is not None and np.shape(labels) != noise.shape[:1]:
        raise ValueError(f"draw: noise {noise.shape} must be of one picture or more, labels None "
                         f"or as many, got {np.shape(labels) if labels is not None else None}")
    with no_grad():
        return to_pictures(np.concatenate([
            generator(tensor(noise[i:i + batch]),
                      None if labels is None else tensor(labels[i:i + batch])).numpy()
            for i in range(0, len(noise), batch)]))


def check_pictures(generator, discriminator, pictures, labels):
    """The arrays; raises ValueError where they do not fit the networks or each other."""
    having("gan.Training", "generator", generator, "a gan.Generator", "size", "channels", "classes",
           "noise", "settings", "parameters")
    having("gan.Training", "discriminator", discriminator, "a gan.Discriminator", "size",
           "channels", "classes", "parameters")
    pictures = numbers("gan.Training", "pictures", pictures, dtype=None)
    expected = (generator.size, generator.size, generator.channels)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != expected:
        raise ValueError("gan.Training: pictures must be uint8 "
                         f"(N, {', '.join(map(str, expected))}), as the generator makes them, got "
                         f"{pictures.dtype} {pictures.shape}")
    if len(pictures) < 2:
        raise ValueError(f"gan.Training: {len(pictures)} picture is no distribution to learn; give "
                         "two or more")
    theirs = discriminator.size, discriminator.channels, discriminator.classes
    if theirs != (generator.size, generator.channels, generator.classes):
        raise ValueError(f"gan.Training: the discriminator looks at (size, channels, classes) "
                         f"{theirs}, the generator makes "
                         f"{(generator.size, generator.channels, generator.classes)}")
    if (labels is None) != (generator.classes == 0):
        raise ValueError(f"gan.Training: the networks know {generator.classes} classes; labels "
                         "must " + ("be None" if generator.classes == 0 else "be given"))
    if labels is not None:
        labels = numbers("gan.Training", "labels", labels, dtype=None)
        if labels.dtype.kind not in "iu" or labels.shape != pictures.shape[:1]:
            raise ValueError(f"gan.Training: {len(pictures)} pictures need as many whole numbers "
                             f"as labels, got {labels.dtype} {labels.shape}")
        if labels.min() < 0 or labels.max() >= generator.classes:
            raise ValueError(f"gan.Training: labels lie between {labels.min()} and {labels.max()}; "
                             f"the networks know 0 to {generator.classes - 1}")
    return pictures, labels
