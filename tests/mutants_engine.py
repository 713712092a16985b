"""How an engine of automatic differentiation goes wrong: lines of `minidl/tensor.py`, and what they
must not be.

`broken(name, check, function, (line, instead), …)` files one.  check(seed) is an invariant over
random programs (`graphs.py`), or `gradcheck` of an operation that is right.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import importlib
import inspect
import textwrap
from types import SimpleNamespace

from cases import normal
import graphs
import numpy as np

from minidl import ops, order, recording
from minidl.testing import gradcheck

engine = importlib.import_module("minidl.tensor")       # minidl.tensor is the function of that name


@dataclass(frozen=True)
class Engine:
    """break_with(monkeypatch) makes the mistake; check(seed) raises AssertionError then, and passes
    before."""
    name: str
    break_with: Callable
    check: Callable

    def __str__(self):
        return self.name.replace(" ", "_")


engines = []


def broken(name, check, function, *changes):
    """File a mistake: lines of a function exchanged.  Each must stand there exactly once: the
    catalogue cannot go stale."""
    def break_with(monkeypatch):
        plain = inspect.unwrap(function)
        source = textwrap.dedent(inspect.getsource(plain))
        for line, instead in changes:
            if source.count(line) != 1:
                raise ValueError(f"{function.__qualname__} has changed: {line!r} stands there "
                                 f"{source.count(line)} times")
            source = source.replace(line, instead)
        made = {}
        exec(compile(source, f"<{name}>", "exec"), vars(inspect.getmodule(plain)), made)
        monkeypatch.setattr(plain, "__code__", inspect.unwrap(made[function.__name__]).__code__)
    engines.append(Engine(name, break_with, check))


def on_programs(*invariants):
    """The check of an invariant on twenty random programs."""
    def check(seed):
        for k, program in enumerate(graphs.drawn_programs(seed)):
            for invariant in invariants:
                invariant(program, seed + k)
    return check


def on(f, *inputs, **settings):
    """The check of a right operation with gradcheck."""
    def check(seed):
        rng = np.random.default_rng(seed)
        gradcheck(f, *(draw(rng) for draw in inputs), seed=seed, **settings)
    return check


values = on_programs(graphs.reverse_agrees_with_forward)

# --- the sweep: what is added up, in which order

broken("cotangents are overwritten", values, engine._sweep,
       ("gx if earlier is None else _sum(earlier, gx)", "gx"))

broken("cotangents are added in place",  # but `+` hands one array to both its inputs
       on(lambda a, b: ops.sin(a + b) + a, normal(3, 4), normal(3, 4)), engine._sweep,
       ("_sum(earlier, gx)", "_tensor(earlier.data.__iadd__(gx.data), None)"))

broken("only the first use of an input is recorded", values, engine.record,
       ("if node is not None:",
        "if node is not None and node not in [other for other, _ in kept]:"))

reached = ("gy = arrived.pop(node)",
           "gy = arrived.pop(node)\n" + 12 * " " + "if gy is None: continue")
broken("nodes in the order in which they were made", values, engine._sweep,
       ("nodes = leading_to(wanted, output)", "nodes = leading_to(wanted, output)[::-1]"),
       reached)

# a long way and a short one
broken("nodes in order of first sight", on(lambda x: ops.sin(ops.cos(x)) * x, normal(3, 4)),
       order.leading_to, ("nodes.sort(key=attrgetter(\"number\"), reverse=True)", "pass"))

broken("broadcasting is not undone", on(ops.multiply, normal(3, 4), normal(4)), engine._fitted,
       ("gx = gx.sum_to(parent.shape)", "pass"))

broken("broadcasting is undone along new axes only", on(ops.multiply, normal(3, 4), normal(3, 1)),
       engine._fitted,
       ("gx = gx.sum_to(parent.shape)", "gx = gx.sum(tuple(range(gx.ndim - len(parent.shape))))"))

broken("the cotangent given is ignored", on(ops.sin, normal(3, 4)), engine._first_cotangent,
       ("if cotangent is not None:", "if False:"),
       ("if output.size != 1:", "if False:"))

broken("the sweep stops at an input",
       on_programs(graphs.every_intermediate_result_has_its_gradient), engine._sweep,
       ("found[node] = _tensor(gy.data.copy(), gy.node)",
        "found[node] = _tensor(gy.data.copy(), gy.node); continue"),
       reached)

broken("no accumulation in backward", on_programs(graphs.backward_adds_to_what_is_there),
       engine.Tensor.backward,
       ("arrived if earlier is None else _sum(earlier, arrived)", "arrived"))

broken("backward changes an earlier gradient", on_programs(graphs.backward_adds_to_what_is_there),
       engine.Tensor.backward,
       ("arrived if earlier is None else _sum(earlier, arrived)",
        "arrived if earlier is None else _tensor(earlier.data.__iadd__(arrived.data), None)"))

# --- what a gradient is

form = on_programs(graphs.gradients_have_the_form_of_their_inputs)

broken("a gradient is the cotangent itself", on(ops.add, normal(3, 4), normal(3, 4)), engine._sweep,
       ("_tensor(gy.data.copy(), gy.node)", "gy"))

broken("an input named twice shares its gradient", form, engine.grad,
       ("if node in given else g", "if False else g"))

broken("promotion is not undone", form, engine._fitted,
       ("gx if gx.dtype == parent.dtype else gx.astype(parent.dtype)", "gx"))

broken("gradients leak from call to call", on_programs(graphs.grad_twice_gives_the_same),
       engine._sweep,
       ("found[node] =", "gy = node.gradient + gy if hasattr(node, 'gradient') else gy; "
                         "found[node] = node.gradient ="))

broken("the sweep consumes the graph", on_programs(graphs.grad_twice_gives_the_same), engine._sweep,
       ("for parent, rule in node.inputs:",
        "edges, node.inputs = node.inputs, ()\n" + 16 * " " + "for parent, rule in edges:"))

# --- higher orders

broken("create_graph is ignored", on(ops.sin, normal(3, 4), order=2), engine._sweep,
       ("recording(create_graph)", "recording(False)"))

broken("gradients are always recorded", on_programs(graphs.gradients_are_recorded_if_asked_for),
       engine._sweep,
       ("recording(create_graph)", "recording(True)"))

broken("rules get the output as a constant", on(ops.exp, normal(3, 4), order=2), engine._sweep,
       ("_tensor(node.value, node)", "_tensor(node.value, None)"))

broken("gradients are handed out as constants", on(ops.sin, normal(3, 4), order=2), engine._sweep,
       ("_tensor(gy.data.copy(), gy.node)", "_tensor(gy.data.copy(), None)"))

# --- cost and memory

broken("rules are called without need", on_programs(graphs.rules_on_the_way_are_called_once),
       order.leading_to,
       ("[node for node in nodes if node in leading]", "nodes"))

def path_by_path(output, cotangent, wanted, create_graph, found, tell):
    """The values are right, but y = y + y, sixty times, takes 2⁶⁰ steps."""

    def walk(node, gy):
        if node in wanted:
            found[node] = found[node] + gy if node in found else 1.0 * gy
        for parents, rule in node.inputs:
            marked = isinstance(rule, engine.with_output)
            gx = rule.rule(gy, engine._tensor(node.value, node)) if marked else rule(gy)
            for parent, g in zip(parents, gx) if isinstance(parents, tuple) else [(parents, gx)]:
                if parent is not None:
                    walk(parent, g.sum_to(parent.shape))

    with engine.recording(create_graph):
        walk(output, cotangent)
    return found

engines.append(Engine("every path is walked",
                      lambda monkeypatch: monkeypatch.setattr(engine, "_sweep", path_by_path),
                      on_programs(graphs.rules_on_the_way_are_called_once)))

broken("a Node keeps its Tensor alive", on_programs(graphs.graph_is_freed_at_once), engine.record,
       ("made.node = Node(value, kept, keep)",
        "made.node = Node(value, kept, keep); made.node.gradient = made"))

broken("every value is kept", on_programs(graphs.values_live_only_while_a_rule_needs_them),
       engine.Node.__init__,
       ("data if keep else None", "data"))

# --- recording

def share_the_state(monkeypatch):
    """All threads look at one answer."""
    shared = SimpleNamespace(answer=True, blocks=())
    for name in "answer", "blocks":
        monkeypatch.setattr(recording, f"_{name}", SimpleNamespace(
            get=partial(getattr, shared, name), set=partial(setattr, shared, name)))
    monkeypatch.setattr(engine, "recording_now", recording._answer.get)

broken("no_grad records", on_programs(graphs.no_grad_records_nothing), engine.record,
       ("if recording_now():", "if True:"))

broken("no_grad ends the one around it", on_programs(graphs.no_grad_records_nothing),
       recording._open,
       ("blocks[-1].wanted if blocks else True", "len(blocks) % 2 == 0"))

broken("no_grad never ends", on_programs(graphs.no_grad_records_nothing),
       recording.recording.__exit__,
       ("_open(blocks[:i] + blocks[i + 1:])", "pass"))

broken("an exception leaves recording off", on_programs(graphs.exceptions_leave_the_engine_usable),
       recording.recording.__exit__,
       ("if blocks[i].owner is self:", "if blocks[i].owner is self and not exception[0]:"))

engines.append(Engine("threads share one state", share_the_state,
                      on_programs(graphs.threads_do_not_meet)))
