"""A dense network: matrix products, nonlinearities, a cost."""
import numpy as np

from minidl.learn.domains import normal
from minidl.learn.path.chapter import Chapter, derive, fault, program, write
from minidl.learn.source import Body, Returned
from minidl.learn.trials import Trial


def dense(bias):
    def call(m, x):
        layer = m.Dense(3, 2, bias=bias, dtype=x.dtype, rng=0)
        return layer(x)
    return Trial(call, (normal(4, 3),), "" if bias else "without a bias")


def squared_error(reduction):
    return Trial(lambda m, prediction, target: m.mean_squared_error(prediction, target, reduction),
                 (normal(3, 2), normal(3, 2)), f"({reduction})")


def spread(name):
    return Trial(lambda m: getattr(m, name)((40, 30), np.random.default_rng(0)))


DENSE = Chapter("4. A dense network", (
    write("matmul-left", "ops.linear:matmul", "a"),
    derive("matmul-right", "ops.linear:matmul", "b"),
    fault("transposed", "operand_not_transposed"),
    program("dense", "nn.layers:Dense.forward", Body(), dense(True), dense(False),
            also="nn.layers:Dense",
            hints="W is self.weight, b self.bias, or None; check_features(self, x, n) gives x as a "
                  "Tensor, checked."),
    write("relu", "ops.activation:relu", "x"),
    fault("guided", "guided_backpropagation"),
    derive("sigmoid", "ops.activation:sigmoid", "x"),
    fault("input-for-output", "input_where_the_output_belongs"),
    derive("softplus", "ops.activation:softplus", "x"),
    write("elu", "ops.activation:elu", "x", cases=("elu",), trials=(
        Trial(lambda m, x: m.elu(x, 0.5), (lambda rng: np.array([0.0, 1.0]),), "at 0"),)),
    program("squared-error", "losses:mean_squared_error", Returned(),
            *map(squared_error, ("mean", "sum", "none")),
            hints='_reduce("mean_squared_error", losses, reduction, dtype) takes the mean or sum.'),
    program("fans", "nn.initializers:fans", Body("positions"),
            *(Trial(lambda m, _s=s: m.fans(_s), words=f"for {s}")
              for s in ((3, 4), (3, 3, 16, 32), (5, 2, 7)))),
    program("glorot", "nn.initializers:glorot_normal", Returned(), spread("glorot_normal"),
            hints="_normal(standard deviation, shape, rng) draws; the docstring has the variance."),
    fault("sign-lost", "sign_of_the_cotangent_lost"),
))
