"""What the chapters of the path are made of."""
from dataclasses import dataclass

from minidl.learn.exercises import DERIVE, FIND, PROGRAM, WRITE, Exercise, Fault
from minidl.learn.source import Body, Rule, Target


@dataclass(frozen=True)
class Chapter:
    title: str
    exercises: tuple


def write(name, target, argument, **facts):
    """Write the rule of an argument."""
    return Exercise(name, WRITE, Target(target), Rule(argument), **facts)


def derive(name, target, argument="", hole=None, **facts):
    """Derive the rule of an argument, or what another hole leaves out."""
    return Exercise(name, DERIVE, Target(target), hole or Rule(argument), **facts)


def program(name, target, hole=Body(), *, trials=(), **facts):
    """Write the statements that a hole leaves out: by default all of the function."""
    return Exercise(name, PROGRAM, Target(target), hole, trials=tuple(trials), **facts)


def misprint(name, target, line, instead, **facts):
    """Find the line of the source that was exchanged."""
    return Exercise(name, FIND, Target(target), misprint=(line, instead), **facts)


def fault(name, mutant, *hints):
    """Find the fault in a mutant of the suite, and an input that shows it."""
    return Fault(name, mutant, hints)
