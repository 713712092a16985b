"""Networks as layers in order, each with a name."""
from typing import NamedTuple

from minidl.nn.module import Module
from minidl.operands import integer


class Window(NamedTuple):
    """What an output of a layer sees: along an axis, y[p] is made of x[s·p + d·k − pad].

    name: the layer's; kind: that of its class.
    kernel_size (0 ≤ k < kernel_size), stride s, padding and dilation d are an integer, or one for
    each axis where they differ.
    padding: an axis that is padded differently before and after has (before, after), and pad is the
    first; a tuple of one stands for all axes; "same" stands where the padding depends on the size
    of x, because a stride is above 1 (`ops/padding.py`).
    All are None where y[p] sees more than a window, or the layer does not say (`Module.window`).
    """
    name: str
    kind: str
    kernel_size: int | tuple | None
    stride: int | tuple | None
    padding: int | tuple | str | None
    dilation: int | tuple | None


class Sequential(Module):
    """Layers one after the other: y = f_n(… f_2(f_1(x))).

    layers: Modules, which are named "0", "1", …, or one dictionary from names to Modules.

    net(x)                  the last output
    net(x, layers=names)    {name: that layer's output}, computed no further than the deepest
    net.walk(x, names)      the same as pairs, each as soon as it is there
    net["conv1"], net[0]    a layer;  net[2:5] and net.part(…) a Sequential of the same layers

    A fused layer may answer to several names, {("conv1", "relu1"): ConvReLU(…)}: what it gives is
    relu1's output.  Where conv1's is asked for, it runs in its parts (`Module.unfused`).  Its
    parameters go by the first name: layers.conv1.weight.
    Raises TypeError for what is no Module or no name, ValueError for a name that is given twice, or
    is none of the network's.

    >>> from minidl import nn
    >>> nn.Sequential({"scores": nn.Dense(784, 10, rng=0), "softmax": nn.Softmax()})
    Sequential(
      layers.scores: Dense(784, 10)
      layers.softmax: Softmax()
    )
    """

    def __init__(self, *layers):
        named = len(layers) == 1 and isinstance(layers[0], dict)
        self.layers, self.fused = {}, {}            # first name → layer;  first name → all names
        taken = set()
        for key, layer in (layers[0] if named else dict(enumerate(layers))).items():
            names = (key if isinstance(key, tuple) else (key,)) if named else (str(key),)
            _check(names, layer, taken)
            taken.update(names)
            self.layers[names[0]] = layer
            if len(names) > 1:
                self.fused[names[0]] = names

    def forward(self, x, layers=None):
        if layers is not None:
            return dict(self.walk(x, layers))
        for layer in self.layers.values():
            x = layer(x)
        return x

    def walk(self, x, layers):
        """Pairs (name, output) of the layers asked for, each as soon as it is computed.

        Nothing is kept here: where no gradient is wanted, an output that was not asked for is freed
        when the next one is there.
        """
        return self._run(x, set(self._known("layers", layers)))

    def _run(self, x, waiting):
        for names, layer in self._steps(frozenset(waiting)):
            x = layer(x)
            if names[-1] in waiting:
                yield names[-1], x
                waiting.remove(names[-1])
                if not waiting:
                    return

    def part(self, after=None, upto=None):
        """A Sequential of the layers after the one named `after`, up to and with `upto`.

        By default from the first, to the last: part(upto=n), and then part(after=n), is the whole.
        They are the same layers, or of a fused one that is cut, its parts with the same parameters.

        Raises ValueError where `upto` comes before `after`.
        """
        for argument, name in ("after", after), ("upto", upto):
            if name is not None:
                self._known(argument, [name])
        steps = list(self._steps({after, upto}))
        ends = {names[-1]: i for i, (names, _) in enumerate(steps, 1)}
        start, stop = ends.get(after, 0), ends.get(upto, len(steps))
        if stop < start:
            raise ValueError(f"{type(self).__name__}: part: {upto!r} comes before {after!r}")
        return Sequential(dict(steps[start:stop]))

    def _steps(self, cuts=frozenset()):
        """(names, layer) in order; a fused layer comes in its parts where a cut is inside of it."""
        for first, layer in self.layers.items():
            names = self.fused.get(first, (first,))
            if cuts.isdisjoint(names[:-1]):
                yield names, layer
            else:
                yield from (((name,), part) for name, part in zip(names, layer.unfused()))

    @property
    def names(self):
        """All names, in order."""
        return [name for names, _ in self._steps() for name in names]

    def geometry(self):
        """A Window for each name, in order: what receptive fields are computed from.

        >>> from minidl import nn
        >>> net = nn.Sequential({"conv": nn.Conv2d(1, 8, 5, rng=0), "pool": nn.MaxPool(2)})
        >>> for window in net.geometry():
        ...     print(*window)
        conv Conv2d 5 1 0 1
        pool MaxPool 2 2 0 1
        """
        return [Window(names[-1], type(layer).__name__, *(layer.window() or (None,) * 4))
                for names, layer in self._steps(set(self.names))]

    def _known(self, argument, names):
        """The names as a list; a single name is a list of one."""
        given = [names] if isinstance(names, str) else names
        if not hasattr(given, "__iter__"):
            raise TypeError(f"{type(self).__name__}: {argument} must be names, got {names!r}")
        given, known = list(given), self.names
        unknown = [name for name in given if name not in known]
        if unknown or not given:
            raise ValueError(f"{type(self).__name__}: {argument} {unknown or given} are not among "
                             f"{', '.join(known) or 'its layers, for it has none'}")
        return given

    def __len__(self):
        return len(self.layers)

    def __contains__(self, name):
        """Whether a layer has that name."""
        return name in self.names

    def __getitem__(self, key):
        """The layer of a name, or at a position; for a slice of positions, a Sequential of those
        layers, with their names and the same parameters.

        A fused layer has one position.  An inner name of it gives that part alone.
        """
        if isinstance(key, str):
            name, = self._known("layer", key)
            return next(layer for names, layer in self._steps({name}) if names[-1] == name)
        if isinstance(key, slice):
            return Sequential(dict(list(self._steps())[key]))
        position = integer(type(self).__name__, "the position of a layer", key)
        if not -len(self) <= position < len(self):
            raise IndexError(f"{type(self).__name__}: position {position} is out of range for "
                             f"{len(self)} layers")
        return list(self.layers.values())[position]


def _check(names, layer, taken):
    """Raise TypeError or ValueError unless these are new names of a Module."""
    if not all(isinstance(name, str) and name for name in names) or not names:
        raise TypeError("Sequential: a layer's name must be a text, or several a tuple of texts, "
                        f"got {names!r}")
    label = ", ".join(names)
    if not isinstance(layer, Module):
        hint = (f"; write {layer.__name__}(…)" if isinstance(layer, type) else
                "; write Sequential(*layers)" if isinstance(layer, (list, tuple)) else "")
        raise TypeError(f"Sequential: layer {label} must be a Module, got "
                        f"{layer!r:.60}{hint}")
    if not taken.isdisjoint(names) or len(set(names)) < len(names):
        raise ValueError(f"Sequential: another layer has a name of {label}")
    if len(names) > 1 and len(layer.unfused()) != len(names):
        raise ValueError(f"Sequential: {label} are {len(names)} names, but {layer!r} is "
                         f"{len(layer.unfused())} layers in one")
