"""The one-shot examination: of N new characters one example each; to which does this picture
belong?

Source: Lake, Salakhutdinov and Tenenbaum 2015 (Omniglot: 20 runs, 20 characters each).
"""
from dataclasses import dataclass

import numpy as np

from minidl import backend
from minidl.data.omniglot import Run
from minidl.faces.evaluation import wilson_interval
from minidl.oneshot.episodes import VIEWS, check_characters, distances
from minidl.operands import check_sizes
from minidl.settings import having, labels_of, numbers, whole


@dataclass(frozen=True, eq=False)
class OneShot:
    """accuracies: (runs,) share of right answers in each; accuracy: their mean; interval: Wilson's
    95 % of all pooled."""
    accuracy: float
    interval: tuple
    accuracies: np.ndarray

    @property
    def error(self):
        return 1 - self.accuracy


def one_shot(*runs):
    """N-way one-shot classification: a query is taken for the class whose single example is
    nearest.

    runs: (distances (Q, N) from queries to the N examples, answers (Q,) the column of the right
        one) for each run; Omniglot has 20 of 20 × 20.  Where several examples are equally near,
        each is taken with the same chance: a right answer among t of them counts 1/t, so that an
        encoder which gives one encoding to all scores 1/N.
    Gives a OneShot.
    """
    accuracies, right, trials = [], 0.0, 0
    for run in runs:
        if not isinstance(run, (tuple, list)) or len(run) != 2:
            raise TypeError("one_shot: a run must be (distances, answers), got "
                            f"{type(run).__name__}")
        table = numbers("one_shot", "distances", run[0])
        answers = numbers("one_shot", "answers", run[1], dtype=None)
        if table.ndim != 2 or answers.shape != table.shape[:1] or 0 in table.shape:
            raise ValueError("one_shot: distances (Q, N) need answers (Q,), got "
                             f"{table.shape} and {answers.shape}")
        if answers.dtype.kind not in "iu" or not (0 <= answers.min() <= answers.max()
                                                  < table.shape[1]):
            raise ValueError(f"one_shot: answers must be columns 0 to {table.shape[1] - 1}")
        if np.isnan(table).any():
            raise ValueError(f"one_shot: {np.isnan(table).sum()} distances are not numbers")
        nearest = table == table.min(1, keepdims=True)
        scores = nearest[np.arange(len(answers)), answers] / nearest.sum(1)
        accuracies.append(scores.mean())
        right, trials = right + scores.sum(), trials + len(scores)
    if not runs:
        raise ValueError("one_shot: needs at least one run")
    return OneShot(float(np.mean(accuracies)), wilson_interval(right, trials), np.array(accuracies))


def draw_one_shot(labels, ways, trials, rng):
    """Indices (examples (trials, ways), queries (trials, ways)): in each trial `ways` classes, and
    of each class two different pictures, an example and a query; column i of both is one class, so
    the answers are 0 … ways − 1.

    labels: (N,).  rng: a numpy Generator or a seed.  Raises ValueError where fewer classes have two
        pictures.
    """
    rng, labels = backend.generator(rng), labels_of("draw_one_shot", labels)
    ways = whole("draw_one_shot", "2 ≤ ways < inf", ways)
    check_sizes("draw_one_shot", trials=trials)
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    classes = [members for members in classes if len(members) > 1]
    if ways > len(classes):
        raise ValueError(f"draw_one_shot: {ways} ways need as many classes with two pictures; "
                         f"{len(classes)} have")
    drawn = [[rng.choice(classes[c], 2, replace=False)
              for c in rng.choice(len(classes), ways, replace=False)]
             for _ in range(trials)]
    return tuple(np.array(drawn, dtype=int).reshape(trials, ways, 2).transpose(2, 0, 1))


def examine(encoder, runs, views=VIEWS):
    """The OneShot of runs {name: Run}: accuracy, its interval, and the accuracies of the single
    runs, in their order."""
    having("examine", "runs", runs, "a dictionary {name: Run}", "values")
    for run in runs.values():
        having("examine", "a run", run, "a Run, as read_runs gives it", "training", "test",
               "answers")
    return one_shot(*((distances(encoder, run.training, run.test, views), run.answers)
                      for run in runs.values()))


def draw_runs(characters, count, classes, seed):
    """`count` runs in the manner of Omniglot's, {"run01": Run, …}: `classes` characters (fewer
    where there are fewer) of one alphabet, alphabet after alphabet, two pictures of each: an
    example and a test.

    seed: a Generator or an integer.  Raises ValueError where a character has one picture alone.
    """
    check_characters("draw_runs", characters)
    check_sizes("draw_runs", count=count, classes=classes)
    counts = np.bincount(characters.labels)
    if counts.min(initial=2) < 2:
        raise ValueError(f"draw_runs: {characters.names[counts.argmin()]} has fewer than 2 "
                         "pictures, an example and a test")
    rng, alphabets = backend.generator(seed), np.array(characters.alphabets())
    names, runs = list(dict.fromkeys(alphabets)), {}
    for number in range(count):
        own = np.flatnonzero(alphabets == names[number % len(names)])
        labels = rng.permutation(own)[:classes]
        pairs = [rng.choice(np.flatnonzero(characters.labels == label), 2, replace=False)
                 for label in labels]
        order = rng.permutation(len(labels))
        examples, tests = characters.pictures[np.transpose(pairs)]
        runs[f"run{number + 1:02}"] = Run(examples, tests[order], order)
    return runs
