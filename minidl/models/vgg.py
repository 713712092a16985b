"""VGG-16 and VGG-19: 3×3 convolutions with ReLUs, and a 2×2 pooling after each of five blocks.

Source: Simonyan and Zisserman 2015.  x is RGB in 0..255; what the weights' authors did to their
pictures is done inside.
"""
from collections.abc import Sequence
import math
import os

import numpy as np

from minidl import weights as weight_files
from minidl.models.pictures import Centred
from minidl.nn import AveragePool, ConvReLU, MaxPool, Sequential
from minidl.operands import listed
from minidl.settings import numbers, one_of
from minidl.weights import WeightsError

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}         # in each block
CHANNELS = (64, 128, 256, 512, 512)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of ImageNet's pictures, RGB in 0..255
# RGB in 0..1
TORCHVISION_MEAN, TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def layer_names(kind):
    """Names of all layers of "vgg16" or "vgg19", in order: conv1_1, relu1_1, conv1_2, relu1_2,
    pool1, …"""
    return [name for b, count in enumerate(CONVOLUTIONS[kind], 1)
            for name in [f"{layer}{b}_{i}" for i in range(1, count + 1)
                         for layer in ("conv", "relu")] + [f"pool{b}"]]


class VGG(Sequential):
    """Blocks of convolutions with their ReLUs, and a pooling after each block.

    x (N, H, W, 3), RGB in 0..255.
    The names are mean, conv1_1, relu1_1, conv1_2, relu1_2, pool1, conv2_1, ….
    blocks: for each block its filters and biases, [(w (3, 3, C, O), b (O,)), …].
    mean: what is subtracted from x.
    pooling: "max", or "average" as Gatys et al. prefer for synthesis.
    The parameters are frozen: no gradient of them is computed.
    """

    def __init__(self, blocks: Sequence, mean: Sequence[float] | np.ndarray, pooling: str = "max"):
        pools = {"max": MaxPool, "average": AveragePool}
        one_of("vgg", "pooling", pooling, pools)
        layers: dict = {"mean": Centred("vgg", numbers("vgg", "mean", mean, "(C,)", "float32"))}
        for b, block in enumerate(listed("vgg", "blocks", blocks, "blocks"), 1):
            for i, pair in enumerate(listed("vgg", "a block", block, "filters and biases"), 1):
                if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                    raise ValueError(f"vgg: convolution {b}_{i} must be (w, b), got "
                                     f"{type(pair).__name__}")
                weight, bias = pair
                layer = ConvReLU.from_weights(weight, bias, padding=1)
                layers[f"conv{b}_{i}", f"relu{b}_{i}"] = layer
            layers[f"pool{b}"] = pools[pooling](2)
        super().__init__(layers)
        self.freeze()

    def walk(self, x, layers):
        """As `Sequential.walk`; raises ValueError where x is too small for the deepest layer."""
        layers = self._known("layers", layers)
        x = self["mean"].check(x)
        deepest = max(layers, key=self.names.index)
        strides = [layer.window()[1] for layer in self.part(upto=deepest)]
        smallest = math.prod(strides)
        if min(x.shape[1:3]) < smallest:
            raise ValueError(f"vgg: a picture of {x.shape[1]} × {x.shape[2]} pixels is too small: "
                             f"{layers} need at least {smallest} × {smallest}")
        return super().walk(x, layers)


def vgg19(weights: str | os.PathLike = "vgg19", pooling: str = "max") -> VGG:
    """VGG-19 with pre-trained weights: "vgg19" (fetched once), or a path to a file that
    `weights.load` reads."""
    return _vgg("vgg19", weights, pooling)


def vgg16(weights: str | os.PathLike, pooling: str = "max") -> VGG:
    """VGG-16 with the weights of a file, for example torchvision's vgg16-*.pth."""
    return _vgg("vgg16", weights, pooling)


def _vgg(kind, weights, pooling):
    fetched = isinstance(weights, str) and weights == "vgg19"
    path = weight_files.fetch(weights) if fetched else weights
    blocks, mean = read_blocks(weight_files.load(path), kind, path)
    return VGG(blocks, mean, pooling)


