"""Spectral normalisation: layers whose weights are bounded, so that the critic cannot be steep.

A matrix W maps a vector to one at most σ times as long, where σ is its largest singular value;
with u and v, of length 1, the singular vectors, W v = σ u and σ = uᵀ W v.  Dense layers of W / σ,
and activations of slope at most 1, make a function of slope at most 1.  A filter is taken as the
matrix (∏K · C, O) of one place; as each input is seen from ∏K places, a convolution with it makes
vectors at most √∏K times as long: a bound, too, but not 1.
"""

import numpy as np

from minidl import backend, ops
from minidl.nn import Module
from minidl.operands import check_sizes, operand
from minidl.tensor import Tensor, constant, record, with_output


def spectral_norm(w: Tensor, u: np.ndarray | Tensor, v: np.ndarray | Tensor) -> Tensor:
    """y = w / s,  s = uᵀ w v:  w (m, n), u (m,) and v (n,) constants.

    ds = ⟨u vᵀ, dw⟩,   dy = dw / s − w ds / s² = (dw − y ds) / s
    dL = ⟨ȳ, dy⟩ = ⟨ȳ, dw⟩ / s − ⟨ȳ, y⟩ ⟨u vᵀ, dw⟩ / s
    so   w̄ = (ȳ − ⟨ȳ, y⟩ u vᵀ) / s:   ⟨w̄, w⟩ = 0, nothing is gained by scaling w.
    At singular vectors ds is the exact differential of σ, though u and v depend on w: both have
    length 1, so ⟨u, du⟩ = ⟨v, dv⟩ = 0, and duᵀ W v = σ ⟨du, u⟩ = 0.
    Source: Miyato et al. 2018.
    """
    w, u, v = (operand("spectral_norm", x, name) for x, name in ((w, "w"), (u, "u"), (v, "v")))
    if w.ndim != 2 or (u.shape, v.shape) != (w.shape[:1], w.shape[1:]):
        raise ValueError(f"spectral_norm: w must be (m, n) with u (m,) and v (n,), got {w.shape}, "
                         f"{u.shape} and {v.shape}")
    u, v = u.detach(), v.detach()

    def gain(w):
        return ops.sum(ops.matmul(u, w) * v)

    def rule(gy, y):
        return (gy - ops.sum(gy * y) * ops.outer(u, v)) / gain(w)

    return record(w.data / gain(w.detach()).data, (w, with_output(rule)))


class SpectralNorm(Module):
    """A layer that is called with weight / σ in the place of its weight.

    layer: one with a `weight` (Dense, Conv2d, …); a filter (*K, C, O) is taken as the matrix
    (∏K · C, O).
    σ is tracked by power iteration: in every training call one step

        u ← W v / |W v|,    v ← Wᵀ u / |Wᵀ u|,

    which is enough where W moves little from step to step; u and v are buffers, saved with it.
    `steps` of them are taken at the start.
    rng: a Generator or seed, for the first v.  Raises TypeError for a layer without a weight.
    """

    def __init__(self, layer: Module, *, steps: int = 20,
                 rng: np.random.Generator | int | None = None):
        weight = getattr(layer, "weight", None)
        if not isinstance(layer, Module) or weight is None:
            raise TypeError("SpectralNorm: layer must have a weight, as Dense and convolutions "
                            f"have, got {type(layer).__name__}")
        check_sizes("SpectralNorm", steps=steps)
        self.layer = layer
        w, xp = self.matrix().data, backend.of(weight.data)
        start = backend.generator(rng).standard_normal(w.shape[1])
        self.v = _unit(backend.asarray(start, w.dtype, backend.device_of(w)))
        self.u = xp.zeros(w.shape[0], w.dtype)
        for _ in range(steps):
            self.iterate()

    def matrix(self):
        """The weight as (∏K · C, O)."""
        return ops.reshape(self.layer.weight, (-1, self.layer.weight.shape[-1]))

    def iterate(self):
        """One step of the power iteration."""
        w = self.matrix().data
        self.u = _unit(w @ self.v)
        self.v = _unit(self.u @ w)

    def forward(self, *inputs):
        if self.training:
            self.iterate()
        own, u, v = self.layer.weight, constant(self.u), constant(self.v)
        normal = ops.reshape(spectral_norm(self.matrix(), u, v), own.shape)
        vars(self.layer)["weight"] = normal             # for this call: it has the graph to `own`
        try:
            return self.layer(*inputs)
        finally:
            self.layer.weight = own

    def window(self):
        return self.layer.window()


def _unit(x):
    """x / |x|, and x where that is 0."""
    length = (x * x).sum() ** 0.5
    return x if length == 0 else x / length
