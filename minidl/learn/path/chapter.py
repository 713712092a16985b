"""What the chapters of the path are made of."""
from dataclasses import dataclass

from minidl.learn.exercises import DERIVE, FIND, PROGRAM, WRITE, Exercise
from minidl.learn.faults import Fault
from minidl.learn.source import Body, Rule, Target


@dataclass(frozen=True)
class Chapter:
    title: str
    exercises: tuple


def write(name, target, argument="", hole=None, **facts):
    """Write the rule of an argument, or what another hole leaves out."""
    return Exercise(name, WRITE, Target(target), hole or Rule(argument), **facts)


def derive(name, target, argument="", hole=None, **facts):
    """The same, with the answer in the docstring hidden."""
    return Exercise(name, DERIVE, Target(target), hole or Rule(argument), **facts)


def program(name, target, hole=Body(), *trials, hints=(), **facts):
    """Write the statements that a hole leaves out: by default all of the function."""
    hints = (hints,) if isinstance(hints, str) else hints
    return Exercise(name, PROGRAM, Target(target), hole, trials=trials, hints=hints, **facts)


def misprint(name, target, line, instead, *trials, **facts):
    """Find the line of the source that was exchanged."""
    return Exercise(name, FIND, Target(target), misprint=(line, instead), trials=trials, **facts)


def fault(name, mutant, *hints):
    """Find the fault in a mutant of the suite, and an input that shows it."""
    return Fault(name, mutant, hints)
