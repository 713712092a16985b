"""minidl: a deep-learning engine to read, on NumPy and CuPy.

Start with `minidl/tensor.py`; then the operations, one screen each, in `minidl/ops`.
"""
from importlib import import_module

from minidl import losses, nn, ops, optim
from minidl.backend import DeviceError, devices, use_device
from minidl.operands import operand
from minidl.recording import no_grad
from minidl.tensor import Tensor, grad, record, tensor, with_output

# imported when first used: `import minidl` is quick
_ROOMS = ("data", "faces", "models", "oneshot", "style", "testing", "training", "visualize",
          "weights")


def save(path, module):
    """Write a module's state to `path`, a .npz archive, in one step; never pickled."""
    from minidl import weights
    weights.save(path, module)


def load(path):
    """The arrays of a file of weights, by name, for `module.load_state_dict`; see `weights.load` for what it reads."""
    from minidl import weights
    return weights.load(path)


def __getattr__(name):
    if name in _ROOMS:
        return import_module(f"minidl.{name}")
    if name == "WeightsError":
        return import_module("minidl.weights").WeightsError
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_ROOMS, "WeightsError"])
