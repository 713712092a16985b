"""What is measured of a trained generator, with and without classes."""
import numpy as np

from minidl.data import resize
from minidl.gan import measures
from minidl.gan.judge import accuracy, features, train_judge
from minidl.gan.pictures import samples

MOST = 5000         # pictures of each set, for distances between sets
LEARNED = 20000     # generated pictures that GAN-train learns from
SEEN = 16           # pixels a side, where there is no judge
STEPS = 1500        # of each classifier


def labelled(generator, source, *, seed=0, steps=STEPS, callback=None):
    """GAN-test and GAN-train, and the distances in the judge's features; a dictionary of numbers.

    source: has train, train_labels, test, test_labels: uint8 pictures and integers.
    Returns (figures, judge).
    """
    classes, rng = generator.classes, np.random.default_rng([seed, 21])
    judge = train_judge(source.train, source.train_labels, classes, steps=steps, seed=seed,
                        callback=callback)
    fake, fake_labels = samples(generator, LEARNED, rng)
    pupil = train_judge(fake, fake_labels, classes, steps=steps, seed=seed + 1, callback=callback)
    figures = {"judge_accuracy": accuracy(judge, source.test, source.test_labels),
               "gan_test": accuracy(judge, fake, fake_labels),
               "gan_train": accuracy(pupil, source.test, source.test_labels)}
    return figures | distances(fake, source, lambda x: features(judge, x), rng), judge


def unlabelled(generator, source, *, seed=0):
    """The distances alone, in pixels of pictures made smaller."""
    rng = np.random.default_rng([seed, 21])
    fake, _ = samples(generator, min(MOST, max(len(source.test), 2)), rng)
    return distances(fake, source, small_pixels, rng)


def small_pixels(pictures):
    """(N, SEEN² · C) in 0..1."""
    small = np.stack([resize(each, (SEEN, SEEN)) for each in pictures])
    return small.reshape(len(pictures), -1) / 255


def distances(fake, source, seen, rng):
    """Distances of generated pictures to held-out ones, and of training pictures to these.

    As many of each are compared, for the Fréchet distance depends on the number.
    """
    n = min(len(source.test), len(fake), len(source.train), MOST)
    held, train, made = (seen(each[rng.choice(len(each), n, replace=False)])
                         for each in (source.test, source.train, fake))
    figures = {"compared": n}
    if n < 5:
        return figures
    figures |= {"frechet": measures.frechet_distance(made, held),
                "frechet_floor": measures.frechet_distance(train, held)}
    for name, other in (("kid", made), ("kid_floor", train)):
        figures[name], figures[f"{name}_sd"] = measures.kernel_distance(other, held, rng=rng)
    figures |= dict(zip(("precision", "recall"), measures.precision_recall(held, made)))
    floors = measures.precision_recall(held, train)
    figures |= {"precision_floor": floors.precision, "recall_floor": floors.recall}
    everything = pixels(source.train)
    figures["memorisation_ratio"] = measures.memorisation(
        pixels(fake[:1000]), everything, pixels(source.test[:1000])).ratio
    return figures


def pixels(pictures):
    """(N, H · W · C) float32 in 0..1."""
    return pictures.reshape(len(pictures), -1).astype("float32") / 255


def nearest(fake, train):
    """The training pictures nearest to generated ones, in pixels."""
    return train[measures.nearest(pixels(fake), pixels(train))[0]]
