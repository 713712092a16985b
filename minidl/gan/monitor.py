"""What goes wrong while two players train, and what helps."""
import numpy as np


class Monitor:
    """Looks at every step, and warns.

    right: the discriminator's share of right answers: real scores above 0, generated ones below.
    alike: how far generated pictures are from each other, over how far real ones are: the root of
        the variance over the batch, of all pixels; 0: all are one picture.
    patience: steps in a row before it warns, and again after as many.
    """

    def __init__(self, patience=300):
        self.patience = patience
        self.right, self.alike, self.sure, self.same = 0.5, 1.0, 0, 0

    def look(self, real_scores, fake_scores, real, fake):
        """Take in a step's scores (N, 1) and pictures (N, …)."""
        self.right = float(((real_scores > 0).mean() + (fake_scores < 0).mean()) / 2)
        spread = [np.sqrt(x.var(axis=0).mean()) for x in (fake, real)]
        self.alike = float(spread[0] / max(spread[1], 1e-12))
        self.sure = self.sure + 1 if self.right > 0.99 else 0
        self.same = self.same + 1 if self.alike < 0.15 else 0

    def warning(self):
        """A line, or None."""
        if self.sure and self.sure % self.patience == 0:
            return (f"the discriminator has been right in more than 99 % for {self.sure} steps: "
                    "the generator learns little from it; raise --gamma, or give --augment")
        if self.same and self.same % self.patience == 0:
            return (f"the generated pictures have been nearly alike for {self.same} steps "
                    f"({self.alike:.0%} of the spread of real ones): a collapse; raise --gamma, or "
                    "lower --learning-rate")
        return None

    def state_dict(self):
        return {"counts": np.array([self.sure, self.same])}

    def load_state_dict(self, state):
        self.sure, self.same = (int(n) for n in np.asarray(
            state["counts"].numpy() if hasattr(state["counts"], "numpy") else state["counts"]))
