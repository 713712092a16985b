"""What goes wrong while two players train, and what helps."""
import numpy as np


class Monitor:
    """Looks at every step, and warns.

    right: the discriminator's share of right answers, when it is to tell a real sample from a
        generated one: the real one should have the higher score.  ½: it can tell nothing.
    alike: how far generated pictures are from each other, over how far real ones are: the root of
        the variance over the batch, of all pixels; 0: all are one picture.
    patience: steps in a row before it warns, and again after as many.
    """

    def __init__(self, patience=300):
        self.patience = patience
        self.right, self.alike, self.sure, self.same = 0.5, 1.0, 0, 0

    def look(self, real_scores, fake_scores, real, fake):
        """Take in a step's scores (N, 1) and pictures (N, …)."""
        r, f = real_scores.reshape(-1, 1), fake_scores.reshape(1, -1)       # all pairs
        self.right = float(((r > f).mean() + (r >= f).mean()) / 2)          # equal: half right
        spread, usual = (np.sqrt(x.var(axis=0).mean()) for x in (fake, real))
        self.alike = float(spread / usual) if usual else 1.0
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
