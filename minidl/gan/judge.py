"""An independent judge: a classifier of real pictures that has seen neither player.

GAN-test: trained on real pictures, it reads generated ones: are they of the class asked for?
GAN-train: trained on generated ones, it reads real ones: do they show all that is in the data?
A generator that repeats one good picture of each class passes the first and fails the second.
Source: Shmelkov, Schmid and Alahari 2018.
"""
from collections.abc import Callable

import numpy as np

from minidl import backend, losses, nn, optim
from minidl.gan.training import to_network
from minidl.operands import check_labels, check_sizes, operand
from minidl.settings import callback_of, check_seed, numbers, of_kind, whole
from minidl.tensor import no_grad, tensor
from minidl.training import Loop, descend
from minidl.training.schedules import warm_up_cosine


class Judge(nn.Module):
    """Scores of classes for pictures (N, size, size, channels) in −1..1, from 128 features."""

    def __init__(self, size: int, channels: int, classes: int, *,
                 rng: np.random.Generator | int | None = None):
        check_sizes("Judge", channels=channels, classes=classes)
        rng, size = backend.generator(rng), whole("Judge", "4 ≤ size < inf", size)
        side = size // 2 // 2
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1, rng=rng), nn.MaxPool(2), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, rng=rng), nn.MaxPool(2), nn.ReLU(),
            nn.Flatten(), nn.Dense(side * side * 64, 128, rng=rng), nn.ReLU())
        self.drop, self.head = nn.Dropout(0.3, rng=rng), nn.Dense(128, classes, rng=rng)

    def forward(self, x):
        return self.head(self.drop(self.body(x)))


def train_judge(pictures: np.ndarray, labels: np.ndarray, classes: int, *, steps: int = 1500,
                batch: int = 64, seed: int = 0,
                callback: Callable[[Loop], object] | None = None) -> Judge:
    """A Judge in `eval()`, of uint8 pictures (N, size, size, C) and labels (N,), 0 to classes − 1.

    steps: of `batch` pictures each.  seed: of everything.
    Raises ValueError for other pictures or labels.
    """
    pictures = _checked("train_judge", pictures)
    check_sizes("train_judge", classes=classes, steps=steps, batch=batch)
    labels = operand("train_judge", labels, "labels")
    check_labels("train_judge", labels, classes)
    labels, seed = labels.numpy(), check_seed("train_judge", seed)
    callback_of("train_judge", callback, "of the Loop")
    if labels.shape != pictures.shape[:1]:
        raise ValueError(f"train_judge: {len(pictures)} pictures need as many labels, got "
                         f"{labels.shape}")
    judge = Judge(pictures.shape[1], pictures.shape[3], classes,
                  rng=np.random.default_rng([seed, 9]))
    adam = optim.Adam(judge.parameters())

    def draw(t):
        which = np.random.default_rng([seed, 8, t]).integers(len(pictures), size=batch)
        return tensor(to_network(pictures[which])), tensor(labels[which])

    def step(t, drawn):
        x, y = drawn
        return descend((losses.cross_entropy(judge(x), y), adam))[0]

    Loop(step, draw, steps, parts={"judge": judge, "adam": adam}, callback=callback,
         schedule=lambda t: 2e-3 * warm_up_cosine(t, steps), owner="train_judge").run()
    return judge.eval()


def _checked(operation, pictures):
    pictures = numbers(operation, "pictures", pictures, "(N, size, size, C)", None)
    if pictures.dtype != np.uint8 or pictures.shape[1] != pictures.shape[2] or not len(pictures):
        raise ValueError(f"{operation}: pictures must be uint8 (N, size, size, C), one or more, "
                         f"got {pictures.dtype} {pictures.shape}")
    return pictures


def _batches(operation, net, pictures, batch=250):
    pictures = _checked(operation, pictures)
    with no_grad():
        return np.concatenate([net(tensor(to_network(pictures[i:i + batch]))).numpy()
                               for i in range(0, len(pictures), batch)])


def accuracy(judge: Judge, pictures: np.ndarray, labels: np.ndarray) -> float:
    """The share of pictures whose class it reads."""
    of_kind("accuracy", "judge", judge, "a Judge", Judge)
    read, labels = _batches("accuracy", judge, pictures).argmax(1), np.asarray(labels)
    if labels.shape != read.shape:
        raise ValueError(f"accuracy: {len(read)} pictures need as many labels, got {labels.shape}")
    return float((read == labels).mean())


def features(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """(N, 128) float64: what it sees in pictures, for distances between sets of them."""
    of_kind("features", "judge", judge, "a Judge", Judge)
    return _batches("features", judge.body, pictures).astype(float)
