"""Convolution layers in 1, 2 and 3 dimensions.  The mathematics stands in `ops/convolution.py`."""
from minidl import backend, ops
from minidl.nn.initializers import fan_in_uniform, fans
from minidl.nn.module import Module, Parameter, changed
from minidl.operands import check_sizes, operand, per_axis

AXES = {1: "(N, T, C)", 2: "(N, H, W, C)", 3: "(N, D, H, W, C)"}


class _Convolution(Module):
    """What convolutions and transposed ones share: a filter, a bias, and how the filter moves."""
    dimensions = None
    transposed = False

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, *,
                 initializer=fan_in_uniform, dtype="float32", rng=None):
        name = type(self).__name__
        check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and "
                             f"out_channels={out_channels}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.dimensions, 1)
        self.stride = self.steps("stride", stride, 1)
        self.padding = self.steps("padding", padding, 0)
        self.dilation, self.groups = self.steps("dilation", dilation, 1), groups
        # a transposed convolution's filter is that of the convolution which it transposes, from out to in
        channels = (out_channels // groups, in_channels) if self.transposed else (in_channels // groups, out_channels)
        shape, rng = self.kernel_size + channels, backend.generator(rng)
        self.weight = Parameter(initializer(shape, rng), dtype=dtype)
        self.bias = Parameter(fan_in_uniform((out_channels,), rng, fans(shape)[0]), dtype=dtype) if bias else None

    def steps(self, name, value, lowest):
        """A setting as one integer, or one for each axis where they differ."""
        values = per_axis(type(self).__name__, name, value, self.dimensions, lowest)
        return values[0] if len(set(values)) == 1 else values

    def check(self, x):
        """x as a Tensor; raises ValueError, naming the layer, unless it has the right axes and channels."""
        x = operand(type(self).__name__, x)
        if x.ndim != self.dimensions + 2 or x.shape[-1] != self.in_channels:
            expected = f"{AXES[self.dimensions]} with C = {self.in_channels}"
            raise ValueError(f"{self!r}: x of shape {x.shape} must be {expected}")
        return x

    def movement(self):
        """How the filter moves, as the operation's keyword arguments."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def forward(self, x):
        return ops.conv(self.check(x), self.weight, self.bias, **self.movement())

    def details(self):
        size = self.kernel_size[0] if len(set(self.kernel_size)) == 1 else self.kernel_size
        return (f"{self.in_channels}, {self.out_channels}, {size}" + ", bias=False" * (self.bias is None)
                + changed(self, stride=1, padding=0, dilation=1, groups=1))


class _ConvolutionTranspose(_Convolution):
    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, **options):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, **options)
        self.output_padding = self.steps("output_padding", output_padding, 0)

    def forward(self, x):
        return ops.conv_transpose(self.check(x), self.weight, self.bias, output_padding=self.output_padding,
                                  **self.movement())

    def details(self):
        return super().details() + changed(self, output_padding=0)


class Conv1d(_Convolution):
    """Convolution of signals: (N, T, in) → (N, T', out); see Conv2d."""
    dimensions = 1


class Conv2d(_Convolution):
    """Convolution of images: y = conv(x, weight) + bias; see `ops.conv`.

    x (N, H, W, in_channels) → y (N, H', W', out_channels), where along each axis
    n' = floor((n + 2·padding − dilation·(kernel_size − 1) − 1) / stride) + 1.
    weight (kernel_size, kernel_size, in_channels / groups, out_channels), bias (out_channels,).
    kernel_size, stride, padding, dilation: an integer, or one for each axis.  groups: blocks of channels that are
    convolved on their own.  Weights are drawn by `initializer`, biases uniformly from ±1/√fan_in; with the default
    initializer both start as PyTorch's.
    """
    dimensions = 2


class ConvReLU(Conv2d):
    """Convolution of images and its positive part in one: y = max(conv(x, weight) + bias, 0).

    See `ops.conv_relu`; shapes, parameters and options are Conv2d's.
    """

    def forward(self, x):
        return ops.conv_relu(self.check(x), self.weight, self.bias, **self.movement())


class Conv3d(_Convolution):
    """Convolution of volumes: (N, D, H, W, in) → (N, D', H', W', out); see Conv2d."""
    dimensions = 3


class ConvTranspose1d(_ConvolutionTranspose):
    """Transposed convolution of signals: (N, T, in) → (N, T', out); see ConvTranspose2d."""
    dimensions = 1


class ConvTranspose2d(_ConvolutionTranspose):
    """Transposed convolution of images: from a small grid to a larger one; see `ops.conv_transpose`.

    x (N, H, W, in_channels) → y (N, H', W', out_channels), where along each axis
    n' = stride·(n − 1) + dilation·(kernel_size − 1) + 1 − 2·padding + output_padding.
    weight (kernel_size, kernel_size, out_channels / groups, in_channels): the filter of the convolution from y to x.
    The other options are Conv2d's.
    """
    dimensions = 2


class ConvTranspose3d(_ConvolutionTranspose):
    """Transposed convolution of volumes: (N, D, H, W, in) → (N, D', H', W', out); see ConvTranspose2d."""
    dimensions = 3
