"""Which patches of which pictures make a unit most active (Zeiler and Fergus 2013).

A unit u of a layer is a channel: one filter, moved over the picture.  Its activation a[p, u] at
place p depends on the box of pixels that p sees, and on nothing else.  Over many pictures,

    the k largest of   max_p a[p, u]     (one for each picture, so that they show different things)

are found in a single pass, as the k largest of a stream are the k largest of (the k largest so far,
and the next).  What is kept is a table of k rows for each unit, however many pictures there are.

Where activations are equal, the picture that came first goes first, then the place that comes first
in C order.  A stable sort does just that.
"""
from collections.abc import Callable, Iterable, Sequence
import os

import numpy as np

from minidl.data import list_images
from minidl.nn import Sequential
from minidl.nn.module import evaluating
from minidl.operands import check_sizes, integers, listed
from minidl.recording import no_grad
from minidl.settings import callback_of, of_kind
from minidl.visualize.fields import receptive_fields
from minidl.visualize.found import Patch, TopPatches
from minidl.visualize.pictures import batch_of_one, check_layer, pixels


def top_patches(net: Sequential, pictures: str | os.PathLike | Iterable, layer: str | Sequence[str],
                units: Sequence[int] | None = None, k: int = 9, *, one_per_picture: bool = True,
                inside: bool = False, earlier: TopPatches | dict[str, TopPatches] | None = None,
                callback: Callable[[int], object] | None = None):
    """The k patches that make units of a layer most active, as `TopPatches`.

    net: a `nn.Sequential`; it is run as after `eval()`.
    pictures: a folder, or an iterable of arrays (*S, C), of paths, and of (name, array) or (name,
        function that reads it), each at its own size.  They are taken one after the other, and none
        is kept.
    layer: its name, or several: then {layer: TopPatches}, in one pass over the pictures.
    units: integers, by default all of the layer.
    one_per_picture: a unit's patches are all of different pictures; otherwise several may be of
        one, and they may overlap.
    inside: only places whose box lies in the picture, so that no padding is seen.
    callback(number): after each picture, how many were taken (for a bar of progress).
    earlier: what an interrupted call gave: the pictures that it took are passed over, and the rest
        is added.  Ctrl-C gives what was found so far, which says `interrupted`.
    Skipped are pictures that cannot be read, that the network refuses, that are smaller than the
    layer's receptive field, and in which activations are not finite.
    Raises ValueError for an unknown layer or unit, for a layer that has no receptive field (None in
    `receptive_fields`), for an `earlier` of other layers, units or k, and where no picture is left;
    TypeError for what is no such argument.

        found = top_patches(net, paths, "relu3_1", units=[7])
        tiles = [patch.shown(patch.name, padding=128) for patch in found.patches[7]]
    """
    check_sizes("top_patches", k=k)
    if units is not None:
        units = tuple(dict.fromkeys(integers("top_patches", "units", units)))
    callback_of("top_patches", callback, "of a number")
    layers = [layer] if isinstance(layer, str) else listed("top_patches", "layer", layer, "names")
    if not layers:
        raise ValueError("top_patches: layer must be a name or several, got none")
    for name in layers:
        check_layer("top_patches", net, name)
    fields, earlier = receptive_fields(net), _by_layer(earlier)
    searches = {name: _Search(name, fields[name], units, k, one_per_picture, inside,
                              earlier.get(name)) for name in layers}
    taken, interrupted = _taken(searches, earlier), False
    try:
        with no_grad(), evaluating(net):
            for number, item in enumerate(_stream(pictures)):
                if number >= taken:
                    _look(net, searches, number, *_named(item, number))
                    if callback is not None:
                        callback(number + 1)
    except KeyboardInterrupt:
        interrupted = True
    found = {name: search.found(interrupted) for name, search in searches.items()}
    return found[layer] if isinstance(layer, str) else found


def _by_layer(earlier):
    if earlier is None:
        return {}
    earlier = {earlier.layer: earlier} if isinstance(earlier, TopPatches) else of_kind(
        "top_patches", "earlier", earlier, "TopPatches, or {layer: TopPatches}", dict)
    for found in earlier.values():
        of_kind("top_patches", "earlier", found, "TopPatches", TopPatches)
    return earlier


def _taken(searches, earlier):
    """How many pictures an earlier call took of the stream; ValueError where it was another
    call."""
    counts = {found.taken for found in earlier.values()}
    if earlier and (set(earlier) != set(searches) or len(counts) > 1):
        raise ValueError(f"top_patches: earlier is of {', '.join(earlier)}, asked for is "
                         f"{', '.join(searches)}")
    return max(counts, default=0)


def _stream(pictures):
    if isinstance(pictures, (str, os.PathLike)):
        return list_images(pictures)
    if not hasattr(pictures, "__iter__"):
        raise TypeError("top_patches: pictures must be a folder, or arrays and paths, got "
                        f"{type(pictures).__name__}")
    return pictures


