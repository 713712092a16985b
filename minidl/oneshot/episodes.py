"""Learning to recognise from ONE example: training in episodes, each a small examination.

An episode shows a network classes that it may never see again, one example of each, and asks to
which of them other pictures belong.  What it learns is to compare; so it also compares characters
of alphabets that it has never seen.
Sources: Vinyals et al. 2016 (matching networks), Snell, Swersky and Zemel 2017 (prototypical
networks).
"""
from collections import namedtuple
import copy
import math

import numpy as np

from minidl import backend, losses, ops, optim
from minidl.data.handwriting import SYMMETRIES, Handwriting, Ink
from minidl.nn.module import evaluating
from minidl.operands import check_sizes, function, operand
from minidl.recording import no_grad
from minidl.settings import bounded, callback_of, having, numbers, whole
from minidl.tensor import Tensor
from minidl.training import Loop, descend, jointly
from minidl.training.schedules import cosine, warm_up

VIEWS = [(0, 0, 1), (-9, 0, 1), (9, 0, 1), (0, -0.2, 1), (0, 0.2, 1), (0, 0, 0.88), (0, 0, 1.13)]
"""(degrees, slant, zoom) of the looks that `encode_characters` takes at a picture."""


class Step(namedtuple("Step", "number loss accuracy learning_rate")):
    """One step of training: number from 1, loss, share of the episode's questions answered rightly,
    and η."""
    __slots__ = ()


def episode_loss(encodings, scale=20.0):
    """How badly pictures find their class by one example: (loss, share of right answers), both
    scalars.

    encodings z (C, K, D), of length 1: K ≥ 2 pictures of each of C classes.  Every picture is in
    turn a question, and the j-th pictures of all classes are in turn the examples:
        ℓ(c, k; j) = −log softmax_c'(s ⟨z_ck, z_c'j⟩)_c,   k ≠ j;   the loss is the mean.
    As ‖a − b‖² = 2 − 2⟨a, b⟩, these are the prototypical network's logits −s d²/2, but for the
    constant s, which softmax ignores.
    """
    z = operand("episode_loss", encodings, "encodings")
    scale = bounded("episode_loss", "0 < scale < inf", scale)
    if z.ndim != 3 or z.shape[1] < 2:
        raise ValueError("episode_loss: encodings must be (C, K, D) with two pictures or more of "
                         f"a class, got {z.shape}")
    classes, pictures = z.shape[:2]
    labels = Tensor(np.arange(classes), device=z.device)
    loss, right = 0.0, 0.0
    for j in range(pictures):
        for k in range(pictures):
            if j != k:
                logits = scale * (z[:, k] @ ops.transpose(z[:, j]))
                loss = loss + losses.cross_entropy(logits, labels)
                right += float(ops.mean((ops.argmax(logits.detach(), -1)
                                         == labels).astype("float32")))
    asked = pictures * (pictures - 1)
    return loss * (1 / asked), right / asked


