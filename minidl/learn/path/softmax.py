"""Softmax and cross-entropy."""
import numpy as np

from minidl.learn.domains import between, integers, normal
from minidl.learn.path.chapter import Chapter, derive, fault, program, write
from minidl.learn.source import Assigned, Body, Parts
from minidl.learn.trials import Trial


def large(*shape):
    """Scores whose exponential is beyond any number of the type."""
    return lambda rng: rng.normal(size=shape) * 10 + 1000


def of(name, *inputs, words="", **options):
    return Trial(lambda m, x: getattr(m, name)(x, **options), inputs, words)


def overflow(name):
    return (of(name, normal(2, 3)), of(name, large(2, 3), words="near 1000"),
            of(name, normal(2, 3, 2), words="along axis 1", axis=1))


def cross_entropy(reduction):
    return Trial(lambda m, logits, labels: m.cross_entropy(logits, labels, reduction),
                 (normal(2, 2, 3), integers(3, 2, 2)), f"({reduction})")


SOFTMAX = Chapter("7. Softmax and cross-entropy", (
    program("softmax", "ops.exponentials:softmax", Parts((Assigned("e"), Assigned("total"))),
            *overflow("softmax"),
            hints=("e¹⁰⁰⁰ overflows, but softmax does not change when the largest x is taken from "
                   "all: _shift gives it.",
                   "e and total are arrays of the library: x.data, backend.of(x.data).exp, and "
                   "kernels.sums.total(…, axes, keepdims=True) or .sum(axes, keepdims=True).")),
    derive("softmax-rule", "ops.exponentials:softmax", hole=Body(of="rule")),
    fault("no-coupling", "softmax_without_coupling"),
    program("log-sum", "ops.exponentials:_log_sum", Body(), *overflow("logsumexp"),
            of("logsumexp", lambda rng: np.array([[7.0, 7.0], [0.0, -50.0]]), axis=1,
               words="of two that are equal, and of two far apart"),
            hints="The answer has length 1 along the axes: sum with keepdims=True."),
    derive("logsumexp-rule", "ops.exponentials:logsumexp", hole=Body(of="rule"),
           cases=("logsumexp",), trials=(of("logsumexp", lambda rng: np.array([-np.inf, -np.inf]),
                                            words="where all are −∞"),)),
    write("log-softmax-rule", "ops.exponentials:log_softmax", hole=Body(of="rule")),
    fault("without-the-sum", "log_softmax_without_the_sum"),
    program("sigmoid-value", "ops.activation:sigmoid", Parts((Assigned("e"), )),
            of("sigmoid", normal(2, 3)),
            of("sigmoid", lambda rng: np.array([-1000.0, 1000.0, 0.0]), words="far out"),
            hints="Look at the last lines: which e makes 1 / (1 + e) and e / (1 + e) right, and "
                  "is never above 1?"),
    program("one-hot", "ops.indexing:one_hot", Assigned("rows"),
            Trial(lambda m: m.one_hot([2, 0], 3)), Trial(lambda m: m.one_hot([[1, 2], [3, 0]], 4)),
            hints="Compare labels (…, 1) with 0 … classes − 1."),
    program("cross-entropy", "losses:_of_labels", Body("each = along", "each = ops.squeeze"),
            *map(cross_entropy, ("mean", "sum", "none")),
            note="`each` is the loss of each label, (…), so far without weights; `surprise` (…, K) "
                 "is −log softmax of the scores.",
            hints=("The loss is the entry of `surprise` at the label.",
                   "along_axis(x, indices, axis) reads one entry for each line; indices is an "
                   "array with as many axes as x.")),
    fault("batch-of-one", "right_only_for_a_batch_of_one"),
    program("binary-cross-entropy", "losses:binary_cross_entropy_with_logits", Assigned("each"),
            Trial(lambda m, logits, targets: m.binary_cross_entropy_with_logits(logits, targets),
                  (normal(3, 2), between(0.1, 0.9, 3, 2))),
            Trial(lambda m, logits, targets: m.binary_cross_entropy_with_logits(
                logits, targets, "none"), (lambda rng: np.array([800.0, -800.0, 30.0, -30.0]),
                                           lambda rng: np.array([1.0, 0.0, 1.0, 0.0])), "far out"),
            hints="−log σ(z) = softplus(−z), −log(1 − σ(z)) = softplus(z)."),
))
