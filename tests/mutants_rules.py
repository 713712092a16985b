"""How the rule interface goes wrong: each trap of `record`, and an engine that falls into it."""
import functools
import pickle

from cases import normal
import graphs
from mutants_engine import broken, engine, on, on_programs
import numpy as np

import minidl as md
from minidl import arraylike, operands, ops, order, rule_errors


def doubled_by(rule):
    """The check that a rule of y = 2x is taken for what it says."""
    def check(seed):
        def double(x):
            return md.record(2 * md.operand("double", x).data, (x, rule))
        x = md.tensor(np.random.default_rng(seed).normal(size=3), requires_grad=True)
        try:
            gradient = md.grad(ops.sum(double(x)), x)[0].numpy().tolist()
        except TypeError as error:
            raise AssertionError(f"a rule was refused: {error}") from None
        assert gradient == [2, 2, 2]
    return check


def refused_by_name(rule, kind):
    """The check that what is no rule, or gives no cotangent, is an error that names the
    operation."""
    def check(seed):
        def double(x):
            return md.record(2 * x.data, (x, rule))
        x = md.tensor(np.random.default_rng(seed).normal(size=3), requires_grad=True)
        try:
            gradients = md.grad(ops.sum(double(x)), x)
        except Exception as error:
            assert isinstance(error, kind) and "rule" in str(error), repr(error)
            assert "double" in str(error) or "mutants_rules.py" in str(error), repr(error)
        else:
            raise AssertionError(f"taken for a gradient: {gradients}")
    return check


def crashes_count(check):
    """The check, for which any exception is a failed assertion."""
    def strict(seed):
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(repr(error)) from None
    return strict


def pickled_leaves_are_leaves_here(seed):
    w = pickle.loads(pickle.dumps(md.tensor(1.0, requires_grad=True)))
    total = sum((w * 1.0 for _ in range(10)), start=0.0)
    assert md.grad(total, w)[0].item() == 10


broken("rules are told apart by counting parameters", doubled_by(lambda gy, k=2: gy * k),
       engine.record,
       ("kept.append((node, rule))",
        "rule = with_output(rule) if rule.__code__.co_argcount == 2 else rule; kept.append((node, "
        "rule))"))

broken("partials are no rules", doubled_by(functools.partial(lambda k, gy: k * gy, 2)),
       engine._wants_output,
       ("if not callable(rule.rule if type(rule) is with_output else rule):",
        "if type(rule) is not with_output:"))

broken("an array is taken for a cotangent", refused_by_name(lambda gy: 2 * gy.data, TypeError),
       engine._fitted,
       ("raise rule_errors.bad_cotangent(rule, gx, parent.shape)\n    if gx.shape",
        "gx = constant(gx)\n    if gx.shape"))

broken("None is taken for a cotangent of zeros", refused_by_name(lambda gy: None, TypeError),
       engine._fitted,
       ("raise rule_errors.bad_cotangent(rule, gx, parent.shape)\n    if gx.shape",
        "gx = constant(0.0 * backend.CPU.module.ones(parent.shape))\n    if gx.shape"))

broken("a cotangent of another shape is stretched",
       refused_by_name(lambda gy: gy[:1] * 2, ValueError), engine._fitted,
       ("raise rule_errors.bad_cotangent(rule, gx, parent.shape) from None",
        "gx = gx + constant(backend.CPU.module.zeros(parent.shape))"))

broken("what cannot be called is found out late", refused_by_name(2.0, TypeError),
       engine._wants_output,
       ("raise TypeError", "pass"))

broken("a rule of other parameters is Python's business",
       refused_by_name(lambda gy, y: gy * y, TypeError),
       rule_errors.of_call, ("return TypeError", "return error or TypeError"))

broken("cotangents of a shared rule change places", on_programs(graphs.reverse_agrees_with_forward),
       engine._share,
       ("zip(parents, cotangents)", "zip(parents, cotangents[::-1])"))

broken("a shared rule forgets what has arrived",
       on(lambda a, b: graphs.product(ops, a, b) * a, normal(3), normal(3)), engine._share,
       ("gx if earlier is None else _sum(earlier, gx)", "gx"))

broken("broadcasting is not undone for a shared rule",
       crashes_count(on_programs(graphs.gradients_have_the_form_of_their_inputs)), engine._share,
       ("_fitted(gx, parent, rule)", "gx"))

broken("shared rules lead nowhere",
       crashes_count(on_programs(graphs.rules_on_the_way_are_called_once)),
       order.leading_to,
       ("any(not leading.isdisjoint(parents if type(parents) is tuple else (parents,))",
        "any(type(parents) is not tuple and parents in leading"))

broken("a rule of one operand sees later values",
       on_programs(graphs.rules_see_the_values_that_were_used),
       operands.operand, ("return _double(operation, x, argument)", "return x"))

broken("a rule of two operands sees later values",
       on_programs(graphs.rules_see_the_values_that_were_used),
       operands.operands, ("a = _double(operation, a, arguments[0])", "pass"),
       ("b = _double(operation, b, arguments[1])", "pass"))

broken("a Node's number travels to another process", crashes_count(pickled_leaves_are_leaves_here),
       arraylike._rebuilt,
       ("if gradient is not None:", "made.node.number = 10 ** 9\n    if gradient is not None:"))
