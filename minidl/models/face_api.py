"""What the nets of the package @vladmandic/face-api share: their weights, and a kind of layer."""
from minidl import weights as weight_files
from minidl.files import as_path
from minidl.nn import Conv2d, Module
from minidl.weights import WeightsError


class Separable(Module):
    """A convolution in two: y = pointwise(depthwise(x)).

    x (N, H, W, C) → (N, ⌈H/stride⌉, ⌈W/stride⌉, O).
    depthwise: each channel is convolved on its own, 3×3.  pointwise: channels are mixed at each
    place, 1×1, and a bias is added.  That costs 9 C + C O multiplications a place, where a full
    convolution costs 9 C O.
    Source: Howard et al. 2017 (MobileNet).
    """

    def __init__(self, in_channels, out_channels, stride=1):
        self.depthwise = depthwise(in_channels, stride, bias=False)
        self.pointwise = Conv2d(in_channels, out_channels, 1, rng=0)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


def depthwise(channels, stride=1, bias=True):
    """A 3×3 convolution of each channel on its own."""
    return Conv2d(channels, channels, 3, stride, "same", groups=channels, bias=bias, rng=0)


def depthwise_filter(w):
    """The filter (3, 3, 1, C) of a depthwise convolution from TensorFlow's, (3, 3, C, 1)."""
    return w.transpose(0, 1, 3, 2)


def separable_arrays(arrays, own, theirs):
    """The parameters of a Separable named `own` from a file's arrays, where it is `theirs`."""
    return {f"{own}.depthwise.weight": depthwise_filter(arrays[f"{theirs}/depthwise_filter"]),
            f"{own}.pointwise.weight": arrays[f"{theirs}/pointwise_filter"],
            f"{own}.pointwise.bias": arrays[f"{theirs}/bias"]}


def read(network, net, weights, translate):
    """`net`, frozen, with weights.

    weights: the name `network`, whose file is fetched once; or a path, to the folder `model/` of
        the package, to a .json or .bin in it, or to what `minidl.save` wrote.
    translate(arrays): the parameters by their names in `net`, from the package's arrays.
    Raises WeightsError, naming the file, for what is missing, misshapen, or no finite number.
    """
    fetched = isinstance(weights, str) and weights == network
    path = weight_files.fetch(network) if fetched else find_weights(network, weights)
    arrays = weight_files.load(path)
    weight_files.check_numbers(path, arrays)
    state, parameters = net.state_dict(), dict(net.named_parameters())
    try:
        if not parameters.keys() <= arrays.keys():
            means = {name: value for name, value in state.items() if name not in parameters}
            arrays = means | translate(arrays)
        net.load_state_dict(arrays)
    except KeyError as error:
        raise WeightsError(
            f"{path}: is not a file of {network}'s weights: {error} is missing") from None
    except ValueError as error:
        raise WeightsError(
            f"{path}: is not a file of {network}'s weights: {str(error)[:300]}") from None
    return net.freeze()


def find_weights(network, path):
    """The file to load, where `path` names a folder with the network's manifest, or its .bin."""
    path, manifest = as_path(network, "weights", path), weight_files.FILES[network]["name"]
    if path.is_dir():
        path = path / manifest
        if not path.is_file():
            raise FileNotFoundError(f"{network}: there is no {manifest} in {path.parent}")
    elif path.suffix == ".bin" and path.is_file():
        manifest = path.with_name(path.stem + "-weights_manifest.json")
        if not manifest.is_file():
            raise FileNotFoundError(
                f"{network}: {path} needs {manifest.name} beside it, which says what is in it")
        path = manifest
    return path
