"""How the pixels follow the gradient of J: L-BFGS, Adam, or the lecture's gradient descent."""
from dataclasses import dataclass
import math

from minidl.minimize import STOPPED
from minidl.optim import SGD, Adam, minimize_lbfgs
from minidl.tensor import Tensor, grad, tensor

LEARNING_RATES = {"adam": 4.0, "gradient_descent": 1.0}
HISTORY = 30  # steps that L-BFGS remembers: 16 · 30 bytes for each of 3 colours, 1.44 kB a pixel
LBFGS_PIXELS = 1_500_000        # of which that is 2.2 GB


@dataclass
class Found:
    """picture: (1, H, W, 3) in 0..255; memory: what the optimiser remembers; interrupted: by
    Ctrl-C; ended: by Ctrl-C, or by StopIteration from `report`."""
    picture: Tensor
    memory: dict
    interrupted: bool
    ended: bool


def optimizer_for(pixels):
    """L-BFGS where its memory fits, Adam for more pixels."""
    return "lbfgs" if pixels <= LBFGS_PIXELS else "adam"


def descend(evaluate, start, steps, optimizer, *, learning_rate=None, average=0.0, memory=None,
            report):
    """Lower J from `start`, the pixels held to 0..255: Found.

    evaluate(picture) → J; report(number, picture, memory) after each evaluation.
    average: 0, and Found holds the best picture seen; or 0 < ρ < 1 for Adam's average of iterates,
        which is smoother than each of them:
            a ← ρ a + (1 − ρ) G,        â = a / (1 − ρᵗ)        after t steps
    memory: what an earlier descent remembered, to be continued: {"mean", "square", "step"} of Adam,
        {"sum", "count"} of its average, {"best", "lowest"} picture and J.
    Raises ValueError where J is not finite.
    """
    if optimizer == "lbfgs":
        found = minimize_lbfgs(evaluate, start, evaluations=steps, bounds=(0.0, 255.0),
                               callback=lambda number, x, value: report(number, x, {}),
                               history=HISTORY, first_step=1.0, ftol=0.0, gtol=0.0)
        return Found(found.x, {}, found.interrupted,
                     found.interrupted or found.message == STOPPED)
    picture = tensor(start, requires_grad=True)
    rate = LEARNING_RATES[optimizer] if learning_rate is None else learning_rate
    method = Adam([picture], rate) if optimizer == "adam" else SGD([picture], rate)
    memory = memory or {}
    mean = _Average(average, picture.detach(), memory)
    if "step" in memory and optimizer == "adam":
        method.load_state_dict(
            {"learning_rate": rate}
            | {f"0.{name}": memory[name] for name in ("step", "mean", "square")}
        )
    best, lowest = memory.get("best", picture.detach()), memory.get("lowest", float("inf"))
    interrupted = ended = False
    try:
        for number in range(1, steps + 1):
            before = {**_memory(method, mean), "best": best, "lowest": lowest}
            j = evaluate(picture)
            if not math.isfinite(j.item()):
                raise ValueError(f"style transfer: J is {j.item()} at evaluation {number}")
            picture.grad, = grad(j, picture)
            if j.item() < lowest:
                best, lowest = picture.detach(), j.item()
            try:
                report(number, picture.detach(), before)
            except StopIteration:
                ended = True
                break
            if optimizer == "gradient_descent":
                slope = abs(picture.grad).mean().item()
                if slope == 0:  # a minimum, as of the content cost at the content
                    break
                picture.grad = picture.grad / slope
            method.step()
            picture.data = picture.detach().clip(0, 255).data
            mean.add(picture.detach())
    except KeyboardInterrupt:
        interrupted = ended = True
    return Found(mean.value() if mean.count else best, _memory(method, mean), interrupted, ended)


def _memory(method, mean):
    """What Adam remembers: Tensors like the picture, and numbers; nothing of other methods."""
    if not isinstance(method, Adam) or not method.state[0]:
        return {}
    state = method.state_dict()
    return {"step": state["0.step"], "mean": state["0.mean"], "square": state["0.square"],
            **({"sum": mean.sum, "count": mean.count} if mean.rate else {})}


class _Average:
    """The average of iterates."""

    def __init__(self, rate, like, memory):
        self.rate, self.sum, self.count = rate, like * 0, 0
        if "sum" in memory:
            self.sum, self.count = memory["sum"], memory["count"]

    def add(self, picture):
        if self.rate:
            self.sum = self.rate * self.sum + (1 - self.rate) * picture
            self.count += 1

    def value(self):
        return self.sum * (1 / (1 - self.rate ** self.count))
