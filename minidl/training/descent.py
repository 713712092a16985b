"""One step down: gradients, clipping, and the optimisers' moves, for one player or several."""
from collections.abc import Iterable
import math

from minidl import ops
from minidl.nn import Parameter
from minidl.optim import Optimizer
from minidl.settings import bounded
from minidl.tensor import Tensor
from minidl.training import processes
from minidl.training.checks import Diverged


def descend(*players: tuple, max_norm: float | None = None) -> list[float]:
    """All players take one step down, each its own loss Lᵢ by its own weights wᵢ, at the same time:

        gᵢ = ∂Lᵢ/∂wᵢ, all at the present w;    then every wᵢ moves along gᵢ by its optimiser's rule.

    players: tuples (loss, optimizer), or (loss, optimizer, optimizer, …) where several share the
        weights of one loss, say one with weight decay and one without.  gᵢ is taken with respect
        to player i's own parameters alone, so the step of a generator leaves the discriminator's
        alone.  A parameter on which the loss does not depend has gradient 0; a frozen one stays.
    max_norm: each player's gradient is clipped to this length, see `clip_gradients`.
    With several processes the losses are those of the joined batch, and the gradients are summed
    over the processes; see `processes.py`.
    Two calls, one after the other, are alternating steps: the second loss is then computed of
    weights that the first call has moved.  The parameters have no `.grad` afterwards.
    Returns the losses, a list of floats.
    Raises Diverged, and moves nobody, where a loss is not finite (or the length of a gradient that
    is clipped); TypeError for what is no such tuple; ValueError where a loss is not a single number
    or depends on nothing that requires a gradient, or two players have one parameter.

    >>> from minidl import optim, tensor
    >>> x, y = tensor(1.0, requires_grad=True), tensor(2.0, requires_grad=True)
    >>> descend((x * y, optim.SGD(x, 0.1)), (-x * y, optim.SGD(y, 0.1)))    # x y: x down, y up
    [2.0, -2.0]
    >>> round(x.item(), 3), round(y.item(), 3)
    (0.8, 2.1)
    """
    losses, weights = _checked(players)
    values, where = processes.agreed([loss.item() for loss in losses])
    for i, value in enumerate(values):
        if not math.isfinite(value):
            which = "the loss" if len(values) == 1 else f"the loss of player {i}"
            raise Diverged(f"{which} is {value}{where}")
    gradients = [processes.gradients(loss, own) for loss, own in zip(losses, weights)]
    optimizers = [optimizer for _, *own in players for optimizer in own]
    try:
        for own, found in zip(weights, gradients):
            for w, g in zip(own, found):
                w.grad = g
        if max_norm is not None:
            for own in weights:
                norm = clip_gradients(own, max_norm)
                if not math.isfinite(norm):
                    raise Diverged(f"the length of a gradient is {norm}")
        for optimizer in optimizers:
            optimizer.step()
    finally:
        for optimizer in optimizers:
            optimizer.zero_grad()
    return values


def clip_gradients(parameters: Tensor | Iterable[Tensor], max_norm: float) -> float:
    """Shorten the gradients of all parameters together, where they are longer than max_norm:

        ‖g‖ = √Σ g² over all entries of all of them;    g ← g · min(1, max_norm / ‖g‖)

    The direction stays.  Parameters without a gradient count as 0.  `.grad` becomes another Tensor;
    nothing is changed in place.  All is computed in float64, as ‖g‖ may overflow float32.
    Returns ‖g‖ as it was, a float.  Where it is NaN or infinite there is no such direction: the
    gradients stay as they are, and the caller decides (`descend` stops).
    Raises ValueError unless 0 < max_norm < ∞, and for gradients in the place of the parameters;
    TypeError for what are no Tensors.
    Source: Pascanu, Mikolov and Bengio 2013.
    """
    max_norm = bounded("clip_gradients", "0 < max_norm < inf", max_norm)
    found = [w for w in _parameters(parameters) if w.grad is not None]
    norm = math.hypot(*(ops.norm(_wide(w.grad)).item() for w in found))
    if max_norm < norm < math.inf:
        for w in found:
            w.grad = _wide(w.grad) * (max_norm / norm)      # which rounds it to w's type
    return norm


def _wide(g):
    """A gradient as a constant in float64."""
    return g.detach().astype("float64")


def _parameters(given):
    """The parameters as a list; raises what `clip_gradients` says."""
    given = [given] if isinstance(given, Tensor) else given
    parameters = list(given) if hasattr(given, "__iter__") else [given]
    for each in parameters:
        if not isinstance(each, Tensor):
            raise TypeError("clip_gradients: parameters must be Tensors, as net.parameters() or "
                            f"optimizer.parameters give them, got {type(each).__name__}")
    if parameters and not any(map(_may_have_gradient, parameters)):
        raise ValueError("clip_gradients: expected parameters, whose .grad is clipped, got Tensors "
                         "that never have one; are they the gradients?")
    return parameters


def _may_have_gradient(w):
    """Whether w is a leaf that requires a gradient, or a parameter, be it frozen."""
    result = w.node is not None and w.node.inputs
    return isinstance(w, Parameter) or w.grad is not None or (w.requires_grad and not result)


def _checked(players):
    """The losses, and for each the parameters that it moves; raises what `descend` says."""
    losses, weights, seen = [], [], set()
    for i, player in enumerate(players):
        if not (isinstance(player, tuple) and len(player) > 1 and isinstance(player[0], Tensor)
                and all(isinstance(each, Optimizer) for each in player[1:])):
            raise TypeError("descend: every player is a tuple (loss, optimizer), a Tensor and one "
                            f"optimizer or more; number {i} is {_kinds(player)}")
        loss, *optimizers = player
        own = [w for optimizer in optimizers for w in optimizer.parameters if w.requires_grad]
        if loss.size != 1 or not loss.requires_grad:
            raise ValueError(f"descend: the loss of player {i} has shape {loss.shape} and "
                             f"requires_grad={loss.requires_grad}; expected a single number, "
                             "computed from parameters outside of no_grad()")
        if len(seen.union(map(id, own))) < len(seen) + len(own):
            raise ValueError(f"descend: a parameter of player {i} stands in two optimisers; "
                             "it would be moved twice")
        seen.update(map(id, own))
        losses.append(loss)
        weights.append(own)
    if not players:
        raise TypeError("descend: there is nobody to go down; expected tuples (loss, optimizer)")
    return losses, weights


def _kinds(player):
    if not isinstance(player, tuple):
        return f"a {type(player).__name__}"
    return f"({', '.join(type(each).__name__ for each in player)})"
