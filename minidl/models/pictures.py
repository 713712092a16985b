"""What stands before the first layer of a network that sees pictures."""
from minidl.nn.module import Pointwise
from minidl.operands import operand
from minidl.tensor import tensor


def check_pictures(network, x, size, channels, pixels):
    """x as a Tensor; raises ValueError, naming the network, unless it is (N, size, size, channels),
    or of any size where that is None.  pixels: what they are, for the error."""
    x = operand(network, x)
    sides = ("H", "W") if size is None else (size, size)
    if x.ndim != 4 or x.shape[-1] != channels or size is not None and x.shape[1:3] != sides:
        raise ValueError(f"{network}: x must be (N, {sides[0]}, {sides[1]}, {channels}), {pixels}, "
                         f"got shape {x.shape}")
    return x


class Centred(Pointwise):
    """y = (x − mean) · scale

    x (N, H, W, C), pictures in 0..255; mean (C,), of the pictures that the network learned from.
    size: of the pictures, if they must have one.  Raises ValueError for another shape.
    """

    def __init__(self, network, mean, scale=1.0, size=None):
        self.network, self.scale, self.size = network, scale, size
        self.mean = tensor(mean, dtype="float32").data

    def check(self, x):
        return check_pictures(self.network, x, self.size, len(self.mean), "RGB in 0..255")

    def forward(self, x):
        x = self.check(x) - self.mean
        return x if self.scale == 1 else x * self.scale
