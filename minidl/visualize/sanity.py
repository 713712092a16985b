"""How much of a projection is due to the layers it is said to explain?

The deconvnet and guided backpropagation let through what raises the signal, at every ReLU.  What is
left is mostly the picture's own edges, as the lower filters and the switches have them: it looks
much the same when the upper layers, with all that they have learned, are drawn anew.  The measure
is Spearman's: the correlation of the ranks r of D and D', entry by entry, with their signs,

    ρ = ⟨r − r̄, r' − r̄'⟩ / (‖r − r̄‖ ‖r' − r̄'‖)        ties get the mean of their ranks

ρ near 1: the projection hardly depends on what the upper layers have learned; near 0: without it,
nothing of the projection is left.  (Of |D| and |D'| it is near 1 for any two projections of a deep
unit, the gradient's too: both fade towards the border of the unit's box.)

Source: Adebayo et al. 2018, "Sanity Checks for Saliency Maps"; Nie, Zhang and Patel 2018.
"""
import copy

import numpy as np

from minidl import backend
from minidl.nn import Sequential
from minidl.settings import numbers
from minidl.visualize.found import Patch
from minidl.visualize.pictures import Picture, check_layer
from minidl.visualize.projection import patch_projection


def drawn_anew(net: Sequential, after: str, rng: np.random.Generator | int) -> Sequential:
    """A copy of a `nn.Sequential` in which the parameters of all layers behind the one named
    `after` are drawn anew: normal, each with the mean and the deviation that the trained ones have.

    rng: a Generator or a seed.  Raises ValueError for an unknown layer.
    """
    check_layer("drawn_anew", net, after)
    copied, rng = copy.deepcopy(net), backend.generator(rng)
    for parameter in copied.part(after=after).parameters():
        w = parameter.numpy()
        drawn = rng.normal(w.mean(), w.std(), w.shape).astype(w.dtype)
        parameter.data = backend.move(drawn, backend.device_of(parameter.data))
    return copied


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's ρ of two projections of one shape; NaN where all entries of one are equal.

    Raises ValueError for two shapes.
    """
    from scipy.stats import rankdata
    a, b = numbers("rank_correlation", "a", a), numbers("rank_correlation", "b", b)
    if a.shape != b.shape:
        raise ValueError(f"rank_correlation: the shapes {a.shape} and {b.shape} differ")
    a, b = (rankdata(np.ravel(x)) for x in (a, b))
    a, b = a - a.mean(), b - b.mean()
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else float("nan")


def compare(net: Sequential, other: Sequential, patch: Patch, picture: Picture, layer: str,
            unit: int, rule: str = "deconvnet") -> tuple[np.ndarray, np.ndarray, float]:
    """(D, D', ρ): a patch's activation brought back by the one network and by the other, each over
    the patch's box, and their rank correlation there.

    The same signal goes down both: the patch's activation at its place, however active the other
    network's unit is.  (Under the rules "gradient" and "guided" a ReLU that is shut lets nothing
    through: name the layer before it.)  The rest as in `patch_projection`.
    """
    a, b = (patch_projection(each, patch, picture, layer, unit, rule) for each in (net, other))
    return a, b, rank_correlation(a, b)
