"""What in the picture made a unit active: back from one activation to the pixels.

The deconvnet (Zeiler and Fergus 2013) keeps one activation of a layer, sets all others to 0, and
goes back layer by layer until it is at the pixels:

    pooling       each value goes where its maximum was found (the switches); where windows overlap,
                  what arrives at one place is added up
    ReLU          the signal itself is rectified
    convolution   the transposed filters, without a bias

The first and the last are just what backpropagation does with a cotangent:
x̄ = unpool(ȳ, switches), x̄ = conv_input(ȳ, w).  The ReLU alone differs.  So
the deconvnet is one backward pass under another rule for the ReLU, and guided backpropagation
(Springenberg et al. 2015) is a third.  For y = max(x, 0):

    "gradient"     x̄ = ȳ where y > 0, 0 elsewhere             what the derivative says
    "deconvnet"    x̄ = max(ȳ, 0)                              only what would raise the activation
    "guided"       x̄ = max(ȳ, 0) where y > 0, 0 elsewhere     both

The last two are no derivatives.  They are positively homogeneous, D(αs) = αD(s) for α > 0, but not
linear.  And they partly recover the picture whatever the unit is (Nie, Zhang and Patel 2018), even
where the upper layers are drawn anew (Adebayo et al. 2018): a sharp projection shows where edges
are, and explains little.
"""
from collections.abc import Sequence

import numpy as np

from minidl.nn import Sequential
from minidl.nn.module import evaluating
from minidl.operands import integers, number
from minidl.ops import relu
from minidl.ops.activation import keep_positive
from minidl.recording import recording
from minidl.settings import having, numbers, one_of
from minidl.tensor import grad, tensor, with_output
from minidl.visualize.found import Patch
from minidl.visualize.pictures import Picture, batch_of_one, check_layer, pixels

RULES = {"gradient": keep_positive,
         "deconvnet": lambda gy, y: relu(gy),
         "guided": lambda gy, y: keep_positive(relu(gy), y)}


def deconvnet(net: Sequential, picture: Picture, layer: str, unit: int,
              position: int | Sequence[int], rule: str = "deconvnet",
              activation: float | None = None) -> np.ndarray:
    """D(s), where s has one activation, of a unit at a position, and is 0 elsewhere; see `project`.

    unit: its number; position: an index for each axis of the layer's places, or one integer where
    there is one axis.  activation: to be brought back in the place of the one that it has.
    With the rule "gradient" D(s) is activation · ∂a/∂picture, where a is the unit's value there.
    Raises ValueError where the layer has no such unit or place.
    Source: Zeiler and Fergus 2013.
    """
    x, a = _run("deconvnet", net, picture, layer, rule)
    values = a.numpy()
    place = (0, *integers("deconvnet", "position", position), *integers("deconvnet", "unit", unit))
    if len(place) != a.ndim or not all(0 <= i < n for i, n in zip(place, a.shape)):
        raise ValueError(f"deconvnet: layer {layer!r} has the units 0 to {a.shape[-1] - 1} at the "
                         f"places {a.shape[1:-1]}, got unit {unit} at {position}")
    signal = np.zeros_like(values)
    signal[place] = (values[place] if activation is None
                     else number("deconvnet", "activation", activation))
    return _back(a, x, signal, rule)


def project(net: Sequential, picture: Picture, layer: str, signal: np.ndarray,
            rule: str = "deconvnet") -> np.ndarray:
    """D(s): a signal at a layer's output, brought back to the pixels, as an array of the picture's
    shape.

    net: a `nn.Sequential`; it is run as after `eval()`.  picture: (*S, C), or a path.  layer: its
    name.  signal s: (*P, U), as the layer's output for one picture.  rule: "gradient", "deconvnet"
    or "guided", of every ReLU on the way; where the layer itself is one, of it, too.
    Without ReLUs, D is the transposed Jacobian: ⟨J x, s⟩ = ⟨x, D s⟩.
    Raises ValueError for an unknown layer or rule, a signal of another shape, and what the network
    refuses; TypeError for another network.
    """
    x, a = _run("project", net, picture, layer, rule)
    signal = numbers("project", "signal", signal, dtype=None)
    if signal.shape != a.shape[1:]:
        raise ValueError(f"project: signal has shape {signal.shape}, layer {layer!r} gives "
                         f"{a.shape[1:]}")
    return _back(a, x, signal[None], rule)


def patch_projection(net: Sequential, patch: Patch, picture: Picture, layer: str, unit: int,
                     rule: str = "deconvnet") -> np.ndarray:
    """A patch's activation (`found.Patch`) brought back, over the patch's box: an array of the
    box's sizes, 0 where the unit saw padding.  picture: as `top_patches` took it.

    It is computed from the patch's aligned crop alone; of networks that take one size of picture
    (an attribute `size`), from all of it.
    """
    picture = pixels("patch_projection", picture)
    having("patch_projection", "patch", patch, "a Patch", "activation", "position", "field")
    corner, position = patch.field.aligned(patch.position, picture.shape[:-1])
    if getattr(net, "size", None):
        corner, position = tuple((0, n) for n in picture.shape[:-1]), patch.position
    part = tuple(slice(*bounds) for bounds in corner)
    found = np.zeros(picture.shape, "float32")
    found[part] = deconvnet(net, picture[part], layer, unit, position, rule, patch.activation)
    return patch.shown(found)


def _run(operation, net, picture, layer, rule):
    """The picture as x (1, *S, C), and the layer's output for it, recorded."""
    check_layer(operation, net, layer)
    one_of(operation, "rule", rule, RULES)
    x = batch_of_one(net, pixels(operation, picture), requires_grad=True)
    with recording(True), evaluating(net):
        return x, net(x, layers=[layer])[layer]


def _back(a, x, signal, rule):
    """The cotangent of x, where that of a is the signal, and ReLUs go by the rule."""
    change_rule(a, keep_positive, RULES[rule], since=x)
    with recording(True):
        found, = grad(a, x, tensor(signal, dtype=a.dtype, device=a.device))
    return found.numpy()[0]


def change_rule(output, old, new, since):
    """In the graph that leads from `since` to output, let new(ȳ, y) stand wherever a rule is old.

    A ReLU leaves its rule, `keep_positive`, in the graph wherever it was called: as a layer, within
    another one, or fused with a convolution.  So none is missed.  What was made before `since`
    (graphs of somebody else, from which the parameters may come) stays as it is.
    """
    nodes, changed = [output.node], with_output(new)
    for node in nodes:                                  # the list grows as it is walked
        if node.number > since.node.number:
            node.inputs = [(parents, changed if getattr(rule, "rule", None) is old else rule)
                           for parents, rule in node.inputs]
            for parents, _ in node.inputs:
                nodes += [parent for parent in (parents if type(parents) is tuple else (parents,))
                          if parent is not None and parent not in nodes]
