"""How many of the calls that fail say why in minidl's own words.

Every public callable is called as in the example of its docstring, or as `odd_arguments.py` says,
but with one argument replaced by an odd value; layers are also called on odd values, and so are the
methods that users call.  Words are minidl's own where the line that raised is a `raise` of minidl.
An OSError that names the file (there is none of that name) is the operating system's, and as good.
The network is not asked: whatever would be fetched cannot be.

    python tests/odd_calls.py [ROOM …]   the counts, and where the words are Python's or NumPy's
"""
import ast
from collections import Counter
import contextlib
import dataclasses
import doctest
import functools
import inspect
import io
import itertools
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback
import unittest.mock
import warnings

import numpy as np
from odd_arguments import ARGUMENTS, METHODS

import minidl as md
from minidl import data, gan, losses, nn, ops, optim, packages, training

HOME = os.path.dirname(md.__file__)
ODD = {"None": None, "-1": -1, "0": 0, "1.5": 1.5, "nan": float("nan"), "inf": float("inf"),
       "'x'": "x", "[]": [], "a ragged list": [[1, 2], [3]], "a complex number": 1j,
       "an object": object(), "10**30": 10 ** 30, "True": True, "a dict": {},
       "a complex array": np.array([1j])}


ROOMS = [*dict.fromkeys([md, ops, nn, losses, optim, *ARGUMENTS])]


def short(room):
    return room.__name__.removeprefix("minidl.").removeprefix("parallel.")


def public(room):
    """(name, what can be called) in a room; errors and modules are not."""
    names = getattr(room, "__all__", None) or [
        name for name, thing in vars(room).items()
        if getattr(thing, "__module__", "") == room.__name__ and not name.startswith("_")]
    for name in names:
        thing = None if room is md and name in md._ROOMS else getattr(room, name)
        if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, Exception)):
            yield name, thing


def callables(rooms=ROOMS):
    """(label, function, a function that gives its arguments by name) of every public callable that
    has an example or a row in the table."""
    for room in rooms:
        for name, thing in public(room):
            if name in ARGUMENTS.get(room, {}):
                make = functools.partial(completed, thing, ARGUMENTS[room][name])
            else:
                arguments = example(thing)
                if arguments is None:
                    continue
                make = functools.partial(dict, arguments)
            yield f"{short(room)}.{name}", thing, make


def completed(thing, make):
    """The arguments that the table gives, and the defaults of the others."""
    bound = inspect.signature(thing).bind_partial()
    bound.apply_defaults()
    return bound.arguments | make()


def methods(rooms=ROOMS):
    """(label, a function that gives a method, one that gives its arguments) of what users call."""
    if md in rooms:
        w = md.tensor([1.0, 2.0], requires_grad=True)
        net = nn.Sequential(nn.Dense(2, 3, rng=0), nn.ReLU())
        for owner, name, arguments in [
                (w, "to", {"device": "cpu"}),
                (w * w, "backward", {"gradient": [1.0, 1.0], "create_graph": False}),
                (net, "to", {"device": "cpu"}),
                (net, "load_state_dict", {"state": net.state_dict(), "strict": True}),
                (net, "part", {"after": "0", "upto": "1"}),
                (net, "forward", {"x": [[1.0, 2.0]], "layers": ["0"]}),
                (optim.Adam(w), "load_state_dict", {"state": optim.Adam(w).state_dict()})]:
            yield (f"minidl.{type(owner).__name__}.{name}", functools.partial(getattr, owner, name),
                   functools.partial(dict, arguments))
    for label, make_owner, of_methods in METHODS:
        if label.partition(".")[0] in map(short, rooms):
            for name, make in of_methods.items():
                method = functools.partial(method_of, make_owner, name)
                yield f"{label}.{name}", method, functools.partial(completed, method(), make)


def method_of(make_owner, name):
    return getattr(make_owner(), name)


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


def used(result):
    """Use what was made, where it is made to be used: run, entered, or gone through."""
    if isinstance(result, (training.Loop, gan.Training)):
        result.run()
    elif isinstance(result, (data.batches, data.prefetch)):
        list(itertools.islice(result, 3))
    elif hasattr(result, "__enter__"):
        with result:
            pass
    elif hasattr(type(result), "__getitem__") and hasattr(result, "seed"):      # a sampler
        result[0]


class Hang(Exception):
    """A call that takes too long."""


