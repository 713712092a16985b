"""Receptive fields: which pixels a unit sees.

Along an axis, output p of a layer is made of the inputs s·p + d·k − pad, 0 ≤ k < K: the first and
the last are (K − 1)·d apart.  Let each input see `size` pixels, neighbours lie `jump` pixels apart,
and input 0 have its middle at pixel `start`.  Then for the outputs

    size'  = size + (K − 1)·d·jump                 from the first input's box to the last's
    start' = start + ((K − 1)·d / 2 − pad)·jump    between output 0's first input and its last
    jump'  = jump·s

beginning with pixels: size 1, jump 1, start 0.  So unit i sees the pixels from

    low(i) = start + i·jump − (size − 1)/2

to low(i) + size − 1: its box.  (low is whole: a layer adds −pad·jump to low(0), and nothing else.)
Where a box reaches below 0, or beyond the last pixel, the unit sees padding: that of each layer on
the way (zeros; −∞ where a maximum is taken).

Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks".
"""
from collections.abc import Sequence
from typing import NamedTuple

from minidl.nn import Sequential
from minidl.nn.windows import shortest
from minidl.operands import integers
from minidl.settings import whole


class ReceptiveField(NamedTuple):
    """size, jump and start in pixels, as the head of this file has them: a number, or one for each
    axis where they differ."""
    size: int | tuple[int, ...]
    jump: int | tuple[int, ...]
    start: float | tuple[float, ...]

    def along(self, axes: int) -> list[tuple]:
        """(size, jump, start) for each axis; raises ValueError where the field has not so many."""
        axes = whole("along", "1 ≤ axes < inf", axes)
        for value in self:
            if isinstance(value, tuple) and len(value) != axes:
                raise ValueError(f"a receptive field of {len(value)} axes is none of {axes} axes")
        return list(zip(*(each(value, axes) for value in self)))

    def check_fit(self, operation: str, position: tuple, sizes: tuple) -> None:
        """Raise ValueError for a position in a picture of these sizes, unless both have as many
        axes, and the picture is as large as the field."""
        if len(position) != len(sizes):
            raise ValueError(f"{operation}: position {position} and sizes {sizes} must have as "
                             "many axes")
        seen = tuple(size for size, *_ in self.along(len(sizes)))
        if any(n < size for n, size in zip(sizes, seen)):
            raise ValueError(f"{operation}: a picture of the sizes {sizes} is smaller than what "
                             f"the unit sees, {seen}")

    def box(self, position: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """((low, high), …): the unit at a position (an index for each axis) sees the pixels
        low ≤ i < high.  They may reach beyond the picture, into the padding."""
        box, position = [], integers("box", "position", position)
        for i, (size, jump, start) in zip(position, self.along(len(position))):
            low = int(start + i * jump - (size - 1) / 2)
            box.append((low, low + size))
        return tuple(box)

    def aligned(self, position: Sequence[int], sizes: Sequence[int]) -> tuple[tuple, tuple]:
        """(crop, where the unit is in it): what of a picture gives the unit its value by itself.

        sizes: the picture's, none below the field's.  crop: ((low, high), …) within the picture.

        A stride takes every s-th place, counted from the picture's edge.  So a crop changes no
        value only if it begins at a multiple of jump, the product of all strides before the unit:
        the box is lengthened downwards to the next one.  There unit i is number i − first/jump,
        where the crop begins at `first`.  A box that reaches beyond the picture is moved inside
        before, and so the crop shares that edge: there all layers pad it as they pad the picture.
        """
        crop, place, sizes = [], [], integers("aligned", "sizes", sizes)
        position = integers("aligned", "position", position)
        self.check_fit("aligned", position, sizes)
        for (low, _), i, n, (size, jump, _) in zip(self.box(position), position, sizes,
                                                   self.along(len(position))):
            inside = min(max(low, 0), n - size)
            first = inside // jump * jump
            crop.append((first, inside + size))
            place.append(i - first // jump)
        return tuple(crop), tuple(place)


def receptive_fields(net: Sequential) -> dict[str, ReceptiveField | None]:
    """{name of a layer: its ReceptiveField (size, jump, start), in pixels}, in the network's order.

    net: a `nn.Sequential`.  None stands where no such numbers exist: at a layer whose outputs see
    more than a window (Flatten, means over all places, whatever does not say `Module.window`), at a
    "same" padding of a stride above 1, which depends on the picture's size, and behind these.
    Raises TypeError for another network.

    >>> from minidl import nn
    >>> net = nn.Sequential({"conv": nn.Conv2d(1, 8, 5, rng=0), "pool": nn.MaxPool(2)})
    >>> receptive_fields(net)["pool"]
    ReceptiveField(size=6, jump=2, start=2.5)
    """
    check_net("receptive_fields", net)
    field, fields = ReceptiveField(1, 1, 0.0), {}
    for window in net.geometry():
        field = _behind(field, window)
        fields[window.name] = field
    return fields


def check_net(operation, net):
    """Raise TypeError unless the network is a Sequential, whose layers have names."""
    if not isinstance(net, Sequential):
        raise TypeError(f"{operation}: net must be a nn.Sequential, whose layers have names, "
                        f"got {type(net).__name__}")


def _behind(field, window):
    """The field of a layer, from the field of its inputs and its `nn.sequential.Window`."""
    if field is None or window.kernel_size is None or window.padding == "same":
        return None
    settings = *field, *window[2:]
    axes = max(len(value) if isinstance(value, tuple) else 1 for value in settings)
    found = []
    for size, jump, start, kernel, stride, padding, dilation in zip(
            *(each(value, axes) for value in settings)):
        before = padding[0] if isinstance(padding, tuple) else padding      # of (before, after)
        reach = (kernel - 1) * dilation
        found.append((size + reach * jump, jump * stride, start + (reach / 2 - before) * jump))
    return ReceptiveField(*map(shortest, zip(*found)))


def each(value, axes):
    """A setting for each axis: of one number, or a tuple of one, the same for all."""
    value = value if isinstance(value, tuple) else (value,)
    return value * axes if len(value) == 1 else value
