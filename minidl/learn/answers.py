"""A learner's file: run in a copy of the module's namespace, with every mistake told in a line."""
import ast
from contextlib import contextmanager
import sys
import traceback


class Wrong(Exception):
    """What is wrong with an answer, in words for the learner."""


def parsed(text, filename):
    """The syntax tree of an answer in which nothing is left to fill in; raises Wrong."""
    try:
        tree = ast.parse(text, filename)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise Wrong(f"line {error.lineno}: this is not Python yet: {error.msg}"
                    + f": {line:.60}" * bool(line)) from None
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


@contextmanager
def told(filename):
    """Whatever happens within is a Wrong of one line, which says where in the file it was."""
    try:
        yield
    except Wrong:
        raise
    except AssertionError as error:                         # what gradcheck says
        said = " ".join(str(error).split())
        raise Wrong(said or f"{_where(error, filename)}AssertionError") from None
    except SystemExit as error:
        raise Wrong(f"{_where(error, filename)}the answer ends the program") from None
    except KeyboardInterrupt:
        raise Wrong("interrupted") from None
    except BaseException as error:
        what = " ".join(str(error).split())
        raise Wrong(f"{_where(error, filename)}{type(error).__name__}: {what:.600}") from None


def _where(error, filename):
    """"line 12 (`lambda gy: …`): ", or nothing where the file has no part in it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename == filename]
    if not frames:
        return ""
    line = frames[-1].line or ""
    return f"line {frames[-1].lineno}" + f" (`{line:.60}`)" * bool(line) + ": "


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
