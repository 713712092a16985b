"""The heart: reverse-mode differentiation of functions of arrays, by backpropagation.

An operation computes its value once, and states beside each input how a cotangent flows back to it:

    def multiply(a, b):                                  # y = a ⊙ b, entry by entry
        a, b = operands("multiply", a, b)                # as Tensors whose arrays will not change
        return record(a.data * b.data,
                      (a, lambda gy: gy * b),            # ā = ȳ ⊙ b
                      (b, lambda gy: gy * a))            # b̄ = ȳ ⊙ a

The cotangent ȳ of an array y is the gradient of one number L with respect to it:
dL = ⟨ȳ, dy⟩ = Σ ȳᵢ dyᵢ.  Here dy = da ⊙ b + a ⊙ db, so dL = ⟨ȳ ⊙ b, da⟩ + ⟨ȳ ⊙ a, db⟩, and what
stands beside da is ā.  (notation.py explains ⊙, ⟨ , ⟩, the bar, and this step on one page.)  A rule
(a vector-Jacobian product) turns ȳ into such a cotangent.  Rules are written in the same
differentiable operations, so a gradient has a gradient, to any order.

`record` keeps a Node: the rules, and the Nodes of those inputs that need a gradient.  `grad` walks
the Nodes from the output back, the last one made first, and adds up what arrives at each: the chain
rule.  An example to follow by hand:

    a = tensor(3.0, requires_grad=True)     Node 0
    b = a + a                               Node 1    b = 6     rules: ȳ and ȳ, both to Node 0
    c = b * b                               Node 2    c = 36    rules: ȳ b and ȳ b, both to Node 1

    grad(c, a)     at Node 2    c̄ = 1
                   at Node 1    b̄ = 1·6 + 1·6 = 12     two rules gave a cotangent: they are added
                   at Node 0    ā = 12 + 12 = 24       and indeed c = 4a², so dc/da = 8a = 24

A result is numbered after its inputs: the numbers are a topological order.  From the last to the
first, everything that was computed from a Node comes before it.  So its cotangent is complete when
it is reached, and each rule is called once.  Following each path by itself would call the rules of
b twice here, and 2ⁿ times if n such steps came after b.  That is all.
"""
import itertools
from types import FunctionType

from minidl import backend, kernels, rule_errors
from minidl.arraylike import ArrayLike
from minidl.order import passing
from minidl.recording import no_grad, recording, recording_now

__all__ = "Node", "Tensor", "constant", "grad", "no_grad", "record", "tensor", "with_output"

_numbers = itertools.count()
_new, _array_types, _to_array = object.__new__, backend.array_types, backend.CPU.module.asarray


class Node:
    """What the sweep needs to know of a Tensor: how cotangents leave it, and what one looks like.

    inputs: pairs (Node of an input, rule); where several inputs share a rule, a tuple of their
        Nodes, with None for one that needs no gradient.  A leaf has no inputs, and keeps the
        gradient that `backward` leaves there (unset until then).
    value: the array, kept only where a rule asks for it.
    A Node does not point at its own Tensor, so there is no reference cycle (tests see that by weak
    references), unless it keeps a gradient whose graph leads back to it (`create_graph=True`).
    """
    __slots__ = ("number", "inputs", "shape", "dtype", "value", "gradient", "__weakref__")

    def __init__(self, data, inputs=(), keep=False):
        self.number = next(_numbers)
        self.inputs = inputs
        self.shape = data.shape
        self.dtype = data.dtype
        self.value = data if keep else None


