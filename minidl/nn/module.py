"""Modules: functions with parameters, made of other modules.

A Module is a class with a `forward` and ordinary attributes.  Nothing is registered: what belongs
to a module is found by looking at its attributes, in the order in which they were first assigned,
and then at those of its parts.

    Parameter                    learned: optimisers change its `data`
    plain array of numbers       a buffer: saved and moved with the rest, but not learned
                                 (running statistics)
    Module                       a part, looked through in the same way
    list, tuple, deque or dict   each of these in it, under the name attribute.key

A Parameter or Module is found once, wherever else it stands (tied weights, modules that hold each
other): what counts is which object it is, not what it equals.  Anything else is a setting, neither
saved nor moved: numbers, texts, Tensors that are no Parameters, what stands in the class.

    class Block(Module):
        def __init__(self, width, rng):
            self.layers = [Dense(width, width, rng=rng) for _ in range(2)]

        def forward(self, x):
            first, second = self.layers
            return x + second(ops.relu(first(x)))
"""
from collections import UserList, deque
from collections.abc import Mapping, Set, ValuesView
from contextlib import contextmanager
from functools import partial
from reprlib import recursive_repr
from textwrap import indent

from minidl import backend, names, states
from minidl.tensor import Tensor, constant

OPEN = list, tuple, deque, dict                             # containers in which parts are found
CLOSED = Set, Mapping, ValuesView, UserList                 # others, which may not hold parts


class Parameter(Tensor):
    """A Tensor that a module learns.

    It requires a gradient unless made with requires_grad=False (frozen).

    >>> Parameter([1.0, 2.0])
    tensor([1., 2.], float64, requires_grad=True)
    """
    __slots__ = ()

    def __init__(self, array, requires_grad=True, dtype=None, device=None):
        super().__init__(array, requires_grad, dtype, device)


