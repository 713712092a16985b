"""Gradients that are wrong at an edge, in one call out of
two, in the tenth digit, or only when they are differentiated again; and some that are wrong on
purpose in the literature."""
import gc
import weakref

import numpy as np

import minidl as md
from minidl import ops
from minidl.learn.domains import away, integers, normal, positive
from minidl.learn.mutants.catalogue import wrong, wrong_transpose
from minidl.tensor import constant, record, with_output
from minidl.testing import gradcheck

# --- ties and edges

def along_a_smooth_direction(f, seed, mode):
    """A maximum has a kink at a tie, but not if all entries move together: max(x + t) = t + max
    x."""
    rng = np.random.default_rng(seed)
    tied = rng.permutation([1.0, 1.0, 1.0, 0.0, -1.0])
    gradcheck(lambda t: f(t + tied), rng.normal(), mode=mode, seed=seed)

def tie_goes_to_the_first(f, seed, mode):
    rng = np.random.default_rng(seed)
    x = md.tensor(rng.permutation([1.0, 1.0, 1.0, 0.0, -1.0]), requires_grad=True)
    gradient, = md.grad(f(x), x)
    assert gradient.numpy().argmax() == x.numpy().argmax(), "the cotangent went to another " \
        "maximum than the first"

@wrong(ops.max, check=along_a_smooth_direction, says="('t')")
def every_tie_gets_all(x):
    return record(x.data.max(), (x, with_output(lambda gy, y: ops.where(x == y, gy, 0))))

@wrong(ops.max, check=tie_goes_to_the_first, says="another maximum")
def tie_goes_to_the_last(x):
    last = x.size - 1 - x.data[::-1].argmax()
    return record(x.data.max(), (x, lambda gy: ops.scatter(gy, last, x.shape)))

@wrong(lambda x: ops.square(ops.norm(x, -1)), lambda rng: rng.normal(size=(3, 4)) * [[1], [0], [1]])
def norm_divides_zero_by_zero(x):
    def norm(x):
        return record((x.data ** 2).sum(-1, keepdims=True) ** 0.5,
                      (x, with_output(lambda gy, y: gy * x / y)))
    return ops.square(norm(x))

odd = np.arange(6) % 2 == 1

@wrong(lambda c, x: ops.where(c, ops.sqrt(ops.where(c, x, 1)), 0), lambda rng: odd,
       lambda rng: positive(6)(rng) * odd,
       blame="x")
def branch_not_taken_leaks_nan(c, x):
    return record(np.where(c.data, x.data, 0) ** 0.5,
                  (x, lambda gy: gy * c.astype(float) / (2 * ops.sqrt(x))))


# --- right only sometimes

@wrong(ops.exp, lambda rng: rng.normal(size=(4, 3)).T)
def right_only_for_contiguous_input(x):
    # "K": as in memory
    return record(np.exp(x.data), (x, lambda gy: gy * np.exp(x.data.ravel("K")).reshape(x.shape)))

@wrong(ops.exp, normal(4, 3))
def right_only_row_after_row(x):
    """gradcheck lays its inputs out in other ways too."""
    return record(np.exp(x.data), (x, lambda gy: gy * np.exp(x.data.ravel("K")).reshape(x.shape)))

@wrong(ops.exp, normal(4, 3))
def right_only_without_gaps(x):
    def slope():
        dense = x.data.flags.c_contiguous or x.data.flags.f_contiguous
        return np.exp(x.data if dense else np.flip(x.data))
    return record(np.exp(x.data), (x, lambda gy: gy * slope()))

@wrong(ops.negative, normal(4, 3))
def right_only_for_a_contiguous_cotangent(x):
    return record(-x.data, (x, lambda gy: constant(-gy.data.ravel("K").reshape(x.shape))))

@wrong(ops.add, normal(4, 3), normal(4, 3), blame="b")
def right_only_for_equal_shapes(x, b):
    return record(x.data + b.data, (x, lambda gy: gy),
                  (b, lambda gy: gy if gy.shape == b.shape else gy[0]))

@wrong(ops.multiply, normal(4, 3), normal(4, 3), blame="b")
def averaged_along_a_broadcast_axis(a, b):
    def rule(gy):
        return gy * a if b.shape[-1] == a.shape[-1] else ops.mean(gy * a, -1, keepdims=True)
    return record(a.data * b.data, (a, lambda gy: gy * b), (b, rule))

