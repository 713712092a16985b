"""Volumes as pictures: three slices through the middle, and maps of what is where."""
from collections.abc import Sequence
import os
from pathlib import Path

import numpy as np

from minidl import visualize
from minidl.data import save_image
from minidl.nn import Sequential
from minidl.plots import COLOURS, check_matplotlib, panels_of, write
from minidl.visualize import TopPatches

CARD = 222              # the grey around three slices that belong together
ENLARGED = 4            # pixels of a voxel


def three_slices(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """The slices through the middle of a volume (X, Y, Z), across its third, second and first axis,
    on one square card of 2 s + 3 voxels a side, s the volume's longest, with its last corner empty:
    uint8 (H, H, 1), ENLARGED pixels for a voxel.  low, high: the values that become black and
    white."""
    middle = [n // 2 for n in volume.shape]
    shown = [volume[:, :, middle[2]], volume[:, middle[1], :], volume[middle[0], :, :]]
    side = max(volume.shape)
    sheet = np.full((2 * side + 3, 2 * side + 3), np.nan)
    for (row, column), part in zip(((1, 1), (1, side + 2), (side + 2, 1)), shown):
        part = part.T[::-1]                             # the first axis to the right
        sheet[row:row + part.shape[0], column:column + part.shape[1]] = part
    grey = 255 * np.clip((sheet - low) / ((high - low) or 1), 0, 1)
    grey = np.where(np.isnan(grey), CARD, np.rint(np.nan_to_num(grey))).astype(np.uint8)
    return np.kron(grey, np.ones((ENLARGED, ENLARGED), np.uint8))[..., None]


def examples(path: str | os.PathLike, rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]],
             title: str) -> str | os.PathLike:
    """A sheet of rows (heading, [(caption, volume (X, Y, Z)), …])."""
    low, high = _range([volume for _, row in rows for _, volume in row])
    save_image(path, visualize.draw_rows(title, [
        (heading, [(caption, three_slices(volume, low, high)) for caption, volume in row])
        for heading, row in rows]))
    return path


def pieces(path: str | os.PathLike, net: Sequential, volumes: Sequence[np.ndarray], layer: str,
           units: Sequence[int], title: str, names: Sequence[str]) -> TopPatches:
    """The nine sub-volumes that make each unit of a layer most active, a row for a unit, and their
    mean, whose noise is a third of theirs; each as three slices.  Returns the TopPatches.
    volumes: arrays (X, Y, Z, 1); names: of each.
    """
    found = visualize.top_patches(net, zip(names, volumes), layer, units, inside=True)
    rows = []
    for unit in units:
        cubes = [patch.shown(volumes[patch.picture])[..., 0] for patch in found.patches[unit]]
        captions = [f"{patch.activation:.2g} {patch.name}" for patch in found.patches[unit]]
        rows.append((f"unit {unit}", [("mean of the nine", np.mean(cubes, 0)),
                                      *zip(captions, cubes)]))
    size = found.field.size
    examples(path, rows, f"{title}; {layer}: a unit sees {size} x {size} x {size} voxels; above, "
             "beside and below: slices across the third, second and first axis")
    return found


def _range(volumes):
    """What is black and what white: one voxel in a hundred lies below, and one above."""
    return np.quantile(np.concatenate([each.ravel() for each in volumes]), (0.01, 0.99))


def maps(path: str | os.PathLike, slice_: np.ndarray, truth: np.ndarray, answers: np.ndarray,
         names: Sequence[str], title: str) -> Path:
    """A slice (X, Y) as the network sees it, what is there, what the network says, and where both
    differ; truth, answers: numbers of the names, −1 where nothing is asked."""
    check_matplotlib()
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch
    figure, axes = panels_of(1, 4, (17, 5.6))
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    tissues = {"cmap": ListedColormap(["white", *colours]), "vmin": -1, "vmax": len(names) - 1}
    wrong = np.where(truth < 0, 0, np.where(truth == answers, 1, 2))
    share = (wrong == 2).sum() / max(1, (truth >= 0).sum())
    for panel, values, options, words in (
            (axes[0], slice_, {"cmap": "gray"}, "what the network sees"),
            (axes[1], truth, tissues, "what is there"),
            (axes[2], answers, tissues, "what the network says"),
            (axes[3], wrong, {"cmap": ListedColormap(["white", "0.85", "#bb2222"]), "vmin": 0,
                              "vmax": 2},
             f"wrong: {share:.1%} of this slice")):
        panel.imshow(values.T, origin="lower", interpolation="nearest", **options)
        panel.set_title(words)
        panel.set_axis_off()
    figure.legend([Patch(color=colour) for colour in colours], names,
                  loc="outside lower center", ncols=len(names), frameon=False)
    figure.suptitle(title, fontsize=13)
    return write(path, figure)
