"""What a unit looks for: a picture made to make it as active as can be.

A unit u has an activation a[p, u] at every place p.  From noise, gradient ascent climbs

    J = max_p a[p, u] + mean_p a[p, u] + ‖max(a[·, u], 0)‖₂

the first asks for one thing that the unit likes best, the others for more of it beside it.  Left to
itself it finds noise that no photograph has.  Three things keep it from that:

    the picture is moved by its frequencies (`frequencies.py`), so that smooth comes before fine;
    its colours vary as those of photographs do (there, too);
    before every step it is moved, turned and enlarged a little (`views.py`): what does not survive
        that is not climbed.

A unit may be inactive everywhere at the start, and then ReLU's gradient is 0.  As long as it is,
ReLUs let through what would raise them:        x̄ = ȳ where y > 0, max(ȳ, 0) elsewhere

Source: Erhan et al. 2009; Olah, Mordvintsev and Schubert 2017; Mordvintsev et al. 2018.
"""
from collections.abc import Callable, Sequence

import numpy as np

from minidl import backend, ops
from minidl.nn import Sequential
from minidl.nn.module import evaluating
from minidl.operands import check_sizes, integer, integers
from minidl.ops.activation import keep_positive
from minidl.optim import Adam
from minidl.recording import no_grad, recording
from minidl.settings import bounded, callback_of, numbers, whole
from minidl.tensor import grad, tensor
from minidl.visualize.frequencies import Series
from minidl.visualize.pictures import Picture, batch_of_one, check_layer, pixels
from minidl.visualize.projection import change_rule
from minidl.visualize.views import draw_view, view


def synthesize(net: Sequential, layer: str, unit: int, size: int | Sequence[int] | None = None, *,
               channels: int | None = None, values: tuple[float, float] = (0.0, 255.0),
               steps: int = 100, jitter: float = 8, rotation: float = 10, scale: float = 0.1,
               learning_rate: float = 0.05, rng: np.random.Generator | int = 0,
               callback: Callable[[int, float], object] | None = None) -> np.ndarray:
    """A picture (*S, C) that makes a unit of a layer as active as can be: float32 in `values`.

    net: a `nn.Sequential`; it is run as after `eval()`.  layer: its name; unit: an integer.
    size: of the picture in pixels, one for a square, or one for each of 1 to 3 axes: (400,) is a
        signal, (24, 24, 24) a volume.  By default what the network says (an attribute `size`), else
        128.  channels: by default what it says (`channels`), else 3.
    values: the least and the greatest value that the network is shown.
    steps: of Adam with that learning rate.  jitter: pixels; rotation: degrees; scale: the share by
        which it is enlarged or made smaller, at most.
    rng: a Generator or a seed.  callback(step, J): after each; Ctrl-C ends it with what is there.
    Raises ValueError for an unknown layer or unit and what the network refuses; TypeError for
    another network.
    """
    check_layer("synthesize", net, layer)
    sizes, channels = _shape(net, size, channels)
    values = _checked(values, steps=steps, jitter=jitter, rotation=rotation, scale=scale)
    callback_of("synthesize", callback, "(step, J)")
    rng = backend.generator(rng)
    device = next((parameter.device for parameter in net.parameters()), None)
    series = Series(sizes, channels, values, device=device)
    c = tensor(rng.normal(0, 0.01, (*sizes, channels)), True, "float32", device)
    optimizer = Adam([c], learning_rate)
    with recording(True), evaluating(net):
        try:
            for step in range(steps):
                seen = view(series(c), *draw_view(rng, len(sizes), jitter, rotation, scale))
                a = _of_unit("synthesize", net(seen[None], layers=[layer])[layer], layer, unit)
                if not (a.data > 0).any():
                    change_rule(a, keep_positive, _raising, since=seen)
                J = ops.max(a) + ops.mean(a) + ops.norm(ops.relu(a))
                up, = grad(J, [c])
                c.grad = -up                            # optimisers go down
                optimizer.step()
                if callback is not None:
                    callback(step, J.item())
        except KeyboardInterrupt:
            pass
    with no_grad():
        return series(c).numpy()


def strength(net: Sequential, picture: Picture, layer: str, unit: int, shifts: int = 16,
             most: int = 8, rng: np.random.Generator | int = 0) -> float:
    """How active a unit is: the mean of max_p a[p, u] over random shifts of the picture, as the one
    place where it lies may happen to suit the strides.

    picture: (*S, C), or a path; it is shifted by at most `most` pixels along each axis, its border
    going on where it ends.
    """
    picture, rng = pixels("strength", picture), backend.generator(rng)
    check_sizes("strength", shifts=shifts)
    most = whole("strength", "0 ≤ most ≤ 10000", most)
    check_layer("strength", net, layer)
    axes, found = picture.ndim - 1, []
    padded = np.pad(picture, [(most, most)] * axes + [(0, 0)], mode="edge")
    with no_grad(), evaluating(net):
        for _ in range(shifts):
            moved = padded[tuple(slice(low, low + n) for low, n in zip(
                rng.integers(0, 2 * most + 1, axes), picture.shape))]
            a = net(batch_of_one(net, moved), layers=[layer])[layer]
            found.append(_of_unit("strength", a, layer, unit).numpy().max())
    return float(np.mean(found))


def _raising(gy, y):
    return ops.where(y > 0, gy, ops.relu(gy))


def _of_unit(operation, a, layer, unit):
    """a[..., unit]; raises ValueError where the layer has no such unit."""
    unit = integer(operation, "unit", unit)
    if not 0 <= unit < a.shape[-1]:
        raise ValueError(f"{operation}: layer {layer!r} has the units 0 to {a.shape[-1] - 1}, "
                         f"got {unit}")
    return a[..., unit]


def _shape(net, size, channels):
    """(sizes of the axes, channels) of a picture for the network, where none are given its own."""
    size = getattr(net, "size", 128) if size is None else size
    sizes = integers("synthesize", "size", size) if hasattr(size, "__iter__") else (size, size)
    channels = getattr(net, "channels", 3) if channels is None else channels
    check_sizes("synthesize", channels=channels, **{f"size[{i}]": n for i, n in enumerate(sizes)})
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"synthesize: size must be of 1 to 3 axes, got {size}")
    return sizes, channels


def _checked(values, steps, **amounts):
    """(least, greatest) as Python floats; raises ValueError for settings out of range."""
    check_sizes("synthesize", steps=steps)
    for name, amount in amounts.items():
        bounded("synthesize", f"0 ≤ {name} < 1e6", amount)
    values = numbers("synthesize", "values", values, "(2,)", finite=True)
    if not values[0] < values[1]:
        raise ValueError(f"synthesize: values must be (least, greatest), got {values}")
    return values.tolist()
