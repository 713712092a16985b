"""Random arrays for tests of kernels, and what two results of different algorithms may differ
by."""
import numpy as np

from minidl.kernels.fast import winograd


def drawn(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(a, b, tolerance=winograd.ERROR):
    assert a.shape == b.shape and a.dtype == b.dtype
    # a sum may cancel; its terms are of size 1
    assert np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max())
