"""The package's own source: one function of it, with a part left out or changed.

A hole is found in the syntax tree, so what is left out is what stands in the source today.
"""
import ast
from dataclasses import dataclass
import importlib
import inspect
import re
import textwrap

BLANK = "..."


@dataclass(frozen=True)
class Target:
    """A function, a method or a value of the package, as "ops.elementwise:multiply"."""
    address: str

    @property
    def module(self):
        return importlib.import_module("minidl." + self.address.partition(":")[0])

    @property
    def names(self):
        """The names that lead to it from its module: of a method two."""
        return self.address.partition(":")[2].split(".")

    @property
    def name(self):
        return self.names[-1]

    @property
    def owner(self):
        """The module or the class that holds it."""
        owner = self.module
        for name in self.names[:-1]:
            owner = getattr(owner, name)
        return owner

    @property
    def value(self):
        return getattr(self.owner, self.name)

    @property
    def file(self):
        """Where it stands, as "minidl/ops/elementwise.py"."""
        return self.module.__name__.replace(".", "/") + ".py"

    @property
    def node(self):
        """Its syntax tree, and the text of its module."""
        text = inspect.getsource(self.module)
        body = ast.parse(text).body
        for name in self.names:
            node = next(node for node in body if name in _defined(node))
            body = getattr(node, "body", ())
        return node, text

    @property
    def line(self):
        return self.node[0].lineno

    @property
    def text(self):
        """Its source, from the first decorator on, with the indentation of a class taken away."""
        node, text = self.node
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        return textwrap.dedent("\n".join(text.splitlines()[first - 1:node.end_lineno])) + "\n"

    def imports(self, text):
        """The import statements that bring the names of the module which a text uses."""
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        lines, brought = [], {self.name}
        for node in ast.parse(self.node[1]).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                node.names = [a for a in node.names if (a.asname or a.name) in used]
                brought |= {a.asname or a.name for a in node.names}
                lines += [ast.unparse(node)] * bool(node.names)
        own = sorted(name for name in used - brought if name in vars(self.module))
        if own:
            lines.append(f"from {self.module.__name__} import {', '.join(own)}")
        return "\n".join(lines) + "\n" * bool(lines)


