"""What a loss is doing: one number hides whether the embedding learns, rests or has collapsed to a
point."""
from collections import deque

import numpy as np

from minidl.operands import number
from minidl.settings import bounded, numbers, whole


def measure(embeddings, near, far, losses):
    """Of one batch, on the host: a dictionary of

    active   share of the triplets (or pairs) whose loss is above 0
    near     mean d(A, P)        far   mean d(A, N), of those chosen; NaN where there are none
    spread   1 − ‖mean embedding‖²: 0 where all unit vectors are one point, 1 where they point
             everywhere

    embeddings (N, D); near, far: distances, arrays of any length; losses (T,).
    """
    embeddings = numbers("measure", "embeddings", embeddings, "(N, D)", None)
    near, far, losses = (numbers("measure", name, values, "(T,)", None) for name, values in
                         (("near", near), ("far", far), ("losses", losses)))

    def mean(values):
        return float(np.mean(values, dtype="float64")) if len(values) else float("nan")

    return {"active": mean(losses > 0) if len(losses) else 0.0, "near": mean(near),
            "far": mean(far),
            "spread": float(1 - (embeddings.mean(0, dtype="float64") ** 2).sum())}


class CollapseMonitor:
    """Says, once, that a run has stopped learning: its loss has sat at the margin for `steps`
    steps.

    Where all embeddings are equal, every triplet costs exactly the margin and has no gradient: a
    run does not come back from there.  The loss sits at the margin where the mean of the last
    `steps` losses is less than 2 % away from it, and each of them less than 10 %: never at a margin
    of 0, where a loss of 0 is what is wanted.
    """

    def __init__(self, margin, steps=50):
        self.margin = bounded("CollapseMonitor", "0 ≤ margin < inf", margin)
        steps = whole("CollapseMonitor", "1 ≤ steps < inf", steps)
        self.losses, self.warned = deque(maxlen=steps), False

    def look(self, loss, spread):
        """Take in the loss of a step; returns the warning, one line, on the step where it is due,
        else None."""
        self.losses.append(number("CollapseMonitor", "loss", loss))
        losses = np.array(self.losses)
        if self.warned or len(losses) < self.losses.maxlen:
            return None
        away = losses - self.margin
        if not (abs(away.mean()) < 0.02 * self.margin and abs(away).max() < 0.1 * self.margin):
            return None
        self.warned = True
        what = ("all embeddings are nearly one point" if spread < 0.05 else
                "positives are as far away as negatives")
        return (f"the loss has sat at the margin {self.margin:g} for {len(losses)} steps, and "
                f"{what} (spread {spread:.3f}): the run has collapsed, or does not learn. Start "
                "with semi-hard instead of the hardest triplets (mining='semi_hard'), pre-train "
                "by softmax over people (pretrain_steps), or lower learning_rate")

    def state_dict(self):
        """The losses that it looks back on, and whether it has warned."""
        return {"losses": np.array(self.losses), "warned": self.warned}

    def load_state_dict(self, state):
        """Go on from a state_dict."""
        self.losses.clear()
        self.losses.extend(np.asarray(state["losses"], float).tolist())
        self.warned = bool(state["warned"])
