"""Wrong formulas: a sign, a factor, an axis, a transpose."""
from functools import partial

import numpy as np

from minidl import ops
from minidl.learn.domains import away, distinct, integers, mask, normal, positive
from minidl.learn.mutants.catalogue import wrong, wrong_transpose
from minidl.tensor import constant, record, with_output

# --- signs, factors, forgotten terms

@wrong(ops.subtract, normal(3, 4), normal(3, 4), blame="b")
def sign_of_the_second_term_forgotten(a, b):
    return record(a.data - b.data, (a, lambda gy: gy), (b, lambda gy: gy))

@wrong(ops.square, normal(3, 4))
def factor_two_forgotten(x):
    return record(x.data ** 2, (x, lambda gy: gy * x))

@wrong(ops.erf, normal(3, 4))
def constant_rounded_to_three_digits(x):
    return record(ops.erf(x).data, (x, lambda gy: gy * 1.128 * ops.exp(-x * x)))  # 2/√π = 1.12838

@wrong(ops.tanh, normal(3, 4))
def cotangent_forgotten(x):
    """Right wherever the cotangent is 1, so a tester must draw it at random."""
    return record(np.tanh(x.data), (x, with_output(lambda gy, y: 1 - y * y)))

@wrong(ops.tanh, normal(3, 4))
def sign_of_the_cotangent_lost(x):
    return record(np.tanh(x.data), (x, with_output(lambda gy, y: abs(gy) * (1 - y * y))))

@wrong(ops.multiply, normal(3, 4), normal(3, 4), blame="a")
def operands_exchanged(a, b):
    return record(a.data * b.data, (a, lambda gy: gy * a), (b, lambda gy: gy * b))

@wrong(ops.multiply, normal(3, 4), normal(3, 4), blame="b", says="zero everywhere")
def second_operand_forgotten(a, b):
    return record(a.data * b.data, (a, lambda gy: gy * b))

@wrong(ops.divide, normal(3, 4), positive(3, 4), blame="b")
def square_of_the_divisor_forgotten(a, b):
    return record(a.data / b.data, (a, lambda gy: gy / b), (b, lambda gy: -gy * a / b))

@wrong(ops.power, positive(3, 4), normal(3, 4), blame="b")
def logarithm_of_the_base_forgotten(a, b):
    return record(a.data ** b.data, (a, lambda gy: gy * b * a ** (b - 1)),
                  (b, with_output(lambda gy, y: gy * y)))

@wrong(lambda x: ops.sin(3 * x), normal(3, 4))
def inner_derivative_forgotten(x):
    return record(np.sin(3 * x.data), (x, lambda gy: gy * ops.cos(3 * x)))

@wrong(lambda x: x * ops.sigmoid(x), normal(3, 4))
def half_of_the_product_rule(x):
    return record((x * ops.sigmoid(x)).data, (x, lambda gy: gy * ops.sigmoid(x)))

@wrong(ops.sigmoid, normal(3, 4))
def input_where_the_output_belongs(x):
    return record(ops.sigmoid(x).data, (x, lambda gy: gy * x * (1 - x)))

@wrong(ops.absolute, away(12))
def negative_side_forgotten(x):
    return record(abs(x.data), (x, lambda gy: ops.where(x > 0, gy, 0)))

@wrong(lambda x: ops.clip(x, -0.5, 0.5), away(12, points=(-0.5, 0.5)))
def bounds_forgotten(x):
    return record(x.data.clip(-0.5, 0.5), (x, lambda gy: gy))

@wrong(lambda x: 1e-9 * x, normal(3, 4))
def tiny_gradient_twice_too_large(x):
    """An absolute tolerance of 10⁻⁶ would let it pass."""
    return record(1e-9 * x.data, (x, lambda gy: 2e-9 * gy))

@wrong(lambda x: x + 1e4, normal(3, 4))
def twice_too_large_beside_a_large_constant(x):
    return record(x.data + 1e4, (x, lambda gy: 2 * gy))

@wrong(ops.exp, normal(40, 40))
def one_entry_of_1600_forgotten(x):
    return record(np.exp(x.data), (x, with_output(lambda gy, y: ops.set_at(gy * y, (39, 39), 0))))


# --- broadcasting and reductions

@wrong(ops.add, normal(4, 3), normal(3), blame="b")
def broadcast_operand_averaged(x, b):
    return record(x.data + b.data, (x, lambda gy: gy), (b, lambda gy: ops.mean(gy, 0)))

@wrong(ops.add, normal(4, 3), normal(3), blame="b")
def broadcast_operand_gets_one_row(x, b):
    return record(x.data + b.data, (x, lambda gy: gy), (b, lambda gy: gy[0]))

@wrong(ops.multiply, normal(3, 1), normal(3, 3))
def broadcast_axis_mistaken(a, b):
    return record(a.data * b.data, (a, lambda gy: ops.sum(gy * b, 0).reshape(3, 1)),
                  (b, lambda gy: gy * a))

