"""Normalisation layers.  The mathematics stands in `ops/normalization.py`."""
from minidl import backend, ops
from minidl.kernels.precision import accumulator
from minidl.nn.module import Module, Parameter, Pointwise, changed
from minidl.operands import check_features, check_labels, check_sizes, operand
from minidl.ops import communication
from minidl.settings import EPS, bounded
from minidl.tensor import constant


class BatchNorm(Pointwise):
    """y = scale ⊙ (x − μ) / √(σ² + eps) + shift, channel by channel, in any number of dimensions.

    x (…, features).  In training μ and σ² are the batch's own mean and variance over all axes but
    the last (of several processes, those of the joined batch), and the running ones follow them,

        running ← (1 − momentum) · running + momentum · the batch's

    (with the unbiased variance, as PyTorch does); after `eval()` the running ones are used.
    scale starts at 1, shift at 0, running_mean at 0 and running_variance at 1; the running ones of
    a float16 layer are float32.  0 ≤ momentum ≤ 1, eps ≥ 10⁻³⁷.
    Raises ValueError where x's last axis does not fit, or a training batch has only one value per
    channel.
    Source: Ioffe and Szegedy 2015.

    >>> BatchNorm(1, dtype="float64")([[1.0], [3.0]]).detach()
    tensor([[-0.999995],
            [ 0.999995]], float64)
    """

    def __init__(self, features, momentum=0.1, eps=1e-5, *, dtype="float32"):
        check_sizes("BatchNorm", features=features)
        self.momentum = bounded("BatchNorm", "0 ≤ momentum ≤ 1", momentum)
        self.eps = bounded("BatchNorm", EPS, eps)
        self.scale = Parameter([1.0] * features, dtype=dtype)
        self.shift = Parameter([0.0] * features, dtype=dtype)
        wide = accumulator(self.scale.dtype)
        self.running_mean = self.shift.data.astype(wide)
        self.running_variance = self.scale.data.astype(wide)

    def forward(self, x):
        return self.normalized(check_features(self, x, self.scale.shape[0]), self.scale, self.shift)

    def normalized(self, x, scale, shift):
        """x normalised by the batch's moments, which the running ones follow; after `eval()`, by
        the running ones."""
        if not self.training:
            y = ops.batch_norm(x, scale, shift, self.running_mean, self.running_variance, self.eps)
            dtype = backend.CPU.module.result_type(x.dtype, scale.dtype)
            return y if y.dtype == dtype else y.astype(dtype)       # float16, as in training
        y, mean, variance, values = communication.batch_norm(x, scale, shift, self.eps)
        self.follow(mean, variance * (values / (values - 1)))
        return y

    def follow(self, mean, variance):
        """Move the running statistics towards a batch's."""
        m, dtype = self.momentum, self.running_mean.dtype
        self.running_mean = (1 - m) * self.running_mean + m * mean.astype(dtype, copy=False)
        variance = variance.astype(dtype, copy=False)
        self.running_variance = (1 - m) * self.running_variance + m * variance

    def details(self):
        return f"{self.scale.size}" + changed(self, momentum=0.1, eps=1e-5)


class LayerNorm(Pointwise):
    """y = scale ⊙ (x − μ) / √(σ² + eps) + shift, with μ and σ² over the last axis of each example.

    x (…, features); scale starts at 1, shift at 0; eps ≥ 10⁻³⁷.
    Raises ValueError where x's last axis does not fit.  Source: Ba, Kiros and Hinton 2016.

    >>> LayerNorm(2, dtype="float64")([[1.0, 3.0]]).detach()
    tensor([[-0.999995,  0.999995]], float64)
    """

    def __init__(self, features, eps=1e-5, *, dtype="float32"):
        check_sizes("LayerNorm", features=features)
        self.eps = bounded("LayerNorm", EPS, eps)
        self.scale = Parameter([1.0] * features, dtype=dtype)
        self.shift = Parameter([0.0] * features, dtype=dtype)

    def forward(self, x):
        x = check_features(self, x, self.scale.shape[0])
        return ops.layer_norm(x, self.scale, self.shift, eps=self.eps)

    def details(self):
        return f"{self.scale.size}" + changed(self, eps=1e-5)


