"""Layers, differentiated with respect to their input and to all their parameters."""
from minidl import nn
from minidl.learn.cases.registry import case
from minidl.learn.domains import away, distinct, integers, normal


def layer(make, *inputs, words="", **known):
    """A case of the layer that make(dtype) builds: called on the inputs and on the values of its
    parameters."""
    built = make("float64")

    def call(*tensors):
        x, values = tensors[:len(inputs)], tensors[len(inputs):]
        module = make(next(t.dtype for t in tensors if t.dtype.kind == "f"))
        for parameter, value in zip(module.parameters(), values):
            parameter.data, parameter.node = value.data, value.node
        return module(*x)

    case(type(built).__name__, *inputs, *(normal(*p.shape) for p in built.parameters()), call=call,
         words=words, **known)


for _activation in (nn.GELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax):
    layer(lambda dtype, _make=_activation: _make(), normal(2, 3), order=3)
for _activation in (nn.ReLU, nn.LeakyReLU, nn.ELU):
    layer(lambda dtype, _make=_activation: _make(), away(2, 3), order=3)

layer(lambda dtype: nn.Dense(3, 2, dtype=dtype, rng=0), normal(4, 3))
layer(lambda dtype: nn.Dense(3, 2, bias=False, dtype=dtype, rng=0), normal(1, 2, 3), words="plain",
      linear="each")
layer(lambda dtype: nn.Embedding(4, 2, dtype=dtype, rng=0), integers(4, 2, 3), linear="each")
layer(lambda dtype: nn.Dropout(0.5, rng=0), normal(3, 4), linear="each")
layer(lambda dtype: nn.Dropout(0.5, rng=0).eval(), normal(3, 4), words="eval", linear="each")
layer(lambda dtype: nn.Flatten(), normal(2, 3, 2), linear="each")
layer(lambda dtype: nn.Reshape(2, 3), normal(2, 6), linear="each")
layer(lambda dtype: nn.Sequential(nn.Dense(3, 2, dtype=dtype, rng=0), nn.Tanh(),
                                  nn.Dense(2, 1, dtype=dtype, rng=1)),
      normal(2, 3))
layer(lambda dtype: nn.Sequential(), normal(2, 3), words="no-layers", linear="each")

for _n, _shape in {1: (2, 4, 2), 2: (1, 3, 3, 2), 3: (1, 2, 2, 3, 2)}.items():
    for _name, _options in {f"Conv{_n}d": {"padding": 1, "groups": 2},
                            f"ConvTranspose{_n}d": {"output_padding": 1}}.items():
        def _make(dtype, _layer=getattr(nn, _name), _options=_options):
            return _layer(2, 2, 2, stride=2, dtype=dtype, rng=0, **_options)
        layer(_make, normal(*_shape))
        layer(_make, normal(*(1,) * (_n + 1), 2), words="pixel")

layer(lambda dtype: nn.ConvReLU(2, 3, 2, padding=1, dtype=dtype, rng=0), normal(1, 3, 3, 2))
layer(lambda dtype: nn.ConvReLU(2, 3, 1, bias=False, dtype=dtype, rng=0), normal(1, 1, 1, 2),
      words="pixel")
layer(lambda dtype: nn.ConvReLU(2, 2, 3, 2, "same", dtype=dtype, rng=0), normal(1, 4, 3, 2),
      words="same")
layer(lambda dtype: nn.MaxPool(2), distinct(2, 4, 5, 2))
layer(lambda dtype: nn.MaxPool(2, padding="same"), distinct(1, 4, 5, 2), words="same")
layer(lambda dtype: nn.AveragePool(2, padding=((0, 1), 0)), normal(1, 3, 4, 2), words="after",
      linear="each")
layer(lambda dtype: nn.AveragePool(2, stride=1, padding=1), normal(2, 4, 3, 2), linear="each")
layer(lambda dtype: nn.GlobalAveragePool(), normal(2, 3, 2, 4), linear="each")
layer(lambda dtype: nn.GlobalMaxPool(), distinct(2, 3, 2, 4))
layer(lambda dtype: nn.MaxPool(1), distinct(1, 1, 1, 2), words="pixel", linear="each")
layer(lambda dtype: nn.AveragePool(1), distinct(1, 1, 1, 2), words="pixel", linear="each")
layer(lambda dtype: nn.GlobalAveragePool(), normal(1, 1, 1, 2), words="pixel", linear="each")
layer(lambda dtype: nn.GlobalMaxPool(), normal(1, 1, 1, 2), words="pixel", linear="each")

layer(lambda dtype: nn.BatchNorm(2, dtype=dtype), normal(2, 3, 2, 2), float32=1e-4)
layer(lambda dtype: nn.BatchNorm(2, dtype=dtype), normal(1, 3, 2), words="one", float32=1e-4)
layer(lambda dtype: nn.BatchNorm(2, dtype=dtype).eval(), normal(1, 1, 1, 2), words="eval-pixel")
layer(lambda dtype: nn.ConditionalBatchNorm(3, 2, dtype=dtype), normal(4, 3, 2), integers(3, 4),
      float32=1e-4)
layer(lambda dtype: nn.ConditionalBatchNorm(3, 2, dtype=dtype).eval(), normal(1, 2), integers(3, 1),
      words="eval-one")
layer(lambda dtype: nn.GroupNorm(2, 4, dtype=dtype), normal(2, 3, 2, 4), float32=1e-4)
layer(lambda dtype: nn.GroupNorm(1, 4, dtype=dtype), normal(1, 4), words="one", float32=1e-4)
layer(lambda dtype: nn.InstanceNorm(2, dtype=dtype), normal(1, 3, 2, 2), float32=1e-3)
layer(lambda dtype: nn.LayerNorm(4, dtype=dtype), normal(3, 4), float32=1e-4)
layer(lambda dtype: nn.Normalize(), normal(3, 4))
layer(lambda dtype: nn.Normalize(), normal(1, 4), words="one")
layer(lambda dtype: nn.LayerNorm(4, dtype=dtype), normal(1, 4), words="one", float32=1e-4)
