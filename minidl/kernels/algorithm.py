"""Which algorithm convolves: $MINIDL_CONV, which makes algorithms comparable."""
import os

ALGORITHMS = ("auto", "plain", "strips", "winograd")


def algorithm():
    """MINIDL_CONV:

    plain       as `plain.py` defines it

    and in fast/
    strips      im2col or col2im, on the CPU a strip at a time on all threads
    winograd    F(4×4, 3×3) wherever it applies, else strips
    auto        (default) winograd where it pays, else strips

    Raises ValueError for any other.
    """
    chosen = os.environ.get("MINIDL_CONV", "auto")
    if chosen not in ALGORITHMS:
        raise ValueError(f"MINIDL_CONV must be one of {', '.join(ALGORITHMS)}, got {chosen!r}")
    return chosen


def is_plain():
    """Whether the definition is asked for."""
    return algorithm() == "plain"