class Tensor(ArrayLike):
    """An array that knows where it came from.

    array: nested lists, numbers, an array or a Tensor, which is copied: nobody else changes it.
        It becomes `.data`, which is never changed in place either.  A leaf may be given another
        array, `w.data = w.data - step`: each operation has made itself a Tensor of the old array,
        which its rules go on seeing.
    requires_grad: whether gradients with respect to it are wanted; only floats can have them.
    dtype: by default the array's own.
    device: "cpu" or "gpu"; by default a Tensor that is given, or an array of a GPU, stays where it
        is, and all else goes to the device that `use_device` set.

    What it is as an array stands in `arraylike.py`.  Arithmetic, indexing and NumPy's methods stand
    in `ops`; `ops/methods.py` attaches them here.
    """
    __slots__ = ("data", "node", "__weakref__")

    def __init__(self, array, requires_grad=False, dtype=None, device=None):
        given, stays = (array.data, True) if isinstance(array, Tensor) else (array, False)
        data = backend.asarray(given, dtype, backend.place(given, device, stays))
        self.data = data.copy() if data is given else data      # another one shares no memory
        self.node = None
        if requires_grad is not False:
            self.requires_grad = requires_grad

    @property
    def requires_grad(self):
        """Whether gradients flow to this Tensor.

        Set to True, it makes a leaf of a constant; set to False, a constant of a leaf.
        """
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted):
        wanted = rule_errors.boolean("requires_grad", wanted)
        if wanted and self.data.dtype.kind != "f":
            raise TypeError("requires_grad: only floating-point Tensors have gradients, "
                            f"this one is {self.data.dtype}")
        if self.node is not None and self.node.inputs and not wanted:
            raise ValueError("requires_grad: only a leaf can become a constant; of what was "
                             "computed from others, take t.detach()")
        if wanted != self.requires_grad:
            self.node = Node(self.data) if wanted else None

    @property
    def grad(self):
        """What `backward` accumulated here: a Tensor, or None.  One that is set must have the shape
        and device of this leaf, and is brought into its dtype."""
        return getattr(self.node, "gradient", None)

    @grad.setter
    def grad(self, value):
        if self.node is None or self.node.inputs:
            raise ValueError("grad: only a leaf that requires a gradient has one")
        if value is not None:
            value = _cotangent_of(self, "grad", "the gradient", value, "leaf")
        self.node.gradient = value

    def detach(self):
        """The same values as a constant."""
        return _tensor(self.data, None)

    def to(self, device):
        """The same values on another device ("cpu", "gpu").       x̄ = ȳ, brought back"""
        origin = self.device
        moved = backend.move(self.data, backend.device(device))
        return record(moved, (self, lambda gy: gy.to(origin)))

    def backward(self, gradient=None, create_graph=False):
        """Add dL/dleaf to `.grad` of each leaf that self comes from, where dL = ⟨gradient, d self⟩.

        gradient: of self's shape; by default 1, for a single number.
        Raises ValueError where self needs no gradient, where none is given and self is not a single
        number, or where the given one has another shape.  With create_graph, set `.grad` to None
        after use: a gradient and the leaf that keeps it hold each other.
        """
        if self.node is None:
            why = "" if recording_now() else "; within no_grad() nothing is recorded"
            raise ValueError("backward: this Tensor does not depend on any Tensor that requires a "
                             f"gradient{why}")
        cotangent = _first_cotangent("backward", "gradient", self, gradient)
        found = _sweep(self.node, cotangent, None, create_graph, {})
        with recording(create_graph):
            for leaf, arrived in found.items():
                earlier = getattr(leaf, "gradient", None)
                leaf.gradient = arrived if earlier is None else _sum(earlier, arrived)


def tensor(array, requires_grad=False, dtype=None, device=None):
    """A Tensor holding a copy of `array`; see `Tensor`.

    >>> tensor([1.0, 2.0], requires_grad=True)
    tensor([1., 2.], float64, requires_grad=True)
    """
    return Tensor(array, requires_grad, dtype, device)


def constant(array):
    """A Tensor around an array of any device: no copy, so nobody may change it afterwards."""
    is_array = type(array) in _array_types          # else a number: NumPy's result of no dimensions
    return _tensor(array if is_array else _to_array(array), None)


def _tensor(data, node):
    """A Tensor around an array that nobody else will change: no copy, no checks."""
    made = _new(Tensor)
    made.data = data
    made.node = node
    return made


class with_output:
    """Marks a rule that needs the output: (x, with_output(lambda gy, y: …)) is called with ȳ and y.

    It is given y by the sweep; a rule that closed over y itself would be a reference cycle.
    """
    __slots__ = ("rule",)

    def __init__(self, rule):
        self.rule = rule


