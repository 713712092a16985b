"""How many of the calls that fail say why in minidl's own words.

Every public callable of ops, nn, losses, optim and the top level is called as in the example of its
docstring, but with one argument replaced by an odd value; layers are also called on odd values.
Words are minidl's own where the line that raised is a `raise` of minidl.

    python -m tests.odd_calls            the count, and where the words are Python's or NumPy's
"""
import ast
import contextlib
import doctest
import inspect
import io
import itertools
import os
import pathlib
import signal
import sys
import traceback
import warnings

import numpy as np

import minidl as md
from minidl import losses, nn, ops, optim

HOME = os.path.dirname(md.__file__)
ODD = {"None": None, "-1": -1, "0": 0, "1.5": 1.5, "nan": float("nan"), "inf": float("inf"),
       "'x'": "x", "[]": [], "a ragged list": [[1, 2], [3]], "a complex number": 1j,
       "an object": object(), "10**30": 10 ** 30, "True": True, "a dict": {},
       "a complex array": np.array([1j])}


def callables():
    """(name, function, arguments by name) of every public callable that its example calls."""
    for room in (md, ops, nn, losses, optim):
        for name in room.__all__:
            thing = None if room is md and name in md._ROOMS else getattr(room, name)
            if callable(thing):
                arguments = example(thing)
                if arguments is not None:
                    yield f"{room.__name__.removeprefix('minidl.')}.{name}", thing, arguments


def methods():
    """(name, method, arguments by name) of what Tensors, modules and optimisers do."""
    w = md.tensor([1.0, 2.0], requires_grad=True)
    net = nn.Sequential(nn.Dense(2, 3, rng=0), nn.ReLU())
    for owner, name, arguments in [
            (w, "to", {"device": "cpu"}),
            (w * w, "backward", {"gradient": [1.0, 1.0], "create_graph": False}),
            (net, "to", {"device": "cpu"}),
            (net, "load_state_dict", {"state": net.state_dict(), "strict": True}),
            (net, "part", {"after": "0", "upto": "1"}),
            (net, "forward", {"x": [[1.0, 2.0]], "layers": ["0"]}),
            (optim.Adam(w), "load_state_dict", {"state": optim.Adam(w).state_dict()}),
            (md, "record", {"value": w.data, "inputs": ((w, lambda gy: gy),)})]:
        yield f"{type(owner).__name__}.{name}", getattr(owner, name), arguments


def example(thing):
    """The arguments, by name, of the first call of it in its docstring; None where there is
    none."""
    module = sys.modules[thing.__module__]
    namespace, name = dict(vars(module)), thing.__name__
    tests = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    for test in tests:
        tree = ast.parse(test.source)
        for node in ast.walk(tree):
            called = getattr(node, "func", None)
            if isinstance(node, ast.Call) and name in (getattr(called, "id", ""),
                                                       getattr(called, "attr", "")):
                try:
                    args = [eval(ast.unparse(a), namespace) for a in node.args]
                    options = {k.arg: eval(ast.unparse(k.value), namespace) for k in node.keywords}
                except NameError:                           # within a function of the example
                    continue
                bound = inspect.signature(thing).bind(*args, **options)
                bound.apply_defaults()
                return dict(bound.arguments)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(test.source, "<example>", "exec"), namespace)
    return None


def call(thing, arguments):
    given, options = [], {}
    for name, parameter in inspect.signature(thing).parameters.items():
        if name in arguments:
            if parameter.kind is parameter.VAR_POSITIONAL:
                given += arguments[name]
            elif parameter.kind is parameter.VAR_KEYWORD:
                options |= arguments[name]
            elif parameter.kind is parameter.KEYWORD_ONLY or options:
                options[name] = arguments[name]
            else:
                given.append(arguments[name])
    return thing(*given, **options)


class Hang(Exception):
    """A call that takes too long."""


def own_words(error):
    """Whether the line that raised it is a `raise` of minidl."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not frame.filename.startswith(HOME):
        return False
    lines = pathlib.Path(frame.filename).read_text(encoding="utf-8").splitlines()
    return lines[frame.lineno - 1].lstrip().startswith("raise ")


def calls():
    """(label, thing, arguments) of every odd call."""
    for label, thing, arguments in itertools.chain(callables(), methods()):
        for name, parameter in inspect.signature(thing).parameters.items():
            if name in arguments or parameter.kind is parameter.VAR_POSITIONAL:
                for words, value in ODD.items():
                    odd = (value,) if parameter.kind is parameter.VAR_POSITIONAL else value
                    if parameter.kind is not parameter.VAR_KEYWORD:
                        yield f"{label}({name}={words})", thing, arguments | {name: odd}
        if inspect.isclass(thing) and issubclass(thing, nn.Module) and thing is not nn.Module:
            layer = call(thing, arguments)
            for words, value in ODD.items():
                yield f"{label}(…)({words})", layer, {"inputs": (value,), "options": {}}


def hang(*_):
    raise Hang


def measure(seconds=20):
    """(how many calls fail, which in other words, which hang, which change their arguments)."""
    failed, foreign, hung, changed = 0, [], [], []
    alarm = getattr(signal, "alarm", lambda seconds: None)          # Windows has none
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, hang)
    for label, thing, arguments in calls():
        before = repr(arguments)
        alarm(seconds)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                call(thing, arguments)
        except Hang:
            hung.append(label)
        except Exception as error:
            failed += 1
            if not own_words(error):
                foreign.append(f"{label}: {type(error).__name__}: {error}"[:160].replace("\n", " "))
        finally:
            alarm(0)
        if repr(arguments) != before:
            changed.append(label)
    return failed, foreign, hung, changed


if __name__ == "__main__":
    failed, foreign, hung, changed = measure()
    print("\n".join(foreign))
    print(f"{failed} calls fail, {100 * (1 - len(foreign) / failed):.1f} % of them in minidl's own "
          "words")
    print("hang:", hung, "change their arguments:", changed)
