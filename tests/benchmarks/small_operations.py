"""Where the arrays are small, and time goes into the tape: chains of operations, and networks of
small dense layers."""
import sys

import numpy as np

import minidl as md
from minidl import ops

from .case import Case, normal
from .libraries import load, to_torch


class Chain(Case):
    """`length` operations one after the other, forward and backward to x."""
    section, layouts = "small operations", ("default",)

    def __init__(self, name, length, x, round):
        """round(y, x, exp): the operations of one turn; the chain goes on until it has `length` of
        them."""
        self.name, self.length, self.x, self.round = name, length, np.float32(x), round
        self.turns = length // round.operations

    def chain(self, x, exp):
        y = x
        for _ in range(self.turns):
            y = self.round(y, x, exp)
        return y

    def minidl(self):
        x = md.tensor(self.x, requires_grad=True)
        return lambda: md.grad(self.chain(x, ops.exp).sum(), x)[0]

    def torch(self, layout):
        torch = load("torch")
        x = to_torch(self.x).requires_grad_()
        return lambda: torch.autograd.grad(self.chain(x, torch.exp).sum(), x)[0]

    def mygrad(self):
        mg = load("mygrad")
        x = mg.tensor(self.x)

        def step():
            self.chain(x, mg.exp).sum().backward()
            return x.grad

        return step

    def dezero(self):
        import dezero.functions as F
        x = load("dezero").Variable(np.array(self.x))

        def step():
            x.cleargrad()
            F.sum(self.chain(x, F.exp)).backward()
            return x.grad.data

        return step

    def smallpebble(self):
        sp = load("smallpebble")
        x = sp.Variable(np.array(self.x))

        def step():
            limit = sys.getrecursionlimit()
            # its backward pass calls itself along the graph
            sys.setrecursionlimit(10 * self.length + limit)
            try:
                return sp.get_gradients(sp.sum(self.chain(x, sp.exp)))[x]
            finally:
                sys.setrecursionlimit(limit)

        return step

    def autograd(self):
        from autograd import grad
        import autograd.numpy as anp
        slope = grad(lambda x: anp.sum(self.chain(x, anp.exp)))
        return lambda: slope(self.x)


def product(y, x, exp):
    return y * x


def mixed(y, x, exp):
    return exp(-(y * x)) + x


product.operations, mixed.operations = 1, 4


class MLP(Case):
    """A training step of dense layers with ReLU: forward, mean squared error, backward, w ← w − η
    ∂J/∂w."""
    section, layouts, rate = "small operations", ("default",), 1e-3

    def __init__(self, name, batch, widths):
        self.name, self.batch, self.widths = name, batch, widths

    def data(self):
        return normal((self.batch, self.widths[0])), normal((self.batch, self.widths[-1]), 1)

    def parameters(self):
        """w, b, w, b, …: He-normal weights (in, out), zero biases."""
        rng, found = np.random.default_rng(2), []
        for n, m in zip(self.widths, self.widths[1:]):
            found += [rng.standard_normal((n, m), np.float32) * np.float32(np.sqrt(2 / n)),
                      np.zeros(m, np.float32)]
        return found

    def cost(self, parameters, x, target, relu):
        """The same expression for every library whose operators are Python's."""
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
            x = relu(x @ w + b)
        error = x @ parameters[-2] + parameters[-1] - target
        return (error * error).sum() * (1 / target.size)

    def minidl(self):
        x, target = map(md.tensor, self.data())
        parameters = [md.tensor(w, requires_grad=True) for w in self.parameters()]
        optimizer = md.optim.SGD(parameters, self.rate)

        def step():
            optimizer.zero_grad()
            loss = self.cost(parameters, x, target, ops.relu)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def torch(self, layout):
        torch = load("torch")
        x, target = map(to_torch, self.data())
        parameters = [to_torch(w).requires_grad_() for w in self.parameters()]
        optimizer = torch.optim.SGD(parameters, self.rate, fused=True)

        def step():
            optimizer.zero_grad()
            y = x
            for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
                y = torch.relu(torch.addmm(b, y, w))
            loss = torch.nn.functional.mse_loss(torch.addmm(parameters[-1], y, parameters[-2]),
                                                target)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def mygrad(self):
        mg = load("mygrad")
        from mygrad.nnet.activations import relu
        x, target = self.data()
        parameters = [mg.tensor(w) for w in self.parameters()]

        def step():
            loss = self.cost(parameters, x, target, relu)
            loss.backward()
            for w in parameters:
                w.data -= self.rate * w.grad
            return loss.data

        return step

    def dezero(self):
        load("dezero")
        from dezero import Parameter
        import dezero.functions as F
        x, target = self.data()
        parameters = [Parameter(w) for w in self.parameters()]

        def step():
            y = x
            for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
                y = F.relu(F.linear(y, w, b))
            error = F.linear(y, *parameters[-2:]) - target
            loss = F.sum(error * error) * (1 / target.size)
            loss.backward()
            for w in parameters:
                w.data -= self.rate * w.grad.data
                w.cleargrad()
            return loss.data

        return step

    def smallpebble(self):
        sp = load("smallpebble")
        x, target = map(sp.Variable, self.data())
        parameters = [sp.Variable(w) for w in self.parameters()]
        scale = sp.Variable(np.float32(1 / target.array.size))

        def step():
            y = x
            for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
                y = sp.leaky_relu(sp.matmul(y, w) + b, 0)
            error = sp.matmul(y, parameters[-2]) + parameters[-1] - target
            loss = sp.sum(sp.square(error)) * scale
            sp.sgd_step(parameters, sp.get_gradients(loss), self.rate)
            return loss.array

        return step

    def autograd(self):
        from autograd import value_and_grad
        import autograd.numpy as anp
        x, target = self.data()
        parameters = self.parameters()
        slope = value_and_grad(lambda ws: anp.sum(
            self.cost(ws, x, target, lambda z: anp.maximum(z, 0))))

        def step():
            loss, gradients = slope(parameters)
            for w, gradient in zip(parameters, gradients):
                w -= self.rate * gradient
            return loss

        return step


def cases(quick):
    length = 100 if quick else 1000
    return [Chain(f"{length} products of scalars", length, 0.9999, product),
            Chain(f"{length} products of 4-vectors", length, [0.9999, 1.0001, 0.9998, 1.0002],
                  product),
            Chain(f"{length} mixed operations on scalars", length, 0.5, mixed),
            MLP("100 dense layers of 16, batch 16, training step", 16, [16] * 101),
            MLP("MLP 784-256-10, batch 128, training step", 128, [784, 256, 10])]
