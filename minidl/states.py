"""Loading states: whether what was saved fits what is there."""
import numpy as np

from minidl import backend
from minidl.kernels import accumulator
from minidl.operands import operand


def entries(owner, state, wanted=None):
    """{name: Tensor} of a state dictionary: of the wanted names, or of all.

    Raises TypeError for other kinds.
    """
    if not hasattr(state, "items"):
        raise TypeError(f"load_state_dict of {owner}: state must be a dictionary from names to "
                        f"arrays, got {type(state).__name__}")
    return {name: operand("load_state_dict", value, name) for name, value in state.items()
            if wanted is None or name in wanted}


def fitted(problems, name, value, shape, dtype, device):
    """The Tensor `value` as an array of that shape, dtype and Device.

    Where it does not fit, in shape or because numbers would be lost, the reason is added to
    `problems`.  NaN and infinities pass: a state is restored as it was saved.
    """
    if value.shape != shape:
        problems.append(f"{name} has shape {value.shape}, expected {shape}")
        return None
    if value.dtype.kind == "f" and dtype.kind != "f":
        problems.append(f"{name} has dtype {value.dtype}, expected {dtype}")
        return None
    given, xp = value.data, backend.of(value.data)
    with np.errstate(over="ignore"):                        # what overflows is found below
        array = given.astype(dtype, copy=False)
    lost = xp.isfinite(given) & ~xp.isfinite(array) if dtype.kind == "f" else array != given
    if lost.any():
        problems.append(f"{name} holds {given[lost][0].item()}, which {dtype} cannot hold")
        return None
    return backend.move(array, device)


def kept(problems, key, name, value, w):
    """What an optimiser keeps of a parameter w under a name, from a state's Tensor.

    Where it does not fit, the reason is added to `problems`, under its key.
    """
    if name == "step":
        if value.size == 1 and value.dtype.kind in "iu" and value.item() >= 1:
            return int(value)
        problems.append(f"{key} must be a whole number ≥ 1, got {value}")
        return None
    array = fitted(problems, key, value, w.shape, accumulator(w.dtype), backend.device_of(w))
    if name == "square" and array is not None and (array < 0).any():
        problems.append(f"{key}, made of squares, holds {array[array < 0].min().item()}")
    return array
