"""A small convolutional encoder of handwritten characters."""
from minidl import weights as weight_files
from minidl.models.siamese import unit_length
from minidl.nn import BatchNorm, Conv2d, Flatten, MaxPool, Module, ReLU, Sequential
from minidl.nn.initializers import he_normal
from minidl.weights import WeightsError


class CharacterEncoder(Module):
    """f(x): (N, size, size, 1), dark ink on white in 0..255 → (N, D), of length 1.

    Blocks of a 3×3 convolution, batch normalisation and ReLU; three of them halve the picture by max-pooling.  What is left
    of it, with 28 pixels 3 × 3 places, is laid out flat: where a stroke is tells characters apart.
    widths: the channels of each block; D = (size // 8)² · the last of them.
    """
    channels = 1

    def __init__(self, size=28, widths=(32, 64, 128, 128), *, rng):
        if size < 8 or len(widths) < 3:
            raise ValueError(f"CharacterEncoder: three halvings need a size of 8 or more and three widths, got {size} and "
                             f"{tuple(widths)}")
        self.size = size
        layers = []
        for i, (before, width) in enumerate(zip((1, *widths), widths)):
            layers += [Conv2d(before, width, 3, padding=1, bias=False, initializer=he_normal, rng=rng)]
            layers += [MaxPool(2)] * (i < 3) + [BatchNorm(width), ReLU()]       # pooled first: a quarter to normalise
        self.layers = Sequential(*layers[:-1], Flatten())                       # encodings of both signs

    def forward(self, x):
        return unit_length(self.layers(1 - x * (1 / 255)))


def character_encoder(weights):
    """A trained CharacterEncoder of the default size from a file that `minidl.save` wrote.

    Raises WeightsError, naming the file, where it is damaged or holds something else; OSError where it cannot be opened.
    """
    encoder = CharacterEncoder(rng=0)
    arrays = weight_files.load(weights)
    if any(array.dtype.kind not in "biuf" for array in arrays.values()):
        raise WeightsError(
            f"{weights}: holds no encoder of characters: some of its arrays are no numbers"
        )
    try:
        encoder.load_state_dict(arrays)
    except ValueError as error:
        raise WeightsError(f"{weights}: holds no encoder of characters: {str(error)[:200]}") from None
    weight_files.check_numbers(weights, arrays)
    return encoder.eval()
