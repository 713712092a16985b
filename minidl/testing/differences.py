"""How wrong a difference quotient is, against its step: the picture behind every gradient check.

Along a line through all inputs L(t) = Σₖ ⟨ȳₖ, yₖ(x + t v)⟩ is a function of one number.  Reverse
mode gives L'(0) to rounding, difference quotients with an error that depends on their step h:

    (L(h) − L(0)) / h                     = L' + h L''/2 + …           forward differences
    D(h) = (L(h) − L(−h)) / 2h            = L' + h² L'''/6 + …         central differences
    (4 D(h/2) − D(h)) / 3                 = L' + O(h⁴)                 Richardson's extrapolation

and each adds the rounding error of L divided by h.  On logarithmic axes that is a V: a line of
slope 1, 2 or 4 on the right, one of slope −1 on the left, and the best step between them.
"""
import numpy as np

from minidl import ops
from minidl.tensor import Tensor, grad, tensor

STEPS = np.logspace(-14, 0, 56 * 4, endpoint=False).reshape(56, 4)  # four bins a decade of four h
MIDDLE = 36                                                         # the bin at h = 10⁻⁵
SMALLEST = 1e-17                                    # what an error of exactly zero is drawn as


def difference_curves(f, inputs, seed, order=1):
    """The relative errors of the difference quotients of L at all STEPS, and what can be read off.

    f: a function of Tensors that gives one or several.  inputs: arrays; those of floats are moved.
    order: 2 for the curves of f's gradient.
    A dictionary: zero, whether L'(0) = 0; samples and errors (their root mean square in each bin),
    {method: array} for forward, central and richardson; h, the middle of each bin; slopes and
    rounding_slopes of both arms of the V, where straight; read_from, the bins of the former; best,
    {method: {h, error}}; kink_reached_at, the h from which a step reaches a kink, or None.
    Raises ValueError where values or gradients are not finite, TypeError where f gives no Tensor
    of floats.
    """
    rng = np.random.default_rng(seed)
    if order == 2:
        f = _gradient(f, _cotangents(rng, f(*_tensors(inputs))))
    L, slope, size = _line(f, inputs, rng)
    ahead, behind = L(STEPS), L(-STEPS)
    central = (ahead - behind) / (2 * STEPS)
    quotients = {"forward": ahead / STEPS, "central": central,
                 "richardson": (4 * (L(STEPS / 2) - L(-STEPS / 2)) / STEPS - central) / 3}
    if not np.isfinite([slope, size, *(q[:MIDDLE].sum() for q in quotients.values())]).all():
        raise ValueError("its values or its gradients near there are not finite; say with --range "
                         "where they are")
    scale = max(abs(slope), *(abs(np.median(q[MIDDLE])) for q in quotients.values()))
    # slope == size == 0: of x² at 0, say, no term of L is left to compare with
    zero = bool(scale <= 1e-9 * size) or slope == size == 0
    # the errors of a slope of zero are relative to the terms of L
    scale = size or 1.0 if zero else scale
    samples = {method: np.maximum(abs(q - slope) / scale, SMALLEST)
               for method, q in quotients.items()}
    errors = {method: np.sqrt(np.mean(e ** 2, axis=1)) for method, e in samples.items()}
    return {"zero": zero, "samples": samples, "errors": errors, **_readings(errors)}


def _line(f, inputs, rng):
    """L(t) − L(0) as a function, L'(0) by reverse mode, and Σ |terms of L(0)|, along a random line
    through the inputs.

    Outputs are subtracted before they are summed: what is large and equal in both cancels before it
    can be rounded.
    """
    directions = [_away_from_zero(rng, x.shape) * (np.mean(abs(x)) or 1.0) if x.dtype.kind == "f"
                  else None for x in inputs]

    def values(t):
        moved = [x if v is None else x + t * v for x, v in zip(inputs, directions)]
        return [y.numpy() for y in _outputs(f(*_tensors(moved)))]

    cotangents = _cotangents(rng, f(*_tensors(inputs)))
    gradients = _gradient(f, cotangents)(*_tensors(inputs))
    slope = sum(np.sum(g.numpy() * v)
                for g, v in zip(gradients, (v for v in directions if v is not None)))
    origin = values(0.0)
    size = sum(np.sum(abs(gy * y)) for gy, y in zip(cotangents, origin))

    def L(t):
        return sum(np.sum(gy * (y - y0)) for gy, y, y0 in zip(cotangents, values(t), origin))
    return np.vectorize(L, otypes=[float]), float(slope), float(size)


def _gradient(f, cotangents):
    """The function x → dL/dx, which can be differentiated again."""
    def gradient(*xs):
        L = sum(ops.sum(y * tensor(gy)) for y, gy in zip(_outputs(f(*xs)), cotangents))
        return grad(L, [x for x in xs if x.requires_grad], create_graph=True)
    return gradient


def _cotangents(rng, y):
    return [_away_from_zero(rng, t.shape) for t in _outputs(y)]


def _readings(curves):
    """Slopes of the truncation and the rounding error on logarithmic axes, the points from which
    the first was read, the best steps, and the first kink reached."""
    h = np.exp(np.mean(np.log(STEPS), axis=1))
    readings = {"h": h, "slopes": {}, "read_from": {}, "rounding_slopes": {}, "best": {},
                "kink_reached_at": None}
    for method, error in curves.items():
        # what it is at the small steps, continued as 1/h
        rounding = np.median((error * h)[h < 1e-9]) / h
        best = int(np.nanargmin(error))
        readings["best"][method] = {"h": float(h[best]), "error": float(error[best])}
        readings["rounding_slopes"][method] = _fit(h, error, h < max(h[best] / 10, 1e-9))[0]
        jumps = np.flatnonzero((error[:-1] < 100 * rounding[:-1])
                               & (error[1:] > 1e4 * rounding[1:]))
        if jumps.size:
            readings["kink_reached_at"] = float(h[jumps[0] + 1])
        truncation = np.flatnonzero((error > 100 * rounding) & (h < 0.3))
        lower = readings["read_from"][method] = truncation[:max(5, truncation.size // 2)]
        slope, distance = _fit(h, error, lower) if truncation.size >= 5 else (0.0, 1.0)
        # None: there is no straight part
        readings["slopes"][method] = slope if distance < 0.1 else None
    return readings


def _fit(h, error, where):
    """(slope, root mean square distance) of the line through these points on logarithmic axes."""
    x, y = np.log(h[where]), np.log(error[where])
    line = np.polynomial.Polynomial.fit(x, y, 1)
    return float(line.deriv()(0.0)), float(np.sqrt(np.mean((line(x) - y) ** 2)))


def _tensors(inputs):
    return [tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]


def _outputs(y):
    ys = y if isinstance(y, (tuple, list)) else [y]
    for y in ys:
        if not isinstance(y, Tensor):
            raise TypeError(f"it must return a Tensor or a tuple of them, not {type(y).__name__}")
    floating = [y for y in ys if y.dtype.kind == "f"]
    if not floating:
        raise TypeError("it returns no floating-point Tensor, but "
                        f"{', '.join(str(y.dtype) for y in ys) or 'nothing'}")
    return floating


def _away_from_zero(rng, shape):
    """Random numbers of either sign, of sizes between ½ and 3/2."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
