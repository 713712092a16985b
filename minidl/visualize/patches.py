"""Which patches of which pictures make a unit most active (Zeiler and Fergus 2013).

A unit u of a layer is a channel: one filter, moved over the picture.  Its activation a[p, u] at
place p depends on the box of pixels that p sees, and on nothing else.  Over many pictures,

    the k largest of   max_p a[p, u]     (one for each picture, so that they show different things)

are found in a single pass, as the k largest of a stream are the k largest of (the k largest so far,
and the next).  What is kept is a table of k rows for each unit, however many pictures there are.

Where activations are equal, the picture that came first goes first, then the place that comes first
in C order.  A stable sort does just that.
"""
import os
from typing import NamedTuple

import numpy as np

from minidl.data import list_images
from minidl.nn.module import evaluating
from minidl.operands import check_sizes, integers
from minidl.recording import no_grad
from minidl.visualize.fields import ReceptiveField, receptive_fields
from minidl.visualize.pictures import batch_of_one, check_layer, pixels


class Patch(NamedTuple):
    """Where a unit was active.

    activation: how much.  picture: the number of the picture in the stream, from 0; name: its path,
    or "pictures[3]".  position: of the unit in the layer's output, an index for each axis.
    field: the layer's ReceptiveField.
    """
    activation: float
    picture: int
    name: str
    position: tuple
    field: ReceptiveField

    @property
    def box(self):
        """((low, high), …): along each axis the unit sees the pixels low ≤ i < high.  Below 0, and
        beyond the last, they are padding."""
        return self.field.box(self.position)

    def crop(self, picture):
        """(pixels, position): a part of the picture in which the unit, at that position, has the
        same activation; see `ReceptiveField.aligned`.  picture: as `top_patches` took it."""
        picture = pixels("crop", picture)
        crop, position = self.field.aligned(self.position, picture.shape[:-1])
        return picture[tuple(slice(*bounds) for bounds in crop)], position

    def shown(self, picture, padding=0):
        """The pixels in the box, an array of the box's sizes; where the unit sees padding stands
        `padding`, a value or one for each channel."""
        picture = pixels("shown", picture)
        sizes = [high - low for low, high in self.box]
        shown = np.empty((*sizes, picture.shape[-1]), picture.dtype)
        shown[...] = padding
        pixels_there = [range(max(low, 0), min(high, n))
                        for (low, high), n in zip(self.box, picture.shape)]
        places = [[pixel - low for pixel in there]
                  for there, (low, _) in zip(pixels_there, self.box)]
        shown[np.ix_(*places)] = picture[np.ix_(*pixels_there)]
        return shown


class TopPatches(NamedTuple):
    """What `top_patches` found.

    patches: {unit: [Patch, …]}, the strongest first.  pictures: how many were looked at.
    skipped: a line for each that was not, its name and why.
    """
    layer: str
    field: ReceptiveField
    patches: dict
    pictures: int
    skipped: list


