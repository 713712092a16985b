"""How the rows of a batch are dealt to the ranks."""


def rows_of(n, rank, size):
    """The rows of n that belong to a rank: one piece, pieces in the order of the ranks, and no two
    differ by more than one.

    >>> [rows_of(8, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """
    each, more = divmod(n, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))
