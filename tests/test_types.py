"""minidl/tensor.pyi, which type checkers and editors read, says what tensor.py and Tensor have."""
import ast
import inspect
from pathlib import Path
import sys

import pytest
import typed_program

import minidl as md
from minidl import names
from minidl.tensor import Tensor, constant, grad, record, tensor

PAGE = ast.parse((Path(inspect.getsourcefile(Tensor)).with_suffix(".pyi")).read_text())
STATED = {entry.name: entry for entry in PAGE.body if hasattr(entry, "name")}
OF_TENSOR = {entry.name: entry for entry in STATED["Tensor"].body
             if isinstance(entry, ast.FunctionDef)}
METHODS = {name: value for name, value in OF_TENSOR.items() if not value.decorator_list}
# what every object has, and assignment, which is refused
LEFT_OUT = {"__module__", "__doc__", "__slots__", "__weakref__", "__reduce__", "__repr__",
            "__format__", "__setitem__", "__array_ufunc__", "__array_function__",
            "__init__"}


def stated(function):
    """The parameters of a function on the page: {name: its default as text, or None}."""
    given = function.args
    defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
    found = {p.arg: d and ast.unparse(d) for p, d in zip(given.args, defaults)}
    return found | ({f"*{given.vararg.arg}": None} if given.vararg else {})


def defined(function):
    """The same of a function."""
    return {f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name:
            None if p.default is p.empty else repr(p.default)
            for p in inspect.signature(function).parameters.values()}


def test_the_page_names_what_a_tensor_has():
    has = {name for kind in Tensor.__mro__[:-1] for name in vars(kind)
           if not name.startswith("_") or name.startswith("__")}
    attributes = {entry.target.id for entry in STATED["Tensor"].body
                  if isinstance(entry, ast.AnnAssign)}
    assert has - LEFT_OUT - set(names.METHODS) == set(OF_TENSOR) - LEFT_OUT | attributes


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_page_states_each_methods_arguments(name):
    page = list(stated(METHODS[name]).items())[1:]
    here = list(defined(getattr(Tensor, name)).items())[1:]
    if name.startswith("__"):                           # whose names nobody writes
        page, here = ([default for _, default in side] for side in (page, here))
    assert page == here


@pytest.mark.parametrize("function", [constant, grad, record, tensor])
def test_the_page_states_each_functions_arguments(function):
    assert stated(STATED[function.__name__]) == defined(function)


def test_the_page_names_what_the_file_gives():
    assert set(sys.modules["minidl.tensor"].__all__) <= set(STATED) | {"no_grad"}


def test_a_program_with_types_runs():
    x = md.tensor([1.0, 2.0], requires_grad=True)
    first, second = typed_program.descended(x, 2)
    assert first < 0 and second < first
    assert typed_program.texture(md.ones((1, 2, 2, 3))).shape == (1, 3, 3)
