"""A network as a table."""
from minidl import backend
from minidl.nn.module import Module, Parameter, evaluating, held
from minidl.operands import sizes
from minidl.recording import no_grad
from minidl.tensor import Tensor, tensor


def summary(model, input_shape, dtype="float32"):
    """Table of a model's layers: the shape of each one's output, its size, and the parameters.

    input_shape: of one example, without the batch axis; so are the shapes in the table.
    dtype: of the input, "int64" for an Embedding.
    Returns the table as a string.  The shapes are found by running the model once, on zeros.
    Raises TypeError where model is no Module, and what the model raises for such an input.

    >>> from minidl import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 5, rng=0), nn.MaxPool(2), nn.Flatten(),
    ...                     nn.Dense(1152, 10, rng=1))
    >>> print(nn.summary(net, (28, 28, 1)))
    layer             output shape   size  parameters
    input             (28, 28, 1)     784           0
    layers.0 Conv2d   (24, 24, 8)   4,608         208
    layers.1 MaxPool  (12, 12, 8)   1,152           0
    layers.2 Flatten  (1152,)       1,152           0
    layers.3 Dense    (10,)            10      11,530
    total 11,738 parameters
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model must be a Module, got {type(model).__name__}")
    input_shape = sizes("summary", "input_shape", input_shape)
    parameters = model.parameters()
    device = parameters[0].device if parameters else backend.default_device().name
    x = tensor(backend.CPU.module.zeros((1, *input_shape)), dtype=dtype, device=device)
    rows = [("layer", "output shape", "size", "parameters"), _row("input", x, 0)] + _trace(model, x)
    a, b, c, d = (max(map(len, column)) for column in zip(*rows))
    lines = [f"{name:{a}}  {shape:{b}}  {size:>{c}}  {count:>{d}}"
             for name, shape, size, count in rows]
    frozen = _count(p for p in parameters if not p.requires_grad)
    lines.append(f"total {_count(parameters):,} parameters"
                 + f", {frozen:,} of them frozen" * (frozen > 0))
    return "\n".join(lines)


def _trace(model, x):
    """One row for every call in model(x) of a module without parts, or with own parameters."""
    rows, before = [], []

    def shadow(name, module):
        """Let an attribute of the instance hide its class's forward, and note what comes out."""
        own = _count(value for _, _, value in held(module) if isinstance(value, Parameter))
        label, forward = f"{name} {type(module).__name__}".strip(), module.forward
        before.append((vars(module), vars(module).get("forward")))

        def noting(*inputs, **options):
            place = len(rows)                               # above the rows of its parts
            y = forward(*inputs, **options)
            if own or not module.named_children():
                rows.insert(place, _row(label, y, own))
            return y

        vars(module)["forward"] = noting                    # of a frozen dataclass, too

    for name, module in model.named_modules():
        shadow(name, module)
    try:
        with no_grad(), evaluating(model):
            model(x)
    finally:
        for attributes, earlier in before:
            if earlier is None:
                del attributes["forward"]
            else:                                           # a function that the user put there
                attributes["forward"] = earlier
    return rows


def _row(label, y, parameters):
    shape, size = (str(y.shape[1:]), f"{y.size:,}") if isinstance(y, Tensor) else ("", "")
    return label, shape, size, f"{parameters:,}"


def _count(parameters):
    """How many numbers they are, each Parameter counted once."""
    return sum({id(p): p.size for p in parameters}.values())
