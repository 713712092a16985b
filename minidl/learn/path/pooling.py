"""Pooling and ties."""
import numpy as np

from minidl.kernels.geometry import Geometry
from minidl.learn.domains import distinct, normal
from minidl.learn.path.chapter import Chapter, derive, fault, program, write
from minidl.learn.source import Body, Loop
from minidl.learn.trials import Trial

POOLS = [(Geometry((6,), (2,), (2,), (0,), (1,), 1), "in windows of 2"),
         (Geometry((5, 4), (3, 2), (1, 2), (1, 0), (1, 1), 1), "where windows overlap")]


def ties(name):
    """Equal entries: the cotangent goes to the first."""
    return Trial(lambda m, a, b: getattr(m, name)(a, b),
                 (lambda rng: np.array([1.0, 2.0, 3.0]), lambda rng: np.array([1.0, 5.0, 0.0])),
                 "where two are equal")


def on_arrays(call, *drawn):
    return [Trial(lambda m, x, _g=g: call(m, x, _g), tuple(draw(g) for draw in drawn), words,
                  arrays=True) for g, words in POOLS]


def x_of(g, draw=distinct):
    return draw(2, *g.sizes, 3)


def tied(g):
    return lambda rng: rng.integers(0, 2, (2, *g.sizes, 3)).astype(float)


def unpooled(m, u, g):
    x = np.random.default_rng(5).permutation(u.size * 20)[:2 * 3 * int(np.prod(g.sizes))]
    switches = m.max_pool(x.reshape(2, *g.sizes, 3).astype(u.dtype), g)[1]
    return m.unpool(u, switches, g)


POOLING = Chapter("6. Pooling and ties", (
    write("maximum-left", "ops.elementwise:maximum", "a", cases=("maximum",),
           trials=(ties("maximum"),),
           hints=("Where two are equal, the cotangent goes to the first.",)),
    write("maximum-right", "ops.elementwise:maximum", "b", cases=("maximum",),
           trials=(ties("maximum"),),
           hints=("Where two are equal, the cotangent goes to the first.",)),
    program("max-pool-plain", "kernels.plain:max_pool", Body(),
            *on_arrays(lambda m, x, g: m.max_pool(x, g), x_of),
            *on_arrays(lambda m, x, g: m.max_pool(x - 9, g), tied),
            *on_arrays(lambda m, x, g: m.max_pool(x * 0 - np.inf, g), tied),
            hints=("_taps(wide, g) has what each tap sees along its first axis; padded(x, g, "
                   "value) pads, and lowest(dtype) is below every number.",
                   "A switch is 1 + the number of the first tap that has the maximum; a tap on the "
                   "padding does not count.")),
    write("max-pool", "ops.pooling:_max_pool", "x", cases=("max_pool", "max_pool_with_switches"),
          also="ops.pooling:max_pool"),
    fault("zero-padded", "zero_padded_maximum"),
    fault("shared-maximum", "maximum_shared_by_its_window"),
    program("unpool-plain", "kernels.plain:unpool", Loop(),
            *on_arrays(unpooled, lambda g: normal(2, *g.output, 3)),
            hints="Where the switch names this tap, u is added to what the tap sees."),
    write("unpool", "ops.pooling:unpool", "u",
           hints=("The adjoint of putting values somewhere is reading them there.",)),
    program("spread-plain", "kernels.plain:spread", Loop(),
            *on_arrays(lambda m, u, g: m.spread(u, g), lambda g: normal(2, *g.output, 3)),
            hints="Each of the |K| taps gets its share of u."),
    derive("average-pool", "ops.pooling:_window_mean", "x", cases=("average_pool",),
           also="ops.pooling:average_pool"),
))
