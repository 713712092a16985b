"""Where a killed run goes on: all that its next step depends on, in a file whole or not there."""
import json
import os
from pathlib import Path

import numpy as np

from minidl import backend, files, weights
from minidl.nn import Module
from minidl.tensor import Tensor, constant
from minidl.training.checks import of_kind
from minidl.weights import WeightsError


class Checkpoint:
    """The file of a run.

    path: None keeps nothing.
    parts: {name: what changes from step to step}: modules, optimisers, an EMA, whatever has
        state_dict and load_state_dict.  Of modules the numpy Generators are kept, too (Dropout's).
    identity: {setting: value}: a file that was written under other settings is refused.  What is
        not named may change.  It is made of what JSON can hold, and NaN is none of it.
    owner: what errors begin with.
    The file is a .npz archive of arrays and one text, never pickled.  It is replaced in one step: a
    run that is killed while it writes leaves the previous file.
    Raises TypeError for what is none of these, and for a part that has no state; ValueError for a
    name that is empty or has a "/", and for NaN in the identity.
    """

    def __init__(self, path: str | os.PathLike | None, parts: dict | None = None,
                 identity: dict | None = None, owner: str = "Checkpoint"):
        parts, identity = ({} if given is None else given for given in (parts, identity))
        of_kind(f"{owner}: checkpoint must be a path", path, str, os.PathLike, type(None))
        of_kind(f"{owner}: parts must be a dictionary from names to what the steps change", parts,
                dict)
        of_kind(f"{owner}: identity must be a dictionary from names to settings", identity, dict)
        self.path, self.parts, self.owner = path, dict(parts), owner
        self.identity = {name: _as_in_a_file(owner, name, value)
                         for name, value in identity.items()}
        for name, part in self.parts.items():
            if not isinstance(name, str) or not name or "/" in name:
                raise ValueError(f"{owner}: a part's name must be text without '/', got {name!r}")
            if isinstance(part, type) or not (hasattr(part, "state_dict")
                                              and hasattr(part, "load_state_dict")):
                raise TypeError(f"{owner}: part {name!r} must have state_dict and load_state_dict, "
                                f"it is a {type(part).__name__}")
            of_kind(f"{owner}: state_dict() of part {name!r} must give a dictionary from names to "
                    "arrays", part.state_dict(), dict)

    def try_to_write(self) -> None:
        """Raise OSError if no file can be written there."""
        if self.path is not None:
            with files.locked(self.path):               # which makes a file beside it
                pass

    def save(self, progress: dict) -> None:
        """Write the parts as they are, and `progress`, a dictionary.

        Like the identity, it is made of what JSON can hold: numbers, text, lists and dictionaries.
        Raises TypeError for anything else, OSError where the file cannot be written.
        """
        of_kind(f"{self.owner}: progress must be a dictionary", progress, dict)
        if self.path is None:
            return
        write(self.path, {name: part.state_dict() for name, part in self.parts.items()}, {
            "identity": self.identity, "progress": progress,
            "generators": {name: _generators(part) for name, part in self.parts.items()}})

    def load(self) -> dict | None:
        """Set the parts to what the file says; returns its progress, or None without a file.

        Raises WeightsError, naming the file, for one that is cut off, damaged, something else, or
        does not fit the parts; ValueError, with what was and what is, for one of other settings.
        The parts are then as before.
        """
        found = None if self.path is None else read(self.path)
        if found is None:
            return None
        states, about = found
        self._compare(about["identity"])
        before = self.state()
        try:
            if unknown := [name for name in states if name not in self.parts]:
                raise ValueError(f"it has a part {unknown[0]!r}")
            self.set_state({name: (states.get(name, {}), about["generators"].get(name, {}))
                            for name in self.parts})
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            self.set_state(before)
            raise self.misfit(error) from None
        return about["progress"]

    def state(self) -> dict:
        """{part: (its state, as arrays of the host, and that of its Generators)}."""
        return {name: ({key: value.numpy() if isinstance(value, Tensor) else value
                        for key, value in part.state_dict().items()}, _generators(part))
                for name, part in self.parts.items()}

    def set_state(self, state: dict) -> None:
        """Give the parts what `state` gave."""
        for name, part in self.parts.items():
            _restore(part, *state[name])

    def not_finite(self):
        """(part, entry, array on the host) of the arrays in the parts that are not all finite."""
        for name, part in self.parts.items():
            for entry, value in part.state_dict().items():
                value = value if isinstance(value, Tensor) else constant(value)
                xp = backend.of(value.data)
                if value.dtype.kind == "f" and not xp.isfinite(value.data).all():
                    yield name, entry, value.numpy()

    def misfit(self, error):
        """The WeightsError for a file whose contents do not fit the run that it names."""
        return WeightsError(f"{self.path}: does not fit the run that it names: "
                            f"{type(error).__name__}: {str(error)[:200]}")

    def _compare(self, was):
        own = self.identity
        other = [_change(name, was.get(name), own.get(name)) for name in was | own
                 if was.get(name) != own.get(name)]
        if other:
            raise ValueError(f"{self.owner}: the checkpoint {self.path} is of another run: "
                             f"{'; '.join(other)}; go on with what it was, name another file, or "
                             "delete this one to begin anew")


