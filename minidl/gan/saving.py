"""Generators in files: weights, and the settings to make the network from; never pickled."""
from collections.abc import Sequence
import json
import os

import numpy as np

from minidl import weights
from minidl.gan.networks import Generator
from minidl.operands import listed
from minidl.settings import of_kind
from minidl.weights import WeightsError

SETTINGS = {"size": int, "channels": int, "noise": int, "classes": int, "width": int,
            "upsampling": str}


def save_generator(path: str | os.PathLike, generator: Generator, names: Sequence[str] = (),
                   **notes) -> None:
    """Write a Generator to `path`, in one step, with names of its classes and notes for JSON.

    names: one text for each class, or none at all.  Raises ValueError for another number.
    """
    of_kind("save_generator", "generator", generator, "a gan.Generator", Generator)
    names = [of_kind("save_generator", "a name", name, "text", str) for name in
             listed("save_generator", "names", names, "names of the classes")]
    if len(names) not in (0, generator.classes):
        raise ValueError(f"save_generator: the generator knows {generator.classes} classes; names "
                         f"must be as many, or none, got {len(names)}")
    try:
        about = json.dumps({"settings": generator.settings, "names": names, "notes": notes})
    except (TypeError, ValueError) as error:
        raise TypeError(f"save_generator: notes {sorted(notes)} must be what JSON can hold: "
                        f"{error}") from None
    weights.save(path, generator.state_dict() | {"generator": np.array(about)})


def load_generator(path: str | os.PathLike) -> Generator:
    """The Generator in a file of `save_generator`, in `eval()`, with attributes names and notes.

    Its settings are compared with the arrays beside them before anything is made of them.
    Raises WeightsError for any other file, or numbers that are not finite.
    """
    arrays = weights.load(path)
    try:
        about = json.loads(str(arrays.pop("generator")))
        settings, names, notes = about["settings"], about["names"], about["notes"]
        _check(settings, names, notes, arrays)
        weights.check_numbers(path, arrays)
        generator = Generator(**settings, rng=0).load_state_dict(arrays).eval()
    except WeightsError:
        raise
    except KeyError:
        raise WeightsError(f"{path}: is a file of weights, but not of a generator "
                           "(gan.save_generator)") from None
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: does not describe a generator: {str(error)[:300]}") from None
    generator.names, generator.notes = names, notes
    return generator


def _check(settings, names, notes, arrays):
    """Raise ValueError unless the settings are of their kinds, and no larger than the arrays."""
    if settings.keys() != SETTINGS.keys() or any(type(settings[key]) is not kind
                                                 for key, kind in SETTINGS.items()):
        raise ValueError(f"its settings are {str(settings)[:100]}")
    if type(notes) is not dict or type(names) is not list or not all(type(n) is str for n in names):
        raise ValueError("its notes are no dictionary, or its names no texts")
    if len(names) not in (0, settings["classes"]):
        raise ValueError(f"it has {settings['classes']} classes and {len(names)} names")
    first = arrays["layers.layers.dense.weight"].shape
    inputs = settings["noise"] + settings["classes"]
    if inputs != first[0] or not (1 <= settings["width"] <= first[1]
                                  and 8 <= settings["size"] <= first[1]):
        raise ValueError(f"its settings are of other sizes than its arrays, {first}")