class GroupNorm(Module):
    """y = scale ⊙ (x − μ) / √(σ² + eps) + shift, where μ and σ² are taken over all places of a
    group of channels, example by example; see `ops.group_norm`.

    x (N, *S, features); scale starts at 1, shift at 0; groups divide features; eps ≥ 10⁻³⁷.
    Source: Wu and He 2018.

    >>> GroupNorm(2, 4, dtype="float64")([[[1.0, 3.0, 5.0, 9.0]]]).detach()
    tensor([[[-0.999995,  0.999995, -0.999999,  0.999999]]], float64)
    """

    def __init__(self, groups, features, eps=1e-5, *, dtype="float32"):
        check_sizes(type(self).__name__, groups=groups, features=features)
        if features % groups:
            raise ValueError(f"{type(self).__name__}: groups={groups} must divide "
                             f"features={features}")
        self.groups, self.eps = groups, bounded(type(self).__name__, EPS, eps)
        self.scale = Parameter([1.0] * features, dtype=dtype)
        self.shift = Parameter([0.0] * features, dtype=dtype)

    def forward(self, x):
        x = check_features(self, x, self.scale.shape[0])
        return ops.group_norm(x, self.scale, self.shift, self.groups, self.eps)

    def details(self):
        return f"{self.groups}, {self.scale.size}" + changed(self, eps=1e-5)


class InstanceNorm(GroupNorm):
    """GroupNorm with a group for each channel: x (N, *S, features), over all places; see
    `ops.instance_norm`.

    Raises ValueError where x has one place.  Source: Ulyanov, Vedaldi and Lempitsky 2016.

    >>> InstanceNorm(1, dtype="float64")([[[1.0], [3.0]]]).detach()
    tensor([[[-0.999995],
             [ 0.999995]]], float64)
    """

    def __init__(self, features, eps=1e-5, *, dtype="float32"):
        super().__init__(features, features, eps, dtype=dtype)

    def forward(self, x):
        x = check_features(self, x, self.scale.shape[0])
        return ops.instance_norm(x, self.scale, self.shift, self.eps)

    def details(self):
        return f"{self.scale.size}" + changed(self, eps=1e-5)


class ConditionalBatchNorm(BatchNorm):
    """Batch norm whose scale and shift are those of each example's class:

        y[n] = scale[label n] ⊙ (x[n] − μ) / √(σ² + eps) + shift[label n]

    x (N, …, features), labels (N,) integers in 0 … classes − 1; scale and shift
    (classes, features).  μ and σ² are those of the whole batch, running ones as BatchNorm's.
    Raises what BatchNorm does; TypeError or ValueError for other labels.
    Source: de Vries et al. 2017; for GANs, Miyato and Koyama 2018.

    >>> ConditionalBatchNorm(10, 1, dtype="float64")([[1.0], [3.0]], [4, 7]).detach()
    tensor([[-0.999995],
            [ 0.999995]], float64)
    """

    def __init__(self, classes, features, momentum=0.1, eps=1e-5, *, dtype="float32"):
        check_sizes("ConditionalBatchNorm", classes=classes)
        super().__init__(features, momentum, eps, dtype=dtype)
        self.scale = Parameter([[1.0] * features] * classes, dtype=dtype)
        self.shift = Parameter([[0.0] * features] * classes, dtype=dtype)

    def forward(self, x, labels):
        classes, features = self.scale.shape
        x = check_features(self, x, features)
        labels = operand("ConditionalBatchNorm", labels, "labels")
        check_labels("ConditionalBatchNorm", labels, classes)
        if labels.shape != x.shape[:1]:
            raise ValueError(f"ConditionalBatchNorm: x {x.shape} needs labels ({x.shape[0]},), "
                             f"got {labels.shape}")
        zero = constant(backend.of(self.scale.data).zeros(features, self.scale.dtype))
        normal = self.normalized(x, zero + 1, zero)
        lines = (x.shape[0],) + (1,) * (x.ndim - 2) + (features,)
        scale, shift = (ops.reshape(ops.take(each, labels, 0), lines)
                        for each in (self.scale, self.shift))
        return normal * scale + shift

    def details(self):
        return "{}, {}".format(*self.scale.shape) + changed(self, momentum=0.1, eps=1e-5)


class Normalize(Pointwise):
    """y = x / ‖x‖ along the last axis: of length 1, but 0 stays 0; see `ops.normalize`.

    >>> Normalize()([[3.0, 4.0]])
    tensor([[0.6, 0.8]], float64)
    """

    def forward(self, x):
        return ops.normalize(x)