def train(encoder, characters, *, steps, classes=60, pictures=2, learning_rate=2e-3, scale=20.0,
          symmetries=8, handwriting=Handwriting(), seed=0, callback=None):
    """Train an encoder on `steps` episodes drawn from Characters.

    Each character, turned by 90°, 180°, 270° and mirrored, makes `symmetries` (1, 4 or 8) classes;
    an episode is `pictures` pictures of each of `classes` of them, each as another hand might have
    written it (`handwriting`). Adam; η rises over the first hundredth of the steps and falls along
    a cosine to 0. callback(Step) is called after each, and may raise StopIteration to end the run.
    Returns the list of Steps.
    seed: a numpy Generator or an integer.
    Raises ValueError where there are fewer classes, a character has too few pictures, or the loss
    or the weights are no longer finite.
    """
    _check_encoder("train", encoder)
    check_characters("train", characters)
    learning_rate = bounded("train", "0 ≤ learning_rate < inf", learning_rate)
    function("train", "handwriting", handwriting, "(ink, which, symmetries, size, rng)")
    callback_of("train", callback, "of a Step")
    rng, ink = backend.generator(seed), Ink(characters.pictures)
    places = [np.flatnonzero(characters.labels == label) for label in range(len(characters.names))]
    _check(characters.names, places, steps, classes, pictures, symmetries)
    optimizer, history = optim.Adam(encoder.parameters(), learning_rate), []

    def rate(t):                                # both at t + ½, the middle of step t
        return learning_rate * warm_up(t - 0.5, steps / 100) * cosine(t + 0.5, steps)

    def draw(rng):
        drawn = rng.choice(len(places) * symmetries, classes, replace=False)
        which = np.concatenate([rng.choice(places[c // symmetries], pictures, replace=False)
                                for c in drawn])
        turns = np.repeat(SYMMETRIES[drawn % symmetries], pictures, axis=0)
        return handwriting(ink, which, turns, encoder.size, rng)

    def step(t, x):
        z = jointly(encoder, Tensor(x))
        loss, right = episode_loss(ops.reshape(z, (classes, pictures, z.shape[-1])), scale)
        value, = descend((loss, optimizer))
        return {"loss": value, "accuracy": right}

    def note(loop):
        history.append(Step(loop.t, **loop.measures, learning_rate=optimizer.learning_rate))
        if callback is not None:
            callback(history[-1])

    encoder.train()
    batches = _InTurn(draw, rng)
    loop = Loop(step, batches, steps, parts={"encoder": encoder, "optimizer": optimizer},
                schedule=rate, callback=note, owner="train")
    loop.run()
    rng.bit_generator.state = batches.states[loop.t]        # a Generator given goes on from here
    encoder.eval()
    if loop.stopped == "interrupted":
        raise KeyboardInterrupt
    return history


class _InTurn:
    """Batches drawn by draw(rng), one after the other, from (a copy of) one Generator.

    The state in which each begins is remembered, so batch t is the same however often, and in
    whatever order, it is asked for.
    """

    def __init__(self, draw, rng):
        self.draw, self.rng, self.states = draw, copy.deepcopy(rng), [rng.bit_generator.state]

    def __call__(self, t):
        for earlier in range(len(self.states) - 1, t):
            self(earlier)
        self.rng.bit_generator.state = self.states[t]
        batch = self.draw(self.rng)
        self.states[t + 1:t + 2] = [self.rng.bit_generator.state]
        return batch


def _check_encoder(operation, encoder):
    having(operation, "encoder", encoder, "a Module with a size, as models.CharacterEncoder",
           "size", "parameters", "named_modules", "__call__")


def check_characters(operation, characters):
    """Raise TypeError for what are no Characters."""
    having(operation, "characters", characters, "Characters, as read_characters gives them",
           "pictures", "labels", "names", "alphabets")


def _check(names, places, steps, classes, pictures, symmetries):
    check_sizes("train", steps=steps, classes=classes)
    whole("train", "2 ≤ pictures < inf", pictures)
    if whole("train", "1 ≤ symmetries < inf", symmetries) not in (1, 4, 8):
        raise ValueError("train: symmetries must be 1, 4 (turned) or 8 (and mirrored), got "
                         f"{symmetries}")
    most = len(places) * symmetries
    if not 2 <= classes <= most:
        raise ValueError(f"train: expected 2 to {most} classes ({len(places)} characters × "
                         f"{symmetries}), got {classes}")
    poor = [name for name, own in zip(names, places) if len(own) < pictures]
    if poor:
        raise ValueError(f"train: {poor[0]} has fewer than {pictures} pictures; episodes need so "
                         "many of each character")


def encode_characters(encoder, pictures, views=VIEWS):
    """Encodings (N, D) on the host: the mean over slightly turned, slanted and zoomed views of each
    picture, brought to length 1.

    pictures: uint8 (N, H, W), dark ink on white.  views: see VIEWS; the first alone is the picture
        as it is.
    """
    _check_encoder("encode_characters", encoder)
    views = numbers("encode_characters", "views", views, "(V, 3)", finite=True)
    if not len(views):
        raise ValueError("encode_characters: views must be one or more (degrees, slant, zoom), got "
                         "none")
    ink, total = Ink(pictures), 0.0
    with evaluating(encoder), no_grad():
        for degrees, slant, zoom in views:
            cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            matrix = zoom * np.array([[cos, -sin], [sin, cos]]) @ [[1, 0], [slant, 1]]
            maps = np.concatenate([matrix, np.zeros((2, 1))], axis=1)
            total = total + np.concatenate([_encode(encoder, ink, which, maps)
                                            for which in _blocks(len(pictures))])
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def _encode(encoder, ink, which, maps):
    return encoder(Tensor(ink.view(which, encoder.size,
                                   np.repeat(maps[None], len(which), axis=0)))).numpy()


def _blocks(n, length=256):
    return [np.arange(start, min(start + length, n)) for start in range(0, n, length)]


def distances(encoder, examples, questions, views=VIEWS):
    """1 − ⟨f(x), f(x')⟩ from questions (M, H, W) to examples (C, H, W): (M, C), half the squared
    distance of encodings.

    Each question's class is that of its nearest example, whatever the other questions are.
    """
    questions, examples = (encode_characters(encoder, x, views) for x in (questions, examples))
    return 1 - questions @ examples.T
