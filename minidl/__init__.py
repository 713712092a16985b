"""minidl: a deep-learning engine to read, on NumPy and CuPy.

Start with `minidl/tensor.py`, and `minidl/notation.py` beside it; then the operations, one screen
each, in `minidl/ops`.

Arrays and gradients
    Tensor, tensor              an array that knows where it came from
    grad                        gradients of a Tensor with respect to others
    no_grad                     within it, nothing is recorded
    record, operand, with_output        to add an operation
    zeros, ones, full           arrays of one number
    arange, linspace, eye       numbers at equal distances; the identity matrix
Devices and files
    devices, use_device         "cpu" and "gpu"
    save, load                  the state of a Module in a file
    DeviceError, WeightsError   what is raised for devices and for files
Rooms, each with its own help(): help(md.ops), …
    ops         the differentiable operations, by NumPy's names
    nn          layers, and the Module that they are made of
    losses      costs: functions of predictions and targets
    optim       optimisers: SGD, RMSprop, Adagrad, Adam, AdamW, L-BFGS
    testing     gradcheck, adjointcheck and what Hypothesis draws
    data        pictures, batches and data sets
    weights     files of weights, and public ones
    models      networks with a name
    training    one loop, schedules, checkpoints
    faces       face verification and recognition
    oneshot     recognition from one example: episodes, the examination of Omniglot
    style       neural style transfer
    visualize   what convolutional networks learn
    gan         generative adversarial networks
    classification      what is it? signals and volumes, in 1 and 3 dimensions
    distributed     several processes: what they say to each other

>>> import minidl as md
>>> x = md.tensor([1.0, 2.0], requires_grad=True)
>>> md.grad(md.ops.sum(x * x), x)
[tensor([2., 4.], float64)]
"""
from importlib import import_module

from minidl import losses, names, nn, ops, optim
from minidl.backend import DeviceError, devices, use_device
from minidl.operands import operand
from minidl.ops import arange, eye, full, linspace, ones, zeros
from minidl.recording import no_grad
from minidl.tensor import Tensor, grad, record, tensor, with_output

# imported when first used: `import minidl` is quick
_ROOMS = ("classification", "data", "distributed", "faces", "gan", "models", "oneshot", "style",
          "testing", "training", "visualize", "weights")

__all__ = [
    "DeviceError", "Tensor", "WeightsError", "arange", "devices", "eye", "full", "grad", "linspace",
    "load", "losses", "nn", "no_grad", "ones", "operand", "ops", "optim", "record", "save",
    "tensor", "use_device", "with_output", "zeros", *_ROOMS]


def save(path, module):
    """Write a module's state to `path`, a .npz archive, in one step; never pickled.

    Raises OSError where it cannot be written; what was there before then stays.
    """
    from minidl import weights
    weights.save(path, module)


def load(path):
    """The arrays of a file of weights, by name, for `module.load_state_dict`.

    `weights.load` says which files it reads.  Raises WeightsError for others.
    """
    from minidl import weights
    return weights.load(path)


def __getattr__(name):
    if name == "distributed":
        return import_module("minidl.parallel.distributed")
    if name in _ROOMS:
        return import_module(f"minidl.{name}")
    if name == "WeightsError":
        return import_module("minidl.weights").WeightsError
    if name in ops.__all__:
        raise AttributeError(f"minidl has no {name!r}; it is md.ops.{name}")
    raise AttributeError(names.unknown("minidl", name))


def __dir__():
    return sorted([*globals(), *_ROOMS, "WeightsError"])
