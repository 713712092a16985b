"""Pictures (signals, volumes) as they are given, and as a network takes them."""
import os

import numpy as np

from minidl.data import load_image
from minidl.operands import operand
from minidl.tensor import tensor
from minidl.visualize.fields import check_net

Picture = np.ndarray | str | os.PathLike
"""An array (*S, C), or the path of a picture."""


def pixels(operation: str, picture: Picture) -> np.ndarray:
    """The array (*S, C) on the host; a path is read by `data.load_image`, and raises as that does.

    Raises ValueError for another number of axes or no pixels, TypeError for what is no array of
    numbers.
    """
    if isinstance(picture, (str, os.PathLike)):
        return load_image(picture)
    array = operand(operation, picture, "picture").numpy()
    if not 2 <= array.ndim <= 4 or array.size == 0:
        raise ValueError(f"{operation}: a picture must be (H, W, C), a signal (T, C), a volume "
                         f"(D, H, W, C), got shape {array.shape}")
    return array


def batch_of_one(net, array, requires_grad=False):
    """The array as (1, *S, C), where the network's parameters are; whole numbers become float32."""
    device = next((parameter.device for parameter in net.parameters()), None)
    dtype = array.dtype if array.dtype.kind == "f" else "float32"
    return tensor(array[None], requires_grad, dtype, device)


def check_layer(operation, net, layer):
    """Raise ValueError unless the network has a layer of that name, TypeError for another kind of
    network."""
    check_net(operation, net)
    if not isinstance(layer, str) or layer not in net:
        raise ValueError(f"{operation}: layer {layer!r} is none of {', '.join(net.names)}")
