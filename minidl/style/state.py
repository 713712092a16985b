"""A run that was cut short, to be gone on with.

    {"of": which run, "size": the scale's, "done": evaluations at it, "history": the costs so far,
     "start": {"picture", "frame", and what the optimiser remembers: "mean", "square", "step", …}}

It is kept in one .npz file of arrays and a text of JSON, and read without unpickling.
"""
from dataclasses import fields
import hashlib
import io
import json
import os

import numpy as np

from minidl.files import as_path, atomic_write, open_file
from minidl.settings import of_kind
from minidl.style.pyramid import Scale

ARRAYS = ("picture", "best", "mean", "square", "sum")       # (H, W, 3)
NUMBERS = {"step": int, "count": int, "lowest": float}


def run_of(pictures, settings):
    """Which run it is, as text: a digest of its pictures, masks and settings, but for the number
    of steps and sizes."""
    digest = hashlib.sha256()
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name not in ("steps", "size", "scales"):
            digest.update(value.tobytes() if isinstance(value, np.ndarray)
                          else f"{field.name}={value!r};".encode())
    for array in (pictures.content, *pictures.styles, *(pictures.masks or ()),
                  *(pictures.style_masks or ())):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def rest(state, todo):
    """(Scales that remain, what the first of them starts from, the history) of a state.

    Raises ValueError where the state is of a run with other sizes or fewer steps.
    """
    sizes = [scale.size for scale in todo]
    if state["size"] not in sizes:
        raise ValueError(f"style transfer: the state to resume from is of a run at {state['size']} "
                         f"pixels, this one goes by {', '.join(map(str, sizes))}")
    here = sizes.index(state["size"])
    left = todo[here].steps - state["done"]
    first = [Scale(todo[here].size, left)] if left > 0 else []
    if not first and here == len(todo) - 1:
        raise ValueError(f"style transfer: the state to resume from is of a run that is "
                         f"finished, all {todo[here].steps} steps at {state['size']} pixels; ask "
                         "for more steps, or a larger size, to go on")
    return first + todo[here + 1:], state["start"], list(state["history"])


def save_state(path: str | os.PathLike, state: dict) -> None:
    """Write a state; a file that was there is replaced in one step."""
    check_state("save_state", "state", state)
    buffer = io.BytesIO()
    text = json.dumps({name: state[name] for name in ("of", "size", "done", "history")})
    np.savez(buffer, json=np.frombuffer(text.encode(), np.uint8), **state["start"])
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def check_state(operation, argument, state):
    """Raise TypeError or ValueError for what is no Evaluation's state."""
    of_kind(operation, argument, state, "the state of an Evaluation, a dictionary", dict)
    missing = {"of", "size", "done", "history", "start"} - state.keys()
    if missing:
        raise ValueError(f"{operation}: {argument} must be the state of an Evaluation, it lacks "
                         f"{', '.join(sorted(missing))}")
    try:
        _checked(state)
        _checked_start(state["start"])
    except Exception as error:
        raise ValueError(f"{operation}: {argument} must be the state of an Evaluation, "
                         f"{_why(error)}") from error


def load_state(path: str | os.PathLike) -> dict:
    """The state in a file; raises ValueError, naming the file, for one that is damaged or
    another."""
    path = as_path("load_state", "path", path)
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as arrays:
            start = {name: arrays[name] for name in arrays.files if name != "json"}
            state = json.loads(bytes(arrays["json"]))
        return {**_checked(state), "start": _checked_start(start)}
    except OSError:
        raise
    except Exception as error:      # a damaged archive fails in many ways
        raise ValueError(
            f"{path} is not a usable state of style transfer: {_why(error)}") from error


def _why(error):
    """What is wrong with a state, in words of this file if it knows them."""
    known = type(error) is ValueError and "pickle" not in str(error)
    return str(error) if known else "it is none, or damaged"


def _checked(state):
    history = state["history"]
    if not (isinstance(state["of"], str) and isinstance(state["size"], int)
            and isinstance(state["done"], int) and state["done"] >= 0 and isinstance(history, list)
            and all(isinstance(costs, dict) for costs in history)):
        raise ValueError("its of, size, done and history are of another kind")
    return {name: state[name] for name in ("of", "size", "done", "history")}


def _checked_start(start):
    shape, unknown = start["picture"].shape, set(start) - {*ARRAYS, *NUMBERS, "frame"}
    if unknown:
        raise ValueError(f"it holds {', '.join(sorted(unknown))}")
    for name in start.keys() & ARRAYS:
        if start[name].shape != shape or start[name].dtype != np.float32 or len(shape) != 3:
            raise ValueError(f"{name} is {start[name].dtype} of shape {start[name].shape}")
        if not np.isfinite(start[name]).all():
            raise ValueError(f"{name} holds what is no finite number")
    if start["frame"].shape != (4,) or start["frame"].min() < 0:
        raise ValueError(f"frame is {start['frame']}")
    return {name: NUMBERS[name](value) if name in NUMBERS else value
            for name, value in start.items()}
