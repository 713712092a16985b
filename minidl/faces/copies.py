"""Copies among encodings, found without comparing all pairs."""
import numpy as np

ALIKE = 1e-5                    # of its length: what the batch it was in changes in an encoding


def copies(old, new):
    """For each of the encodings `new` (N, D) the earliest row that it is a copy of, −1 where there
    is none.  The rows are those of `old` (M, D), and from M on those of `new`.

    A copy is no farther than 10⁻⁵ times its own length: the same picture has other last digits in
    another batch.  With d any direction, |⟨x, d⟩ − ⟨x', d⟩| ≤ ‖x − x'‖ ‖d‖: the projections of two
    copies are near, too.  So only neighbours there are compared, which takes
    O((M + N) (D + log N)), not O((M + N) N D).
    """
    whose = np.full(len(new), -1)
    direction = np.random.default_rng(0).standard_normal(new.shape[1], "float32")
    reach = ALIKE * np.linalg.norm(new, axis=1)
    places = np.concatenate([old @ direction, new @ direction]).astype("float64")
    around = reach.max(initial=0) * np.linalg.norm(direction)
    order = places[len(old):].argsort(kind="stable")
    first, last = (np.searchsorted(places[len(old):][order], places + shift, side)
                   for shift, side in ((-around, "left"), (around, "right")))
    for row in np.flatnonzero(first < last):            # rising, so that the earliest copy is found
        mine = row - len(old)
        later = order[first[row]:last[row]]
        later = later[(later > mine) & (whose[later] < 0)]
        if len(later) and (mine < 0 or whose[mine] < 0):
            encoding = old[row] if mine < 0 else new[mine]
            near = np.linalg.norm(new[later] - encoding, axis=1) <= reach[later]
            whose[later[near]] = row
    return whose