@wrong(lambda x: ops.sum(x, 1), normal(3, 3))
def sum_spread_along_the_other_axis(x):
    # needs keepdims: (3,) is a row
    return record(x.data.sum(1), (x, lambda gy: ops.broadcast_to(gy, (3, 3))))

@wrong(ops.mean, normal(3, 4))
def count_of_a_mean_forgotten(x):
    return record(x.data.mean(), (x, lambda gy: ops.broadcast_to(gy, x.shape)))

@wrong(lambda x: ops.var(x, ddof=1), normal(3, 4))
def degrees_of_freedom_forgotten(x):
    return record(x.data.var(ddof=1), (x, lambda gy: gy * 2 * (x - ops.mean(x)) / x.size))

@wrong(lambda x: ops.cumsum(x, 0), normal(4, 3))
def running_sum_from_the_same_end(x):
    return record(x.data.cumsum(0), (x, lambda gy: ops.cumsum(gy, 0)))

@wrong(ops.softmax, normal(3, 4))
def softmax_without_coupling(x):
    # each class on its own
    return record(ops.softmax(x).data, (x, with_output(lambda gy, y: gy * y * (1 - y))))

@wrong(ops.log_softmax, normal(3, 4))
def log_softmax_without_the_sum(x):
    return record(ops.log_softmax(x).data, (x, with_output(lambda gy, y: gy - ops.exp(y) * gy)))

@wrong(lambda x: ops.standardize(x, 0, eps=0.1), normal(5, 3))
def batch_statistics_as_constants(x):
    r = (x.data.var(0) + 0.1) ** -0.5
    return record((x.data - x.data.mean(0)) * r, (x, lambda gy: gy * r))

@wrong(lambda x: ops.standardize(x, 0, eps=0.1), normal(5, 3))
def batch_variance_as_a_constant(x):
    r = (x.data.var(0) + 0.1) ** -0.5
    return record((x.data - x.data.mean(0)) * r, (x, lambda gy: (gy - ops.mean(gy, 0)) * r))


# --- shapes and positions

@wrong(lambda x: ops.transpose(x, 1, 2, 0), normal(3, 3, 3))
def permutation_not_inverted(x):
    return record(x.data.transpose(1, 2, 0), (x, lambda gy: ops.transpose(gy, 1, 2, 0)))

@wrong(lambda x: ops.reshape(x, 4, 3), normal(3, 4))
def reshaped_column_by_column(x):
    return record(x.data.reshape(4, 3),
                  (x, lambda gy: ops.transpose(ops.reshape(ops.transpose(gy), 4, 3))))

@wrong(lambda x: ops.roll(x, 1), normal(5))
def rolled_on_instead_of_back(x):
    return record(np.roll(x.data, 1), (x, lambda gy: ops.roll(gy, 1)))

@wrong(lambda a, b: ops.concatenate([a, b]), normal(2, 3), normal(2, 3))
def stretches_exchanged(a, b):
    return record(np.concatenate([a.data, b.data]), (a, lambda gy: gy[2:]), (b, lambda gy: gy[:2]))

@wrong(lambda x: ops.pad(x, 1), normal(3, 4))
def padding_cropped_at_the_end_only(x):
    return record(np.pad(x.data, 1), (x, lambda gy: gy[:3, :4]))

@wrong(lambda x: ops.repeat(x, 2, 0), normal(3, 4))
def repeat_taken_for_tile(x):
    return record(x.data.repeat(2, 0), (x, lambda gy: gy[:3] + gy[3:]))

@wrong(lambda x: x[::2], normal(6, 2))
def step_of_a_slice_forgotten(x):
    return record(x.data[::2], (x, lambda gy: ops.pad(gy, ((0, 3), (0, 0)))))

@wrong(lambda x, rows: x[rows], normal(3, 4), integers(3, 5))
def gather_assigns_instead_of_adding(x, rows):
    def rule(gy):
        made = np.zeros(x.shape)
        made[rows.data] = gy.data  # a row that was read twice keeps only one cotangent
        return constant(made)
    return record(x.data[rows.data], (x, rule))

@wrong(lambda x, v: ops.set_at(x, 1, v), normal(3, 4), normal(4))
def overwritten_entries_keep_their_cotangent(x, v):
    return record(ops.set_at(x, 1, v).data, (x, lambda gy: gy), (v, lambda gy: gy[1]))

@wrong(ops.where, mask(3, 4), normal(3, 4), normal(3, 4), blame="a")
def both_branches_taken(c, a, b):
    return record(np.where(c.data, a.data, b.data), (a, lambda gy: gy), (b, lambda gy: gy))


# --- products

@wrong(ops.matmul, normal(3, 3), normal(3, 3))
def operand_not_transposed(a, b):
    """Square matrices: every shape fits."""
    return record(a.data @ b.data, (a, lambda gy: gy @ b), (b, lambda gy: a.T @ gy))

@wrong(ops.matmul, normal(3, 4), normal(4, 3), blame="b")
def product_transposed(a, b):
    return record(a.data @ b.data, (a, lambda gy: gy @ b.T), (b, lambda gy: a.T @ gy.T))

