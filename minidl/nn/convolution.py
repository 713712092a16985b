"""Convolution layers in 1, 2 and 3 dimensions.  The mathematics stands in `ops/convolution.py`."""
from minidl import backend, ops
from minidl.nn.activation import ReLU
from minidl.nn.initializers import drawn, fan_in_uniform, fans
from minidl.nn.module import Module, Parameter, changed, given
from minidl.nn.windows import padding_of, padding_seen, shortest
from minidl.operands import check_sizes, operand, per_axis

AXES = {1: "(N, T, C)", 2: "(N, H, W, C)", 3: "(N, D, H, W, C)"}


class _Convolution(Module):
    """What convolutions and transposed ones share: a filter, a bias, and how the filter moves."""
    dimensions = None
    transposed = False

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True, *, initializer=fan_in_uniform, dtype="float32", rng=None):
        name = type(self).__name__
        check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and "
                             f"out_channels={out_channels}")
        self.in_channels, self.out_channels = in_channels, out_channels
        kernel = per_axis(name, "kernel_size", kernel_size, self.dimensions, 1)
        self.kernel_size = self.steps("kernel_size", kernel, 1)
        self.stride = self.steps("stride", stride, 1)
        self.padding = (self.steps("padding", padding, 0) if self.transposed
                        else padding_of(name, padding, self.dimensions))
        self.dilation, self.groups = self.steps("dilation", dilation, 1), groups
        # a transposed convolution has the filter of the convolution that it transposes
        channels = ((out_channels // groups, in_channels) if self.transposed
                    else (in_channels // groups, out_channels))
        shape, rng = kernel + channels, backend.generator(rng)
        start = drawn(name, initializer, shape, rng)             # a Parameter stays itself
        self.weight = start if isinstance(start, Parameter) else Parameter(start, dtype=dtype)
        self.bias = None
        if bias:
            start = fan_in_uniform((out_channels,), rng, fans(shape)[0])
            self.bias = Parameter(start, dtype=dtype)

    @classmethod
    def from_weights(cls, weight, bias=None, **options):
        """The layer with given weights, in the shapes that the class states: arrays are copied,
        Parameters shared.

        options: stride, padding, dilation, groups (and output_padding), as the class takes them.
        Raises ValueError for shapes that do not fit, TypeError for what is no floating-point array.
        """
        name, groups = cls.__name__, options.get("groups", 1)
        if unknown := sorted(options.keys() - {"stride", "padding", "dilation", "groups",
                                               "output_padding"}):
            raise TypeError(f"{name}: from_weights takes weight, bias, and how the filter moves; "
                            f"{unknown[0]} is given by the weight")
        weight = given(name, "weight", weight)
        bias = bias if bias is None else given(name, "bias", bias)
        if weight.ndim != cls.dimensions + 2:
            shape = "(*K, O/groups, C)" if cls.transposed else "(*K, C/groups, O)"
            raise ValueError(f"{name}: weight must be {shape} with {cls.dimensions} sizes K, got "
                             f"shape {weight.shape}")
        check_sizes(name, groups=groups)
        *kernel_size, before, after = weight.shape
        channels = (after, before * groups) if cls.transposed else (before * groups, after)
        layer = cls(*channels, kernel_size, bias=False, rng=0, **options,
                    initializer=lambda shape, rng: weight)          # nothing is drawn
        if bias is not None and bias.shape != channels[1:]:
            raise ValueError(f"{name}: bias must have one entry for each of the {channels[1]} "
                             f"channels that weight {weight.shape} gives, got shape {bias.shape}")
        if bias is not None and bias.dtype != weight.dtype:
            raise ValueError(f"{name}: weight and bias must have one dtype, got {weight.dtype} and "
                             f"{bias.dtype}")
        layer.bias = bias
        return layer

    def steps(self, name, value, lowest):
        """A setting as one integer, or one for each axis where they differ."""
        return shortest(per_axis(type(self).__name__, name, value, self.dimensions, lowest))

    def check(self, x):
        """x as a Tensor; raises ValueError, naming the layer, for other axes or channels."""
        x = operand(type(self).__name__, x)
        if x.ndim != self.dimensions + 2 or x.shape[-1] != self.in_channels:
            expected = f"{AXES[self.dimensions]} with C = {self.in_channels}"
            raise ValueError(f"{self!r}: x of shape {x.shape} must be {expected}")
        return x

    def movement(self):
        """How the filter moves, as the operation's keyword arguments."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation,
                "groups": self.groups}

    def window(self):
        if self.transposed:
            return None
        padding = padding_seen(self.kernel_size, self.stride, self.padding, self.dilation)
        return self.kernel_size, self.stride, padding, self.dilation

    def forward(self, x):
        return ops.conv(self.check(x), self.weight, self.bias, **self.movement())

    def details(self):
        return (f"{self.in_channels}, {self.out_channels}, {self.kernel_size}"
                + ", bias=False" * (self.bias is None)
                + changed(self, stride=1, padding=0, dilation=1, groups=1))


class _ConvolutionTranspose(_Convolution):
    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0,
                 output_padding=0, dilation=1, groups=1, bias=True, *, initializer=fan_in_uniform,
                 dtype="float32", rng=None):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, initializer=initializer, dtype=dtype, rng=rng)
        self.output_padding = self.steps("output_padding", output_padding, 0)

    def forward(self, x):
        return ops.conv_transpose(self.check(x), self.weight, self.bias,
                                  output_padding=self.output_padding, **self.movement())

    def details(self):
        return super().details() + changed(self, output_padding=0)


class Conv1d(_Convolution):
    """Convolution of signals: (N, T, in) → (N, T', out); arguments and errors are Conv2d's.

    >>> Conv1d(2, 5, 3, rng=0)([[[0.0, 0.0]] * 8]).shape
    (1, 6, 5)
    """
    dimensions = 1


class Conv2d(_Convolution):
    """Convolution of images: y = conv(x, weight) + bias; see `ops.conv`.

    x (N, H, W, in_channels) → y (N, H', W', out_channels), where along each axis
    n' = floor((n + 2·padding − dilation·(kernel_size − 1) − 1) / stride) + 1.
    weight (kernel_size, kernel_size, in_channels / groups, out_channels), bias (out_channels,).
    kernel_size, stride, padding, dilation: an integer, or one for each axis.  padding may also be
    (before, after) for an axis, or "same", with which n' = ceil(n / stride); see `ops/padding.py`.
    groups: blocks of channels that are convolved on their own.  groups = in_channels = out_channels
    is depthwise convolution.
    initializer draws the weights; biases are drawn uniformly from ±1/√fan_in.  With the default
    initializer both start as PyTorch's.  rng: a numpy Generator or an integer seed.
    Raises ValueError for sizes that do not fit, and for x of other axes or channels.

    >>> layer = Conv2d(3, 8, 3, padding=1, rng=0)
    >>> layer, layer.weight.shape
    (Conv2d(3, 8, 3, padding=1), (3, 3, 3, 8))
    >>> from minidl import ops
    >>> layer(ops.zeros((1, 32, 32, 3))).shape
    (1, 32, 32, 8)
    """
    dimensions = 2


class ConvReLU(Conv2d):
    """Convolution of images and ReLU in one: y = max(conv(x, weight) + bias, 0).

    See `ops.conv_relu`; shapes, arguments and errors are Conv2d's.

    >>> ConvReLU(3, 8, 3, rng=0)
    ConvReLU(3, 8, 3)
    """

    def forward(self, x):
        return ops.conv_relu(self.check(x), self.weight, self.bias, **self.movement())

    def unfused(self):
        return Conv2d.from_weights(self.weight, self.bias, **self.movement()), ReLU()


class Conv3d(_Convolution):
    """Convolution of volumes: (N, D, H, W, in) → (N, D', H', W', out); as Conv2d.

    >>> Conv3d(1, 4, (1, 3, 3), rng=0).weight.shape
    (1, 3, 3, 1, 4)
    """
    dimensions = 3


class ConvTranspose1d(_ConvolutionTranspose):
    """Transposed convolution of signals: (N, T, in) → (N, T', out); as ConvTranspose2d.

    >>> ConvTranspose1d(2, 5, 4, stride=2, rng=0)([[[0.0, 0.0]] * 8]).shape
    (1, 18, 5)
    """
    dimensions = 1


class ConvTranspose2d(_ConvolutionTranspose):
    """Transposed convolution of images, from a small grid to a large one; see `ops.conv_transpose`.

    x (N, H, W, in_channels) → y (N, H', W', out_channels), where along each axis
    n' = stride·(n − 1) + dilation·(kernel_size − 1) + 1 − 2·padding + output_padding.
    weight (kernel_size, kernel_size, out_channels / groups, in_channels): the filter of the
    convolution from y to x; fan_in is that convolution's.
    padding, output_padding < stride: an integer, or one for each axis.  The other arguments and
    errors are Conv2d's.

    >>> from minidl import ops
    >>> ConvTranspose2d(8, 3, 4, stride=2, padding=1, rng=0)(ops.zeros((1, 16, 16, 8))).shape
    (1, 32, 32, 3)
    """
    dimensions = 2


class ConvTranspose3d(_ConvolutionTranspose):
    """Transposed convolution of volumes: (N, D, H, W, in) → (N, D', H', W', out).

    Arguments and errors are ConvTranspose2d's.

    >>> ConvTranspose3d(2, 1, 2, stride=2, rng=0).weight.shape
    (2, 2, 2, 1, 2)
    """
    dimensions = 3
