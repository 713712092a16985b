"""Which entries of an example a score depends on."""
from collections.abc import Sequence

import numpy as np

from minidl import ops
from minidl.classification.checks import classes_of, examples_of
from minidl.nn.module import Module, evaluating
from minidl.recording import recording
from minidl.settings import of_kind
from minidl.tensor import grad, tensor


def score_gradient(net: Module, x: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """∂ score of each example's class / ∂ x: an array as x (N, *S, C); labels (N,).

    In `eval()` no example's scores depend on another one, so one sweep from their sum gives all.
    Raises ValueError for labels that the net has no scores of.
    Source: Simonyan, Vedaldi and Zisserman 2013.
    """
    of_kind("score_gradient", "net", net, "a Module", Module)
    x = examples_of("score_gradient", x)
    given = tensor(x, requires_grad=True)
    with recording(True), evaluating(net):
        found = net(given)
        classes = classes_of("score_gradient", labels, len(x), found.shape[-1])
        chosen = ops.take_along_axis(found, tensor(classes[:, None], device=found.device), 1)
        gradient, = grad(ops.sum(chosen), given)
    return gradient.numpy()
