"""Optimisers: how parameters follow their gradients."""
import numpy as np

from minidl.learn.domains import normal
from minidl.learn.path.chapter import Chapter, misprint, program
from minidl.learn.source import Body, Returned
from minidl.learn.trials import Trial
from minidl.tensor import Tensor


def steps(kind, **settings):
    """Three steps from w along the three rows of g."""
    def call(m, w, g):
        parameter = Tensor(w, requires_grad=True)
        optimizer = getattr(m, kind)(parameter, **settings)
        for row in g:
            parameter.grad = Tensor(row)
            optimizer.step()
        return parameter.detach()
    words = ", ".join(f"{k}={v}" for k, v in settings.items())
    return Trial(call, (normal(4), normal(3, 4)), f"of three steps of {kind}({words})", arrays=True)


def clipped(length, factor=1):
    def call(m, g):
        g = g * g.dtype.type(factor)
        w = Tensor(np.zeros_like(g), requires_grad=True)
        w.grad = Tensor(g)
        return [m.clip_gradients([w], length), w.grad]
    words = f"with max_norm={length}" + " and infinite g" * (factor > 1)
    return Trial(call, (normal(5),), words, arrays=True)


def at(name, *settings):
    return [Trial(lambda m, _t=t: getattr(m, name)(_t, *settings), words=f"at t = {t}")
            for t in (0, 3, 6, 7, 8, 9, 15)]


OPTIMISERS = Chapter("8. Optimisers", (
    program("sgd", "optim:_descended", Body(), steps("SGD", learning_rate=0.1), also="optim:SGD"),
    program("momentum", "optim:_momentum_step", Body(),
            steps("SGD", learning_rate=0.1, momentum=0.9), also="optim:SGD",
            hints="It gives the new w and the new v."),
    program("nesterov", "optim:_nesterov_step", Body(),
            steps("SGD", learning_rate=0.1, momentum=0.9, nesterov=True), also="optim:SGD",
            hints="It gives the new w and the new v; the step looks one momentum further."),
    program("adagrad", "optim:_adagrad_step", Body(), steps("Adagrad", learning_rate=0.1),
            steps("Adagrad", learning_rate=0.1, eps=0.5),
            also="optim:Adagrad", hints="It gives the new w and the new s."),
    program("rmsprop", "optim:_scaled_by_root", Body(),
            steps("RMSprop", learning_rate=0.1, smoothing=0.9),
            steps("RMSprop", learning_rate=0.1, smoothing=0.9, momentum=0.5), also="optim:RMSprop"),
    program("adam", "optim:_adam_step", Body(), steps("Adam", learning_rate=0.1),
            steps("Adam", learning_rate=0.1, betas=(0.5, 0.7), eps=0.1), also="optim:Adam",
            hints="It gives the new w, m and v; correction1 is 1 − β₁ᵗ."),
    misprint("adam-bias", "optim:_adam_step", "s / correction2", "s / correction1",
             steps("Adam", learning_rate=0.1, eps=0.1), also="optim:Adam"),
    program("weight-decay", "optim:Optimizer.decay", Returned(),
            steps("SGD", learning_rate=0.1, weight_decay=0.3)),
    program("adamw", "optim:AdamW.decay", Returned(),
            steps("AdamW", learning_rate=0.1, weight_decay=0.3), also="optim:AdamW"),
    misprint("nesterov-twice", "optim:_nesterov_step", "g + mu * v", "v + mu * v",
             steps("SGD", learning_rate=0.1, momentum=0.9, nesterov=True), also="optim:SGD"),
    program("cosine", "training.schedules:cosine", Returned(), *at("cosine", 10)),
    program("warm-up", "training.schedules:warm_up", Returned(), *at("warm_up", 8)),
    program("clip-gradients", "training.descent:clip_gradients", Body("if max_norm", "if max_norm"),
            clipped(0.5), clipped(100.0), clipped(0.5, np.inf),
            hints="w.grad may be given another Tensor; _wide(g) is it in float64."),
))
