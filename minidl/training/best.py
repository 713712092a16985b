"""Early stopping: the state in which a module did best."""
import math

from minidl.nn import Module
from minidl.operands import number
from minidl.settings import having, of_kind, whole


class Best:
    """Keeps a module's state from the step with the highest score.

    score, step: of that state; −∞ and 0 before the first.  since: how many scores in a row brought
    nothing better.  It goes into a checkpoint like any other part.
    """

    def __init__(self, module: Module):
        self.module = of_kind("Best", "module", module, "a Module", Module)
        self.state: dict | None = None
        self.score, self.step, self.since = -math.inf, 0, 0

    def look(self, score: float, step: int) -> bool:
        """Take in the score after a step; returns whether it is the best so far."""
        score, step = number("Best", "score", score), whole("Best", "0 ≤ step < inf", step)
        if score > self.score:
            self.state, self.score, self.step, self.since = self.module.state_dict(), score, step, 0
        else:
            self.since += 1
        return self.since == 0

    def restore(self) -> None:
        """Give the module its best state, if a score was seen."""
        if self.state is not None:
            self.module.load_state_dict(self.state)

    def state_dict(self) -> dict:
        """score, step, since, and the module's state under "state.name".

        Nothing before the first score.
        """
        if self.state is None:
            return {}
        return {"score": self.score, "step": self.step, "since": self.since} | {
            f"state.{name}": value for name, value in self.state.items()}

    def load_state_dict(self, state):
        """Go on from a state_dict.

        Raises KeyError, TypeError or ValueError where it does not fit, and changes nothing.
        """
        having("load_state_dict of Best", "state", state, "a state_dict", "items")
        if not state:
            self.__init__(self.module)
            return
        given = dict(state)
        score, step, since = (kind(given.pop(name)) for name, kind
                              in (("score", float), ("step", int), ("since", int)))
        best = {name.removeprefix("state."): value for name, value in given.items()}
        present = self.module.state_dict()
        self.module.load_state_dict(best)               # whether it fits shows now, not at the end
        self.module.load_state_dict(present)
        self.state, self.score, self.step, self.since = best, score, step, since
