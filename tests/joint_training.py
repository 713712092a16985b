"""A small training run with all that looks across a batch, for one process or several."""
import numpy as np

import minidl as md
from minidl import nn
from minidl.data import Augmentation
from minidl.training import Loop, descend, indices, jointly

PICTURES = np.random.default_rng(0).integers(0, 255, (50, 8, 8, 1)).astype(np.uint8)
AUGMENT = Augmentation(flip=0.5, rotation=10, brightness=0.2, noise=5)


class Run:
    """Convolution, batch norm, dropout, augmentation; triplets, SGD with momentum.

    batch_size: 14 of 50 makes the last batch of every epoch an uneven one.
    mined: semi-hard triplets and Adam instead.
    """

    def __init__(self, dtype="float64", batch_size=16, mined=False, steps=20, **options):
        kind = {"dtype": dtype}
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1, bias=False, rng=1, **kind), nn.BatchNorm(4, **kind), nn.ReLU(),
            nn.Dropout(0.2, rng=2), nn.Flatten(), nn.Dense(64, 8, bias=False, rng=3, **kind),
            nn.BatchNorm(8, **kind), nn.Normalize())
        self.optimizer = (md.optim.Adam(self.net.parameters(), 1e-3) if mined else
                          md.optim.SGD(self.net.parameters(), 0.02, momentum=0.9))
        self.dtype, self.size, self.mined = dtype, batch_size, mined
        self.losses = {}
        self.loop = Loop(self.step, self.batch, steps, every=1,
                         parts={"net": self.net, "optimizer": self.optimizer},
                         **{"callback": self.note} | options)

    def batch(self, t):
        chosen = indices(t, len(PICTURES), self.size, seed=4)
        x = AUGMENT(PICTURES[chosen], np.random.default_rng([0, t, 1])).astype(self.dtype)
        return x / 64, chosen // 5

    def step(self, t, batch):
        x, who = batch
        z = jointly(self.net, md.tensor(x))
        rng = np.random.default_rng([9, t])
        if self.mined:
            from minidl.faces.objectives import Triplets
            loss, _ = Triplets("squared", 0.5, "batch_hard")(z, who, rng)
        else:
            triplets = rng.integers(len(x), size=(3, 40))
            loss = md.losses.triplet(*(md.ops.take(z, md.tensor(each), 0) for each in triplets),
                                     margin=1.0)
        return descend((loss, self.optimizer))[0]

    def note(self, loop):
        self.losses[loop.t] = loop.measures["loss"]

    def run(self):
        self.loop.run()
        return self

    def state(self):
        return {name: value.numpy() for name, value in self.net.state_dict().items()}


def apart(first, second):
    """The largest difference between two states."""
    return max(float(abs(first[name] - second[name]).max()) for name in first)
