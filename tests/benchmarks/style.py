"""A step of neural style transfer: the costs of a picture seen by VGG-19 up to conv5_1, and their
gradient for its pixels.

The weights are random, of VGG-19's shapes: time does not depend on their values.
"""
import numpy as np

import minidl as md
from minidl.models.vgg import CAFFE_MEAN, CHANNELS, CONVOLUTIONS, VGG, layer_names
from minidl.style import Objective
from minidl.style.transfer import CONTENT_LAYERS, STYLE_LAYERS

from .case import Case
from .libraries import filters_to_torch, load, to_layout, to_torch

CONTENT_WEIGHT, STYLE_WEIGHT, VARIATION_WEIGHT = 100.0, 1.0, 0.1
SIZES = (128, 256, 512, 1024)


class StyleStep(Case):
    """One picture of size × size pixels; the costs are minidl.style's, with average pooling."""
    section = "style transfer"
    big = True

    def __init__(self, size):
        self.size = size
        self.name = f"style step {size}²"

    def pictures(self):
        """Content, style and generated picture (1, H, W, 3), RGB in 0..255."""
        rng = np.random.default_rng(0)
        return [rng.uniform(0, 255, (1, self.size, self.size, 3)).astype("float32")
                for _ in range(3)]

    def minidl(self):
        content, style, generated = map(md.tensor, self.pictures())
        generated.requires_grad = True
        net = VGG(random_blocks(), CAFFE_MEAN, "average")
        objective = Objective(net, content, style, content_weight=CONTENT_WEIGHT,
                              style_weight=STYLE_WEIGHT,
                              variation_weight=VARIATION_WEIGHT)
        return lambda: md.grad(objective(generated)["J"], generated)[0]

    def torch(self, layout):
        torch = load("torch")
        content, style, generated = (to_torch(picture, layout) for picture in self.pictures())
        generated.requires_grad_()
        mean = to_torch(np.float32(CAFFE_MEAN)[None, None, None])
        filters = {f"conv{b}_{i}": (filters_to_torch(w, layout), to_torch(bias))
                   for b, block in enumerate(random_blocks(), 1)
                   for i, (w, bias) in enumerate(block, 1)}

        def net(x):
            x, seen = to_layout(x - mean, layout), {}
            for name in layer_names("vgg19"):
                if name.startswith("conv"):
                    x = torch.nn.functional.conv2d(x, *filters[name], padding=1)
                elif name.startswith("relu"):
                    x = torch.relu(x)
                else:
                    x = torch.nn.functional.avg_pool2d(x, 2)
                seen[name] = x
                if name == STYLE_LAYERS[-1]:
                    return seen

        def gram(a):
            rows = a[0].flatten(1)
            return rows @ rows.T / rows.shape[1]

        def variation(x):
            down, right = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
            return ((down ** 2).sum() + (right ** 2).sum()) / x.numel()

        with torch.no_grad():
            seen = net(content)
            features = {name: seen[name] for name in CONTENT_LAYERS}
            seen = net(style)
            grams = {name: gram(seen[name]) for name in STYLE_LAYERS}
            del seen

        def step():
            seen = net(generated)
            j_content = sum(((seen[name] - a) ** 2).sum() / (4 * a.numel())
                            for name, a in features.items())
            j_style = sum(((gram(seen[name]) - g) ** 2).sum() / (4 * len(g) ** 2)
                          for name, g in grams.items()) / len(grams)
            j = (
                CONTENT_WEIGHT * j_content
                + STYLE_WEIGHT * j_style
                + VARIATION_WEIGHT * variation(generated)
            )
            return torch.autograd.grad(j, generated)[0]

        return step


def random_blocks():
    """Of each block [(w (3, 3, C, O), b (O,)), …] to conv5_1, He-normal; the same ones every
    time."""
    rng, blocks, channels = np.random.default_rng(1), [], 3
    for count, outputs in zip((*CONVOLUTIONS["vgg19"][:4], 1), CHANNELS):
        blocks.append([])
        for _ in range(count):
            w = rng.standard_normal((3, 3, channels, outputs), np.float32)
            w *= np.float32(np.sqrt(2 / (9 * channels)))
            blocks[-1].append((w, np.zeros(outputs, "float32")))
            channels = outputs
    return blocks


def cases(quick):
    return [StyleStep(size) for size in (SIZES[:2] if quick else SIZES)]