def read_blocks(arrays, kind, path):
    """(blocks, mean) of a VGG from the arrays of a file, whose keys tell its kind.

    block1_conv1_W_q, …: 8-bit, Oxford's weights, for BGR minus the mean.  w = table[W_q], and the
        input channels are turned round here, so that the network sees RGB.
    features.0.weight, …: torchvision's, for (RGB/255 − mean)/deviation.  1 / (255 deviation) goes
        into the first filters here.
    layers.conv1_1.weight, …: what `minidl.save` wrote.
    Raises WeightsError, naming the file, for what is missing, misshapen, or no finite number.
    """
    weight_files.check_numbers(path, arrays)
    mean, given = CAFFE_MEAN, sum(getattr(array, "ndim", 0) == 4 or key.endswith("_W_q")
                                  for key, array in arrays.items())
    try:
        if "block1_conv1_W_q" in arrays:
            blocks = _blocks(kind, lambda b, i, _: _eight_bit(arrays, f"block{b}_conv{i}"))
            w, bias = blocks[0][0]
            blocks[0][0] = w[:, :, ::-1], bias
        elif "features.0.weight" in arrays:
            # before it stand as many ReLUs as convolutions, and the poolings of the blocks before
            blocks = _blocks(kind, lambda b, i, before:
                             _torchvision(arrays, f"features.{2 * before + b - 1}"))
            w, bias = blocks[0][0]
            blocks[0][0] = w / (255 * np.asarray(TORCHVISION_DEVIATION, w.dtype))[:, None], bias
            mean = tuple(255 * m for m in TORCHVISION_MEAN)
        else:
            blocks = _blocks(kind, lambda b, i, _: _own(arrays, f"layers.conv{b}_{i}"))
            mean = arrays["layers.mean.mean"]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{path}: is not a file of {kind}'s weights: {error} is missing or out "
                           "of range") from None
    if given != sum(CONVOLUTIONS[kind]):
        raise WeightsError(f"{path}: has {given} convolutions, {kind} has "
                           f"{sum(CONVOLUTIONS[kind])}")
    if np.shape(mean) != (3,):
        raise WeightsError(f"{path}: mean has shape {np.shape(mean)}, expected (3,): of red, green "
                           "and blue")
    _check_shapes(blocks, kind, path)
    return [[(np.ascontiguousarray(w, "float32"), bias.astype("float32")) for w, bias in block]
            for block in blocks], mean


def _blocks(kind, read):
    """read(block, number in it, convolutions before) of every convolution, as a list of blocks.

    Blocks and the numbers in them are counted from 1, as in the names.
    """
    counts = CONVOLUTIONS[kind]
    return [[read(b, i, sum(counts[:b - 1]) + i - 1) for i in range(1, count + 1)]
            for b, count in enumerate(counts, 1)]


def _check_shapes(blocks, kind, path):
    previous = 3
    for b, (block, channels) in enumerate(zip(blocks, CHANNELS), 1):
        for i, (w, bias) in enumerate(block, 1):
            expected = (3, 3, previous, channels)
            if w.shape != expected or bias.shape != expected[-1:]:
                raise WeightsError(f"{path}: conv{b}_{i} has filters {w.shape} and bias "
                                   f"{bias.shape}, {kind} needs {expected} and {expected[-1:]}")
            previous = channels


def _eight_bit(arrays, key):
    places, table = arrays[key + "_W_q"], arrays[key + "_W_table"]
    if places.dtype != np.uint8 or table.ndim != 1:     # a negative place would count from the end
        raise IndexError(f"{key}_W_q, as bytes into a table,")
    return _channels_last(table[places]), arrays[key + "_b"]


def _torchvision(arrays, key):
    return _channels_last(arrays[key + ".weight"]), arrays[key + ".bias"]


def _own(arrays, key):
    return arrays[key + ".weight"], arrays[key + ".bias"]


def _channels_last(w):
    """(O, C, 3, 3) → (3, 3, C, O)"""
    return w.transpose(2, 3, 1, 0) if w.ndim == 4 else w
