"""The heart: reverse-mode differentiation of functions of arrays.

An operation computes its value once, and states beside each input how a cotangent flows back to it:

    def multiply(a, b):                                 # y = a ⊙ b
        a, b = operands("multiply", a, b)
        return record(a.data * b.data,
                      (a, lambda gy: gy * b),           # ā = ȳ ⊙ b
                      (b, lambda gy: gy * a))           # b̄ = ȳ ⊙ a

    def exp(x):                                         # y = eˣ
        x = operand("exp", x)
        return record(backend.of(x.data).exp(x.data), (x, lambda gy, y: gy * y))      # x̄ = ȳ ⊙ y

The cotangent ȳ of an array y is the gradient of one number L with respect to it: dL = ⟨ȳ, dy⟩ = Σ ȳᵢ dyᵢ.  A rule turns
ȳ into x̄.  Rules are written in the same differentiable operations, so a gradient has a gradient, to any order.

`record` keeps a Node: its rules and the Nodes of those inputs that need a gradient.  `grad` walks the Nodes from the
output backwards, last made first, and adds up what arrives at each.  That is all.
"""
from contextlib import contextmanager
import itertools
import operator
import threading

from minidl import backend
from minidl.backend import DeviceError

_numbers = itertools.count()    # Nodes are numbered as they are made: an input's number is below its output's
_number, _new = operator.attrgetter("number"), object.__new__
_array_types, _to_array = backend.array_types, backend.CPU.module.asarray


class _State(threading.local):
    recording = True


_state = _State()


class Node:
    """What the sweep needs to know of a Tensor: how cotangents leave it, and what a cotangent of it looks like.

    inputs: list of (Node of an input, rule).  A leaf has none, and keeps the gradient that `backward` leaves there.
    value: the array, kept only where a rule asks for it.  Nothing here points at a Tensor, so there is no cycle.
    """
    __slots__ = ("number", "inputs", "shape", "dtype", "value", "gradient", "__weakref__")

    def __init__(self, data, inputs, keep):
        self.number = next(_numbers)
        self.inputs = inputs
        self.shape = data.shape
        self.dtype = data.dtype
        self.value = data if keep else None


