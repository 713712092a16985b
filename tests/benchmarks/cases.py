"""All cases, in the table's order."""
from . import convnet, convolutions, depthwise, dimensions, networks, small_operations, style

MODULES = (style, convnet, networks, dimensions, small_operations, convolutions, depthwise)


def cases(quick=False):
    return [case for module in MODULES for case in module.cases(quick)]


def chosen(words, quick=False):
    """The cases whose name or section contains one of the words; all of them where no words are
    given."""
    return [case for case in cases(quick)
            if not words
            or any(word.lower() in f"{case.name} {case.section}".lower() for word in words)]


def find(name, quick):
    return next(case for case in cases(quick) if case.name == name)