@wrong(lambda a, b: ops.einsum("nij,nj->ni", a, b), normal(2, 3, 3), normal(2, 3), blame="a")
def letters_exchanged(a, b):
    return record(np.einsum("nij,nj->ni", a.data, b.data),
                  (a, lambda gy: ops.einsum("nj,ni->nij", gy, b)),
                  (b, lambda gy: ops.einsum("nij,ni->nj", a, gy)))

@wrong(lambda x: x.T @ x, normal(4, 3))
def gram_matrix_contains_x_twice(x):
    """x̄ = x (ȳ + ȳᵀ): twice the half only if the cotangent is symmetric."""
    return record(x.data.T @ x.data, (x, lambda gy: 2 * x @ gy))


# --- convolution and pooling: x (N, T, C), w (K, C, O)

@wrong(ops.conv, normal(2, 5, 2), normal(3, 2, 3))
def filter_not_mirrored(x, w):
    return record(ops.conv(x, w).data, (x, lambda gy: ops.conv_input(gy, ops.flip(w, 0), 5)),
                  (w, lambda gy: ops.conv_weight(x, gy, 3)))

@wrong(partial(ops.conv, stride=2), normal(2, 7, 2), normal(3, 2, 3), blame="w")
def stride_dropped(x, w):
    return record(ops.conv(x, w, stride=2).data, (x, lambda gy: ops.conv_input(gy, w, 7, stride=2)),
                  (w, lambda gy: ops.conv_weight(x[:, :5], gy, 3)))

@wrong(partial(ops.conv, dilation=2), normal(2, 7, 2), normal(3, 2, 3))
def dilation_dropped(x, w):
    return record(ops.conv(x, w, dilation=2).data,
                  (w, lambda gy: ops.conv_weight(x, gy, 3, dilation=2)),
                  (x, lambda gy: ops.pad(ops.conv_input(gy, w, 5), ((0, 0), (0, 2), (0, 0)))))

@wrong(partial(ops.conv, padding=1), normal(2, 5, 2), normal(3, 2, 3))
def padding_dropped(x, w):
    return record(ops.conv(x, w, padding=1).data, (x, lambda gy: ops.conv_input(gy, w, 7)[:, :5]),
                  (w, lambda gy: ops.conv_weight(x, gy, 3, padding=1)))

@wrong(partial(ops.conv, groups=2), normal(2, 5, 4), normal(3, 2, 4))
def groups_dropped(x, w):
    return record(ops.conv(x, w, groups=2).data,
                  (x, lambda gy: ops.conv_input(gy, ops.tile(w, (1, 2, 1)), 5)),
                  (w, lambda gy: ops.conv_weight(x, gy, 3, groups=2)))

@wrong(ops.conv, normal(2, 5, 2), normal(3, 2, 3), normal(3), blame="b")
def bias_counted_once(x, w, b):
    return record(ops.conv(x, w, b).data, (x, lambda gy: ops.conv_input(gy, w, 5)),
                  (w, lambda gy: ops.conv_weight(x, gy, 3)), (b, lambda gy: ops.mean(gy, (0, 1))))

@wrong(ops.conv_relu, normal(2, 5, 2), normal(3, 2, 3))
def positive_part_not_gone_back_through(x, w):
    y = ops.conv_relu(x, w).data
    return record(y, (x, lambda gy: ops.conv_input(gy, w, 5)),              # ȳ as it came
                  (w, lambda gy: ops.conv_weight(x, gy * constant(y > 0), 3)))

@wrong_transpose(lambda x: ops.average_pool(x, 2), lambda u: 0.5 * ops.repeat(u, 2, 1),
                 normal(2, 6, 3), normal(2, 3, 3))
def size_of_the_window_forgotten(u):
    return ops.repeat(u, 2, 1)

@wrong_transpose(lambda x: 3 * ops.average_pool(x, 3, 1),
                 lambda u: ops.pad(u, ((0, 0), (0, 2), (0, 0)))
                 + ops.pad(u, ((0, 0), (1, 1), (0, 0))) + ops.pad(u, ((0, 0), (2, 0), (0, 0))),
                 normal(1, 5, 2), normal(1, 3, 2))
def overlapping_windows_overwrite(u):
    made = np.zeros((1, 5, 2))
    for t in range(3):
        made[:, t:t + 3] = u.data[:, t:t + 1]       # should be +=
    return constant(made)

@wrong(lambda x: ops.max_pool(x, 2, padding=1), lambda rng: distinct(2, 6, 2)(rng) - 10)
def zero_padded_maximum(x):
    """The value of a window padded with 0, the gradient of one padded with −∞: they differ where
    all x are negative."""
    switches = ops.max_pool_with_switches(x, 2, 2, 1)[1]
    padded = np.pad(x.data, ((0, 0), (1, 1), (0, 0)))
    return record(padded.reshape(2, 4, 2, 2).max(2), (x, lambda gy: ops.unpool(gy, switches)))

@wrong(lambda x: ops.max_pool(x, 2), distinct(2, 6, 2))
def maximum_shared_by_its_window(x):
    return record(ops.max_pool(x, 2).data, (x, lambda gy: 0.5 * ops.repeat(gy, 2, 1)))
