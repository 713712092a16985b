"""The chain rule and the sweep: tensor.py itself."""
import numpy as np

from minidl import ops
from minidl.learn.path.chapter import Chapter, fault, misprint, program
from minidl.learn.source import Body, Loop
from minidl.learn.trials import Trial


def leaf(m, value):
    return m.tensor(value, requires_grad=True)


def diamond(m):
    a = leaf(m, 3.0)
    b = a + a
    return m.grad(b * b, a)


def sixty_diamonds(m):
    x = y = leaf(m, 1.0)
    for _ in range(60):
        y = y + y
    return m.grad(y, x)


def a_long_way_and_a_short_one(m):
    x = leaf(m, [0.3, -0.7])
    return m.grad(ops.sum(ops.sin(ops.cos(x)) * x), x)


def broadcasting(m):
    a, b = leaf(m, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), leaf(m, [[1.0], [-1.0]])
    return m.grad(ops.sum(a * b), [a, b])


def an_intermediate_result(m):
    a = leaf(m, 0.5)
    b = ops.exp(a)
    return m.grad(b * b * a, [a, b])


def the_gradient_of_a_gradient(m):
    x = leaf(m, 2.0)
    slope, = m.grad(ops.exp(x) * x * x, x, create_graph=True)
    return m.grad(slope, x)


def a_rule_that_inputs_share(m):
    x, w, b = leaf(m, np.ones((1, 3, 1))), leaf(m, [[[2.0]], [[3.0]]]), leaf(m, [1.0])
    y = ops.sum(ops.square(ops.conv(x, w, b)))
    return [*m.grad(y, [x, w, b]), *m.grad(y, [w])]


def what_is_not_wanted(m):
    """The rule of b, which nobody asks for, must not be called."""
    a, b, calls = leaf(m, 1.0), leaf(m, 2.0), []
    y = m.record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: calls.append(1) or gy * a))
    return [*m.grad(y, a), len(calls)]


def a_gradient_of_its_own(m):
    """A cotangent that `+` hands to both is in nobody's gradient twice."""
    a, b = leaf(m, [1.0, 2.0]), leaf(m, [3.0, 4.0])
    first, second = m.grad(a + b, [a, b], [1.0, 1.0])
    return [first, second, np.shares_memory(first.data, second.data)]


def a_gradient_without_a_graph(m):
    """Nothing is recorded of it unless that is asked for."""
    x = leaf(m, 2.0)
    return [m.grad(x * x, x, create_graph=graph)[0].requires_grad for graph in (False, True)]


def float32_beside_float64(m):
    a = m.tensor([1.0, 2.0], requires_grad=True, dtype="float32")
    b = leaf(m, [3.0, 4.0])
    return m.grad(ops.sum(a * b), [a, b])


def a_cotangent_of_several(m):
    """`+` hands one cotangent to both: what is added to it at one must not reach the other."""
    a, b = leaf(m, [1.0, 2.0]), leaf(m, [3.0, 4.0])
    return m.grad((a + b) + a, [a, b], [1.0, 1.0])


def two_calls_of_backward(m):
    a, b = leaf(m, 3.0), leaf(m, 2.0)
    y = a * b * a
    y.backward()
    first = a.grad
    y.backward()
    return [first, a.grad, b.grad]


SWEEPS = [Trial(call, words=f"of the trial {call.__name__.replace('_', ' ')!r}") for call in (
    diamond, a_long_way_and_a_short_one, broadcasting, an_intermediate_result, sixty_diamonds,
    the_gradient_of_a_gradient, a_rule_that_inputs_share, what_is_not_wanted,
    a_gradient_of_its_own, a_cotangent_of_several, a_gradient_without_a_graph,
    float32_beside_float64, two_calls_of_backward)]

TOO_EARLY = ("'NoneType' object has no attribute",
             "a Node was reached before any cotangent had arrived at it")

SWEEP = Chapter("2. The chain rule and the sweep", (
    program("sweep-order", "tensor:_leading_to", Body("nodes.sort", "nodes.sort"), *SWEEPS,
            note="In which order must the sweep come to the Nodes, so that the cotangent of each "
                 "is complete when it is reached?",
            hidden=", last made first.", means=TOO_EARLY, hints=(
        "The diamond b = a + a; c = b * b: both rules of c must have been called before b's are.",
        "Every Node has a number, and a result a larger one than its inputs.")),
    misprint("first-sight", "tensor:_leading_to",
             'nodes.sort(key=lambda node: node.number, reverse=True)',
             "nodes = list(dict.fromkeys(nodes))", *SWEEPS, means=TOO_EARLY),
    program("accumulate", "tensor:Tensor.backward",
            Body("with recording(create_graph)", "with recording(create_graph)"), *SWEEPS[-1:],
            note="`found` holds {leaf: what arrived}: add it to the gradient that the leaf keeps.",
            hints="The gradient is leaf.gradient, an attribute that is missing at first; _sum adds "
                  "two cotangents."),
    program("two-cotangents", "tensor:_sum", Body(), *SWEEPS,
            note="The sum is recorded, so that a gradient can be differentiated again.", hints=(
        "kernels.add adds two arrays into a new one; a and b are Tensors: their arrays are .data.",
        "dy = da + db: the cotangent goes to both unchanged, which the next function does.")),
    program("fitted", "tensor:_fitted", Body("if gx.shape", "return"), *SWEEPS,
            note="The rule of b in a ⊙ b gives gy * a.  Where a has the shape (2, 3) and b (2, 1), "
                 "each entry of b was copied: its cotangent is the sum over the copies.", hints=(
        "x.sum_to(shape) sums over what was broadcast; x.astype(dtype) gives the other type.")),
    misprint("overwritten", "tensor:_sweep",
             "gx if earlier is None else _sum(earlier, gx)", "gx", *SWEEPS),
    program("sweep", "tensor:_sweep", Loop(), *SWEEPS, note=(
        "`arrived` has the cotangent of each Node, as far as it has arrived (None: nothing yet).  "
        "The last one made comes first.  Keep the gradient of what is wanted in `found`, call the "
        "rules of node.inputs, pairs (parent, rule), and add what they give to what has arrived at "
        "the parent.  _fitted(gx, parent, rule) brings gx into the parent's shape and dtype; "
        "_sum(a, b) adds two cotangents.  A rule that several inputs share gives a tuple: there "
        "parent is a tuple, too, and _share(arrived, parent, gx, rule) does both for each of "
        "them.  Node, record and with_output in the same file say what a rule is."), hints=(
        "Take the node's cotangent out of `arrived`; where the node is wanted (of wanted None, a "
        "leaf: no inputs), keep a copy of it in `found`.",
        "For each (parent, rule) of node.inputs with a parent in `arrived`: call the rule with the "
        "cotangent (a with_output's .rule with the node's output, too).",
        "node.value is the output's array, or None; _tensor(array, node) makes a Tensor of both.")),
    program("hessian-vector", "testing.derivatives:hessian_vector_product", Body("return"),
            Trial(lambda m: m.hessian_vector_product(lambda x: x[0] ** 2 * x[1] ** 3, [1.0, 2.0],
                                                     [1.0, 10.0])),
            hints="H v is the gradient of ⟨∇f(x), v⟩: of the gradient, with v as its cotangent."),
    fault("second-sign", "second_derivative_has_the_wrong_sign"),
    fault("outside-the-graph", "rule_outside_the_graph"),
))
