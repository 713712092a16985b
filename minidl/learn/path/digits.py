"""A network on digits: normalisation, dropout, how weights start."""
import numpy as np

from minidl.learn.domains import normal, positive
from minidl.learn.path.chapter import Chapter, derive, fault, misprint, program, write
from minidl.learn.source import Body, Returned
from minidl.learn.trials import Trial


def two_batches(m, x):
    """The running statistics of a layer that has seen two batches."""
    layer = m.BatchNorm(3, dtype=x.dtype)
    layer(x), layer(2 * x + 1)
    return [layer.running_mean, layer.running_variance]


BATCHES = Trial(two_batches, (normal(5, 3),), "after two batches,")

DIGITS = Chapter("9. A network on digits", (
    program("he-normal", "nn.initializers:he_normal", Returned(),
            Trial(lambda m: m.he_normal((3, 3, 4, 5), np.random.default_rng(0))),
            hints="_normal(standard deviation, shape, rng) draws; the docstring has the variance."),
    program("standardize-rule", "ops.normalization:standardize", Body(of="rule"),
            cases=("standardize",), hints="var(x, axes, keepdims=True) is σ²; m is how many "
                                          "elements a group has."),
    fault("moments-constant", "batch_statistics_as_constants"),
    fault("variance-constant", "batch_variance_as_a_constant"),
    derive("affine-x", "ops.normalization:_affine", "x", cases=("batch_norm",)),
    write("affine-a", "ops.normalization:_affine", "a", cases=("batch_norm",)),
    write("affine-mean", "ops.normalization:_affine", "mean", cases=("batch_norm",)),
    program("batch-norm-rule", "ops.normalization:_batch_norm_rule", Returned(),
            Trial(lambda m, gy, x, scale: m._batch_norm_rule(gy, x, scale, 0.1),
                  (normal(4, 3), normal(4, 3), positive(3)))),
    program("running-moments", "nn.normalization:BatchNorm.follow",
            Body("self.running_mean ="), BATCHES, also="nn.normalization:BatchNorm",
            hints="mean and variance are arrays (C,) of the batch; bring them into `dtype`."),
    misprint("momentum-exchanged", "nn.normalization:BatchNorm.follow",
             "(1 - m) * self.running_mean + m * mean", "m * self.running_mean + (1 - m) * mean",
             BATCHES, also="nn.normalization:BatchNorm"),
    program("dropout", "ops.normalization:dropped", Body("mask ="),
            *(Trial(lambda m, x, _r=rate: m.dropout(x, _r, rng=0), (normal(4, 5),),
                    f"with rate {rate}") for rate in (0.5, 0.2, 0.0)),
            Trial(lambda m, x: m.dropped(x, np.array([0.5, 0.25]), 0.5), (normal(2),),
                  "where a number equals the rate"),
            hints="keep(x, mask) is x where the mask holds, 0 elsewhere: an entry stays where its "
                  "number is at least `rate`.  backend.asarray(array, device=…) makes the mask's "
                  "array, on the device backend.device_of(x.data)."),
    fault("another-mask", "dropout_draws_another_mask"),
))
