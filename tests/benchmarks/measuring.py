"""Taking turns with the clock."""
import gc
import math
import time

import numpy as np

from .libraries import load, synchronize

# seconds of calls before each sample: so long do cores that were idle take to run at full speed
WARM = 0.1
SHORTEST = 0.1          # seconds of one sample
PAUSE = 0.005           # seconds before each, in which the threads of the last one go to sleep


def interleaved(steps, repeat):
    """{name: [seconds of one call] * repeat}: A B C, A B C, …
        Every step should have been called before."""
    once = {name: seconds(step) for name, step in steps.items()}
    samples = {name: [] for name in steps}
    for _ in range(repeat):
        gc.collect()
        for name, step in steps.items():
            samples[name].append(seconds(step, math.ceil(SHORTEST / once[name]),
                                         math.ceil(WARM / once[name])))
    return samples


def seconds(step, calls=1, before=0):
    """Seconds that one call takes, the mean over several, with the cyclic garbage collector out of
    the way.

    before: calls that do not count, which wake the cores up and bring back to the cache what the
        others have driven out.
    """
    gc.disable()
    time.sleep(PAUSE)
    try:
        for _ in range(before):
            step()
        synchronize()
        started = time.perf_counter()
        for _ in range(calls):
            step()
        synchronize()
        return (time.perf_counter() - started) / calls
    finally:
        gc.enable()


def summary(samples):
    """Median and quartiles of the samples, and the samples."""
    lower, median, upper = np.percentile(samples, [25, 50, 75])
    return {"median": median, "lower": lower, "upper": upper, "samples": samples}


def count_operations(step):
    """(what the step gives, its multiplications and additions in convolutions and matrix products,
    as PyTorch counts)."""
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as counter:
        result = step()
    return result, counter.get_total_flops()


def matrix_product(device):
    """(step, operations): a product of two square float32 matrices, by which rates are judged."""
    size = 4096 if device == "gpu" else 1024
    xp = load("cupy") if device == "gpu" else np
    a = xp.ones((size, size), "float32")
    return lambda: xp.matmul(a, a), 2 * size ** 3
