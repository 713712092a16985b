"""What to draw in a property test: Hypothesis strategies for arrays, shapes, keys and geometry.

    from hypothesis import given
    from minidl.testing import gradcheck, strategies

    @given(strategies.conv_cases(2))
    def test_my_convolution(case):
        gradcheck(lambda x, w: my_convolution(x, w, **case.options), case.x, case.w)

Arrays that are drawn hold multiples of 1/64: they do not overflow, float32 holds them exactly, and
they can be read when a failure shrinks.
Cases hold shapes and a seed, and make their arrays when asked; they print as what recreates them.
Legal geometry comes from the formula  P = floor((S + 2·pad − d·(K − 1) − 1) / s) + 1 ≥ 1,  not from
the code that validates arguments; illegal geometry is legal geometry with one thing broken.
"""
from dataclasses import dataclass
import math

import numpy as np

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ModuleNotFoundError:
    raise ImportError("minidl.testing.strategies draws with Hypothesis, which is missing: "
                      "pip install hypothesis") from None

from minidl.operands import listed, sizes
from minidl.testing.layout import strided

GRID = 64               # entries are multiples of 1/64


# --- arrays

def shapes(min_dims=1, max_dims=3, min_side=1, max_side=4):
    """Shapes of arrays: tuples of min_dims … max_dims sizes between min_side and max_side."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims,
                            min_side=min_side, max_side=max_side)


def arrays(shape=None, low=-2.0, high=2.0, dtype="float64"):
    """Arrays of multiples of 1/64 between low and high, zeros and equal entries among them.

    shape: a tuple, or a strategy that draws one; by default `shapes()`.
    Shrinks to the entry nearest to 0.
    """
    first, last = math.ceil(low * GRID), math.floor(high * GRID)
    if first > last:
        raise ValueError(f"arrays: there is no multiple of 1/{GRID} between {low} and {high}")
    return _filled(shape, st.integers(first, last).map(lambda i: i / GRID), dtype)


def away_from(points, shape=None, gap=0.1, low=-2.0, high=2.0, dtype="float64"):
    """Arrays as `arrays`, no entry closer than gap to one of the points, where there are kinks."""
    points = listed("away_from", "points", points, "numbers")
    allowed = [i / GRID for i in range(math.ceil(low * GRID), math.floor(high * GRID) + 1)
               if all(abs(i / GRID - p) >= gap for p in points)]
    if not allowed:
        raise ValueError(f"away_from: nothing between {low} and {high} is at least {gap} away "
                         f"from {points}")
    return _filled(shape, st.sampled_from(sorted(allowed, key=lambda x: (abs(x), -x))), dtype)


def tie_free(shape=None, gap=0.1, dtype="float64"):
    """Arrays whose entries differ by gap or more, in any order, around 0: without ties."""
    def spaced(shape):
        middle = (math.prod(shape) - 1) / 2
        orders = st.permutations(range(math.prod(shape)))
        return orders.map(lambda order: ((np.array(order, float) - middle) * gap)
                          .astype(dtype).reshape(shape))
    return _shape_strategy(shape).flatmap(spaced)


def broadcastable(n, low=-2.0, high=2.0, dtype="float64"):
    """Tuples of n arrays whose shapes broadcast: sizes up to 3 in 0 to 3 dimensions."""
    drawn = hnp.mutually_broadcastable_shapes(num_shapes=n, min_dims=0, max_dims=3, max_side=3)
    return drawn.flatmap(lambda these: st.tuples(*(arrays(shape, low, high, dtype)
                                                   for shape in these.input_shapes)))


@st.composite
def noncontiguous(draw, values=None):
    """The arrays of another strategy (default: `arrays()`), not C-contiguous: not row after row.

    Axes may lie in another order, backwards, with gaps, or behind an offset.  The default draws two
    entries or more, as an array of fewer always counts as C-contiguous.
    """
    if values is None:
        values = arrays(shapes().filter(lambda shape: math.prod(shape) > 1))
    x = draw(values)
    order = draw(st.permutations(range(x.ndim)))
    steps = [draw(st.sampled_from([1, 2, -1, -2])) for _ in order]
    offset = draw(st.integers(0, 1))
    view = strided(x, order, steps, offset)
    if view.flags.c_contiguous and x.size > 1:
        longest = int(np.argmax([x.shape[axis] for axis in order]))
        steps[longest] = 2
        view = strided(x, order, steps, offset)
    return view


def _filled(shape, entries, dtype):
    return _shape_strategy(shape).flatmap(lambda shape: hnp.arrays(dtype, shape, elements=entries))


def _shape_strategy(shape):
    if shape is None:
        return shapes()
    return shape if isinstance(shape, st.SearchStrategy) else st.just(
        sizes("strategies", "shape", shape))


# --- axes, keys, subscripts

def axes(ndim):
    """What NumPy takes as `axis` of ndim dimensions: None, an integer of either sign, a tuple."""
    if ndim == 0:
        return st.none() | st.just(())
    one = st.integers(-ndim, ndim - 1)
    several = st.lists(one, unique_by=lambda axis: axis % ndim, max_size=ndim).map(tuple)
    return st.none() | one | several


@st.composite
def indices(draw, shape):
    """Keys of an array of that shape, as NumPy takes them.

    Integers, slices, None, Ellipsis, masks, and integer arrays between slices; none is out of
    range, and positions may be named twice.
    """
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "basic" or 0 in shape or not shape:
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "mask":
        start = draw(st.integers(0, len(shape) - 1))
        stop = draw(st.integers(start + 1, len(shape)))
        return (slice(None),) * start + (draw(hnp.arrays(bool, shape[start:stop])),)
    lengths = draw(hnp.array_shapes(max_dims=2, max_side=3))
    if kind == "arrays":
        return draw(hnp.integer_array_indices(shape, result_shape=st.just(lengths)))
    used = shape[:draw(st.integers(1, len(shape)))]
    return tuple(draw(st.integers(-n, n - 1) | st.slices(n)
                      | hnp.arrays(int, lengths, elements=st.integers(-n, n - 1))) for n in used)


@dataclass(frozen=True)
class EinsumCase:
    """einsum(case.subscripts, *case.operands)"""
    subscripts: str
    shapes: tuple
    seed: int

    @property
    def operands(self):
        return tuple(_normal(self.seed, i, shape) for i, shape in enumerate(self.shapes))


@st.composite
def einsum_cases(draw):
    """One to three operands of up to three letters: sums, products, traces ("ii"), an ellipsis.

    Also axes of length 1 that broadcast; the result is written in any order, or implied.
    """
    lengths = {letter: draw(st.integers(1, 3)) for letter in "ijk"}
    inputs = draw(st.lists(st.text("ijk", max_size=3), min_size=1, max_size=3))
    dots = draw(st.lists(st.booleans(), min_size=len(inputs), max_size=len(inputs)))
    extra = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2))
    terms, shapes = [], []
    for letters, dotted in zip(inputs, dots):
        at = draw(st.integers(0, len(letters))) if dotted else 0
        once = [letter for letter in letters if letters.count(letter) == 1]
        short = draw(st.sets(st.sampled_from(once), max_size=1)) if once else set()
        sides = [1 if letter in short else lengths[letter] for letter in letters]
        terms.append(letters[:at] + "..." * dotted + letters[at:])
        shapes.append(tuple(sides[:at]) + extra * dotted + tuple(sides[at:]))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        letters = sorted(set("".join(inputs)))
        kept = draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
        at = draw(st.integers(0, len(kept)))
        subscripts += "->" + "".join(kept[:at]) + "..." * any(dots) + "".join(kept[at:])
    return EinsumCase(subscripts, tuple(shapes), draw(_seeds))


# --- convolution and pooling

_seeds = st.integers(0, 2 ** 16)


def _normal(seed, which, shape):
    return np.random.default_rng([seed, which]).normal(size=shape)


@dataclass(frozen=True)
class ConvCase:
    """conv(case.x, case.w, **case.options) has shape y_shape; `u` is an array of that shape.

    options: stride, padding, dilation (tuples, one entry per spatial axis) and groups.
    broken: of an illegal case, what is wrong with it; its y_shape is None.
    """
    x_shape: tuple              # (N, *S, C)
    w_shape: tuple              # (*K, C/groups, O)
    y_shape: tuple              # (N, *P, O)
    options: dict
    seed: int = 0
    broken: str = ""

    x = property(lambda self: _normal(self.seed, 0, self.x_shape))
    w = property(lambda self: _normal(self.seed, 1, self.w_shape))
    u = property(lambda self: _normal(self.seed, 2, self.y_shape))


@st.composite
def conv_cases(draw, ndim):
    """Convolutions of 1, 2 or 3 spatial axes, each with its own size, filter, stride, padding, …"""
    axes = []
    for _ in range(ndim):
        n, s, p, d = (draw(st.integers(*bounds)) for bounds in ((1, 5), (1, 3), (0, 2), (1, 3)))
        k = draw(st.integers(1, min(3, (n + 2 * p - 1) // d + 1)))     # d·(K − 1) + 1 ≤ S + 2·pad
        axes.append((n, k, s, p, d, (n + 2 * p - d * (k - 1) - 1) // s + 1))
    sizes, kernel, stride, padding, dilation, places = zip(*axes)
    examples, groups, inputs, filters = (draw(st.integers(1, 2)) for _ in range(4))
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return ConvCase((examples, *sizes, inputs * groups), (*kernel, inputs, filters * groups),
                    (examples, *places, filters * groups), options, draw(_seeds))


@st.composite
def illegal_conv_cases(draw, ndim):
    """Convolutions that must raise ValueError: legal ones with one thing broken (`broken`)."""
    case = draw(conv_cases(ndim))
    at = draw(st.integers(0, ndim - 1))
    x, w, options = list(case.x_shape), list(case.w_shape), dict(case.options)
    broken = draw(st.sampled_from(["window", "no taps", "stride", "padding", "dilation", "channels",
                                   "groups", "filters", "axes of x", "axes of w", "length"]))
    if broken == "window":
        w[at] = (x[1 + at] + 2 * options["padding"][at] - 1) // options["dilation"][at] + 2
    elif broken == "no taps":
        w[at] = 0
    elif broken in ("stride", "dilation", "padding"):
        wrong = draw(st.integers(-2, -1 if broken == "padding" else 0))
        options[broken] = _replaced(options[broken], at, wrong)
    elif broken == "channels":
        x[-1] += draw(st.integers(1, 2))
    elif broken == "groups":
        options["groups"] = draw(st.sampled_from([0, -1, 3]))
    elif broken == "filters":
        options["groups"], x[-1], w[-1] = 2, 2 * w[-2], draw(st.sampled_from([1, 3]))
    elif broken == "axes of x":
        x = draw(st.sampled_from([x[1:], [1, *x]]))
    elif broken == "axes of w":
        w = draw(st.sampled_from([w[1:], [1, *w]]))
    else:
        options["stride"] += (1,)
    return ConvCase(tuple(x), tuple(w), None, options, case.seed, broken)


@dataclass(frozen=True)
class PoolCase:
    """pool(case.x, *case.arguments) has shape y_shape; x has no ties, `u` is an array of y's shape.

    broken: of an illegal case, what is wrong with it; its y_shape is None.
    """
    x_shape: tuple              # (N, *S, C)
    y_shape: tuple              # (N, *P, C)
    window: tuple
    stride: tuple
    padding: tuple
    seed: int = 0
    broken: str = ""

    arguments = property(lambda self: (self.window, self.stride, self.padding))
    u = property(lambda self: _normal(self.seed, 2, self.y_shape))

    @property
    def x(self):
        size = math.prod(self.x_shape)
        order = np.random.default_rng(self.seed).permutation(size).reshape(self.x_shape)
        return (order - (size - 1) / 2) * 0.1


@st.composite
def pool_cases(draw, ndim):
    """Poolings of 1, 2 or 3 spatial axes, padded by half a window at most.

    So no window holds nothing but padding.
    """
    axes = []
    for _ in range(ndim):
        n, k, s = (draw(st.integers(*bounds)) for bounds in ((1, 5), (1, 4), (1, 3)))
        p = draw(st.integers(max(0, -(-(k - n) // 2)), k // 2))     # K ≤ S + 2·pad and 2·pad ≤ K
        axes.append((n, k, s, p, (n + 2 * p - k) // s + 1))
    sizes, window, stride, padding, places = zip(*axes)
    examples, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return PoolCase((examples, *sizes, channels), (examples, *places, channels),
                    window, stride, padding, draw(_seeds))


@st.composite
def illegal_pool_cases(draw, ndim):
    """Poolings that must raise ValueError: legal ones with one thing broken (`broken`)."""
    case = draw(pool_cases(ndim))
    at = draw(st.integers(0, ndim - 1))
    x, parts = case.x_shape, dict(window=case.window, stride=case.stride, padding=case.padding)
    broken = draw(st.sampled_from(["too large", "half", "window", "stride", "padding", "axes",
                                   "length"]))
    if broken == "too large":
        parts["padding"] = _replaced(case.padding, at, 0)
        parts["window"] = _replaced(case.window, at, x[1 + at] + draw(st.integers(1, 2)))
    elif broken == "half":
        parts["padding"] = _replaced(case.padding, at, case.window[at] // 2 + 1)
    elif broken == "axes":
        x = draw(st.sampled_from([x[1:], (1, *x)]))
    elif broken == "length":
        name = draw(st.sampled_from(sorted(parts)))
        parts[name] += (1,)
    else:
        wrong = draw(st.integers(-2, -1 if broken == "padding" else 0))
        parts[broken] = _replaced(parts[broken], at, wrong)
    return PoolCase(x, None, **parts, seed=case.seed, broken=broken)


def _replaced(values, at, value):
    return values[:at] + (value,) + values[at + 1:]
