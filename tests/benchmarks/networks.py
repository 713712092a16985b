"""Training steps of larger networks, in minidl and PyTorch: a Siamese encoder with the triplet
loss, and a DCGAN."""
import numpy as np

import minidl as md
from minidl import nn, ops

from .case import Case, normal
from .libraries import copy_parameters, load, to_layout, to_torch


class Siamese(Case):
    """32 triplets of grey 64 × 64 pictures, embedded in one batch of 96; Adam.

    conv, batch norm, ReLU five times, max-pool before the first four ReLUs, mean over the places,
    dense → 128, length 1
    """
    name, section, big = "Siamese, training step", "training", True
    size, widths = 64, (1, 32, 64, 64, 128, 128)

    def pictures(self):
        return normal((96, self.size, self.size, 1))

    def net(self):
        rng, layers = np.random.default_rng(1), []
        for i, (c, o) in enumerate(zip(self.widths, self.widths[1:])):
            layers += [nn.Conv2d(c, o, 3, padding=1, bias=False, rng=rng), nn.BatchNorm(o)]
            layers += [nn.MaxPool(2)] * (i < 4) + [nn.ReLU()]
        return nn.Sequential(*layers, nn.GlobalAveragePool(), nn.Dense(o, 128, rng=rng))

    def minidl(self):
        x, net = md.tensor(self.pictures()), self.net()
        optimizer = md.optim.Adam(net.parameters(), 1e-3)

        def step():
            optimizer.zero_grad()
            e = net(x)
            e = e / ops.norm(e, -1, keepdims=True)
            loss = md.losses.triplet(e[:32], e[32:64], e[64:], margin=0.2)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def torch(self, layout):
        torch = load("torch")
        from torch import nn
        layers = []
        for i, (c, o) in enumerate(zip(self.widths, self.widths[1:])):
            layers += [nn.Conv2d(c, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)]
            layers += [nn.MaxPool2d(2)] * (i < 4) + [nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(o, 128)]
        net = to_layout(copy_parameters(self.net(), nn.Sequential(*layers)), layout)
        x = to_torch(self.pictures(), layout)
        optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

        def step():
            optimizer.zero_grad()
            e = torch.nn.functional.normalize(net(x))
            near, far = ((e[:32] - other).square().sum(-1) for other in (e[32:64], e[64:]))
            loss = torch.relu(near - far + 0.2).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step


class DCGAN(Case):
    """The discriminator on 64 real and 64 generated colour pictures, then the generator; Adam
    (Radford et al. 2016).

    Discriminator: 4 × 4 convolutions of stride 2 (batch norm, leaky ReLU) down to 4 × 4, and one
    over those.  Generator: the same way back, with transposed convolutions, ReLU and tanh.
    """
    section, big = "training", True
    batch, noise = 64, 100

    def __init__(self, size):
        self.name = f"DCGAN {size}², training step"
        self.size = size
        # 64²: 3, 64, 128, 256, 512
        self.widths = [3] + [64 * 2 ** i for i in range(size.bit_length() - 3)]

    def inputs(self):
        """Real pictures in −1..1, and noise."""
        return np.tanh(normal((self.batch, self.size, self.size,
                               3))), normal((self.batch, 1, 1, self.noise), 1)

    def nets(self):
        """(discriminator, generator)"""
        rng, start = np.random.default_rng(2), nn.initializers.normal(0.02)
        options = {"bias": False, "initializer": start, "rng": rng}
        down, up = [], []
        for c, o in zip(self.widths, self.widths[1:]):
            down += [nn.Conv2d(c, o, 4, 2, 1,
                               **options)] + [nn.BatchNorm(o)] * (c > 3) + [nn.LeakyReLU(0.2)]
        for c, o in zip(self.widths[:0:-1], self.widths[-2::-1]):
            up += [nn.BatchNorm(c), nn.ReLU(), nn.ConvTranspose2d(c, o, 4, 2, 1, **options)]
        return (nn.Sequential(*down, nn.Conv2d(self.widths[-1], 1, 4, **options)),
                nn.Sequential(nn.ConvTranspose2d(self.noise, self.widths[-1], 4, **options), *up,
                              nn.Tanh()))

    def minidl(self):
        real, noise = map(md.tensor, self.inputs())
        d, g = self.nets()
        d_optimizer, g_optimizer = (md.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999))
                                    for net in (d, g))
        cost = md.losses.binary_cross_entropy_with_logits

        def step():
            fake = g(noise)
            d_optimizer.zero_grad()
            d_loss = cost(d(real), 1.0) + cost(d(fake.detach()), 0.0)
            d_loss.backward()
            d_optimizer.step()
            g_loss = cost(d(fake), 1.0)
            parameters = g.parameters()
            for parameter, gradient in zip(parameters, md.grad(g_loss, parameters)):
                parameter.grad = gradient
            g_optimizer.step()
            return d_loss.detach() + g_loss.detach()

        return step

    def torch(self, layout):
        torch = load("torch")
        from torch import nn
        down, up = [], []
        for c, o in zip(self.widths, self.widths[1:]):
            down += [nn.Conv2d(c, o, 4, 2, 1,
                               bias=False)] + [nn.BatchNorm2d(o)] * (c > 3) + [nn.LeakyReLU(0.2)]
        for c, o in zip(self.widths[:0:-1], self.widths[-2::-1]):
            up += [nn.BatchNorm2d(c), nn.ReLU(), nn.ConvTranspose2d(c, o, 4, 2, 1, bias=False)]
        d = nn.Sequential(*down, nn.Conv2d(self.widths[-1], 1, 4, bias=False))
        g = nn.Sequential(nn.ConvTranspose2d(self.noise, self.widths[-1], 4, bias=False), *up,
                          nn.Tanh())
        d, g = (to_layout(copy_parameters(ours, net), layout)
                for ours, net in zip(self.nets(), (d, g)))
        real, noise = (to_torch(array, layout) for array in self.inputs())
        d_optimizer, g_optimizer = (torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999),
                                                     fused=True)
                                    for net in (d, g))
        cost = torch.nn.functional.binary_cross_entropy_with_logits
        ones, zeros = (torch.full((self.batch, 1, 1, 1), value, device=real.device)
                       for value in (1.0, 0.0))

        def step():
            fake = g(noise)
            d_optimizer.zero_grad()
            d_loss = cost(d(real), ones) + cost(d(fake.detach()), zeros)
            d_loss.backward()
            d_optimizer.step()
            g_loss = cost(d(fake), ones)
            g_optimizer.zero_grad()
            g_loss.backward(inputs=list(g.parameters()))
            g_optimizer.step()
            return d_loss.detach() + g_loss.detach()

        return step


def cases(quick):
    return [Siamese(), DCGAN(32 if quick else 64)]
