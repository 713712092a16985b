"""The tester is tested: every mistake of the catalogue is caught, and what is right passes the very
same check.

HYPOTHESIS_PROFILE=thorough tries 20 seeds instead of 2.
"""
import os

from mutants_engine import engines
import mutants_rules  # noqa: F401  files the rest of them
import pytest

from minidl import recording
from minidl.learn.mutants import mutants

seeds = range(20 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 2)


@pytest.mark.parametrize("seed", seeds)
@pytest.mark.parametrize("mode", ["full", "directional"])
@pytest.mark.parametrize("case", mutants, ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")       # some mistakes divide by zero
def test_a_wrong_operation_is_caught(case, mode, seed):
    case.check(case.right, seed, mode)
    with pytest.raises(AssertionError) as caught:
        case.check(case.mutant, seed, mode)
    assert case.says in str(caught.value)


@pytest.mark.parametrize("seed", seeds)
@pytest.mark.parametrize("case", engines, ids=str)
def test_a_broken_engine_is_caught(case, seed, monkeypatch):
    case.check(seed)
    case.break_with(monkeypatch)
    try:
        with pytest.raises(AssertionError):
            case.check(seed)
    finally:
        recording._open(())             # a broken no_grad may have left something open


def test_the_catalogue():
    """The numbers that the README gives."""
    assert len({str(case) for case in mutants}) == len(mutants)
    assert (len(mutants), len(engines)) == (90, 43)
