"""How the rows of a batch are dealt to the ranks."""
import sys

from minidl.parallel.distributed.checks import whole


def rows_of(n, rank, size):
    """The rows of n that belong to a rank: one piece, pieces in the order of the ranks, and no two
    differ by more than one.

    Raises TypeError for what are no integers, ValueError unless 0 ≤ n and 0 ≤ rank < size.

    >>> [rows_of(8, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """
    n = whole("rows_of", "n", n, 0, sys.maxsize)
    size = whole("rows_of", "size", size, 1, sys.maxsize)
    rank = whole("rows_of", "rank", rank, 0, size - 1)
    each, more = divmod(n, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))
