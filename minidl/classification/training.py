"""Training a classifier of signals or volumes, and asking it."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minidl import losses, nn, optim
from minidl.classification.checks import classes_of, examples_of
from minidl.data import GridAugmentation
from minidl.nn.module import evaluating
from minidl.operands import check_sizes
from minidl.recording import no_grad
from minidl.settings import bounded, callback_of, check_seed, of_kind
from minidl.tensor import tensor
from minidl.training import Loop, descend
from minidl.training.schedules import warm_up_cosine


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained: AdamW, its learning rate up a line and down half a cosine.

    epochs: how often each example is seen; batch: at most so many at once, in batches whose sizes
    differ by one at most; learning_rate: at its peak; augmentation: see `data.GridAugmentation`, or
    None.
    Raises ValueError for numbers that are out of range.
    """
    epochs: int = 60
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    augmentation: GridAugmentation | None = None

    def __post_init__(self):
        check_sizes("Recipe", epochs=self.epochs, batch=self.batch)
        bounded("Recipe", "0 < learning_rate < inf", self.learning_rate)
        bounded("Recipe", "0 ≤ weight_decay < inf", self.weight_decay)
        callback_of("Recipe", self.augmentation, "of a batch and a Generator", "augmentation")

    def with_epochs(self, epochs: int | None) -> "Recipe":
        """The same with so many epochs; None: with its own."""
        return self if epochs is None else replace(self, epochs=epochs)

    def steps(self, examples: int) -> int:
        """Of a training on so many examples."""
        check_sizes("Recipe", examples=examples)
        return self.epochs * -(-examples // self.batch)


def train(net: nn.Module, x: np.ndarray, labels: Sequence[int] | np.ndarray, recipe: Recipe, *,
          seed: int = 0, callback: Callable[[Loop], object] | None = None) -> Loop:
    """Train net on x (N, *S, C) and labels (N,): least mean cross-entropy.  Returns the Loop.

    Each epoch goes through all examples in a new order; batch t follows from the seed and t alone.
    Raises ValueError where labels and examples do not fit.
    """
    of_kind("train", "net", net, "a Module", nn.Module)
    of_kind("train", "recipe", recipe, "a Recipe", Recipe)
    x, seed = examples_of("train", x), check_seed("train", seed)
    labels = classes_of("train", labels, len(x))
    n = len(x)
    each = -(-n // recipe.batch)                            # steps of an epoch
    adam = optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)

    def batch(t):
        order = np.random.default_rng([seed, 1, t // each]).permutation(n)
        which = order[t % each::each]
        drawn = x[which]
        if recipe.augmentation is not None:
            drawn = recipe.augmentation(drawn, np.random.default_rng([seed, 2, t]))
        return tensor(drawn), tensor(labels[which])

    def step(t, drawn):
        x, y = drawn
        return descend((losses.cross_entropy(net(x), y), adam))[0]

    steps = recipe.steps(n)
    loop = Loop(step, batch, steps, parts={"net": net, "adam": adam}, every=each,
                schedule=lambda t: recipe.learning_rate * warm_up_cosine(t, steps),
                callback=callback, owner="classification.train")
    net.train()
    loop.run()
    return loop


def scores(net: nn.Sequential, x: np.ndarray, batch: int = 256) -> np.ndarray:
    """Scores (N, classes) of x (N, *S, C), on the host."""
    of_kind("scores", "net", net, "a Sequential", nn.Sequential)
    return outputs(net, x, net.names[-1], batch)


def outputs(net: nn.Sequential, x: np.ndarray, layer: str, batch: int = 256) -> np.ndarray:
    """What a layer gives for x (N, *S, C), on the host."""
    of_kind("outputs", "net", net, "a Sequential", nn.Sequential)
    x = examples_of("outputs", x)
    check_sizes("outputs", batch=batch)
    with no_grad(), evaluating(net):
        return np.concatenate([net(tensor(x[i:i + batch]), layers=[layer])[layer].numpy()
                               for i in range(0, len(x), batch)])


def active_units(net: nn.Sequential, x: np.ndarray, layer: str, count: int,
                 seed: int = 0) -> list[int]:
    """So many units of a layer (or all there are), drawn from those that are active somewhere in
    the first 256 of x."""
    x = examples_of("active_units", x)
    check_sizes("active_units", count=count)
    rng = np.random.default_rng(check_seed("active_units", seed))
    a = outputs(net, x[:256], layer)
    active = np.flatnonzero(a.reshape(-1, a.shape[-1]).max(0) > 0)
    return sorted(rng.permutation(active)[:count].tolist())
