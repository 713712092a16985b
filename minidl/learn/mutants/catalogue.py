"""A catalogue of operations that are wrong on purpose.

`@wrong(right, *inputs)` files the function below it: `right` is the same operation without the
mistake, `inputs` draw the arrays on which the two are checked.  The suite asserts that the check
catches the mutant, that its message says what was wrong, and that the right operation passes the
very same check; learners are asked which line is wrong.  `formulas.py` holds wrong formulas,
`subtle.py` what is right only sometimes, or only at first order.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minidl.testing import adjointcheck, gradcheck


@dataclass(frozen=True)
class Mutant:
    """check(f, seed, mode): what a user would run; it raises AssertionError (GradientError is one)
    for `mutant` and passes for `right`.

    says: part of the error's message, by which it is caught for the right reason.
    inputs: draw the arrays.   order: of the derivatives that the check looks at.
    """
    mutant: Callable
    right: Callable
    check: Callable
    says: str
    inputs: tuple
    order: int

    def __str__(self):
        return self.mutant.__name__


mutants = []


def wrong(right, *inputs, order=1, blame=None, says=None, check=None, **settings):
    """File the decorated function.  blame: the parameter whose gradient is wrong, by default the
    first."""
    def gradient_is_right(f, seed, mode):
        rng = np.random.default_rng(seed)
        gradcheck(f, *(draw(rng) for draw in inputs), order=order, seed=seed,
                  **{"mode": mode, **settings})

    def file(mutant):
        first = mutant.__code__.co_varnames[0]
        mutants.append(Mutant(mutant, right, check or gradient_is_right,
                              says or f"({blame or first!r})", inputs, order))
        return mutant
    return file


def wrong_transpose(A, right, x, y):
    """File the decorated function as a wrong transpose of the linear map A."""
    def is_the_adjoint(f, seed, mode):
        rng = np.random.default_rng(seed)
        adjointcheck(A, f, x(rng), y(rng))
    return wrong(right, check=is_the_adjoint, says="<A x, y>")
