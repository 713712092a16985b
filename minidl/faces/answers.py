"""What a gallery answers: who it is (1:K), or whether it is who they say (1:1)."""
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Match:
    """Whom a picture shows: `name`, or None for "not recognized", where even the nearest person is
    farther than τ.

    nearest, distance: the nearest person and the distance to the nearest of their pictures;
    runner_up, runner_up_distance: the next person (None and infinity where only one is enrolled).
    A runner-up that is hardly farther is a reason for doubt.
    false_accept_rate: the share of strangers who are named at this τ with so many enrolled; None
    where the gallery is not calibrated.
    """
    name: str | None
    nearest: str
    distance: float
    runner_up: str | None
    runner_up_distance: float
    threshold: float
    false_accept_rate: float | None = None

    def __repr__(self):
        said = self.name if self.name is not None else f"not recognized: nearest {self.nearest}"
        return f"<{said} at {_against(self)}>"


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a picture shows the person it is claimed to show: `accepted` where distance ≤ τ; also
    its truth value.

    distance: to the nearest of the claimed person's pictures; runner_up, runner_up_distance: the
    nearest other person (None and infinity where there is none).
    false_accept_rate: the share of others who are accepted as this person at this τ; None where the
    gallery is not calibrated.
    """
    claimed: str
    accepted: bool
    distance: float
    runner_up: str | None
    runner_up_distance: float
    threshold: float
    false_accept_rate: float | None = None

    def __bool__(self):
        return self.accepted

    def __repr__(self):
        return f"<{'' if self.accepted else 'not '}{self.claimed}: {_against(self)}>"


def _against(found):
    """Of a Match or a Verification: the distance, τ, who comes next, and what τ costs."""
    sign = "≤" if found.distance <= found.threshold else ">"
    said = f"{found.distance:.3f} {sign} {found.threshold:.4g}"
    if found.runner_up is not None:
        said += f"; runner-up {found.runner_up} at {found.runner_up_distance:.3f}"
    if found.false_accept_rate is None:
        return said + "; not calibrated"
    return said + f"; others accepted: {found.false_accept_rate:.1%}"