@wrong(ops.matmul, normal(2, 3, 4), normal(2, 4, 3), blame="b")
def right_only_for_a_stack_of_matrices(a, b):
    def rule(gy):
        whole = ops.swapaxes(a, -1, -2) @ gy
        return whole if b.ndim == 3 else whole[0]
    return record(a.data @ b.data, (a, lambda gy: gy @ ops.swapaxes(b, -1, -2)), (b, rule))

@wrong(lambda x, labels: ops.mean(ops.logsumexp(x, 1)
                                  - ops.take_along_axis(x, labels.reshape(-1, 1), 1).reshape(-1)),
       normal(4, 3), integers(3, 4))
def right_only_for_a_batch_of_one(x, labels):
    value = (ops.logsumexp(x, 1) - x[np.arange(len(x)), labels]).data.mean()
    # no 1 / N
    return record(value, (x, lambda gy: gy * (ops.softmax(x) - ops.one_hot(labels, 3, float))))

@wrong(ops.exp, normal(20, 2))
def last_incomplete_block_forgotten(x):
    """Works in blocks of 8 rows: right for 8, 16, 24, …"""
    whole = len(x) // 8 * 8
    return record(np.exp(x.data), (x, with_output(
        lambda gy, y: ops.pad((gy * y)[:whole], ((0, len(x) - whole), (0, 0))))))


def twice(f, seed, mode):
    for x in np.random.default_rng(seed).normal(size=(2, 3, 4)):
        gradcheck(f, x, seed=seed, mode=mode)

@wrong(ops.sin, check=twice)
def remembers_the_first_call(x, slopes={}):     # noqa: B006  the mistake
    slope = slopes.setdefault(x.shape, np.cos(x.data))
    return record(np.sin(x.data), (x, lambda gy: gy * slope))

@wrong(lambda x: ops.dropout(x, 0.5, rng=0), normal(5, 6))
def dropout_draws_another_mask(x):
    return record(ops.dropout(x, 0.5, rng=0).data, (x, lambda gy: ops.dropout(gy, 0.5, rng=1)))


# --- small beside what is large

def beside(small, x):
    """Outputs of size 1 beside others of size 10⁸."""
    return ops.concatenate([small(x), 1e8 * x])

@wrong(lambda x: beside(ops.sin, x), normal(6))
def small_output_beside_a_large_one(x):
    return beside(lambda x: record(np.sin(x.data), (x, lambda gy: gy * ops.cos(x) / 2)), x)

@wrong(lambda x: ops.sum(1e6 * x[:3]) + ops.sum(ops.sin(x[3:])), normal(6))
def small_entry_beside_large_ones(x):
    small = record(np.sin(x[3:].data), (x[3:], lambda gy, x=x: gy / 2))
    return ops.sum(1e6 * x[:3]) + ops.sum(small)

@wrong(lambda x: ops.sin(1e6 * x), normal(3))
def fast_and_a_percent_too_large(x):
    return record(np.sin(1e6 * x.data), (x, lambda gy: gy * 1.01e6 * ops.cos(1e6 * x)))


# --- arrays changed in place, digits lost, memory

@wrong(ops.multiply, normal(3, 4), normal(3, 4), says="changed in place")
def cotangent_changed_in_place(a, b):
    def rule(gy):
        gy.data[...] *= b.data
        return gy
    return record(a.data * b.data, (b, lambda gy: gy * a), (a, rule))

@wrong(lambda a, b: a + 3 * b, normal(3, 4), normal(3, 4))
def shared_cotangent_changed_in_place(a, b):
    """`+` hands one cotangent to both its inputs."""
    def rule(gy):
        gy.data[...] *= 3
        return gy
    return 1.0 * (a + record(3 * b.data, (b, rule)))

@wrong(ops.multiply, normal(3, 4), normal(3, 4), says="changed in place")
def input_changed_by_a_rule(a, b):
    def rule(gy):
        result = gy * b
        a.data[...] = 0
        return result
    return record(a.data * b.data, (b, lambda gy: gy * a), (a, rule))

@wrong(ops.negative, normal(3, 4), says="changed in place")
def input_changed_by_the_operation(x):
    return record(np.negative(x.data, out=x.data).copy(), (x, lambda gy: -gy))

@wrong(ops.exp, normal(3, 4))
def value_in_single_precision(x):
    return record(np.exp(x.data.astype("float32")).astype(float),
                  (x, with_output(lambda gy, y: gy * y)))

@wrong(ops.exp, normal(3, 4), mode="full", method="complex")
def gradient_in_single_precision(x):
    return record(np.exp(x.data), (x, with_output(lambda gy, y: (gy * y).astype("float32"))))

