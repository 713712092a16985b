"""Several styles at once: a target between their Gram matrices.

    G^S = Σ_i w_i G^{S_i},        Σ w_i = 1

The cost is quadratic in G^S, so that this differs from Σ_i w_i J(S_i) by a constant alone: both
have the same gradient, and one target costs no more than one style.  Source: neural-style's
-style_blend_weights (Johnson 2015).
"""
import math

from minidl.settings import bounded


def check_blend(operation, weights, count):
    """[w_1, …], equal ones by default; others are divided by their sum, 1 but for rounding.

    Raises ValueError unless there is one for each of `count` styles and they add up to 1, TypeError
    for what are no numbers.
    """
    if weights is None:
        return [1 / count] * count
    if (isinstance(weights, (str, dict)) or not hasattr(weights, "__iter__")
            or getattr(weights, "ndim", 1) == 0):
        raise TypeError(f"{operation}: style_blend_weights must be a list of numbers, got "
                        f"{weights!r}")
    weights = [bounded(operation, f"0 ≤ style_blend_weights[{i}] ≤ 1", weight)
               for i, weight in enumerate(weights)]
    if len(weights) != count:
        raise ValueError(f"{operation}: style_blend_weights needs one number for each of the "
                         f"{count} styles, got {len(weights)}")
    total = math.fsum(weights)
    if abs(total - 1) > 1e-3:       # more than printing with few digits does
        raise ValueError(f"{operation}: style_blend_weights must add up to 1, got {weights}, which "
                         f"add up to {total:g}")
    return [weight / total for weight in weights]


def blend(grams, weights):
    """{layer: Σ_i w_i G_i} of the Gram matrices [{layer: G}, …]; a style of weight 0 is left
    out."""
    kept = [(given, weight) for given, weight in zip(grams, weights) if weight]
    return {layer: sum(given[layer] * weight for given, weight in kept) for layer in grams[0]}