def write(path, states, about):
    """Write {part: {name: array}} and a dictionary that JSON can hold, in one step."""
    arrays = {f"{part}/{name}": value
              for part, state in states.items() for name, value in state.items()}
    weights.save(path, arrays | {"run": np.array(json.dumps(about, default=_plain))})


def read(path):
    """({part: {name: array}}, {"identity": …, "progress": …, "generators": …}), as written.

    None where there is no file.  Raises WeightsError, naming it, for one that is cut off, damaged
    or something else.
    """
    if not Path(path).exists():
        return None
    arrays, states = weights.load(path), {}
    try:
        about = json.loads(str(arrays.pop("run")))
        for key, value in arrays.items():
            part, name = key.split("/", 1)
            states.setdefault(part, {})[name] = value
        if not all(isinstance(about[name], dict)
                   for name in ("identity", "progress", "generators")):
            raise TypeError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path}: is a file of weights, but not a checkpoint of a training "
                           "run") from None
    return states, about


def _as_in_a_file(owner, name, value):
    """A setting as JSON gives it back."""
    if not isinstance(name, str):
        raise TypeError(f"{owner}: names in identity must be text, got {name!r}")
    try:
        text = json.dumps(value, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{owner}: {name} in identity is nothing that JSON can hold: "
                        f"{error}") from None
    setting, again = (json.loads(text, parse_constant=float) for _ in range(2))
    if setting != again:
        raise ValueError(f"{owner}: {name} in identity must not hold NaN, which equals nothing, "
                         "not even itself")
    return setting


def _restore(part, state, generators):
    """Give a part the state, and its Generators theirs."""
    part.load_state_dict(state)
    for name, generator in _named_generators(part):
        generator.bit_generator.state = generators[name]


def _generators(part):
    """{name: state} of the random number generators in a module."""
    return {name: generator.bit_generator.state for name, generator in _named_generators(part)}


def _named_generators(part):
    """(name, numpy Generator) of all that the modules in a part draw from."""
    return [(f"{name}.{attribute}", value)
            for name, module in (part.named_modules() if isinstance(part, Module) else ())
            for attribute, value in vars(module).items() if isinstance(value, np.random.Generator)]


def _plain(value):
    """For JSON: what it cannot hold, as numbers or lists of them."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError("Checkpoint: settings and progress are made of numbers, text, lists and "
                    f"dictionaries, got {type(value).__name__}")


def _change(name, was, own):
    """One line on a setting that differs: what it was and is, where that is short."""
    if max(len(str(was)), len(str(own))) > 40:
        return f"{name} was another"
    return f"{name} was {was}, is {own}"
