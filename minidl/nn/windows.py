"""Settings of layers whose window moves over x, as they are kept, shown, and told to others."""
from minidl.kernels.geometry import same_padding
from minidl.operands import sides


def shortest(values):
    """Settings of the axes in the shortest form: one number where all are equal."""
    return values[0] if len(set(values)) == 1 and not isinstance(values[0], tuple) else values


def padding_of(owner, padding, axes):
    """Padding in the shortest form: "same", an integer, or one or (before, after) for each axis."""
    pairs = sides(owner, padding, axes)
    if pairs == "same":
        return pairs
    return shortest(tuple(pair[0] if pair[0] == pair[1] else pair for pair in pairs))


def padding_seen(kernel_size, stride, padding, dilation=1):
    """The padding in numbers, or "same" where they depend on the size of x: for strides above 1."""
    settings = kernel_size, stride, dilation
    axes = max(len(setting) if isinstance(setting, tuple) else 1 for setting in settings)
    each = [setting if isinstance(setting, tuple) else (setting,) * axes for setting in settings]
    if padding != "same" or set(each[1]) != {1}:
        return padding
    anything = 1                                    # the size cancels out
    return padding_of("", [same_padding(anything, *setting) for setting in zip(*each)], axes)
