"""Which entries of an example a score hangs on."""
from minidl import ops
from minidl.nn.module import evaluating
from minidl.recording import recording
from minidl.tensor import grad, tensor


def score_gradient(net, x, labels):
    """∂ score of each example's class / ∂ x: an array as x (N, *S, C); labels (N,).

    In `eval()` no example's scores depend on another one, so one sweep from their sum gives all.
    Source: Simonyan, Vedaldi and Zisserman 2013.
    """
    given = tensor(x, requires_grad=True)
    with recording(True), evaluating(net):
        found = net(given)
        chosen = ops.take_along_axis(found, tensor(labels[:, None], device=found.device), 1)
        gradient, = grad(ops.sum(chosen), given)
    return gradient.numpy()