class Tensor:
    """An array that knows where it came from.

    array: nested lists, numbers, or an array (it is copied: a Tensor is never changed from outside).  It becomes `.data`,
        which is never changed in place either; a leaf may be given another array: `w.data = w.data - step`.
    requires_grad: whether gradients with respect to it are wanted; only floating-point arrays can have them.
    dtype: by default the array's own.
    device: "cpu" or "gpu"; by default the one of `use_device`, but Tensors and arrays of a GPU stay where they are.

    Arithmetic, indexing and NumPy's methods stand in `ops` and are attached to this class by `ops/methods.py`.
    """
    __slots__ = ("data", "node", "__weakref__")
    __array_ufunc__ = None      # numpy_array * tensor asks Tensor.__rmul__, not numpy.multiply

    def __init__(self, array, requires_grad=False, dtype=None, device=None):
        made_here = not isinstance(array, Tensor)
        array = array if made_here else array.data
        if device is not None:
            where = backend.device(device)
        elif backend.is_array(array) and not (made_here and backend.device_of(array) is backend.CPU):
            where = backend.device_of(array)
        else:
            where = backend.default_device()
        data = backend.asarray(array, dtype, where)
        self.data = data.copy() if data is array else data
        self.node = None
        if requires_grad:
            self.requires_grad = True

    @property
    def requires_grad(self):
        """Whether gradients flow to this Tensor.  Setting it makes a leaf of it, or a constant."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted):
        if wanted and self.data.dtype.kind != "f":
            raise TypeError(f"requires_grad: only floating-point Tensors have gradients, this one is {self.data.dtype}")
        if wanted != self.requires_grad:
            self.node = Node(self.data, (), False) if wanted else None

    @property
    def grad(self):
        """What `backward` accumulated here: a Tensor, or None."""
        return getattr(self.node, "gradient", None)

    @grad.setter
    def grad(self, value):
        if self.node is None or self.node.inputs:
            raise ValueError("grad: only a leaf that requires a gradient has one")
        self.node.gradient = value

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)

    @property
    def device(self):
        """Name of the device the array is on."""
        return backend.device_of(self.data).name

    def numpy(self):
        """The values as a NumPy array on the host: a copy, outside of any graph."""
        host = backend.to_host(self.data)
        return host.copy() if host is self.data else host

    def item(self):
        """The value of a Tensor of one element as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"item: only a Tensor of one element is one number, this one has shape {self.shape}")
        return self.data.item()

    def detach(self):
        """The same values as a constant."""
        return _tensor(self.data, None)

    def to(self, device):
        """The same values on another device ("cpu", "gpu").       x̄ = ȳ, brought back"""
        origin = self.device
        return record(backend.move(self.data, backend.device(device)), (self, lambda gy: gy.to(origin)))

    def backward(self, gradient=None, create_graph=False):
        """Add dL/dleaf to `.grad` of every leaf below this Tensor, where dL = ⟨gradient, d self⟩ (default: 1).

        Raises ValueError if self needs no gradient, or is not a single number and no gradient is given, or one of another
        shape.
        """
        if self.node is None:
            raise ValueError("backward: this Tensor does not depend on any Tensor that requires a gradient")
        cotangent = _first_cotangent("backward", "gradient", self, gradient)
        for leaf, arrived in _sweep(self.node, cotangent, None, create_graph).items():
            earlier = getattr(leaf, "gradient", None)
            leaf.gradient = arrived if earlier is None else earlier + arrived

    def __array__(self, dtype=None, copy=None):
        if self.node is not None or backend.device_of(self.data) is not backend.CPU:
            raise TypeError(f"a Tensor{' that requires a gradient' if self.node else ''} on {self.device!r} "
                            "does not turn into a NumPy array by itself; call .numpy()")
        return self.data.astype(dtype or self.data.dtype)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.data.dtype.kind not in "iu":
            raise TypeError(f"only an integer Tensor can be an index, this one is {self.dtype}")
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len() of a Tensor of zero dimensions")
        return self.data.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __setitem__(self, key, value):
        raise TypeError("a Tensor is never changed in place: use ops.set_at(t, key, value) or ops.add_at(t, key, value), "
                        "which give a new one")

    __hash__ = object.__hash__  # == compares elementwise, so identity is what a dictionary goes by

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self):
        values = backend.CPU.module.array2string(backend.to_host(self.data), prefix="tensor(", separator=", ", precision=6)
        extras = [str(self.dtype)] + [f"device={self.device!r}"] * (self.device != "cpu")
        extras += ["requires_grad=True"] * self.requires_grad
        return f"tensor({values}, {', '.join(extras)})"


def tensor(array, requires_grad=False, dtype=None, device=None):
    """A Tensor holding a copy of `array`; see `Tensor`.

    >>> tensor([1.0, 2.0], requires_grad=True)
    tensor([1., 2.], float64, requires_grad=True)
    """
    return Tensor(array, requires_grad, dtype, device)


def _tensor(data, node):
    """A Tensor around an array that nobody else will change: no copy, no checks."""
    made = _new(Tensor)
    made.data = data
    made.node = node
    return made


class Scalar:
    """A Python number as an operand: `.data` is the number itself, so NumPy's rules for Python numbers hold (a float32
    array times 2.0 stays float32) and a GPU receives it as an argument of its kernel."""
    __slots__ = ("data",)
    node = None
    shape = ()

    def __init__(self, number):
        self.data = number


def constant(array):
    """A Tensor around an array of any device: no copy, so the caller must not change the array afterwards."""
    return _tensor(array if type(array) in _array_types else _to_array(array), None)


