"""The registry: a case or more for every public operation, layer and loss; each says how it is
called, on what (`domains`), and what is known of it (`registry.Case`).  test_ops.py runs every
check on every case, and fails where a public name has none.
"""
from minidl.learn.cases import (  # they add their cases
    elementwise,
    faces,
    layers,
    losses,
    matrices,
    pictures,
    reductions,
    shapes,
    zero_size,
)
from minidl.learn.cases.registry import Case, case, cases, constants, refused
from minidl.learn.domains import away, between, distinct, integers, mask, normal, positive