def _defined(node):
    """The names that a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return [t.id for t in getattr(node, "targets", ()) if isinstance(t, ast.Name)]


# --- what is left out

@dataclass(frozen=True)
class Rule:
    """The rule beside an input: (argument, lambda gy: THIS), also within with_output( )."""
    argument: str

    def spans(self, tree):
        found = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple) and len(node.elts) == 2 \
                    and self.argument in ast.unparse(node.elts[0]).strip("()").split(", "):
                rule = node.elts[1]
                if isinstance(rule, ast.Call) and ast.unparse(rule.func) == "with_output":
                    rule, = rule.args
                    found.append(rule)
                elif isinstance(rule, ast.Lambda):
                    found.append(rule)
        inner = [rule.body if isinstance(rule, ast.Lambda) else rule for rule in found]
        return [(rule, rule) for rule in inner]


@dataclass(frozen=True)
class Body:
    """Statements that follow each other: from the one that begins with `first` to the one that
    begins with `last`; by default from the first one behind the docstring to the last one.

    of: the name of a function inside, whose statements are meant.
    """
    first: str = ""
    last: str = ""
    of: str = ""

    def spans(self, tree):
        function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
                        and (node.name == self.of or not self.of))
        for node in ast.walk(function):
            body = getattr(node, "body", ())
            statements = [line for line in body if not _is_docstring(line)] \
                if isinstance(body, list) else []
            texts = list(map(ast.unparse, statements))
            starts = [i for i, text in enumerate(texts) if text.startswith(self.first)]
            if starts:
                stops = [i for i, text in enumerate(texts) if i >= starts[0]
                         and text.startswith(self.last)]
                return [(statements[starts[0]], statements[stops[0 if self.last else -1]])]
        return []


@dataclass(frozen=True)
class Loop:
    """All statements within the first `for` or `while`."""

    def spans(self, tree):
        loop = next(node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While)))
        return [(loop.body[0], loop.body[-1])]


@dataclass(frozen=True)
class Assigned:
    """What is given to a name: NAME = THIS."""
    name: str

    def spans(self, tree):
        return [(node.value, node.value) for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                and self.name == ast.unparse(node.targets[0]).strip("()")]


@dataclass(frozen=True)
class Returned:
    """What is returned last: return THIS."""

    def spans(self, tree):
        last = [node for node in ast.walk(tree) if isinstance(node, ast.Return)][-1]
        return [(last.value, last.value)]


@dataclass(frozen=True)
class Entry:
    """The body of the lambda that stands in a dictionary: "key": lambda …: THIS."""
    key: str

    def spans(self, tree):
        return [(value.body, value.body) for node in ast.walk(tree) if isinstance(node, ast.Dict)
                for key, value in zip(node.keys, node.values) if key.value == self.key]


@dataclass(frozen=True)
class Parts:
    """Several holes."""
    holes: tuple

    def spans(self, tree):
        return [span for hole in self.holes for span in hole.spans(tree)]


def _is_docstring(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def blanked(text, hole):
    """The text with `...` in the place of what the hole names."""
    spans = {(*positions(text, first, last), isinstance(last, ast.stmt))
             for first, last in hole.spans(ast.parse(text))}
    if not spans:
        raise LookupError(f"{hole} is not in the source: {text[:60]}")
    for start, stop, statements in sorted(spans, reverse=True):
        rest = text[stop:]
        if statements:                                  # a comment behind them goes as well
            rest = re.sub(r"^ *#.*", "", rest)
        text = text[:start] + BLANK + rest
    return text


def left_out(text, hole):
    """What `blanked` takes away, piece by piece."""
    pieces = []
    for first, last in hole.spans(ast.parse(text)):
        start, stop = positions(text, first, last)
        column = start - (text.rfind("\n", 0, start) + 1)
        pieces.append(textwrap.dedent(" " * column + text[start:stop]))
    return pieces


def positions(text, first, last):
    """Where the first node starts and the last one ends.  (Columns of the tree count bytes.)"""
    lines = text.splitlines(keepends=True)

    def position(line, column):
        return sum(map(len, lines[:line - 1])) + len(lines[line - 1].encode()[:column].decode())

    return (position(first.lineno, first.col_offset),
            position(last.end_lineno, last.end_col_offset))


def exchanged(text, line, instead):
    """The text with a line, which must stand there once, exchanged."""
    if text.count(line) != 1:
        raise LookupError(f"the source has changed: {line!r} stands there {text.count(line)} times")
    return text.replace(line, instead)


SO = re.compile(r'\bso\s{3}.*?(?="""|$)', re.MULTILINE)


def without_results(text):
    """The text with what follows "so" in its docstring hidden: the derivation is left to do."""
    return SO.sub("so   …", text)


def without(text, words):
    """The text with these words of its docstring hidden, too."""
    hidden, count = re.subn(re.escape(words) + r"(\s+so   …)?", "…", text)
    if count != 1:
        raise LookupError(f"the source has changed: {words!r} stands there {count} times")
    return hidden


def results(text):
    """What `without_results` hides."""
    return [" ".join(found.split()) for found in SO.findall(text)]


def bare(function, name):
    """A function's source under another name, without decorators, docstring and comments."""
    text = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(text).body[0]
    lines = text.splitlines()
    first = node.body[ast.get_docstring(node) is not None].lineno - 1
    header = lines[node.lineno - 1].replace(f"def {function.__name__}(", f"def {name}(")
    code = [re.sub(r"\s*#.*", "", line) for line in lines[first:]]
    # comments that stand before the first statement are passed over by its line number
    return "\n".join([header, *(line for line in code if line.strip())]) + "\n"


def right_of(mutant):
    """The text of what a mutant's decorator says is right: @wrong(THIS, …)."""
    text = inspect.getsource(inspect.getmodule(mutant))
    node = next(node for node in ast.parse(text).body if mutant.__name__ in _defined(node))
    return ast.get_source_segment(text, node.decorator_list[0].args[0])