def operand(operation, x, argument="x"):
    """x as a Tensor: Tensors pass, arrays, lists and numbers become constants.  Raises TypeError for other kinds."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Scalar):
        x = x.data
    try:
        return Tensor(x, device=backend.device_of(x).name if backend.is_array(x) else None)
    except (TypeError, ValueError):
        raise TypeError(f"{operation}: {argument} must be a Tensor or an array, got {type(x).__name__}") from None


def operands(operation, a, b, arguments=("a", "b")):
    """Two operands on one device: Tensors pass, Python numbers become Scalars, arrays and lists become constants.

    Raises TypeError for other kinds, DeviceError where the devices differ, ValueError where shapes do not broadcast.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor) and type(a.data) is type(b.data):
        if a.data.shape != b.data.shape:
            broadcast_shape(operation, a.data.shape, b.data.shape, arguments)
        return a, b
    first, second = _scalar_or_tensor(operation, a, arguments[0]), _scalar_or_tensor(operation, b, arguments[1])
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        return operand(operation, first), operand(operation, second)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        same_device(operation, **{arguments[0]: first, arguments[1]: second})
        broadcast_shape(operation, first.shape, second.shape, arguments)
    return first, second


def _scalar_or_tensor(operation, x, argument):
    if type(x) in (float, int, bool):
        return Scalar(x)
    return x if isinstance(x, (Tensor, Scalar)) else operand(operation, x, argument)


def broadcast_shape(operation, first, second, arguments=("a", "b")):
    """NumPy's broadcast of two shapes; raises ValueError, naming the operation, where they do not match."""
    if first == second:
        return first
    for m, n in zip(reversed(first), reversed(second)):
        if m != n and m != 1 and n != 1:
            raise ValueError(f"{operation}: {arguments[0]} of shape {first} and {arguments[1]} of shape {second} "
                             f"do not broadcast: {m} against {n}")
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    lead = len(longer) - len(shorter)
    return longer[:lead] + tuple(n if m == 1 else m for m, n in zip(longer[lead:], shorter))


def same_device(operation, **tensors):
    """Raise DeviceError, naming the arguments, unless all Tensors are on one device; None passes."""
    if len({type(t.data) for t in tensors.values() if t is not None}) < 2:
        return
    found = {name: t.device for name, t in tensors.items() if t is not None}
    if len(set(found.values())) > 1:
        raise DeviceError(f"{operation}: " + ", ".join(f"{name} is on {where!r}" for name, where in found.items())
                          + "; bring them to one device with .to(device)")


def promoted(*tensors):
    """The Tensors in the dtype that NumPy's promotion gives for all of them."""
    if len({x.data.dtype for x in tensors}) == 1:
        return tensors
    dtype = backend.CPU.module.result_type(*(x.data.dtype for x in tensors))
    return tuple(x.astype(dtype) for x in tensors)


def record(value, *inputs):
    """The Tensor of an operation's value, and how cotangents flow back from it.

    inputs: pairs (Tensor, rule).  A rule is a function of ȳ, `lambda gy: ...`, or of ȳ and the output, `lambda gy, y: ...`;
    the latter is how a rule uses y without a reference cycle, and the only case in which the value is kept.  It is a plain
    function, told apart by its number of parameters, among which those with defaults count: it closes over what else it
    needs.  It may give a cotangent of the broadcast shape: the sweep sums it back.  Inputs that need no gradient are
    forgotten at once.
    """
    if type(value) not in _array_types:             # NumPy's reductions give scalars
        value = _to_array(value)
    made = _new(Tensor)
    made.data = value
    made.node = None
    if _state.recording:
        kept, keep = [], False
        for x, rule in inputs:
            if x.node is not None:
                kept.append((x.node, rule))
                keep = keep or rule.__code__.co_argcount == 2
        if kept:
            made.node = Node(value, kept, keep)
    return made


@contextmanager
def recording(wanted):
    """Within this block operations of this thread are recorded, or not."""
    before, _state.recording = _state.recording, wanted
    try:
        yield
    finally:
        _state.recording = before


def is_recording():
    """Whether operations of this thread are recorded."""
    return _state.recording


def no_grad():
    """Within `with no_grad():` (or in a function decorated with `@no_grad()`) no operation is recorded."""
    return recording(False)