class Module:
    """A function with parameters; see the head of this file.  Subclasses give `forward`.

    Raises TypeError for a class with __slots__, and, when its parts are looked for, where a Module
    or a Parameter stands in a set, a key, a UserList, a mapping that is no dict, a view of a dict's
    values or an array, where it is not found.  In objects of other classes it is passed over.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(2.0)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(Tensor([1.0, 2.0])), Scale().named_parameters()[0][0]
    (tensor([2., 4.], float64, requires_grad=True), 'factor')
    """
    training = True

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):         # to say of an unknown keyword how it is called here
            cls.__init__ = names.told(cls.__init__)
        if any(vars(base).get("__slots__") for base in cls.__mro__):
            raise TypeError(f"{cls.__name__}: a Module's parts are found in ordinary attributes, "
                            "not in __slots__")

    def __setattr__(self, name, value):
        """Refuse a Tensor or an array in the place of a Parameter: it would not be learned."""
        if (isinstance(vars(self).get(name), Parameter) and not isinstance(value, Parameter)
                and (isinstance(value, Tensor) or _is_array(value))):
            raise TypeError(f"{type(self).__name__}: {name} is a Parameter; assign another, "
                            f"Parameter(…), or an array to {name}.data, got "
                            f"{type(value).__name__}")
        super().__setattr__(name, value)

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no forward(): every Module computes "
                                  "its output there")

    def _walk(self, path=()):
        """(path, module, what it holds) of this module and all its parts, outermost first."""
        walked, seen, waiting = [], set(), [(path, self)]
        while waiting:
            path, module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                inside = list(held(module, path, seen))
                walked.append((path, module, inside))
                waiting += reversed([(inner, value) for inner, _, value in inside
                                     if isinstance(value, Module)])
        return walked

    def _parameters(self):
        """(path, Parameter) of this module and its parts, each once."""
        found = {}
        for _, _, inside in self._walk():
            for path, _, value in inside:
                if isinstance(value, Parameter):
                    found.setdefault(id(value), (path, value))
        return list(found.values())

    def named_modules(self, prefix=""):
        """(name, module) of this module, under the name `prefix`, and of all its parts, each once.

        The outermost is first.  Raises ValueError where two would have one name.
        """
        walked = self._walk((prefix,) if prefix else ())
        return self._named([(path, module) for path, module, _ in walked])

    def named_children(self):
        """(name, module) of the modules that this one directly holds."""
        return [(_name(path), value) for path, _, value in held(self) if isinstance(value, Module)]

    def named_parameters(self):
        """(name, Parameter) of this module and its parts; one used in two places is named once.

        Raises ValueError where two would have one name.
        """
        return self._named(self._parameters())

    def parameters(self):
        """The Parameters of this module and its parts, each once."""
        return [parameter for _, parameter in self._parameters()]

    def _named(self, found):
        """(name, …) of (path, …); raises ValueError where two paths give one name."""
        paths = {}
        for path, *_ in found:
            name = _name(path)
            if name in paths:
                both = " and ".join(" → ".join(map(repr, p)) for p in (paths[name], path))
                raise ValueError(f"{type(self).__name__}: {both} would both be named {name!r}; "
                                 "give one of them another key")
            paths[name] = path
        return [(name, *rest) for name, (_, *rest) in zip(paths, found)]

    def _buffers(self):
        """(path, holder, array) of the plain arrays of this module and its parts.

        Raises TypeError for arrays that cannot be saved, or cannot be replaced.
        """
        found = [place for _, _, inside in self._walk() for place in inside
                 if not isinstance(place[-1], (Module, Parameter))]
        for path, holder, array in found:
            place = f"{type(self).__name__}: {_name(path)}"
            if not backend.is_array(array):
                raise TypeError(f"{place} is a {type(array).__name__}; keep a plain array")
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{place} is an array of {array.dtype}, and a state is made of "
                                "real numbers; turn it into a list")
            if isinstance(holder, tuple):
                raise TypeError(f"{place} is an array in a tuple, where another cannot be put in "
                                "its place; keep it in a list")
        return found

    def _state(self):
        """(path, array, put) of all that makes up the state; put(another) replaces the array."""
        return ([(path, parameter.data, partial(setattr, parameter, "data"))
                 for path, parameter in self._parameters()]
                + [(path, array, partial(_put_copy, holder, path[-1]))
                   for path, holder, array in self._buffers()])

    def state_dict(self):
        """Name -> Tensor of all parameters, then all buffers.

        It is a snapshot: training goes on in new arrays and leaves these as they are.
        Raises ValueError where two would have one name, TypeError for arrays that no state can
        hold: in tuples, or not of real numbers.
        """
        state = [(path, parameter.data) for path, parameter in self._parameters()]
        state += [(path, array.copy())                      # a buffer may be changed in place
                  for path, _, array in self._buffers()]
        return {name: constant(array) for name, array in self._named(state)}

    def load_state_dict(self, state, strict=True):
        """Take over the values of a state_dict, or of a dictionary of arrays.

        dtypes and devices stay this module's: numbers are rounded to them.  Raises one ValueError
        that lists every entry which is missing, unexpected, misshapen, floating-point for whole
        numbers, or beyond the dtype's range (NaN and infinities are taken over), and changes
        nothing; TypeError for what is no array.
        With strict=False missing entries stay as they are, and unexpected ones are passed over.
        """
        own, problems = self._named(self._state()), []
        expected = {name for name, _, _ in own}
        given = states.entries(type(self).__name__, state, None if strict else expected)
        if strict:
            problems = [f"{name} is missing" for name, _, _ in own if name not in given]
            problems += [f"{name} is unexpected" for name in given if name not in expected]
        own = [entry for entry in own if entry[0] in given]
        arrays = [states.fitted(problems, name, given[name], old.shape, old.dtype,
                                backend.device_of(old))
                  for name, old, _ in own]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: " + "; ".join(problems))
        for array, (_, _, put) in zip(arrays, own):
            put(array)
        return self

    def train(self, mode=True):
        """Let Dropout and BatchNorm behave as in training, in all parts."""
        for _, module, _ in self._walk():
            vars(module)["training"] = mode         # a frozen dataclass would refuse an assignment
        return self

    def eval(self):
        """Let Dropout and BatchNorm behave as in use: nothing is dropped, and statistics are the
        running ones."""
        return self.train(False)

    def to(self, device):
        """Move parameters and buffers to "cpu" or "gpu"; gradients are forgotten.

        Make optimisers afterwards.
        """
        device, state = backend.device(device), self._state()
        self.zero_grad()
        for _, array, put in state:
            put(backend.move(array, device))
        return self

    def zero_grad(self):
        """Forget all gradients."""
        for parameter in self.parameters():
            if parameter.grad is not None:                  # else it may be frozen, and have none
                parameter.grad = None

    def freeze(self):
        """Make all parameters constants, whose gradients are never computed.

        Running statistics stop with `eval()`.
        """
        for parameter in self.parameters():
            parameter.requires_grad = False
        return self

    def window(self):
        """(kernel_size, stride, padding, dilation) of the window of x that an output sees.

        For a layer whose window moves with the output; None for others.  See `Sequential.geometry`.
        """
        return None

    def unfused(self):
        """(self,); of a layer that computes several in one, those layers in their order.

        They share its parameters.
        """
        return (self,)

    def details(self):
        """What stands between the brackets of the module's repr."""
        return ""

    @recursive_repr("…")
    def __repr__(self):
        inside = "".join(f"\n{name}: {part!r}" for name, part in self.named_children())
        return (f"{type(self).__name__}({self.details()}"
                + (indent(inside, "  ") + "\n)" if inside else ")"))


