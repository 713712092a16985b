"""VGG-16 and VGG-19 as feature extractors: 3×3 convolutions, ReLUs, and a 2×2 pooling after each of five blocks.

Source: Simonyan and Zisserman 2015.  x is RGB in 0..255; what the weights' authors did to their pictures is done inside.
"""
import numpy as np

from minidl import ops
from minidl import weights as weight_files
from minidl.nn import Module, Parameter
from minidl.operands import operand
from minidl.weights import WeightsError

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}         # in each block
CHANNELS = (64, 128, 256, 512, 512)
CAFFE_MEAN = (123.68, 116.779, 103.939)                                     # of ImageNet's pictures, RGB in 0..255
TORCHVISION_MEAN, TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)      # RGB in 0..1


def layer_names(kind):
    """Names of all layers of "vgg16" or "vgg19", in order: conv1_1, relu1_1, conv1_2, relu1_2, pool1, …"""
    return [name for b, count in enumerate(CONVOLUTIONS[kind], 1)
            for name in [f"{layer}{b}_{i}" for i in range(1, count + 1) for layer in ("conv", "relu")] + [f"pool{b}"]]


class Convolution(Module):
    """3×3 filters and a bias; zero padding keeps the picture's size."""

    def __init__(self, w, b):
        super().__init__()
        self.w, self.b = Parameter(w), Parameter(b)

    def forward(self, x, rectified):
        return (ops.conv_relu if rectified else ops.conv)(x, self.w, self.b, padding=1)


class VGG(Module):
    """net(x, layers) → {name: activations}, computed no further than the deepest layer asked for.

    filters: {"conv1_1": (w (3, 3, C, O), b (O,)), …}; mean: what is subtracted from RGB in 0..255.
    pooling: "max", or "average" as Gatys et al. prefer for synthesis.
    Names: conv1_1, relu1_1, conv1_2, relu1_2, pool1, conv2_1, …  The parameters are frozen: no gradient of them is computed.
    """

    def __init__(self, filters, mean, pooling="max"):
        super().__init__()
        if pooling not in ("max", "average"):
            raise ValueError(f"vgg: pooling must be 'max' or 'average', got {pooling!r}")
        self.pool = ops.max_pool if pooling == "max" else ops.average_pool
        self.mean = Parameter(np.asarray(mean, "float32"))
        self.names = []
        for name, (w, b) in filters.items():
            if self.names and name[4] != self.names[-1][4]:
                self.names.append(f"pool{self.names[-1][4]}")
            self.names += [name, "relu" + name[4:]]
            setattr(self, name, Convolution(w, b))
        self.names.append(f"pool{self.names[-1][4]}")
        self.freeze()

    def forward(self, x, layers):
        """Activations by name.  x: (N, H, W, 3), RGB in 0..255; raises ValueError for another shape or an unknown layer."""
        return dict(self.walk(x, layers))

    def walk(self, x, layers):
        """The same as pairs (name, activations), each as soon as it is computed."""
        x = operand("vgg", x)
        layers = [layers] if isinstance(layers, str) else list(layers)
        unknown = [name for name in layers if name not in self.names]
        if unknown or not layers:
            raise ValueError(f"vgg: layers {unknown or layers} are not among {', '.join(self.names)}")
        if x.ndim != 4 or x.shape[-1] != 3:
            raise ValueError(f"vgg: x must be (N, H, W, 3), RGB in 0..255, got shape {x.shape}")
        smallest = 2 ** (max(int(name[4]) for name in layers) - 1)
        if min(x.shape[1:3]) < smallest:
            raise ValueError(f"vgg: a picture of {x.shape[1]} × {x.shape[2]} pixels is too small: {layers} need at least "
                             f"{smallest} × {smallest}")
        waiting = set(layers)
        x = x - self.mean
        for name in self.names:
            if name.startswith("conv"):
                rectified = name not in layers                      # takes its ReLU along where nobody looks between
                x = getattr(self, name)(x, rectified)
            elif name.startswith("relu"):
                x = x if rectified else ops.relu(x)
            else:
                x = self.pool(x, 2)
            if name in waiting:
                yield name, x
                waiting.remove(name)
            if not waiting:
                return


