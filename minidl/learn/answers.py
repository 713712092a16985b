"""A learner's file: run in a copy of the module's namespace, with every mistake told in a line."""
import ast
from contextlib import contextmanager
from pathlib import Path
import re
import sys
import traceback

PACKAGE = Path(__file__).parents[1]
NOT_THE_SOURCE = "learn", "testing"         # folders of it that try an answer


class Wrong(Exception):
    """What is wrong with an answer, in words for the learner."""


def parsed(text, filename):
    """The syntax tree of an answer in which nothing is left to fill in; raises Wrong."""
    try:
        tree = ast.parse(text, filename)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise Wrong(f"line {error.lineno}: this is not Python yet: {error.msg}"
                    + f": {_short(line)}" * bool(line)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Wrong(f"this is not Python: {error or type(error).__name__}") from None
    line = _blank_line(tree)
    if line:
        raise Wrong(f"not filled in yet: `...` still stands in line {line}")
    return tree


def _blank_line(tree):
    """The line of the first `...` that is no part of an index."""
    indices = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Subscript)
               for part in ast.walk(node.slice)}
    return min((node.lineno for node in ast.walk(tree) if isinstance(node, ast.Constant)
                and node.value is ... and id(node) not in indices), default=None)


def run(text, filename, module):
    """The names that an answer defines, run in a copy of the module's namespace.

    What it imports from the module itself is there already; other imports are made.
    """
    tree = parsed(text, filename)
    tree.body = [node for node in tree.body
                 if not (isinstance(node, ast.ImportFrom) and node.module == module.__name__)]
    namespace = {**vars(module), "__name__": "answer", "__file__": filename}
    with told(filename):
        exec(compile(tree, filename, "exec"), namespace)
    return namespace


def defined(namespace, name, real):
    """What an answer defines under a name; raises Wrong where it is what the module has anyway."""
    if namespace.get(name) is real:
        raise Wrong(f"the file defines no `{name}`: is the function's name changed? "
                    "(reset writes the exercise again)")
    return namespace[name]


def check_returns(text, source):
    """Raise Wrong for a function that returns nothing where the source's of that name does."""
    giving = _functions(source)
    for name, gives in _functions(text).items():
        if giving.get(name) and not gives:
            raise Wrong(f"`{name}` gives nothing back: is a return missing?")


def _functions(text):
    """{name: whether it returns something} of all functions in a text."""
    return {function.name: any(isinstance(node, ast.Return) and node.value
                               for statement in function.body for node in _within(statement))
            for function in ast.walk(ast.parse(text)) if isinstance(function, ast.FunctionDef)}


def _within(node):
    """A statement and all its parts, but for the functions in it."""
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
        yield node
        for part in ast.iter_child_nodes(node):
            yield from _within(part)


def arrays_in_rules(text):
    """The lines on which a rule, a function inside another, takes the array of a Tensor."""
    outer = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    rules = [node for function in outer for node in ast.walk(function)
             if node is not function and isinstance(node, (ast.FunctionDef, ast.Lambda))]
    return sorted({node.lineno for rule in rules for node in ast.walk(rule)
                   if isinstance(node, ast.Attribute) and node.attr == "data"})


@contextmanager
def told(filename):
    """Whatever happens within is a Wrong of one line, which says where in the file it was."""
    try:
        yield
    except Wrong:
        raise
    except AssertionError as error:                         # what gradcheck says
        raise Wrong(in_a_line(error) or f"{_where(error, filename)}AssertionError") from None
    except SystemExit as error:
        raise Wrong(f"{_where(error, filename)}the answer ends the program") from None
    except KeyboardInterrupt:
        raise Wrong("interrupted") from None
    except RecursionError as error:
        raise Wrong(f"{_where(error, filename)}RecursionError: this calls itself without end; the "
                    "answer stands in for the package's own function, which cannot be called in "
                    "it, not even as ops.NAME") from None
    except BaseException as error:
        raise Wrong(f"{_where(error, filename)}{type(error).__name__}: {in_a_line(error):.600}"
                    ) from None


def in_a_line(error):
    """What an error says, but for an advice that only who calls gradcheck can follow."""
    return re.sub("; pass allow_zero=True if it (should|may) be", "", " ".join(str(error).split()))


def _where(error, filename):
    """"line 12 (`lambda gy: …`): ", or the line of the package that failed with what the answer
    gave; nothing where neither is at fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == filename]
    if own:
        frame = own[0 if isinstance(error, RecursionError) else -1]
        return f"line {frame.lineno}{_quoted(frame)}: "
    passed = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    if not passed or passed[-1].line.startswith("raise "):
        return ""
    file = Path(passed[-1].filename).relative_to(PACKAGE.parent)
    if file.parts[1] in NOT_THE_SOURCE:
        return ""
    return (f"{file.as_posix()} fails with what the answer gives, in line {passed[-1].lineno}"
            f"{_quoted(passed[-1])}: ")


def _quoted(frame):
    return f" (`{_short(frame.line)}`)" * bool(frame.line)


def _short(line, most=60):
    return line if len(line) <= most else line[:most - 1] + "…"


@contextmanager
def standing_in(target, answer):
    """Within, the answer stands where the target stands: in its module or class, and in the
    packages that hand it on."""
    name, real = target.name, target.value
    parts = target.module.__name__.split(".")
    packages = [sys.modules[".".join(parts[:i])] for i in range(1, len(parts))]
    places = [target.owner, *(p for p in packages if vars(p).get(name) is real)]
    for place in places:
        setattr(place, name, answer)
    try:
        yield
    finally:
        for place in places:
            setattr(place, name, real)
