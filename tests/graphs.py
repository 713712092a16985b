"""Random programs, and what the engine promises for every one of them.

A program is a list of steps; each applies an operation to two earlier values, and may use a value
many times.  It runs on Tensors and on dual numbers, which compute slopes forwards and know nothing
of minidl.  Each invariant is a function of a
program and a seed for its numbers, and raises AssertionError: `test_engine.py` draws programs with
Hypothesis, and `mutants_engine.py` breaks the engine to see that an invariant notices.
"""
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
import gc
import threading
import weakref

from hypothesis import strategies as st
import numpy as np

import minidl as md
from minidl import ops
from minidl.operands import operands
from minidl.tensor import record, with_output
from minidl.testing import gradcheck


class Dual:
    """v + s ε with ε² = 0: a value, and its slope along one direction.  f(v + s ε) = f(v) + f'(v) s
    ε."""

    def __init__(self, value, slope):
        self.value, self.slope = value, slope

    def __add__(self, other):
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other):
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other):
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def sin(self):
        return Dual(np.sin(self.value), np.cos(self.value) * self.slope)

    def tanh(self):
        return Dual(np.tanh(self.value), (1 - np.tanh(self.value) ** 2) * self.slope)

    def sum(self):
        return Dual(self.value.sum(), self.slope.sum())


def product(on, a, b):
    """a b, by one rule that both inputs share and that looks at the output."""
    if on is Dual:
        return a * b
    a, b = operands("product", a, b)
    return record(a.data * b.data,
                  ((a, b), with_output(lambda gy, y: (gy * b, gy * (a + 0.0 * y)))))


# `on` is the library: minidl.ops or Dual.  tanh keeps products of products from growing without
# bounds.
operations = [lambda on, a, b: a + b, lambda on, a, b: a - b, lambda on, a, b: on.tanh(a) * b,
              lambda on, a, b: on.sin(a), lambda on, a, b: on.tanh(a), lambda on, a, b: on.sum(a),
              lambda on, a, b: product(on, on.tanh(a), b)]
# of the leaves: they broadcast against each other, along new axes and axes of length 1
shapes = (2, 1), (3,), ()


@dataclass(frozen=True)
class Program:
    """steps: triples (operation, i, j), which number earlier values from the newest on: 0 is the
    last one."""
    steps: list

    def __call__(self, on, values):
        """All values: those given, then one for each step."""
        values = list(values)
        for operation, i, j in self.steps:
            values.append(operations[operation](on, values[-1 - i % len(values)],
                                                values[-1 - j % len(values)]))
        return values

    def start(self, seed):
        """Leaves with random entries."""
        rng = np.random.default_rng(seed)
        return [md.Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]

    def run(self, seed):
        """(leaves, every later value as a Tensor, the sum of the last one)."""
        leaves = self.start(seed)
        values = self(ops, leaves)[len(leaves):]
        return leaves, values, ops.sum(values[-1])


steps = st.tuples(st.integers(0, len(operations) - 1), st.integers(0, 8), st.integers(0, 8))
programs = st.builds(Program, st.lists(steps, min_size=1, max_size=12))


def drawn_programs(seed, count=20):
    """Programs of 12 steps drawn by a seed, for where Hypothesis is not at hand."""
    rng = np.random.default_rng(seed)
    return [Program([(int(rng.integers(len(operations))), *rng.integers(0, 5, 2).tolist())
                     for _ in range(12)])
            for _ in range(count)]


# --- values of gradients

def close(a, b, rtol=1e-9):
    np.testing.assert_allclose(a, b, rtol, rtol * max(1.0, np.max(np.abs(a), initial=0.0)))


