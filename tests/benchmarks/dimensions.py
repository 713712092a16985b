"""Training steps of the classifiers of demos.signals and demos.volumes, in one and three
dimensions: cross-entropy, AdamW, no dropout (whose draws differ)."""
import numpy as np

from demos import signals, volumes
import minidl as md
from minidl.classification import convnet

from .case import Case, normal
from .libraries import copy_parameters, load, to_torch

BATCH, RATE = 32, 1e-3


class Classifier(Case):
    """A batch of 32: of the spoken vowels (25 moments, 12 channels, 9 classes; convolutions, batch
    norm and ReLU, a mean over time), or of cubes of 16³ voxels (3 classes; max-pool, too)."""
    section, big = "training", True

    def __init__(self, axes):
        self.axes = axes
        self.name = f"{axes}-D classifier, training step"
        self.sizes, self.classes, self.blocks, self.flat = (
            ((25, 12), 9, signals.VOWELS[1], False) if axes == 1
            else ((16, 16, 16, 1), 3, volumes.BLOCKS, True))

    def data(self):
        labels = np.random.default_rng(1).integers(0, self.classes, BATCH)
        return normal((BATCH, *self.sizes)), labels

    def net(self):
        return convnet(self.axes, self.sizes[-1], self.classes, self.blocks, dropout=0.0, rng=2,
                       size=self.sizes[0] if self.flat else None)

    def minidl(self):
        x, labels = map(md.tensor, self.data())
        net = self.net()
        optimizer = md.optim.AdamW(net.parameters(), RATE)

        def step():
            optimizer.zero_grad()
            loss = md.losses.cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def torch(self, layout):
        torch = load("torch")
        from torch import nn
        x, labels = (to_torch(array, layout) for array in self.data())
        conv, norm, pool = {1: (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d),
                            3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)}[self.axes]
        layers, channels = [], self.sizes[-1]
        for block in self.blocks:
            layers += [conv(channels, block.filters, block.kernel_size, bias=False,
                            padding=block.kernel_size // 2), norm(block.filters), nn.ReLU()]
            layers += [pool(block.pool)] * (block.pool > 1)
            channels = block.filters
        mean = [] if self.flat else [nn.AdaptiveAvgPool1d(1)]
        dense = nn.Linear(self.net()["scores"].weight.shape[0], self.classes)
        net = nn.Sequential(*layers, *mean, nn.Flatten(), dense)
        net = copy_parameters(self.net(), net)
        if self.axes == 3 and layout == "channels-last":
            net = net.to(memory_format=torch.channels_last_3d)
        optimizer = torch.optim.AdamW(net.parameters(), RATE, fused=True)

        def step():
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step


def cases(quick):
    return [Classifier(1), Classifier(3)]