def grad(output, inputs, grad_output=None, create_graph=False):
    """Gradients of L with respect to each input, where dL = ⟨grad_output, d output⟩.

    inputs: a Tensor or a sequence of them, leaves or intermediate; each must require a gradient.
    grad_output: cotangent of the output, of its shape; may be left out (1) where the output is a single number.
    create_graph: record the computation of the gradients, so that they can be differentiated again.
    Returns a list of Tensors with their inputs' shapes and dtypes, each an array of its own; zeros where the output does
    not depend on the input.
    Raises TypeError where an input is not a Tensor, ValueError where one requires no gradient, or where grad_output is
    missing or of another shape, DeviceError where it is on another device.

    >>> x = tensor(3.0, requires_grad=True)
    >>> first, = grad(x * x * x, x, create_graph=True)
    >>> second, = grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"grad: inputs[{i}] must be a Tensor, got {type(x).__name__}")
        if x.node is None:
            raise ValueError(f"grad: inputs[{i}] of shape {x.shape} does not require a gradient")
    found = {}
    if output.node is not None:
        cotangent = _first_cotangent("grad", "grad_output", output, grad_output)
        found = _sweep(output.node, cotangent, {x.node for x in inputs}, create_graph)
    gradients, given = [], set()
    for x in inputs:
        if x.node not in found:
            gradient = constant(backend.of(x.data).zeros(x.shape, x.dtype))
        elif x.node in given:                       # an input named twice
            gradient = _tensor(found[x.node].data.copy(), found[x.node].node)
        else:
            gradient = found[x.node]
        given.add(x.node)
        gradients.append(gradient)
    return gradients


def _sweep(output, cotangent, wanted, create_graph):
    """{node: gradient} for the wanted Nodes (None: the leaves) that the output Node depends on."""
    nodes = _leading_to(wanted, output)
    arrived, found = dict.fromkeys(nodes), {}
    arrived[output] = cotangent
    with recording(create_graph):
        for node in nodes:
            gy = arrived.pop(node)
            if not node.inputs if wanted is None else node in wanted:
                found[node] = _tensor(gy.data.copy(), gy.node)      # an array of its own: no gradient aliases another
            y = None if node.value is None else _tensor(node.value, node)
            for parent, rule in node.inputs:
                if parent in arrived:
                    gx = rule(gy) if y is None or rule.__code__.co_argcount == 1 else rule(gy, y)
                    if gx.data.shape != parent.shape:               # undo broadcasting
                        gx = gx.sum_to(parent.shape)
                    if gx.data.dtype is not parent.dtype and gx.data.dtype != parent.dtype:   # undo promotion; `is` is quick
                        gx = gx.astype(parent.dtype)
                    earlier = arrived[parent]
                    arrived[parent] = gx if earlier is None else earlier + gx
                    earlier = gx = None                 # they may be large, and the next rule does not need them
    return found


def _leading_to(wanted, output):
    """The Nodes between the wanted ones (None: the leaves) and the output, both included, last made first.

    So each comes after all that was made of it, and its cotangent is complete.
    """
    nodes, seen = [output], {output}
    for node in nodes:                                              # the list grows as it is walked
        for parent, _ in node.inputs:
            if parent not in seen:
                seen.add(parent)
                nodes.append(parent)
    nodes.sort(key=_number, reverse=True)
    if wanted is None or wanted.issuperset(node for node in nodes if not node.inputs):
        return nodes                                                # every Node leads to a leaf
    leading = set(wanted)
    for node in reversed(nodes):
        if any(parent in leading for parent, _ in node.inputs):
            leading.add(node)
    return [node for node in nodes if node in leading]


def _first_cotangent(operation, argument, output, cotangent):
    """The cotangent at which the sweep starts, checked against the output; 1 where none is given."""
    if cotangent is None:
        if output.size != 1:
            raise ValueError(f"{operation}: the output has shape {output.shape}; without a cotangent ({argument}) of that "
                             "shape only a single number can be differentiated")
        return _tensor(backend.of(output.data).ones(output.shape, output.dtype), None)
    cotangent = operand(operation, cotangent, argument)
    same_device(operation, output=output, **{argument: cotangent})
    if cotangent.shape != output.shape:
        raise ValueError(f"{operation}: {argument} has shape {cotangent.shape}, the output {output.shape}; they must agree")
    return cotangent if cotangent.dtype == output.dtype else cotangent.astype(output.dtype)
