"""A training step of a small convolutional network: 128 grey pictures of 28 × 28 pixels, ten
classes, SGD.

    conv 1→16, max-pool, ReLU, conv 16→32, max-pool, ReLU, dense 1568→128, ReLU, dense 128→10,
    cross-entropy
"""
import numpy as np

import minidl as md
from minidl import nn

from .case import Case, normal
from .libraries import copy_parameters, load, to_layout, to_torch

BATCH, RATE = 128, 0.01


class ConvNet(Case):
    name, section, big = "small convnet, training step", "training", True

    def data(self):
        return normal((BATCH, 28, 28, 1)), np.random.default_rng(1).integers(0, 10, BATCH)

    def net(self):
        rng = np.random.default_rng(2)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, rng=rng), nn.MaxPool(2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, rng=rng), nn.MaxPool(2), nn.ReLU(),
            nn.Flatten(), nn.Dense(1568, 128, rng=rng), nn.ReLU(), nn.Dense(128, 10, rng=rng))

    def parameters(self):
        """The same start as NumPy arrays: filters (*K, C, O), dense weights (in, out), biases."""
        return [parameter.numpy() for parameter in self.net().parameters()]

    def channels_first_parameters(self):
        """Filters (O, C, *K), dense weights (in, out) whose inputs are ordered (channel, row,
        column)."""
        w1, b1, w2, b2, w3, *rest = self.parameters()
        w3 = w3.reshape(49, 32, 128).swapaxes(0, 1).reshape(1568, 128)
        return [np.ascontiguousarray(w.transpose(3, 2, 0, 1)) if w.ndim == 4 else w
                for w in (w1, b1, w2, b2, w3, *rest)]

    def minidl(self):
        images, labels = map(md.tensor, self.data())
        net = self.net()
        optimizer = md.optim.SGD(net.parameters(), RATE)

        def step():
            optimizer.zero_grad()
            loss = md.losses.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def torch(self, layout):
        torch = load("torch")
        from torch import nn
        images, labels = (to_torch(array, layout) for array in self.data())
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10))
        net = to_layout(copy_parameters(self.net(), net), layout)
        optimizer = torch.optim.SGD(net.parameters(), RATE, fused=True)

        def step():
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def mygrad(self):
        mg = load("mygrad")
        from mygrad.nnet.activations import relu
        from mygrad.nnet.layers import conv_nd, max_pool
        from mygrad.nnet.losses import softmax_crossentropy
        images, labels = self.data()
        images = np.moveaxis(images, -1, 1)
        parameters = [mg.tensor(w) for w in self.channels_first_parameters()]

        def step():
            w1, b1, w2, b2, w3, b3, w4, b4 = parameters
            x = relu(max_pool(conv_nd(images, w1, stride=1, padding=1) + b1.reshape(1, -1, 1, 1),
                              (2, 2), 2))
            x = relu(max_pool(conv_nd(x, w2, stride=1, padding=1) + b2.reshape(1, -1, 1, 1), (2, 2),
                              2))
            loss = softmax_crossentropy(relu(x.reshape(BATCH, -1) @ w3 + b3) @ w4 + b4, labels)
            loss.backward()
            for w in parameters:
                w.data -= RATE * w.grad
            return loss.data

        return step

    def dezero(self):
        load("dezero")
        from dezero import Parameter
        import dezero.functions as F
        images, labels = self.data()
        images = np.moveaxis(images, -1, 1)
        parameters = [Parameter(w) for w in self.channels_first_parameters()]

        def step():
            w1, b1, w2, b2, w3, b3, w4, b4 = parameters
            x = F.relu(F.pooling(F.conv2d(images, w1, b1, pad=1), 2, 2))
            x = F.relu(F.pooling(F.conv2d(x, w2, b2, pad=1), 2, 2))
            loss = F.softmax_cross_entropy(F.linear(F.relu(F.linear(F.flatten(x), w3, b3)), w4, b4),
                                           labels)
            loss.backward()
            for w in parameters:
                w.data -= RATE * w.grad.data
                w.cleargrad()
            return loss.data

        return step

    def smallpebble(self):
        sp = load("smallpebble")
        images, labels = self.data()
        images = sp.Variable(images)
        parameters = [sp.Variable(w) for w in self.parameters()]
        scale = sp.Variable(np.float32(1 / BATCH))

        def step():
            w1, b1, w2, b2, w3, b3, w4, b4 = parameters
            x = sp.leaky_relu(sp.maxpool2d(sp.conv2d(images, w1) + b1, 2, 2, strides=(2, 2)), 0)
            x = sp.leaky_relu(sp.maxpool2d(sp.conv2d(x, w2) + b2, 2, 2, strides=(2, 2)), 0)
            x = sp.leaky_relu(sp.matmul(sp.reshape(x, (BATCH, -1)), w3) + b3, 0)
            loss = sp.cross_entropy(sp.softmax(sp.matmul(x, w4) + b4), labels) * scale
            sp.sgd_step(parameters, sp.get_gradients(loss), RATE)
            return loss.array

        return step

    def autograd(self):
        load("autograd")
        from autograd import value_and_grad
        import autograd.numpy as anp
        from autograd.scipy.signal import convolve
        from autograd.scipy.special import logsumexp
        images, labels = self.data()
        images = np.moveaxis(images, -1, 1)
        parameters = self.channels_first_parameters()

        def conv(x, w, b):
            x = anp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
            y = convolve(x, w[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]),
                         mode="valid")
            return y + b[:, None, None]

        def pool(x):
            n, channels, height, width = x.shape
            return anp.maximum(anp.max(x.reshape(n, channels, height // 2, 2, width // 2, 2),
                                       axis=(3, 5)), 0)

        def cost(parameters):
            w1, b1, w2, b2, w3, b3, w4, b4 = parameters
            x = pool(conv(pool(conv(images, w1, b1)), w2, b2)).reshape(BATCH, -1)
            z = anp.maximum(x @ w3 + b3, 0) @ w4 + b4
            return anp.mean(logsumexp(z, axis=1) - z[np.arange(BATCH), labels])

        slope = value_and_grad(cost)

        def step():
            loss, gradients = slope(parameters)
            for w, gradient in zip(parameters, gradients):
                w -= RATE * gradient
            return loss

        return step


def cases(quick):
    return [ConvNet()]
