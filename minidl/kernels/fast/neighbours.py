"""The two nearest groups of many points, exactly: one matrix product, in parts that fit the cache.

‖q − x‖² = ‖x‖² − 2 ⟨q, x⟩ + ‖q‖², and ‖q‖² is the same for all x: what orders them is
‖x‖² − 2 ⟨q, x⟩, with ‖x‖² computed once.  That difference loses digits where q ≈ x (about
1e-7 ‖x‖² is left of ‖q − x‖²), so it only chooses; the distances of the chosen are computed again
from q − x.
"""
import numpy as np

from minidl.parallel.threads import number_of_threads, parallel_map

ROWS, QUERIES = 16384, 64       # at most, in a part
NUMBERS = 2 ** 18               # of a part: 2¹⁸ float32 are 1 MB, which a core's cache holds
WORTH_THREADS = 2 ** 16         # pairs of a query and a point


def two_nearest(queries, points, squares, groups):
    """For each query the two nearest groups: numbers (Q, 2), Euclidean distances (Q, 2).

    queries: (Q, D); points: (N, D) float32; squares: (N,), their ‖x‖²; groups: (N,), the number of
    the group that each is of.  The distance to a group is that to the nearest of its points.
    Where there is no second group: number −1, infinity.
    """
    threads = number_of_threads() if len(queries) * len(points) > WORTH_THREADS else 1
    rows = min(ROWS, NUMBERS // min(max(len(queries), 1), QUERIES), -(-len(points) // threads))
    parts = [slice(start, start + rows) for start in range(0, len(points), rows)]
    found = parallel_map(lambda part: _of_part(queries, points, squares, groups, part), parts, np)
    return _merged(queries, points, groups, np.concatenate(found, 1))


def _of_part(queries, points, squares, groups, part):
    """For each query, the nearest point of a part and the nearest of another group: (Q, 2).

    −1 where there is none.
    """
    points, squares, groups = points[part], squares[part], groups[part]
    chosen = np.full((len(queries), 2), -1)
    for start in range(0, len(queries), QUERIES):
        q = slice(start, start + QUERIES)
        order = queries[q] @ points.T                   # (q, rows)
        order *= -2
        order += squares
        first = order.argmin(1)
        order[groups == groups[first][:, None]] = np.inf
        second = order.argmin(1)
        another = order[np.arange(len(order)), second] < np.inf
        chosen[q, 0] = first + part.start
        chosen[q, 1] = np.where(another, second + part.start, -1)
    return chosen


def _merged(queries, points, groups, candidates):
    """The two nearest groups among the candidates of all parts: (Q, 2 · parts) rows, or −1."""
    distances = np.empty(candidates.shape, "float32")
    for c, rows in enumerate(candidates.T):
        difference = points[rows] - queries
        distances[:, c] = np.sqrt(np.einsum("qd,qd->q", difference, difference))
    distances[candidates < 0] = np.inf
    numbers = np.where(candidates < 0, -1, groups[candidates])
    each = np.arange(len(queries))
    first = distances.argmin(1)
    nearest, near = numbers[each, first], distances[each, first]
    distances[numbers == nearest[:, None]] = np.inf
    second = distances.argmin(1)
    next_ = distances[each, second]
    runner_up = np.where(next_ < np.inf, numbers[each, second], -1)
    return np.stack([nearest, runner_up], 1), np.stack([near, next_], 1)