def record(value, *inputs):
    """The Tensor of an operation's value, and how cotangents flow back from it.

    inputs: pairs (Tensor, rule).  A rule is anything that can be called with ȳ and gives the
        cotangent of that input, a Tensor.  It may have the broadcast shape: the sweep sums it back.
        (x, with_output(rule))      the rule is called with ȳ and y.  Only then is the value kept.
        ((x, w, …), rule)           these inputs share a rule, which gives a tuple: one cotangent
                                    for each, None where the input requires no gradient.
    Inputs that need no gradient are forgotten at once, and within `no_grad` all are.  Raises
    TypeError, where it records, for what is no such pair.

    >>> def double(x):
    ...     x = operand("double", x)
    ...     return record(2 * x.data, (x, lambda gy: 2 * gy))
    >>> from minidl.operands import operand
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> grad(double(x), x, [1.0, 1.0])
    [tensor([2., 2.], float64)]
    """
    if type(value) not in _array_types:
        value = rule_errors.checked_value(value)    # of a number or a list its array, or TypeError
    made = _tensor(value, None)
    if recording_now():
        kept, keep = [], False
        try:
            for x, rule in inputs:
                try:
                    node = x.node
                except AttributeError:                  # several inputs
                    node = _nodes_of(x)
                if node is not None:
                    kept.append((node, rule))
                    if type(rule) is not FunctionType:      # a lambda wants ȳ alone
                        keep = _wants_output(rule) or keep
        except (AttributeError, TypeError, ValueError):
            raise rule_errors.bad_inputs(inputs) from None
        if kept:
            made.node = Node(value, kept, keep)
    return made


def _nodes_of(tensors):
    """The Nodes of inputs that share a rule; None where none of them needs a gradient."""
    nodes = tuple(x.node for x in tensors)
    return None if nodes.count(None) == len(nodes) else nodes


def _wants_output(rule):
    """Whether it is a `with_output`.  Raises TypeError for what cannot be called."""
    if not callable(rule.rule if type(rule) is with_output else rule):
        raise TypeError
    return type(rule) is with_output


def grad(output, inputs, grad_output=None, create_graph=False, ready=None):
    """Gradients of L with respect to each input, where dL = ⟨grad_output, d output⟩.

    inputs: a Tensor or a sequence of them, leaves or intermediate, that require gradients.
    grad_output: the output's cotangent, of its shape; by default 1, for a single number.
    create_graph: record the computation of the gradients, so that they can be differentiated again.
    ready: ready(x, gradient) is called for each input x as soon as its last cotangent has arrived,
        while the sweep goes on; where the output does not depend on x, at the end.
    Returns a list of Tensors with their inputs' shapes and dtypes, each an array of its own; zeros
    where the output does not depend on the input.
    Raises TypeError where an input is no Tensor, or grad_output no array; ValueError where an input
    requires no gradient, where grad_output is missing or of another shape, or, within `no_grad`,
    where the output was not recorded; DeviceError for a grad_output on another device.

    >>> x = tensor(3.0, requires_grad=True)
    >>> first, = grad(x * x * x, x, create_graph=True)
    >>> second, = grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    inputs = rule_errors.several("grad", inputs)
    rule_errors.check_differentiable("grad", output, inputs, ready, Tensor)
    found, cotangent = {}, _first_cotangent("grad", "grad_output", output, grad_output)
    named = {x.node: x for x in inputs}
    tell = None if ready is None else lambda node: ready(named[node], found[node])
    if output.node is not None:
        _sweep(output.node, cotangent, set(named), create_graph, found, tell)
    for node, x in named.items():
        if node not in found:
            found[node] = constant(backend.of(x.data).zeros(x.shape, x.dtype))
            if tell:
                tell(node)
    given, gradients = set(), []
    for node in (x.node for x in inputs):
        g = found[node]
        gradients.append(_tensor(g.data.copy(), g.node) if node in given else g)    # named twice
        given.add(node)
    return gradients


def _sweep(output, cotangent, wanted, create_graph, found, tell=None):
    """Fill `found`, {node: gradient}, for the wanted Nodes (None: the leaves) that the output Node
    depends on; tell(node) is called as soon as its gradient is there."""
    nodes = _leading_to(wanted, output)
    arrived = dict.fromkeys(nodes)          # {Node to come: the sum so far; None: nothing yet}
    arrived[output] = cotangent if create_graph else cotangent.detach()     # without its graph

    # Called for each wanted Node: after the last Node that sends it a cotangent, and before its own
    # turn.  To the output no Node sends one: it has had its turn, and is found already.
    def complete(node):
        if node not in found:
            found[node] = _tensor(arrived[node].data.copy(), arrived[node].node)
        tell(node)

    with recording(create_graph):
        # passing (order.py): the same Nodes, and `complete` is called between them
        for node in nodes if tell is None else passing(nodes, wanted, complete):
            gy = arrived.pop(node)
            is_wanted = node in wanted if wanted is not None else not node.inputs
            if is_wanted and node not in found:
                found[node] = _tensor(gy.data.copy(), gy.node)      # which shares no memory
            y = None if node.value is None else _tensor(node.value, node)
            try:
                for parent, rule in node.inputs:    # parent: a tuple where they share a rule
                    if parent in arrived:           # else nobody asks for its cotangent
                        gx = rule.rule(gy, y) if type(rule) is with_output else rule(gy)
                        if (type(gx) is not Tensor or gx.data.shape != parent.shape
                                or gx.data.dtype is not parent.dtype):      # saves most calls
                            gx = _fitted(gx, parent, rule)
                        earlier = arrived[parent]
                        arrived[parent] = gx if earlier is None else _sum(earlier, gx)
                        earlier = gx = None             # they may be large, and are used up
                    elif type(parent) is tuple and not arrived.keys().isdisjoint(parent):
                        gx = rule.rule(gy, y) if type(rule) is with_output else rule(gy)
                        _share(arrived, parent, gx, rule)
                        gx = None
            except TypeError as error:
                # of_call gives this error back, or one that says: the rule does not take ȳ (and y)
                raise rule_errors.of_call(rule, error) from None
    return found


def _sum(a, b):
    """a + b, of two cotangents of one Tensor: large ones are added by several threads."""
    return record(kernels.add(a.data, b.data), (a, _unchanged), (b, _unchanged))


def _unchanged(gy):
    return gy


def _share(arrived, parents, cotangents, rule):
    """Add the cotangents that a shared rule gave, each to what has arrived at its input."""
    if type(cotangents) is not tuple or len(cotangents) != len(parents):
        raise rule_errors.bad_count(rule, cotangents, len(parents))
    for parent, gx in zip(parents, cotangents):
        if parent in arrived:
            gx, earlier = _fitted(gx, parent, rule), arrived[parent]
            arrived[parent] = gx if earlier is None else _sum(earlier, gx)


def _fitted(gx, parent, rule):
    """A rule's cotangent in the shape and dtype of its input: broadcasting and promotion undone."""
    if not isinstance(gx, Tensor):
        raise rule_errors.bad_cotangent(rule, gx, parent.shape)
    if gx.shape != parent.shape:
        try:
            gx = gx.sum_to(parent.shape)                # ops/reduction.py
        except ValueError:
            raise rule_errors.bad_cotangent(rule, gx, parent.shape) from None
    return gx if gx.dtype == parent.dtype else gx.astype(parent.dtype)      # ops/elementwise.py


