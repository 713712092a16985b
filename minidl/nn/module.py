"""Modules: functions with parameters, made of other modules.

A Module is a class with a `forward` and ordinary attributes.  Nothing is registered: what belongs to a module is found
by looking at its attributes, in the order in which they were assigned.

    Parameter                    learned: optimisers change its `data`
    plain array                  a buffer: saved and moved with the rest, but not learned (running statistics)
    Module                       a part, looked through in the same way
    list, tuple or dict of       each entry, under the name attribute.key
    Parameters and Modules

    class Block(Module):
        def __init__(self, width, rng):
            self.layers = [Dense(width, width, rng=rng) for _ in range(2)]

        def forward(self, x):
            first, second = self.layers
            return x + second(ops.relu(first(x)))
"""
from textwrap import indent

from minidl import backend
from minidl.operands import operand
from minidl.tensor import Tensor, constant


class Parameter(Tensor):
    """A Tensor that a module learns.  It requires a gradient unless made with requires_grad=False (frozen)."""
    __slots__ = ()

    def __init__(self, array, requires_grad=True, dtype=None, device=None):
        super().__init__(array, requires_grad, dtype, device)


class Module:
    """A function with parameters; see the head of this file.  Subclasses give `forward`."""
    training = True

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no forward(): every Module computes its output there")

    def named_modules(self, prefix=""):
        """(name, module) of this module, under the name `prefix`, and of all its parts, each once, outermost first."""
        found, waiting = {}, [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if module not in found:
                found[module] = name
                waiting += reversed([(_join(name, key), part) for key, part in module.named_children()])
        return [(name, module) for module, name in found.items()]

    def named_children(self):
        """(name, module) of the modules that this one is directly made of."""
        return [(name, value) for name, value in entries(vars(self)) if isinstance(value, Module)]

    def named_parameters(self):
        """(name, Parameter) of this module and its parts; one that is used in two places is named once."""
        found = {}
        for prefix, module in self.named_modules():
            for name, value in entries(vars(module)):
                if isinstance(value, Parameter):
                    found.setdefault(id(value), (_join(prefix, name), value))
        return list(found.values())

    def parameters(self):
        """The Parameters of this module and its parts, each once."""
        return [parameter for _, parameter in self.named_parameters()]

    def _state(self):
        """(name, owner, attribute) of every array that makes up the state: owner.attribute is the array."""
        parameters = [(name, parameter, "data") for name, parameter in self.named_parameters()]
        return parameters + [(_join(prefix, name), module, name) for prefix, module in self.named_modules()
                             for name, value in vars(module).items() if backend.is_array(value)]

    def state_dict(self):
        """Name -> Tensor of all parameters, then all buffers.

        It is a snapshot: training goes on in new arrays and leaves these as they are.
        """
        return {name: constant(getattr(owner, attribute)) for name, owner, attribute in self._state()}

    def load_state_dict(self, state):
        """Take over the values of a state_dict, or of a dictionary of arrays; dtypes and devices stay this module's.

        Raises one ValueError that lists every entry which is missing, unexpected or misshapen, and changes nothing.
        """
        own = self.state_dict()
        given = {name: operand("load_state_dict", value, name) for name, value in state.items()}
        problems = [f"{name} is missing" for name in own if name not in given]
        problems += [f"{name} is unexpected" for name in given if name not in own]
        problems += [f"{name} has shape {given[name].shape}, expected {own[name].shape}"
                     for name in own if name in given and given[name].shape != own[name].shape]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: " + "; ".join(problems))
        for name, owner, attribute in self._state():
            value, old = given[name].data, own[name].data
            setattr(owner, attribute, backend.move(value.astype(old.dtype, copy=False), backend.device_of(old)))
        return self

    def train(self, mode=True):
        """Let Dropout and BatchNorm behave as in training, in all parts."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self):
        """Let Dropout and BatchNorm behave as in use: nothing is dropped, statistics are the running ones."""
        return self.train(False)

    def to(self, device):
        """Move parameters and buffers to "cpu" or "gpu"; gradients are forgotten.  Make optimisers afterwards."""
        self.zero_grad()
        device = backend.device(device)
        for _, owner, attribute in self._state():
            setattr(owner, attribute, backend.move(getattr(owner, attribute), device))
        return self

    def zero_grad(self):
        """Forget all gradients."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = None

    def freeze(self):
        """Make all parameters constants, whose gradients are never computed.  Running statistics stop with `eval()`."""
        for parameter in self.parameters():
            parameter.requires_grad = False
        return self

    def details(self):
        """What stands between the brackets of the module's repr."""
        return ""

    def __repr__(self):
        inside = "".join(f"\n{name}: {part!r}" for name, part in self.named_children())
        return f"{type(self).__name__}({self.details()}" + (indent(inside, "  ") + "\n)" if inside else ")")


def entries(attributes):
    """(name, value) of a dictionary, with the lists, tuples and dictionaries in it opened up."""
    for name, value in attributes.items():
        if isinstance(value, (list, tuple)):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", entry) for key, entry in entries(value))
        else:
            yield name, value


def _join(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def changed(layer, **defaults):
    """The attributes of those names that differ from their defaults, for a repr: ", stride=2"."""
    return "".join(f", {name}={getattr(layer, name)}" for name, default in defaults.items()
                   if getattr(layer, name) != default)
