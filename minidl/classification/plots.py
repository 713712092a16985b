"""What was taken for what."""
from collections.abc import Sequence
import os
from pathlib import Path

import numpy as np

from minidl.classification.measures import confusion
from minidl.plots import panels_of, write


def confusion_table(path: str | os.PathLike, labels: Sequence[int] | np.ndarray,
                    answers: Sequence[int] | np.ndarray, names: Sequence[str], title: str) -> Path:
    """Counts: a row for each class, a column for each answer; darker, a larger share of the row."""
    counts = confusion(labels, answers, len(names))
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    figure, (axes,) = panels_of(1, 1, (2.2 + 0.62 * len(names), 1.9 + 0.55 * len(names)))
    axes.grid(False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if count:
                axes.text(j, i, f"{count:,}", ha="center", va="center", fontsize=9,
                          color="white" if shares[i, j] > 0.5 else "black")
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.set(xlabel="what the network says", ylabel="what it is")
    axes.set_title(title, fontsize=11)
    return write(path, figure)