def _leading_to(wanted, output):
    """The Nodes between the wanted ones (None: the leaves) and the output, last made first.

    So each comes after all that was made of it, and its cotangent is complete.
    """
    nodes, seen = [output], {output, None}              # None: an input that needs no gradient
    for node in nodes:                                  # the list grows as it is walked
        for parents, _ in node.inputs:
            for parent in parents if type(parents) is tuple else (parents,):
                if parent not in seen:
                    seen.add(parent)
                    nodes.append(parent)
    nodes.sort(key=lambda node: node.number, reverse=True)
    if wanted is None or wanted.issuperset(node for node in nodes if not node.inputs):
        return nodes                                    # every Node leads to a leaf
    leading = set(wanted)
    for node in reversed(nodes):
        if any(not leading.isdisjoint(parents if type(parents) is tuple else (parents,))
               for parents, _ in node.inputs):
            leading.add(node)
    return [node for node in nodes if node in leading]


def _first_cotangent(operation, argument, output, cotangent):
    """The cotangent at which the sweep starts: the given one, checked, or 1."""
    if cotangent is not None:
        return _cotangent_of(output, operation, argument, cotangent)
    if output.size != 1:
        raise rule_errors.needs_cotangent(operation, argument, output)
    return _tensor(backend.of(output.data).ones(output.shape, output.dtype), None)


def _cotangent_of(x, operation, argument, cotangent, owner="output"):
    """A cotangent of x that the caller gives, in x's dtype; raises as `grad` says."""
    # an array stays where it is, and is refused on another device; a list goes to x's
    where = backend.device_of(cotangent).name if backend.is_array(cotangent) else x.device
    try:
        cotangent = cotangent if isinstance(cotangent, Tensor) else Tensor(cotangent, device=where)
    except (TypeError, ValueError):
        raise rule_errors.no_array(operation, argument, cotangent) from None
    if type(cotangent.data) is not type(x.data) or cotangent.shape != x.shape:
        raise rule_errors.bad_gradient(operation, argument, cotangent, x, owner)
    return cotangent if cotangent.dtype == x.dtype else cotangent.astype(x.dtype)
