"""The libraries that are compared: which are here, how many threads they use, and how arrays come
in and results out."""
import functools
import importlib
import importlib.metadata
import os
import sys
import warnings

import numpy as np
from threadpoolctl import ThreadpoolController

import minidl as md
from minidl import backend

NAMES = {"minidl": "minidl", "torch": "PyTorch", "mygrad": "MyGrad", "dezero": "DeZero",
         "smallpebble": "SmallPebble",
         "autograd": "autograd", "numpy": "NumPy"}          # module: how it is written
ON_GPU = ("minidl", "torch")
LAYOUTS = ("default", "channels-last")      # PyTorch's memory layouts


def load(module):
    """Import one of the libraries; raises ImportError where it is not installed."""
    if module == "dezero":
        np.int = int                        # DeZero 0.0.13 asks for a name that NumPy 1.24 removed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module(module)
    if module == "mygrad":
        library.turn_memory_guarding_off()  # what its documentation advises for speed
    return library


def installed(device):
    """({module: version} of the libraries that are here, a line for each that is left out)."""
    versions, skipped = {}, []
    for module, name in NAMES.items():
        if device == "gpu" and module not in ON_GPU:
            skipped.append(f"{name} is skipped: it runs on the CPU only")
            continue
        try:
            load(module)
            versions[module] = version(module)
        except ImportError:
            skipped.append(f"{name} is skipped: it is not installed (pip install {module})")
    return versions, skipped


def version(module):
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:         # a checkout that is not installed
        return "this checkout"


def use_device(device):
    """Work on "cpu" or "gpu" from now on.  PyTorch computes float32 products there in float32, as
    CuPy does."""
    md.use_device(device)
    if device == "gpu":
        torch = load("torch")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True       # let it choose its fastest algorithms


def synchronize():
    """Wait until the GPU has done what it was given; on the CPU there is nothing to wait for."""
    if backend.default_device().name == "gpu":
        load("cupy").cuda.Device().synchronize()
        load("torch").cuda.synchronize()


def use_threads(count):
    """Let all libraries use `count` threads from now on."""
    os.environ["MINIDL_NUM_THREADS"] = str(count)
    _blas().limit(limits=count, user_api="blas")
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


@functools.cache
def _blas():
    return ThreadpoolController()


def to_torch(array, layout="default"):
    """A channels-last NumPy array (N, *S, C) as PyTorch's (N, C, *S), stored in that order or still
    channels last."""
    torch = load("torch")
    if array.ndim > 2:
        array = np.moveaxis(array, -1, 1)
    return to_layout(torch.tensor(np.array(array, order="C"), device=torch_device()), layout)


def to_layout(x, layout):
    """A PyTorch tensor (N, C, *S) or a module in one of LAYOUTS."""
    torch = load("torch")
    if layout == "default":
        return x
    if isinstance(x, torch.nn.Module):
        return x.to(memory_format=torch.channels_last)
    return x.contiguous(
        memory_format={4: torch.channels_last, 5: torch.channels_last_3d}.get(
            x.ndim, torch.contiguous_format
        )
    )


def filters_to_torch(w, layout="default"):
    """Filters (*K, C, O) as PyTorch's (O, C, *K)."""
    torch = load("torch")
    turned = np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))
    return to_layout(torch.tensor(turned, device=torch_device()), layout)


def torch_device():
    return "cuda" if backend.default_device().name == "gpu" else "cpu"


def copy_parameters(net, torch_net):
    """Start a PyTorch network from the parameters of the same network in minidl.

    A dense layer behind convolutions sees (places, channels) flattened in minidl, (channels,
    places) in PyTorch.
    """
    torch = load("torch")
    torch_net, channels = torch_net.to(torch_device()), 1
    for ours, theirs in zip(net.parameters(), torch_net.parameters(), strict=True):
        w = ours.numpy()
        if w.ndim > 2:
            channels, w = w.shape[-1], np.moveaxis(w, (-1, -2), (0, 1))
        elif w.ndim == 2:
            w = w.reshape(-1, channels, w.shape[1]).swapaxes(0, 1).reshape(w.shape).T
            channels = 1
        theirs.data = torch.tensor(np.ascontiguousarray(w), device=torch_device())
    return torch_net


def to_host(result):
    """What a step gave, as a NumPy array."""
    if hasattr(result, "cpu"):
        result = result.detach().cpu()
    return result.numpy() if hasattr(result, "numpy") else np.asarray(result)
