"""Averages of weights over the steps of a run."""
import copy

from minidl import ops
from minidl.kernels.precision import accumulator
from minidl.nn import Module
from minidl.recording import no_grad
from minidl.settings import bounded, having
from minidl.tensor import constant


class EMA:
    """The exponential moving average of a module's weights:

        w̄ ← d w̄ + (1 − d) w,    so after t updates without ramp
        w̄ = dᵗ w₀ + (1 − d) Σ_{s=1..t} d^(t−s) w_s

    Noisy steps scatter around the minimum, and two players circle around their equilibrium.  The
    mean over about the last 1 / (1 − d) steps is nearer to it.

    decay: d, 0 ≤ d < 1.  ramp: use min(d, (1 + t) / (10 + t)) in update t = 0, 1, …, so that the
        weights of the start, which know nothing, lose their influence faster.
    `update()` is called after every step.  `average` is the module to evaluate: a copy in `eval()`,
    its parameters constants.  float16 is averaged in float32, as small steps are lost in it.
    Buffers are averaged like parameters: batch norm's running statistics belong to the weights they
    were seen with.  Whole numbers and booleans are copied.
    Raises TypeError for what is no Module.
    Source: Polyak and Juditsky 1992; for GANs, Karras et al. 2018; the ramp is TensorFlow's.

    >>> from minidl import nn
    >>> net = nn.Module()
    >>> net.w = nn.Parameter([0.0, 8.0])
    >>> ema = EMA(net, decay=0.75)
    >>> net.w.data = net.w.data + 4
    >>> ema.update()
    >>> ema.average.w
    tensor([1., 9.], float64)
    """

    def __init__(self, module: Module, decay: float = 0.999, *, ramp: bool = False):
        if not isinstance(module, Module):
            raise TypeError(f"EMA: module must be a Module, got {type(module).__name__}")
        self.module, self.ramp, self.updates = module, ramp, 0
        self.decay = bounded("EMA", "0 ≤ decay < 1", decay)
        self.average = copy.deepcopy(module).freeze().eval()
        for _, array, put in self.average._state():
            if array.dtype.kind == "f":
                put(array.astype(accumulator(array.dtype), copy=False))

    @no_grad()
    def update(self) -> None:
        """Move the average towards the module as it is now.

        Raises ValueError where the module has gained or lost parameters or buffers since the start,
        or one of them has another shape.
        """
        d = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.ramp else self.decay
        was, now = ({(path, array.shape): (constant(array), put)
                     for path, array, put in module._state()}
                    for module in (self.average, self.module))
        if others := sorted({".".join(map(str, path)) for path, _ in was.keys() ^ now.keys()}):
            raise ValueError("EMA: the module must have the parameters and buffers that it had "
                             f"when its average began, {', '.join(others)} came, went or changed "
                             "shape")
        for place, (average, put) in was.items():
            put(_moved(average, now[place][0], d).data)
        self.updates += 1

    def state_dict(self) -> dict:
        """{"updates": t}, and the average's state under "average.name"."""
        return {"updates": self.updates} | {
            f"average.{name}": value for name, value in self.average.state_dict().items()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state_dict.

        Raises ValueError where it does not fit the module, and changes nothing.
        """
        given = dict(having("load_state_dict of EMA", "state", state, "a state_dict", "items"))
        updates = given.pop("updates", None)
        count = constant(updates)
        if count.ndim or count.dtype.kind not in "iu" or count.item() < 0:
            raise ValueError("load_state_dict of EMA: updates must be a whole number ≥ 0, "
                             f"got {updates}")
        self.average.load_state_dict(
            {name.removeprefix("average."): value for name, value in given.items()})
        self.updates = count.item()


def _moved(average, now, d):
    """d w̄ + (1 − d) w, as w̄ + (1 − d)(w − w̄): this stays at w̄ = w, however float32 rounds d.

    Where w̄ = w both are taken as 0 in the difference: ∞ − ∞ is NaN, and an attention mask holds
    −∞.
    """
    if now.dtype.kind != "f":
        return now
    now = now.astype(average.dtype)
    w, old = ((1 - d) * ops.where(now == average, 0, each) for each in (now, average))
    return average + (w - old)