@wrong_transpose(lambda x: ops.cumsum(x, 0), lambda u: ops.flip(ops.cumsum(ops.flip(u, 0), 0), 0),
                 normal(5, 3), normal(5, 3))
def transpose_in_single_precision(u):
    return ops.flip(ops.cumsum(ops.flip(u, 0).astype("float32"), 0), 0)


def leaves_nothing_behind(f, seed, mode):
    """With the garbage collector off: no reference cycle keeps the graph, and with it its
    arrays."""
    x = md.tensor(np.random.default_rng(seed).normal(size=3), requires_grad=True)
    gc.disable()
    try:
        y = f(x)
        array = weakref.ref(y.data)
        del y
        assert array() is None, "the graph outlives its last Tensor"
    finally:
        gc.enable()

@wrong(ops.exp, check=leaves_nothing_behind, says="outlives")
def rule_closes_over_its_output(x):
    # y → Node → rule → y; with_output is the way
    y = record(np.exp(x.data), (x, lambda gy: gy * y))
    return y


# --- right first derivative, wrong second or third

@wrong(ops.exp, normal(3, 4), order=2)
def rule_outside_the_graph(x):
    return record(np.exp(x.data), (x, with_output(lambda gy, y: gy * constant(y.data))))

@wrong(ops.tanh, normal(3, 4), order=2, says="cotangent of output 0")
def cotangent_outside_the_graph(x):
    return record(np.tanh(x.data), (x, with_output(lambda gy, y: gy.detach() * (1 - y * y))))

@wrong(ops.multiply, normal(3, 4), normal(3, 4), order=2, blame="b")
def operand_detached(a, b):
    return record(a.data * b.data, (a, lambda gy: gy * b.detach()), (b, lambda gy: gy * a))

@wrong(ops.softmax, normal(3, 4), order=2)
def half_of_the_coupling_detached(x):
    return record(ops.softmax(x).data,
                  (x, with_output(lambda gy, y: y
                                  * (gy - ops.sum(gy * y.detach(), -1, keepdims=True)))))

@wrong(ops.sin, normal(3, 4), order=2)
def second_derivative_has_the_wrong_sign(x):
    def cos(x):
        return record(np.cos(x.data), (x, lambda gy: gy * ops.sin(x)))
    return record(np.sin(x.data), (x, lambda gy: gy * cos(x)))

@wrong(lambda x: x ** 3, normal(3, 4), order=3)
def third_derivative_is_wrong(x):
    def double(x):
        return record(2 * x.data, (x, lambda gy: 3 * gy))
    def square(x):
        return record(x.data ** 2, (x, lambda gy: gy * double(x)))
    return record(x.data ** 3, (x, lambda gy: 3 * gy * square(x)))


def penalty(f, x):
    """‖∇ Σ f(x)‖², as in a gradient penalty: it differentiates inside."""
    gradient, = md.grad(ops.sum(f(x)), x, create_graph=True)
    return ops.sum(gradient * gradient)

@wrong(lambda x: penalty(lambda x: x ** 3, x), normal(3, 4))
def penalty_of_a_rule_outside_the_graph(x):
    return penalty(lambda x: record(x.data ** 3, (x, lambda gy: 3 * gy * x.detach() ** 2)), x)

@wrong(lambda x: penalty(lambda x: x ** 4, x), normal(3, 4), order=2)
def penalty_whose_second_derivative_is_wrong(x):
    def square(x):
        return record(x.data ** 2, (x, lambda gy: 2 * gy * x.detach()))
    return penalty(lambda x: record(x.data ** 4, (x, lambda gy: 4 * gy * x * square(x))), x)


# --- useful, but not the gradient

@wrong(ops.relu, away(12))
def guided_backpropagation(x):
    """Shows what excites a unit: only positive cotangents pass.  Source: Springenberg et al.
    2014."""
    return record(np.maximum(x.data, 0),
                  (x, with_output(lambda gy, y: ops.where((y > 0).data & (gy > 0).data, gy, 0))))

@wrong(ops.sign, away(12), allow_zero=True)
def straight_through(x):
    """Trains through a step as if it were not there.  Source: Bengio et al. 2013."""
    return record(np.sign(x.data), (x, lambda gy: gy))

@wrong(lambda x: x * 1.0, normal(3, 4))
def gradient_reversal(x):
    """Trains an encoder against a classifier.  Source: Ganin and Lempitsky 2014."""
    return record(x.data.copy(), (x, lambda gy: -gy))
