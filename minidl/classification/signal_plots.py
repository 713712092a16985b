"""Signals as pictures: lines, or for many channels a map, orange above 0 and violet below."""
from collections.abc import Sequence
import os
from pathlib import Path

import numpy as np

from minidl import visualize
from minidl.classification.saliency import score_gradient
from minidl.data import Recording
from minidl.nn import Module, Sequential
from minidl.operands import check_sizes
from minidl.plots import COLOURS, check_matplotlib, panels_of, write
from minidl.visualize import TopPatches

LINES = 6               # channels, above which they are drawn as a map
ROW, ROWS = 11, 12      # seconds of a recording in one row; so many rows
CONTRAST = 0.995        # of the values of a map; the few beyond have its last colour


def signals(path: str | os.PathLike, examples: Sequence[np.ndarray], titles: Sequence[str],
            title: str, channels: Sequence[str] = (), hertz: float | None = None) -> Path:
    """Examples (T, C), at least one, each in a panel with its title."""
    check_sizes("signals", examples=len(examples))
    columns = min(3, len(examples))
    rows = -(-len(examples) // columns)
    figure, axes = panels_of(rows, columns, (4.2 * columns, 1.1 + 1.9 * rows), sharex=True,
                             sharey=True)
    most = np.quantile(np.abs(np.concatenate(examples)), CONTRAST)
    for each, example, words in zip(axes, examples, titles):
        image = draw(each, example, most, channels, hertz)
        each.set_title(words, fontsize=10)
    for each in axes[len(examples):]:
        each.axis("off")
    _legend(figure, axes, image, channels)
    for each in axes[-columns:]:
        each.set_xlabel("moment" if hertz is None else "seconds")
    figure.suptitle(title, fontsize=13)
    return write(path, figure)


def draw(axes, example, most, channels=(), hertz=None, low=0):
    """One signal (T, C) into a panel, its first step at `low`; the image of a map, or None."""
    unit = hertz or 1
    times = (low + np.arange(len(example))) / unit
    if example.shape[1] > LINES:
        axes.grid(False)
        return axes.imshow(example.T, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto",
                           interpolation="nearest", origin="lower",
                           extent=(times[0] - 0.5 / unit, times[-1] + 0.5 / unit, 0.5,
                                   example.shape[1] + 0.5))
    names = channels or [f"channel {i + 1}" for i in range(example.shape[1])]
    for values, colour, name in zip(example.T, COLOURS, names):
        axes.plot(times, values, color=colour, linewidth=1, label=name)
    return None


def _legend(figure, axes, image, channels):
    """What colours mean."""
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.6, label="value, in standard deviations")
        axes[0].set_ylabel(f"{channels[0]}" if channels else "channel")
    elif len(axes[0].lines) > 1:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center",
                      frameon=False, fontsize=9)


def gradients(path: str | os.PathLike, net: Module, examples: Sequence[np.ndarray],
              labels: Sequence[int] | np.ndarray, titles: Sequence[str], title: str,
              channels: Sequence[str] = (), hertz: float | None = None) -> Path:
    """Each example (T, C), and where the score of its class depends on it: a line is black where
    |∂ score / ∂ x| is large; below a map stands a map of the gradient, with its signs."""
    examples = np.asarray(examples)
    slopes = score_gradient(net, examples, labels)
    if examples.shape[2] > LINES:
        return _gradient_maps(path, examples, slopes, titles, title, channels)
    rows = len(examples)
    figure, axes = panels_of(rows, 1, (9, 0.8 + 1.7 * rows), sharex=True)
    image = None
    for each, example, slope, words in zip(axes, examples, np.abs(slopes), titles):
        image = _coloured(each, example, slope / (slope.max() or 1), channels, hertz or 1)
        each.set_title(words, fontsize=10)
    axes[-1].set_xlabel("moment" if hertz is None else "seconds")
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.5, 1],
                          label="|∂ score / ∂ x| beside its largest in the example")
    bar.ax.set_ylim(0, 1)
    figure.suptitle(title, fontsize=13)
    return write(path, figure)


def _coloured(axes, example, share, channels, hertz):
    """Lines whose colour is a share in 0..1 of each step, one below the other."""
    check_matplotlib()
    from matplotlib.collections import LineCollection
    times, step = np.arange(len(example)) / hertz, 0.7 * np.ptp(example, axis=0).max() or 1
    for channel, (values, colour) in enumerate(zip(example.T, share.T)):
        points = np.stack([times, values - step * channel], -1)
        pieces = np.stack([points[:-1], points[1:]], 1)
        drawn = LineCollection(pieces, cmap="magma_r", norm="linear", linewidths=2,
                               array=np.maximum(colour[:-1], colour[1:]))
        drawn.set_clim(-0.15, 1)                        # what counts nothing is seen, too
        axes.add_collection(drawn)
    axes.autoscale()
    axes.margins(x=0.01)
    if channels:
        axes.set_yticks(example.mean(0) - step * np.arange(example.shape[1]), channels, fontsize=7)
    return drawn


