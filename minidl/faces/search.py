"""The two nearest people of many, exactly: one matrix product, in parts that fit the cache, over the cores.

‖q − g‖² = ‖g‖² − 2 ⟨q, g⟩ + ‖q‖², and ‖q‖² is the same for all g: what orders them is ‖g‖² − 2 ⟨q, g⟩, with ‖g‖² computed
once.  That difference loses digits where q ≈ g (about 1e-7 ‖g‖² is left of ‖q − g‖²), so it only chooses; the distances of
the chosen are computed again from q − g.
"""
import numpy as np

from minidl.parallel.threads import number_of_threads, parallel_map

ALIKE = 1e-5                    # of its length: what the batch it was in changes in an encoding
ROWS, QUERIES, NUMBERS = 16384, 64, 2 ** 18         # at most, in a part: 2¹⁸ float32 are 1 MB, which a core's cache holds


def nearest_people(queries, encodings, squares, people):
    """For each query the two nearest people: numbers (Q, 2), Euclidean distances (Q, 2).

    queries: (Q, D); encodings: (N, D) float32; squares: (N,), their ‖g‖²; people: (N,), whose each row is.
    The distance to a person is that to the nearest of their rows.  Where there is no second person: number −1, infinity.
    """
    hands = number_of_threads() if len(queries) * len(encodings) > 2 ** 16 else 1       # threads are not worth less
    rows = min(ROWS, NUMBERS // min(max(len(queries), 1), QUERIES), -(-len(encodings) // hands))
    parts = [slice(start, start + rows) for start in range(0, len(encodings), rows)]
    found = parallel_map(lambda part: _two_nearest(queries, encodings, squares, people, part), parts, np)
    candidates = np.concatenate(found, 1)       # (Q, 2 · parts): rows, or −1
    return _merge(queries, encodings, people, candidates)


def copies(old, new):
    """For each of the encodings `new` (N, D) the first row of which it is a copy, in `old` (M, D)
    or, numbered from M on, in `new`; −1 where it is the first of its kind.

    A copy is within 10⁻⁵ of its own length: the same picture has other last digits in another
    batch.  The projections of two copies on any direction are as near, so that only those are
    compared which are neighbours there: O((M + N) (D + log N)), not O((M + N) N D).
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


def _two_nearest(queries, encodings, squares, people, part):
    """Among the rows of a part, for each query, the nearest and the nearest of another person: (Q, 2), −1 for none."""
    encodings, squares, people = encodings[part], squares[part], people[part]
    chosen = np.full((len(queries), 2), -1)
    for start in range(0, len(queries), QUERIES):
        q = slice(start, start + QUERIES)
        order = queries[q] @ encodings.T                # (q, rows)
        order *= -2
        order += squares
        first = order.argmin(1)
        order[people == people[first][:, None]] = np.inf
        second = order.argmin(1)
        chosen[q, 0] = first + part.start
        chosen[q, 1] = np.where(order[np.arange(len(order)), second] < np.inf, second + part.start, -1)
    return chosen


def _merge(queries, encodings, people, candidates):
    """The two nearest people among candidate rows (Q, C), which hold the two nearest people of every part."""
    distances = np.empty(candidates.shape, "float32")
    for c, rows in enumerate(candidates.T):
        difference = encodings[rows] - queries
        distances[:, c] = np.sqrt(np.einsum("qd,qd->q", difference, difference))
    distances[candidates < 0] = np.inf
    numbers = np.where(candidates < 0, -1, people[candidates])
    each = np.arange(len(queries))
    first = distances.argmin(1)
    nearest, near = numbers[each, first], distances[each, first]
    distances[numbers == nearest[:, None]] = np.inf
    second = distances.argmin(1)
    next_ = distances[each, second]
    runner_up = np.where(next_ < np.inf, numbers[each, second], -1)
    return np.stack([nearest, runner_up], 1), np.stack([near, next_], 1)