def top_patches(net, pictures, layer, units=None, k=9, *, one_per_picture=True):
    """The k patches that make units of a layer most active, as `TopPatches`.

    net: a `nn.Sequential`; it is run as after `eval()`.
    pictures: a folder, or an iterable of arrays (*S, C) and paths, each at its own size.  They are
        taken one after the other, and none is kept.  (For progress, give tqdm(pictures).)
    layer: its name.  units: integers, by default all of the layer.
    one_per_picture: a unit's patches are all of different pictures; otherwise several may be of
        one, and they may overlap.
    Skipped are pictures that cannot be read, that the network refuses, that are smaller than the
    layer's receptive field, and in which activations are not finite.
    Raises ValueError for an unknown layer or unit, for a layer that has no receptive field (None in
    `receptive_fields`), and where no picture is left; TypeError for what is no such argument.

        found = top_patches(net, paths, "relu3_1", units=[7])
        tiles = [patch.shown(patch.name, padding=128) for patch in found.patches[7]]
    """
    check_layer("top_patches", net, layer)
    check_sizes("top_patches", k=k)
    units = None if units is None else integers("top_patches", "units", units)
    field = receptive_fields(net)[layer]
    if field is None:
        raise ValueError(f"top_patches: a unit of {layer!r} sees more than a window of the "
                         "picture; there is no patch to cut")
    table, number, skipped = None, -1, []
    for number, picture in enumerate(_stream(pictures)):
        is_path = isinstance(picture, (str, os.PathLike))
        name = os.fspath(picture) if is_path else f"pictures[{number}]"
        try:
            a = _activations(net, pixels("top_patches", picture), layer, field)
        except (OSError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            skipped.append(reason if name in reason else f"{name}: {reason}")
            continue
        units = _checked(units, layer, a.shape[-1])
        found = _strongest_places(a[..., units], 1 if one_per_picture else k)
        table = _merged(table, _Table(*found, np.full(found[0].shape, number),
                                      np.full(found[0].shape, name, object)), k)
    if table is None:
        raise ValueError("top_patches: " + (
            f"none of the {len(skipped)} pictures can be used; {skipped[0]}" if skipped else
            "there are no pictures"))
    patches = {unit: [Patch(a.item(), int(picture), name, tuple(map(int, position)), field)
                      for a, position, picture, name in zip(*rows)]
               for unit, *rows in zip(units, *table)}
    return TopPatches(layer, field, patches, number + 1 - len(skipped), skipped)


class _Table(NamedTuple):
    """For each of U units its rows, the strongest first."""
    activations: np.ndarray                 # (U, rows)
    positions: np.ndarray                   # (U, rows, axes)
    pictures: np.ndarray                    # (U, rows), their numbers
    names: np.ndarray                       # (U, rows)


def _stream(pictures):
    if isinstance(pictures, (str, os.PathLike)):
        return list_images(pictures)
    if not hasattr(pictures, "__iter__"):
        raise TypeError("top_patches: pictures must be a folder, or arrays and paths, got "
                        f"{type(pictures).__name__}")
    return pictures


def _activations(net, picture, layer, field):
    """a (*P, U) of a picture (*S, C); raises ValueError as `top_patches` says for skipped ones."""
    sizes = picture.shape[:-1]
    smallest = [size for size, *_ in field.along(len(sizes))]
    if any(n < size for n, size in zip(sizes, smallest)):
        raise ValueError(f"{_times(sizes)} is smaller than what a unit of {layer!r} sees, "
                         f"{_times(smallest)}")
    with no_grad(), evaluating(net):
        a = net(batch_of_one(net, picture), layers=[layer])[layer].numpy()[0]
    if not np.isfinite(a).all():
        raise ValueError(f"activations of {layer!r} are not finite")
    return a


def _times(sizes):
    return " × ".join(map(str, sizes))


def _checked(units, layer, count):
    """The units as a list; raises ValueError for one that the layer does not have."""
    wrong = [unit for unit in units or () if not 0 <= unit < count]
    if wrong or units == ():
        raise ValueError(f"top_patches: layer {layer!r} has the units 0 to {count - 1}, got "
                         f"{wrong or 'none'}")
    return list(range(count) if units is None else dict.fromkeys(units))


def _strongest_places(a, rows):
    """(activations (U, rows), positions (U, rows, axes)) of the strongest places of a (*P, U)."""
    values = a.reshape(-1, a.shape[-1]).T
    places = values.argmax(1)[:, None] if rows == 1 else _order(values)[:, :rows]
    positions = np.stack(np.unravel_index(places, a.shape[:-1]), axis=-1)
    return np.take_along_axis(values, places, 1), positions


def _merged(table, found, k):
    """The first k rows of both, the strongest first; of equal ones those that were there before."""
    if table is not None:
        found = _Table(*(np.concatenate(both, axis=1) for both in zip(table, found)))
    order = _order(found.activations)[:, :k]
    rows = np.arange(len(order))[:, None]
    return _Table(*(column[rows, order] for column in found))


def _order(values):
    """Places from the largest to the smallest; equal ones stay in their order."""
    return np.argsort(-values, axis=1, kind="stable")
