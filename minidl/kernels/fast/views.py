"""Views and copies of arrays (N, *S, C): the windows that a filter sees, and borders around."""
from minidl import backend
from minidl.kernels.geometry import output_size
from minidl.parallel.memory import empty
from minidl.parallel.threads import CACHE, in_strips, parallel_for, workspace


def pad(x, widths, value=0):
    """x (N, *S, C) with (before, after) added along each axis; a negative width cuts off."""
    cut = tuple(slice(max(-before, 0), n - max(-after, 0))
                for n, (before, after) in zip(x.shape[1:-1], widths))
    x, grow = x[(slice(None),) + cut], [(max(before, 0), max(after, 0)) for before, after in widths]
    if not any(map(any, grow)):
        return x
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape[1:-1], grow))
    padded = empty(x.shape[:1] + shape + x.shape[-1:], x.dtype, backend.of(x))
    corner = [before for before, _ in grow]

    def fill(strip):
        images, _ = strip
        surround(padded[images], x[images], corner, value)

    in_strips(fill, len(x), 1, padded[:1].nbytes, backend.of(x), CACHE)
    return padded


def padded_rows(x, images, rows, widths):
    """Images and rows, as slices, of pad(x, widths): a view, or a copy in the workspace."""
    (above, _), *sides = widths
    spans = [(rows.start - above, rows.stop - above)]               # among x's own places
    spans += [(-before, n + after) for n, (before, after) in zip(x.shape[2:-1], sides)]
    kept = x[(images, *[slice(max(first, 0), max(last, 0)) for first, last in spans])]
    sizes = tuple([last - first for first, last in spans])
    if kept.shape[1:-1] == sizes:
        return kept
    padded = workspace(backend.of(x), "lines", kept.shape[:1] + sizes + kept.shape[-1:], x.dtype)
    surround(padded, kept, [max(-first, 0) for first, _ in spans], 0)
    return padded


def seen(x, strip, g, output):
    """The part of x, padded, that a strip (images, rows) of the result looks at; output: its
    sizes."""
    images, rows = strip
    reach = [d * (k - 1) + 1 for d, k in zip(g.dilation, g.kernel)]
    first, last = g.stride[0] * rows.start, g.stride[0] * (rows.stop - 1) + reach[0]
    ends = [s * (places - 1) + r for s, places, r in zip(g.stride, output, reach)]
    widths = [(p, end - p - n) for p, end, n in zip(g.padding, ends, g.sizes)]
    return padded_rows(x, images, slice(first, last), widths)


def surround(padded, x, corner, value):
    """padded = x from the corner on, and a value all around."""
    inside = tuple([slice(before, before + n) for before, n in zip(corner, x.shape[1:-1])])
    padded[...] = value
    padded[(slice(None),) + inside] = x


def windows(x, kernel, stride, dilation):
    """What the filter sees at each place of x (N, *S, C): a view (N, *places, *kernel, C)."""
    places = [output_size(n, k, s, 0, d)
              for n, k, s, d in zip(x.shape[1:-1], kernel, stride, dilation)]
    image, *steps, channel = x.strides
    strides = [s * b for s, b in zip(stride, steps)] + [d * b for d, b in zip(dilation, steps)]
    return strided(x, (x.shape[0], *places, *kernel, x.shape[-1]), (image, *strides, channel))


def strided(x, shape, strides):
    """View of x of that shape and strides.  (NumPy's as_strided takes eight times as long.)"""
    xp = backend.of(x)
    if xp is backend.CPU.module and x.flags.c_contiguous:
        return xp.ndarray(shape, x.dtype, x, strides=strides)
    return xp.lib.stride_tricks.as_strided(x, shape, strides)


def copy(source, target):
    """target[...] = source, shared between the threads."""
    def fill(strip):
        target[strip] = source[strip]

    parallel_for(fill, target)


def move(source, target):
    """target[...] = source for arrays (…, C): on the CPU all channels of a place as one item.

    The copy alone takes two thirds of the time with 16 channels, half with 8, the same with 128.
    """
    if (backend.of(target) is backend.CPU.module and target.size and source.dtype == target.dtype
            and source.strides[-1] == target.strides[-1] == target.itemsize):
        item = f"V{target.shape[-1] * target.itemsize}"
        source, target = source.view(item), target.view(item)
    target[...] = source
