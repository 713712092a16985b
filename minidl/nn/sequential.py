"""Modules one after the other."""
from functools import partial

from minidl.nn.activation import ReLU
from minidl.nn.module import Module
from minidl.nn.pooling import MaxPool
from minidl.recording import is_recording


class Sequential(Module):
    """Modules one after the other: y = f_n(… f_2(f_1(x))).

    Where gradients follow, a max-pool takes the ReLU beside it along: a function f that never falls has
    max(f(a), f(b)) = f(max(a, b)), so y and the gradients are the same, bit for bit, in fewer passes over memory.

    >>> from minidl import nn
    >>> nn.Sequential(nn.Dense(784, 10, rng=0), nn.Softmax())
    Sequential(
      layers.0: Dense(784, 10)
      layers.1: Softmax()
    )
    """

    def __init__(self, *layers):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                hint = f"; write {layer.__name__}(…)" if isinstance(layer, type) else ""
                raise TypeError(f"Sequential: layer {i} must be a Module, got {layer!r}{hint}")
        self.layers = list(layers)

    def forward(self, x):
        for layer in self._order() if is_recording() else self.layers:
            x = layer(x)
        return x

    def _order(self):
        order = []
        for layer in self.layers:
            kinds = {type(layer), type(order[-1])} if order else set()
            if kinds == {MaxPool, ReLU}:
                pool = layer if type(layer) is MaxPool else order[-1]
                order[-1] = partial(pool, rectified=True)
            else:
                order.append(layer)
        return order

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, key):
        """A layer, or for a slice the Sequential of those layers, with the same parameters."""
        return Sequential(*self.layers[key]) if isinstance(key, slice) else self.layers[key]