def own_words(error):
    """Whether the line that raised it is a `raise` of minidl, or it names a file."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not frame.filename.startswith(HOME):
        return False
    lines = pathlib.Path(frame.filename).read_text(encoding="utf-8").splitlines()
    return lines[frame.lineno - 1].lstrip().startswith("raise ")


def calls(rooms=ROOMS):
    """(label, a function that gives what is called, one that gives the arguments) of every odd
    call."""
    made = ((label, lambda thing=thing: thing, make) for label, thing, make in callables(rooms))
    for label, thing, make in itertools.chain(made, methods(rooms)):
        arguments, own = make(), thing()
        for name, parameter in inspect.signature(own).parameters.items():
            if name in arguments or parameter.kind is parameter.VAR_POSITIONAL:
                for words, value in ODD.items():
                    odd = (value,) if parameter.kind is parameter.VAR_POSITIONAL else value
                    if parameter.kind is not parameter.VAR_KEYWORD:
                        yield (f"{label}({name}={words})", thing,
                               lambda make=make, name=name, odd=odd: make() | {name: odd})
        if inspect.isclass(own) and issubclass(own, nn.Module) and own is not nn.Module:
            layer = call(own, arguments)
            inputs = list(inspect.signature(layer.forward).parameters.values())
            if sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in inputs) < 2:
                for words, value in ODD.items():
                    yield (f"{label}(…)({words})", lambda layer=layer: layer,
                           lambda value=value: {"inputs": (value,), "options": {}})


def hang(*_):
    raise Hang


def limit(seconds):
    """Raise Hang after so many seconds of computing, or ten times as many in all; 0: no more."""
    if hasattr(signal, "setitimer"):                                # Windows has none
        signal.signal(signal.SIGPROF, hang)
        signal.signal(signal.SIGALRM, hang)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 10 * seconds)


def seen(value):
    """What must stay the same in an argument: arrays, and what is in lists and dictionaries."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, (list, tuple)):
        return [seen(each) for each in value]
    if isinstance(value, dict):
        return {name: seen(each) for name, each in value.items()}
    if dataclasses.is_dataclass(value) or isinstance(value, md.Tensor):
        return repr(value)
    return None


@dataclasses.dataclass
class Measured:
    """failed: {room: how many calls fail}; foreign: those in other words; hung; changed: those that
    change their arguments; slow: those of more than a second of computing."""
    failed: Counter = dataclasses.field(default_factory=Counter)
    foreign: list = dataclasses.field(default_factory=list)
    hung: list = dataclasses.field(default_factory=list)
    changed: list = dataclasses.field(default_factory=list)
    slow: list = dataclasses.field(default_factory=list)

    def shares(self):
        """{room: the share of its failing calls that speak minidl's words}."""
        others = Counter(line.partition(".")[0] for line in self.foreign)
        return {room: 1 - others[room] / count for room, count in self.failed.items()}


def measure(seconds=5, rooms=ROOMS, every=1):
    """Measured, of every odd call, or of one in `every`."""
    found = Measured()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as cache, unittest.mock.patch.object(
            packages, "_download", unfetched), unittest.mock.patch.dict(
            os.environ, MINIDL_CACHE=cache):
        try:
            for label, thing, make in itertools.islice(calls(rooms), 0, None, every):
                one(found, label, thing, make, seconds)
        finally:
            os.chdir(here)
    return found


def unfetched(*_):
    raise packages.FetchError("nothing is fetched here")


def one(found, label, thing, make, seconds):
    """One call."""
    arguments, function = make(), thing()
    before, start = seen(arguments), time.process_time()
    limit(seconds)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            used(call(function, arguments))
    except Hang:
        found.hung.append(label)
    except Exception as error:
        found.failed[label.partition(".")[0]] += 1
        if not own_words(error):
            found.foreign.append(f"{label}: {type(error).__name__}: {error}"[:160]
                                 .replace("\n", " "))
    finally:
        limit(0)
    if time.process_time() - start > 1:
        found.slow.append(label)
    if seen(arguments) != before:
        found.changed.append(label)


if __name__ == "__main__":
    found = measure(rooms=[room for room in ROOMS if short(room) in sys.argv[1:]] or ROOMS)
    print("\n".join(found.foreign))
    for room, share in found.shares().items():
        print(f"{room:12} {found.failed[room]:6} calls fail, {100 * share:.1f} % of them in "
              "minidl's own words")
    failed = found.failed.total()
    print(f"{'all':12} {failed:6} calls fail, {100 * (1 - len(found.foreign) / failed):.1f} %")
    print("hang:", found.hung, "change their arguments:", found.changed, "slow:", found.slow)
