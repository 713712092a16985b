"""Modules one after the other."""
from minidl.nn.module import Module


class Sequential(Module):
    """Modules one after the other: y = f_n(… f_2(f_1(x))).

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
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, key):
        """A layer, or for a slice the Sequential of those layers, with the same parameters."""
        return Sequential(*self.layers[key]) if isinstance(key, slice) else self.layers[key]
