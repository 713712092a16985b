"""Gram matrices, pixels as parameters, and what a network has seen."""
import numpy as np

from minidl import nn
from minidl.learn.domains import normal
from minidl.learn.path.chapter import Chapter, derive, fault, misprint, program
from minidl.learn.source import Assigned, Body, Entry, Loop
from minidl.learn.trials import Trial


def net():
    rng = np.random.default_rng(0)
    return nn.Sequential({
        "conv1": nn.Conv2d(3, 4, 3, padding=((1, 2), (2, 0)), rng=rng), "relu1": nn.ReLU(),
        "pool1": nn.MaxPool(2),
        "conv2": nn.Conv2d(4, 5, 3, stride=2, rng=rng), "relu2": nn.ReLU()})


def projected(rule):
    """A signal at the last ReLU, brought back to the pixels."""
    def call(m):
        rng = np.random.default_rng(3)
        picture = rng.uniform(0, 255, (10, 10, 3)).astype("float32")
        return m.project(net(), picture, "relu2", rng.normal(size=(2, 2, 5)), rule)
    return Trial(call, words=f"of project(…, rule={rule!r})")


def activations(name, *shapes):
    return Trial(lambda m, a_content, a_generated: getattr(m, name)(a_content, a_generated),
                 tuple(normal(*s) for s in shapes))


def fields(m):
    found = m.receptive_fields(net())
    return [number for field in found.values() for number in field]


STYLE = Chapter("11. Gram matrices, and pixels as parameters", (
    derive("gram", "ops.linear:gram", "x"),
    fault("x-twice", "gram_matrix_contains_x_twice"),
    program("gram-matrix", "style.costs:gram_matrix", Body("rows ="),
            Trial(lambda m, a: m.gram_matrix(a), (normal(2, 3, 2, 4),)),
            Trial(lambda m, a: m.gram_matrix(a), (normal(3, 2, 4),), "without a batch"),
            hints="F has a row for each place (i, j), a column for each channel; gram(F) is FᵀF."),
    program("content-cost", "style.costs:content_cost", Assigned("cost"),
            activations("content_cost", (2, 3, 2, 4), (2, 3, 2, 4))),
    program("style-cost", "style.costs:style_layer_cost",
            Body("difference =", "cost ="),
            activations("style_cost", (1, 3, 2, 4), (1, 3, 2, 4)),
            activations("style_cost", (1, 5, 4, 4), (1, 3, 2, 4)),
            hints="mean_gram(a) is the Gram matrix divided by n_H n_W; gram_style is divided "
                  "already.  widened(\"style_layer_cost\", a) has the type in which one sums up."),
    misprint("style-channels", "style.costs:style_layer_cost", "a_generated.shape[-1] ** 2",
             "a_generated.shape[-1]", activations("style_cost", (1, 3, 2, 4), (1, 3, 2, 4))),
    program("total-variation", "style.costs:total_variation", Body("down"),
            Trial(lambda m, x: m.total_variation(x), (normal(1, 4, 3, 2),)),
            hints="x[:, 1:] − x[:, :-1] are the differences downwards."),
    program("receptive-field", "visualize.fields:_behind", Loop(), Trial(fields),
            note="Each input sees `size` pixels, neighbours lie `jump` apart, input 0 has its "
                 "middle at `start`; output p is made of the inputs s·p + d·k − pad, 0 ≤ k < K.  "
                 "Append the outputs' (size, jump, start) to `found`.  A padding may be (before, "
                 "after).",
            hints=("size' = size + (K − 1)·d·jump: from the first input's box to the last's.",
                   "start' = start + ((K − 1)·d / 2 − pad)·jump,  jump' = jump·s.")),
    program("deconvnet-relu", "visualize.projection:RULES", Entry("deconvnet"),
            projected("deconvnet"), projected("gradient"),
            note="How the deconvnet goes back through y = max(x, 0): it passes on only what would "
                 "raise the activation.", hints="It looks at the signal gy alone."),
    program("guided-relu", "visualize.projection:RULES", Entry("guided"),
            projected("guided"), projected("deconvnet"),
            note="Guided backpropagation goes back through y = max(x, 0) by both rules at once.",
            hints="keep_positive(u, y) is u where y > 0, 0 elsewhere."),
))