def _gradient_maps(path, examples, slopes, titles, title, channels):
    """Examples above, gradients below."""
    count = len(examples)
    figure, axes = panels_of(2, count, (2.6 * count + 1, 5), sharex=True, sharey=True)
    for row, maps, words in ((0, examples, "value, in standard deviations"),
                             (count, slopes, "∂ score / ∂ value")):
        most = np.quantile(np.abs(maps), CONTRAST) or 1
        for each, example in zip(axes[row:row + count], maps):
            image = draw(each, example, most)
        figure.colorbar(image, ax=axes[row:row + count], shrink=0.9, label=words)
        axes[row].set_ylabel(channels[0] if channels else "channel")
    for each, words in zip(axes, titles):
        each.set_title(words, fontsize=10)
    for each in axes[count:]:
        each.set_xlabel("moment")
    figure.suptitle(title, fontsize=13)
    return write(path, figure)


def pieces(path: str | os.PathLike, net: Sequential, examples: Sequence[np.ndarray], layer: str,
           units: Sequence[int], title: str, names: Sequence[str], hertz: float | None = None,
           channels: Sequence[str] = ()) -> TopPatches:
    """The nine pieces that make each unit of a layer most active, one block of 3 × 3 for a unit,
    each under its activation and its example's name; returns the TopPatches.

    examples: arrays (T, C); names: of each, what it shows.
    """
    found = visualize.top_patches(net, zip(names, examples), layer, units, inside=True)
    size, columns = found.field.size, 3
    rows = -(-len(units) // columns)
    figure = check_matplotlib()((4.4 * columns, 0.7 + 3.9 * rows))
    most = np.quantile(np.abs(np.concatenate(examples)), CONTRAST)
    outer = figure.add_gridspec(rows, columns, wspace=0.12, hspace=0.2, left=0.03, right=0.97,
                                bottom=0.05, top=1 - 1.05 / (0.7 + 3.9 * rows))
    for place, unit in enumerate(units):
        cell = outer[place // columns, place % columns]
        head = figure.add_subplot(cell, frameon=False, xticks=[], yticks=[])
        head.set_title(f"unit {unit}", fontsize=11, pad=16)
        grid = cell.subgridspec(3, 3, wspace=0.06, hspace=0.4)
        shown = [patch.shown(examples[patch.picture]) for patch in found.patches[unit]]
        low, high = np.min(shown), np.max(shown)
        for i, (patch, piece) in enumerate(zip(found.patches[unit], shown)):
            axes = figure.add_subplot(grid[i // 3, i % 3], xticks=[], yticks=[])
            draw(axes, piece, most, channels)
            if piece.shape[1] <= LINES:
                margin = 0.08 * (high - low)
                axes.set_ylim(low - margin, high + margin)
            axes.set_title(f"{patch.activation:.2g}  {patch.name}", fontsize=7, pad=2)
    if len(axes.lines) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=LINES,
                      frameon=False, fontsize=9)
    seen = f"{size} moments" if hertz is None else f"{size / hertz:.2g} seconds"
    colours = "; orange: above the mean, violet: below" * (examples[0].shape[1] > LINES)
    figure.suptitle(f"{title}\n{layer}: a unit sees {seen}; above each piece, how active the unit "
                    f"is, and of what it is{colours}", fontsize=12)
    write(path, figure)
    return found


def recordings(path: str | os.PathLike, given: Sequence[Recording],
               seconds: Sequence[Sequence[float]], said: Sequence[Sequence[str]],
               title: str) -> Path:
    """Recorded signals (`data.Recording`) in rows of eleven seconds, twelve rows at most, each
    event marked with what is said of it; seconds: lists of when, said: lists of texts."""
    rows = [(each, start, words, when) for each, when, words in zip(given, seconds, said)
            for start in np.arange(0, (len(each.values) - 1) / each.hertz, ROW)][:ROWS]
    figure, axes = panels_of(len(rows), 1, (13, 0.8 + 1.9 * len(rows)))
    kinds = sorted({word for words in said for word in words})
    colours = {kind: COLOURS[i % len(COLOURS)] for i, kind in enumerate(kinds)}
    for panel, (each, start, words, when) in zip(axes, rows):
        times = np.arange(len(each.values)) / each.hertz
        there = (times >= start) & (times <= start + ROW)
        panel.plot(times[there], each.values[there], color="0.3", linewidth=0.9)
        top = each.values[there].max()
        for second, word in zip(when, words):
            if start <= second < start + ROW:
                panel.text(second, top, word, color=colours[word], fontsize=8, ha="center",
                           va="bottom")
        panel.set(xlim=(start, start + ROW), ylabel=each.name)
        panel.margins(y=0.2)
    axes[-1].set_xlabel("seconds")
    figure.suptitle(title, fontsize=12)
    return write(path, figure)
