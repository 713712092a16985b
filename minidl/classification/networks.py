"""Convolutional classifiers in 1, 2 and 3 dimensions: the same network, another number of axes."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minidl import nn
from minidl.backend import generator
from minidl.operands import check_sizes, listed
from minidl.settings import of_kind, whole

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Block(NamedTuple):
    """Convolution, batch norm, ReLU, and max-pooling where `pool` is above 1.

    filters: so many; kernel_size, pool: along every axis; padding: None keeps the size ("same")."""
    filters: int
    kernel_size: int
    pool: int = 1
    padding: int | None = None


def convnet(axes: int, channels: int, classes: int, blocks: Sequence[Block], *,
            size: int | None = None, dropout: float = 0.3,
            rng: np.random.Generator | int) -> nn.Sequential:
    """A `nn.Sequential` from x (N, *S, channels) of so many axes to scores (N, classes).

    blocks: `Block`s, whose layers are named conv1, norm1, relu1, pool1, conv2, …
    size: of the input along each axis.  Where it is given, the last block's places are flattened,
        so that the scores know where something is; otherwise they are averaged: what is there
        counts, and the input may be of any size.
    Raises ValueError for axes other than 1, 2 and 3, sizes below 1, and where nothing is left of
    the input.
    """
    rng, layers, convolution = generator(rng), {}, _convolution("convnet", axes)
    check_sizes("convnet", channels=channels, classes=classes)
    if size is not None:
        check_sizes("convnet", size=size)
    for i, block in enumerate(listed("convnet", "blocks", blocks, "Blocks"), 1):
        filters, kernel, pool, padding = of_kind("convnet", "a block", block, "a Block", Block)
        check_sizes("Block", filters=filters, kernel_size=kernel, pool=pool)
        same = padding is None
        around = 0 if same else whole("Block", "0 ≤ padding < inf", padding)
        layers[f"conv{i}"] = convolution(channels, filters, kernel, bias=False, rng=rng,
                                         padding="same" if same else around)
        layers[f"norm{i}"], layers[f"relu{i}"] = nn.BatchNorm(filters), nn.ReLU()
        if pool > 1:
            layers[f"pool{i}"] = nn.MaxPool(pool)
        if size is not None:
            size = (size if same else size + 2 * around - kernel + 1) // pool
            if size < 1:
                raise ValueError(f"convnet: nothing is left of the input behind block {i}, {block}")
        channels = filters
    if size is None:
        layers["mean"] = nn.GlobalAveragePool()
    else:
        layers["flatten"], channels = nn.Flatten(), channels * size ** axes
    layers["dropout"] = nn.Dropout(dropout, rng=rng)
    layers["scores"] = nn.Dense(channels, classes, rng=rng)
    return nn.Sequential(layers)


def lecture_net(axes: int, *, rng: np.random.Generator | int) -> nn.Sequential:
    """The lecture's two convolutions, for a signal (14 steps), a picture or a volume (14³):

        14 × 1 ∗ 5 × 1, 16 filters → 10 × 16 ∗ 5 × 16, 32 filters → 6 × 32
        14³ × 1 ∗ 5³ × 1, 16 filters → 10³ × 16 ∗ 5³ × 16, 32 filters → 6³ × 32

    since without padding a side of n becomes n − 5 + 1.
    Source: deeplearning.ai, Convolutional Neural Networks, week 4, "1D and 3D generalizations".

    >>> print(nn.summary(lecture_net(3, rng=0), (14, 14, 14, 1)))
    layer                output shape        size  parameters
    input                (14, 14, 14, 1)    2,744           0
    layers.conv1 Conv3d  (10, 10, 10, 16)  16,000       2,016
    layers.conv2 Conv3d  (6, 6, 6, 32)      6,912      64,032
    total 66,048 parameters
    """
    convolution, rng = _convolution("lecture_net", axes), generator(rng)
    return nn.Sequential({"conv1": convolution(1, 16, 5, rng=rng),
                          "conv2": convolution(16, 32, 5, rng=rng)})


def _convolution(owner, axes):
    """The layer for so many axes; raises ValueError for others than 1, 2 and 3."""
    return CONVOLUTIONS[whole(owner, "1 ≤ axes ≤ 3", axes)]