def _named(item, number):
    """(name, picture) of an item of the stream."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return item
    return os.fspath(item) if isinstance(item, (str, os.PathLike)) else f"pictures[{number}]", item


def _look(net, searches, number, name, picture):
    """Run the network on a picture, once, and let every search take what it wants, or skip it."""
    try:
        picture = pixels("top_patches", picture() if callable(picture) else picture)
        wanted = [search for search in searches.values() if search.fits(name, picture)]
        outputs = dict(net.walk(batch_of_one(net, picture), [search.layer for search in wanted])
                       ) if wanted else {}
    except (OSError, TypeError, ValueError) as error:
        for search in searches.values():
            search.skip(name, error)
        return
    for search in wanted:
        search.take(name, number, outputs[search.layer].numpy()[0], picture.shape[:-1])


class _Search:
    """The strongest places of units of one layer, so far."""

    def __init__(self, layer, field, units, k, one_per_picture, inside, earlier):
        if field is None:
            raise ValueError(f"top_patches: a unit of {layer!r} sees more than a window of the "
                             "picture; there is no patch to cut")
        self.layer, self.field, self.units, self.k = layer, field, units, k
        self.rows, self.inside = 1 if one_per_picture else k, inside
        self.table, self.pictures, self.skipped = None, 0, []
        if earlier is not None:
            self._go_on(earlier)

    def _go_on(self, earlier):
        units = list(earlier.patches)
        if earlier.k != self.k or units and self.units not in (None, tuple(units)):
            raise ValueError(f"top_patches: earlier has {earlier.k} patches of the units "
                             f"{units[:9]} …, asked for are {self.k} of {self.units or 'all'}")
        self.pictures, self.skipped = earlier.pictures, list(earlier.skipped)
        if units:
            self.units = units
            columns = zip(*(zip(*((p.activation, p.position, p.picture, p.name) for p in patches))
                            for patches in earlier.patches.values()))
            a, positions, pictures, names = map(list, columns)
            self.table = [np.array(a), np.array(positions), np.array(pictures),
                          np.array(names, object)]

    def fits(self, name, picture):
        """Whether a picture is as large as the field; skips it otherwise."""
        sizes = picture.shape[:-1]
        smallest = [size for size, *_ in self.field.along(len(sizes))]
        if all(n >= size for n, size in zip(sizes, smallest)):
            return True
        self.skip(name, f"{_times(sizes)} is smaller than what a unit of {self.layer!r} sees, "
                  f"{_times(smallest)}")
        return False

    def skip(self, name, reason):
        reason = " ".join(str(reason).split())
        self.skipped.append(reason if name in reason else f"{name}: {reason}")

    def take(self, name, number, a, sizes):
        """Take the strongest places of a (*P, U) into the table."""
        if not np.isfinite(a).all():
            return self.skip(name, f"activations of {self.layer!r} are not finite")
        self.units = _checked(self.units, self.layer, a.shape[-1])
        a, corner = a[..., self.units], 0
        if self.inside:
            window, corner = self._inside(a.shape[:-1], sizes)
            a = a[window]
            if a.size == 0:
                return self.skip(name, f"no unit of {self.layer!r} sees pixels alone in it")
        values, positions = _strongest_places(a, self.rows)
        new = [values, positions + corner, np.full(values.shape, number),
               np.full(values.shape, name, object)]
        self.table = _merged(self.table, new, self.k)
        self.pictures += 1
        return None

    def _inside(self, places, sizes):
        """(slices of the places whose box lies in the picture, the first of them)."""
        window, first = [], []
        for count, n, (size, jump, _), (low, _) in zip(
                places, sizes, self.field.along(len(sizes)), self.field.box((0,) * len(sizes))):
            start = max(0, -(low // jump))
            window.append(slice(start, max(start, min(count, (n - size - low) // jump + 1))))
            first.append(start)
        return tuple(window), first

    def found(self, interrupted):
        if self.table is None and not interrupted:
            raise ValueError("top_patches: " + (
                f"none of the {len(self.skipped)} pictures can be used; {self.skipped[0]}"
                if self.skipped else "there are no pictures"))
        patches = {} if self.table is None else {
            unit: [Patch(a.item(), int(picture), name, tuple(map(int, position)), self.field)
                   for a, position, picture, name in zip(*rows)]
            for unit, *rows in zip(self.units, *self.table)}
        return TopPatches(self.layer, self.field, patches, self.pictures, self.skipped, self.k,
                          interrupted)


def _times(sizes):
    return " × ".join(map(str, sizes))


def _checked(units, layer, count):
    """The units as a list; raises ValueError for one that the layer does not have."""
    wrong = [unit for unit in units or () if not 0 <= unit < count]
    if wrong or units == ():
        raise ValueError(f"top_patches: layer {layer!r} has the units 0 to {count - 1}, got "
                         f"{wrong or 'none'}")
    return list(range(count) if units is None else units)


def _strongest_places(a, rows):
    """(activations (U, rows), positions (U, rows, axes)) of the strongest places of a (*P, U)."""
    values = a.reshape(-1, a.shape[-1]).T
    places = values.argmax(1)[:, None] if rows == 1 else _order(values)[:, :rows]
    positions = np.stack(np.unravel_index(places, a.shape[:-1]), axis=-1)
    return np.take_along_axis(values, places, 1), positions


def _merged(table, found, k):
    """The first k rows of both, the strongest first; of equal ones those that were there before.

    A table: activations (U, rows), positions (U, rows, axes), numbers and names of pictures
    (U, rows), for each of U units its rows, the strongest first.
    """
    if table is not None:
        found = [np.concatenate(both, axis=1) for both in zip(table, found)]
    order = _order(found[0])[:, :k]
    rows = np.arange(len(order))[:, None]
    return [column[rows, order] for column in found]


def _order(values):
    """Places from the largest to the smallest; equal ones stay in their order."""
    return np.argsort(-values, axis=1, kind="stable")