class Pointwise(Module):
    """A module whose output at a position depends only on the input at that position."""

    def window(self):
        return 1, 1, 0, 1


def given(owner, name, value):
    """Weights that the caller gives, as a Parameter: a Parameter is shared, an array copied.

    Raises TypeError for what is no array of floating-point numbers.
    """
    if not (backend.is_array(value) or isinstance(value, Tensor)):
        raise TypeError(f"{owner}: {name} must be an array or a Parameter, "
                        f"got {type(value).__name__}")
    if value.dtype.kind != "f":
        raise TypeError(f"{owner}: {name} must hold floating-point numbers, got {value.dtype}")
    return value if isinstance(value, Parameter) else Parameter(value)


@contextmanager
def evaluating(module):
    """Within `with evaluating(net):` all its parts behave as after `eval()`; then as before."""
    before = [(part, part.training) for _, part, _ in module._walk()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in before:
            vars(part)["training"] = mode


def held(module, path=(), seen=None):
    """(path, holder, value) of the Modules, Parameters and arrays that a module holds.

    path: the module's own, the attribute's name, and the keys of the containers in which the value
    stands; holder[path[-1]] is the value.  A container is looked through once: `seen` has the ids.
    """
    return _look(type(module).__name__, vars(module), path, set() if seen is None else seen)


def _look(owner, holder, path, seen):
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        inner = (*path, key)
        for part in _hidden(key):
            raise TypeError(f"{owner}: {_name(path)} has a {type(part).__name__} among its keys, "
                            "where it is not found; keep it among the values")
        numbers = _is_array(value) and value.dtype.kind != "O"      # not an array of objects
        if numbers or isinstance(value, (Module, Parameter)):
            yield inner, holder, value
        elif isinstance(value, OPEN):
            if id(value) not in seen:
                seen.add(id(value))
                yield from _look(owner, value, inner, seen)
        elif isinstance(value, CLOSED) or _is_array(value):
            for part in _hidden(value):
                raise TypeError(f"{owner}: {_name(inner)}, a {type(value).__name__}, holds a "
                                f"{type(part).__name__}, which is not found there; keep it in a "
                                "list, tuple, deque or dict")


def _is_array(value):
    """Whether it is an array, or of a subclass of NumPy's, which `_buffers` refuses."""
    return backend.is_array(value) or isinstance(value, backend.CPU.array_type)


def _hidden(value):
    """The Modules and Parameters, however deep, in a key or container not looked through."""
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, (Module, Parameter)):
            yield value
        elif id(value) not in seen and (isinstance(value, OPEN + CLOSED)
                                        or _is_array(value) and value.dtype.kind == "O"):
            seen.add(id(value))
            waiting += value.flat if _is_array(value) else value
            if isinstance(value, Mapping):
                waiting += value.values()


def _put_copy(holder, key, array):
    """Put a copy there: a buffer may be changed in place."""
    holder[key] = array.copy()


def _name(path):
    return ".".join(map(str, path))


def changed(layer, **defaults):
    """The attributes of those names that differ from their defaults, for a repr: ", stride=2"."""
    return "".join(f", {name}={getattr(layer, name)!r}" for name, default in defaults.items()
                   if getattr(layer, name) != default)