def vgg19(weights="vgg19", pooling="max"):
    """VGG-19 with pre-trained weights: "vgg19" (fetched once), or a path to a file that `weights.load` reads."""
    return _vgg("vgg19", weights, pooling)


def vgg16(weights, pooling="max"):
    """VGG-16 with the weights of a file, for example torchvision's vgg16-*.pth."""
    return _vgg("vgg16", weights, pooling)


def _vgg(kind, weights, pooling):
    path = weight_files.fetch(weights) if weights == "vgg19" else weights
    filters, mean = read_filters(weight_files.load(path), kind, path)
    return VGG(filters, mean, pooling)


def read_filters(arrays, kind, path):
    """({"conv1_1": (w (3, 3, C, O), b), …}, mean of RGB in 0..255) from the arrays of a file; the keys tell its kind.

    block1_conv1_W_q, …: 8-bit, Oxford's weights, for BGR minus the mean.  w = table[W_q], and the input channels are
        turned round here, so that the network sees RGB.
    features.0.weight, …: torchvision's, for (RGB/255 − mean)/deviation.  The scale goes into the first filters here.
    conv1_1.w, …: what `minidl.save` wrote.
    Raises WeightsError, naming the file, for what is missing, misshapen, or no finite number.
    """
    weight_files.check_numbers(path, arrays)
    names = [name for name in layer_names(kind) if name.startswith("conv")]
    mean, given = CAFFE_MEAN, sum(getattr(array, "ndim", 0) == 4 or key.endswith("_W_q") for key, array in arrays.items())
    try:
        if "block1_conv1_W_q" in arrays:
            filters = {name: _eight_bit(arrays, name) for name in names}
            w, b = filters["conv1_1"]
            filters["conv1_1"] = w[:, :, ::-1], b
        elif "features.0.weight" in arrays:
            filters = {name: _torchvision(arrays, name, kind) for name in names}
            w, b = filters["conv1_1"]
            filters["conv1_1"] = w / (255 * np.asarray(TORCHVISION_DEVIATION, w.dtype))[:, None], b
            mean = tuple(255 * m for m in TORCHVISION_MEAN)
        else:
            filters = {name: (arrays[name + ".w"], arrays[name + ".b"]) for name in names}
            mean = arrays["mean"]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{path}: is not a file of {kind}'s weights: {error} is missing or out of range") from None
    if given != len(names):
        raise WeightsError(f"{path}: has {given} convolutions, {kind} has {len(names)}")
    if np.shape(mean) != (3,):
        raise WeightsError(f"{path}: mean has shape {np.shape(mean)}, expected (3,): of red, green and blue")
    previous = 3
    for name, (w, b) in filters.items():
        expected = (3, 3, previous, CHANNELS[int(name[4]) - 1])
        if w.shape != expected or b.shape != expected[-1:]:
            raise WeightsError(f"{path}: {name} has filters {w.shape} and bias {b.shape}, {kind} needs {expected} and "
                               f"{expected[-1:]}")
        previous = expected[-1]
    return {name: (np.ascontiguousarray(w, "float32"), b.astype("float32")) for name, (w, b) in filters.items()}, mean


def _eight_bit(arrays, name):
    key = f"block{name[4]}_conv{name[6]}"
    places, table = arrays[key + "_W_q"], arrays[key + "_W_table"]
    if places.dtype != np.uint8 or table.ndim != 1:     # a negative place would count from the end
        raise IndexError(f"{key}_W_q, as bytes into a table,")
    return _channels_last(table[places]), arrays[key + "_b"]


def _torchvision(arrays, name, kind):
    before = sum(CONVOLUTIONS[kind][:int(name[4]) - 1]) + int(name[6]) - 1          # convolutions before this one
    number = 2 * before + int(name[4]) - 1                                          # and a ReLU each, and the poolings
    return _channels_last(arrays[f"features.{number}.weight"]), arrays[f"features.{number}.bias"]


def _channels_last(w):
    """(O, C, 3, 3) → (3, 3, C, O)"""
    return w.transpose(2, 3, 1, 0) if w.ndim == 4 else w
