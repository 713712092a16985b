"""Style transfer on a network and pictures small enough to be quick."""
import numpy as np

from minidl.models import VGG
from minidl.style import transfer


def small_net(pooling="average"):
    """Five blocks of one convolution with a few channels: VGG's shape, not its weights."""
    drawn, blocks, channels = np.random.default_rng(1), [], 3
    for _ in range(5):
        w = drawn.standard_normal((3, 3, channels, 6)) / np.sqrt(9 * channels)
        blocks.append([(w.astype("float32"), np.zeros(6, "float32"))])
        channels = 6
    return VGG(blocks, (120.0, 110.0, 100.0), pooling)


def two_pictures():
    """A content of 40 × 32 pixels, and a style of 24 × 48."""
    drawn = np.random.default_rng(2)
    return [drawn.integers(0, 256, shape).astype("uint8") for shape in ((40, 32, 3), (24, 48, 3))]


def run(style=None, **options):
    content, painting = two_pictures()
    settings = dict(size=40, steps=12, net=small_net(), content_layers=["relu3_1"],
                    content_weight=1.0) | options
    return transfer(content, painting if style is None else style, **settings)
