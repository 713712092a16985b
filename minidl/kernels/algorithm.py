"""Which algorithm convolves, and how its work is cut."""
import os

from minidl import backend
from minidl.kernels.workers import hands, strips

ALGORITHMS = ("auto", "plain", "strips", "winograd")
BUDGET = 2 ** 21        # bytes of a strip's columns


def algorithm():
    """MINIDL_CONV, which makes algorithms comparable:

    plain       as `plain.py` defines it, on every device

    and on the CPU
    strips      a strip at a time on all threads; to few channels, it is multiplied first instead (fold.py)
    winograd    F(4×4, 3×3) wherever it applies, else strips
    auto        (default) winograd where it pays, else strips
    """
    chosen = os.environ.get("MINIDL_CONV", "auto")
    if chosen not in ALGORITHMS:
        raise ValueError(f"MINIDL_CONV must be one of {', '.join(ALGORITHMS)}, got {chosen!r}")
    return chosen


def is_plain():
    """Whether the definition is asked for."""
    return algorithm() == "plain"


def in_strips(xp):
    """Whether work is cut into strips: on the CPU."""
    return xp is backend.CPU.module


def strips_of_columns(images, rows, per_row, xp, budget=BUDGET):
    """(strips, threads) for columns of so many bytes a row: to multiply them takes three times as long as to gather them."""
    threads = hands(4 * images * rows * per_row)
    return strips(images, rows, per_row, xp, budget, threads), threads
