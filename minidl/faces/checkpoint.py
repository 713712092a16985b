"""Where a killed run goes on: everything that its next step depends on, in one file that is whole or not there."""
import json
from pathlib import Path

import numpy as np

from minidl import weights
from minidl.weights import WeightsError


def save(path, parts, progress):
    """Write state dictionaries {part: {name: array}} and `progress`, anything that JSON can hold, in one step."""
    arrays = {f"{part}/{name}": value for part, state in parts.items() for name, value in state.items()}
    weights.save(path, arrays | {"progress": np.array(json.dumps(progress))})


def load(path):
    """({part: {name: array}}, progress) as `save` wrote them, or None where there is no file.

    Raises WeightsError, naming the file, for one that is cut off, damaged or something else.
    """
    if not Path(path).exists():
        return None
    arrays = weights.load(path)
    try:
        progress = json.loads(str(arrays.pop("progress")))
        parts = {}
        for key, value in arrays.items():
            part, name = key.split("/", 1)
            parts.setdefault(part, {})[name] = value
        if not isinstance(progress, dict):
            raise TypeError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path}: is a file of weights, but not a checkpoint of a training run") from None
    return parts, progress


def generators(module):
    """{name: state} of the random number generators in a module's parts (Dropout's, say), as text."""
    return {name: json.dumps(part.rng.bit_generator.state) for name, part in module.named_modules() if _draws(part)}


def restore_generators(module, states):
    """Set the generators to the states that `generators` gave."""
    for name, part in module.named_modules():
        if _draws(part):
            part.rng.bit_generator.state = json.loads(str(states[name]))


def _draws(part):
    return isinstance(getattr(part, "rng", None), np.random.Generator)