def same(gradients, others):
    for a, b in zip(gradients, others, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def reverse_agrees_with_forward(program, seed):
    """⟨gradient, v⟩ is the slope along v that dual numbers find."""
    leaves, _, output = program.run(seed)
    rng = np.random.default_rng(seed)
    directions = [rng.normal(size=x.shape) for x in leaves]
    gradients = md.grad(output, leaves)
    for i, x in enumerate(leaves):
        duals = [Dual(y.numpy(), directions[i] if y is x else np.zeros(y.shape)) for y in leaves]
        forward = np.sum(program(Dual, duals)[-1].slope)
        close(np.sum(gradients[i].numpy() * directions[i]), forward)


def second_order_is_right(program, seed):
    gradcheck(lambda *leaves: program(ops, leaves)[-1], *program.start(seed), order=2,
              mode="directional",
              # where a program cancels all that it computed, only rounding is left
              allow_zero=True, atol=1e-8)


def gradient_of_a_sum_is_the_sum_of_gradients(program, seed):
    leaves, values, _ = program.run(seed)
    outputs = [ops.sum(v) for v in values]
    together = md.grad(sum(outputs), leaves)
    apart = [md.grad(y, leaves) for y in outputs]
    for i, gradient in enumerate(together):
        close(gradient.numpy(), sum(g[i].numpy() for g in apart), rtol=1e-12)


def every_intermediate_result_has_its_gradient(program, seed):
    """Cut a program in two: with respect to a value at the cut, the gradient of the whole is that
    of the second part."""
    leaves, values, output = program.run(seed)
    cut = seed % len(values)
    before = leaves + values[:cut + 1]
    whole = md.grad(output, before)
    again = [x.detach() for x in before]
    again[-1].requires_grad = True
    rest = Program(program.steps[cut + 1:])(ops, again)[-1]
    second, = md.grad(ops.sum(rest), again[-1:])
    close(whole[-1].numpy(), second.numpy())
    same(whole[:len(leaves)], md.grad(output, leaves))


def grad_twice_gives_the_same(program, seed):
    leaves, _, output = program.run(seed)
    same(md.grad(output, leaves), md.grad(output, leaves))


def backward_adds_to_what_is_there(program, seed):
    leaves, _, output = program.run(seed)
    expected = md.grad(output, leaves)
    if output.requires_grad:
        output.backward()
        first = [x.grad for x in leaves]
        values = [None if g is None else g.numpy() for g in first]
        output.backward()
        for x, once, value, g in zip(leaves, first, values, expected):
            if once is None:
                assert not g.numpy().any() and x.grad is None
            else:
                # what was read does not change afterwards
                np.testing.assert_array_equal(once.numpy(), value)
                np.testing.assert_array_equal(value, g.numpy())
                np.testing.assert_array_equal(x.grad.numpy(), 2 * value)


def gradients_have_the_form_of_their_inputs(program, seed):
    """Shape and dtype, whatever was mixed on the way; and arrays of their own, also where an input
    is named twice."""
    leaves = [md.Tensor(x, requires_grad=True, dtype=dtype)
              for x, dtype in zip(program.start(seed), ("float32", "float64", "float32"))]
    output = ops.sum(program(ops, leaves)[-1])
    cotangent = md.Tensor(1.0, dtype=output.dtype)
    gradients = md.grad(output, leaves * 2, cotangent)
    for x, g in zip(leaves * 2, gradients):
        assert (g.shape, g.dtype) == (x.shape, x.dtype)
    arrays = [t.data for t in [*gradients, *leaves, cotangent]]
    assert not any(np.may_share_memory(a, b) for i, a in enumerate(arrays)
                   for b in arrays[:i]), "memory is shared"


def rules_see_the_values_that_were_used(program, seed):
    """Leaves are given other arrays between the program and its gradient, as by an optimiser's
    step."""
    leaves, _, output = program.run(seed)
    expected = md.grad(output, leaves)
    for x in leaves:
        x.data = np.asarray(7 + 3 * x.data)
    same(expected, md.grad(output, leaves))


# --- cost and memory

def below(node):
    """All Nodes from which a Node was computed, and itself."""
    found, stack = {node}, [node]
    while stack:
        new = {parent for parents, _ in stack.pop().inputs for parent in each(parents)} - found
        found |= new
        stack += new
    return found


def each(parents):
    """The Nodes of an entry of `Node.inputs`."""
    return [parent for parent in (parents if isinstance(parents, tuple) else (parents,))
            if parent is not None]


def counted(nodes):
    """Wrap the rules of the Nodes; a Counter of (Node, number of the input) that their calls will
    fill."""
    calls = Counter()

    def wrap(rule, key):
        def call(*arguments):
            calls[key] += 1
            return (rule.rule if marked else rule)(*arguments)

        marked = isinstance(rule, with_output)
        return with_output(call) if marked else call

    for node in nodes:
        node.inputs = [(parent, wrap(rule, (node, i)))
                       for i, (parent, rule) in enumerate(node.inputs)]
    return calls


def rules_on_the_way_are_called_once(program, seed):
    """Cost is linear, however many paths there are, and nothing is computed that the inputs asked
    for do not need."""
    leaves, values, output = program.run(seed)
    nodes = below(output.node)
    calls = counted(nodes)
    wanted = [[*leaves, *values][seed % (len(leaves) + len(values))]]
    md.grad(output, wanted)
    expected = [(node, i) for node in nodes for i, (parents, _) in enumerate(node.inputs)
                if any(wanted[0].node in below(parent) for parent in each(parents))]
    assert calls == Counter(expected), "a rule was called more than once, or without need"


@contextmanager
def no_collector():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def graph_is_freed_at_once(program, seed):
    """With the garbage collector off: there are no reference cycles."""
    with no_collector():
        leaves, values, output = program.run(seed)
        gradients = md.grad(output, leaves, create_graph=True)
        md.grad(sum(ops.sum(g * g) for g in gradients), leaves)
        watched = [weakref.ref(t) for t in [output, *values, *gradients]]
        watched += [weakref.ref(t.node) for t in [output, *values, *gradients]
                    if t.node is not None]
        del leaves, values, output, gradients
        assert all(r() is None for r in watched), "a graph outlives its last Tensor"


def values_live_only_while_a_rule_needs_them(program, seed):
    """No rule asks for the value of a sum: the array goes with its Tensor, though the graph goes
    on."""
    leaves = program.start(seed)
    with no_collector():
        values = program(ops, leaves)
        summed = values[-1] + leaves[0]
        output = ops.sum(ops.tanh(summed))
        array = weakref.ref(summed.data)
        del summed
        assert array() is None and output.requires_grad, "the value of a sum is kept"


# --- state: recording, exceptions, threads

def no_grad_records_nothing(program, seed):
    leaves = program.start(seed)
    with md.no_grad():
        with md.no_grad():
            inner = program(ops, leaves)[len(leaves):]
        outer = program(ops, leaves)[len(leaves):]
    recorded = program(ops, leaves)[len(leaves):]
    assert not any(v.requires_grad for v in inner + outer), "recorded within no_grad"
    assert all(v.requires_grad for v in recorded), "not recorded after no_grad"
    same(recorded, inner)


def gradients_are_recorded_if_asked_for(program, seed):
    """create_graph, and only it, gives gradients that can be differentiated; whatever surrounds the
    call."""
    x = md.Tensor(0.5, requires_grad=True)
    output = ops.sin(x) * ops.sum(program(ops, program.start(seed))[-1]) + ops.sin(x)
    with md.no_grad():
        deep = md.grad(output, x, create_graph=True)
        assert deep[0].requires_grad and not (x * x).requires_grad
    flat = md.grad(output, x)
    assert not flat[0].requires_grad and (x * x).requires_grad
    same(flat, deep)


class Broken(Exception):
    """What an operation or a rule may raise."""


def exceptions_leave_the_engine_usable(program, seed):
    """In an operation, or in a rule at first or second order: the graph can still be differentiated
    afterwards."""
    leaves, _, output = program.run(seed)
    expected = md.grad(output, leaves)

    def broken(gy):
        raise Broken

    def broken_program():
        program(ops, leaves)
        raise Broken

    x = leaves[0]
    y = record(x.data, (x, broken), (x, lambda gy: gy)) * ops.sum(output + x)
    attempts = [lambda: md.no_grad()(broken_program)()]
    for create_graph in (False, True):
        attempts += [lambda deep=create_graph: md.grad(ops.sum(y), leaves, create_graph=deep),
                     lambda deep=create_graph: ops.sum(y).backward(create_graph=deep)]
    for attempt in attempts:
        try:
            attempt()
        except Broken:
            pass
        else:
            raise AssertionError("the exception was swallowed")
        assert (x * 1.0).requires_grad, "recording stayed off"
        assert all(leaf.grad is None for leaf in leaves), "half a backward left gradients"
    same(expected, md.grad(output, leaves))


def threads_do_not_meet(program, seed):
    """One thread sits in no_grad while another records and differentiates; then both differentiate
    the same graph."""
    leaves, _, output = program.run(seed)
    expected = md.grad(output, leaves)
    inside, leave, found = threading.Event(), threading.Event(), []

    def other():
        with md.no_grad():
            inside.set()
            leave.wait()
            found.append(program(ops, leaves)[-1].requires_grad)
        found.append(md.grad(output, leaves))

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    recorded = ops.sum(program(ops, leaves)[-1])
    leave.set()
    here = md.grad(recorded, leaves) if recorded.requires_grad else None
    thread.join()
    assert here, "no_grad reached another thread"
    assert found[0] is False, "no_grad ended for another thread"
    same(expected, here)
    same(expected, found[1])


invariants = [reverse_agrees_with_forward, second_order_is_right,
              gradient_of_a_sum_is_the_sum_of_gradients,
              every_intermediate_result_has_its_gradient, grad_twice_gives_the_same,
              backward_adds_to_what_is_there,
              gradients_have_the_form_of_their_inputs, rules_on_the_way_are_called_once,
              graph_is_freed_at_once,
              values_live_only_while_a_rule_needs_them, no_grad_records_nothing,
              gradients_are_recorded_if_asked_for,
              exceptions_leave_the_engine_usable, threads_do_not_meet,
              rules_see_the_values_that_were_used]
