"""Neural style transfer: a picture optimised, pixel by pixel, until a network sees the content of
one and the style of another in it."""
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from minidl import models
from minidl.nn.module import Module, evaluating
from minidl.operands import listed
from minidl.recording import no_grad
from minidl.settings import bounded, callback_of
from minidl.style.canvas import Pictures
from minidl.style.costs import (
    check_layer_weights,
    check_layers,
    content_cost,
    mean_gram,
    total_variation,
)
from minidl.style.descent import descend, optimizer_for
from minidl.style.masks import Region
from minidl.style.pyramid import plan
from minidl.style.settings import (
    CONTENT_LAYERS,
    STYLE_LAYERS,
    TRANSFER,
    check_known,
    settings_of,
)
from minidl.style.shares import content_weight_for
from minidl.style.state import check_state, rest, run_of
from minidl.tensor import Tensor


class Objective:
    """J(G) for fixed content and style.

    content: a Tensor (1, H, W, 3), RGB in 0..255; its activations are computed once, here.
    style: another, whose Gram matrices are computed once, here; or Regions, which bring theirs
        (`masks.py`).
    Calling it with G gives {"J", "J_content", "J_style", "J_variation", and "content LAYER" and
    "style LAYER" for each layer: Tensor}.
    """

    def __init__(self, net, content, style, *, content_weight, style_weight, variation_weight=0.0,
                 content_layers=CONTENT_LAYERS, style_layers=STYLE_LAYERS,
                 content_layer_weights=None, style_layer_weights=None):
        self.net = net
        content_layers = check_layers(TRANSFER, "content_layers", content_layers)
        style_layers = check_layers(TRANSFER, "style_layers", style_layers)
        self.content_weight = bounded(TRANSFER, "0 ≤ content_weight < inf", content_weight)
        self.style_weight = bounded(TRANSFER, "0 ≤ style_weight < inf", style_weight)
        self.variation_weight = bounded(TRANSFER, "0 ≤ variation_weight < inf", variation_weight)
        self.content_layer_weights = check_layer_weights(
            TRANSFER, content_layers, content_layer_weights
        )
        self.style_layer_weights = check_layer_weights(TRANSFER, style_layers, style_layer_weights)
        check_known(net, "content_layers", content_layers)
        check_known(net, "style_layers", style_layers)
        with no_grad():
            self.content = dict(net.walk(content, content_layers))
            if isinstance(style, Tensor):
                style = [Region({name: mean_gram(a) for name, a in net.walk(style, style_layers)})]
        self.regions = listed(TRANSFER, "style", style, "Regions, or a Tensor")

    def __call__(self, generated):
        content, style = {}, {}
        # Each cost is made as soon as its activations are there.  Backpropagation begins with what
        # was made last: so it comes to the cost of a large early layer after the deeper layers, and
        # that cost's gradient, as large as the layer, does not take up memory meanwhile.
        for name, a in self.net.walk(generated,
                                     [*self.content_layer_weights, *self.style_layer_weights]):
            if name in self.content_layer_weights:
                content[name] = content_cost(self.content[name], a)
            if name in self.style_layer_weights:
                style[name] = sum(region.cost(name, a) for region in self.regions)
        j_content = sum(w * content[name] for name, w in self.content_layer_weights.items())
        j_style = sum(w * style[name] for name, w in self.style_layer_weights.items())
        j_variation = total_variation(generated)
        j = (self.content_weight * j_content + self.style_weight * j_style
             + self.variation_weight * j_variation)
        return {"J": j, "J_content": j_content, "J_style": j_style, "J_variation": j_variation,
                **{f"content {name}": content[name] for name in self.content_layer_weights},
                **{f"style {name}": style[name] for name in self.style_layer_weights}}


@dataclass
class Evaluation:
    """One evaluation of J.

    number: from 1.   costs: {"J", "J_content", "J_style", …}.
    picture: G (1, H, W, 3), with the margin that is painted around it and cut off in the end.
    size: the longer side of the picture without that margin, in pixels.
    """
    number: int
    costs: dict
    picture: Tensor
    size: int
    _canvas: object
    _state: Callable[["Evaluation"], dict]

    @property
    def image(self):
        """(H, W, 3) uint8"""
        return to_image(self._canvas.finish(self.picture))

    @property
    def state(self):
        """What `transfer(…, resume=state)` goes on from, and what `save_state` writes.

        To be asked for in the callback: later it would mix this evaluation with what came after.
        """
        return self._state(self)


@dataclass
class Result:
    """What transfer gives.

    image: (H, W, 3) uint8, the best picture seen, or the average that `average` asks for, at the
        largest size that was reached; picture: the same in float32, not rounded.
    history: the costs at every evaluation, with its "size" and its α, "content_weight".
    interrupted: by Ctrl-C.
    stretched: the share of a style's pixels that recolouring took out of 0..255, so that they were
        clipped; of several styles the largest share.
    """
    image: np.ndarray
    history: list
    interrupted: bool
    picture: np.ndarray
    stretched: float


def transfer(content, style, *, masks=None, style_masks=None, net=None,
             callback: Callable[["Evaluation"], object] | None = None, resume: dict | None = None,
             **settings) -> Result:
    """Repaint `content` in the style of `style`: find the pixels G that make J small.

    J(G) = α J_content + β J_style + γ J_variation
    content, style: paths of pictures, or arrays (H, W, 3) with RGB in 0..255.  style may be a list.
    masks: one for each style, paths or arrays (H, W), white where it acts.
    style_masks: one for each style, white at the places of its picture that it is taken from.
    settings: those of `Settings`: size, steps, scales, look (or content_weight and style_weight),
        style_scale, style_blend_weights, colors, init, seed, ….
    net: any network of named layers, an `nn.Sequential` or an object with `walk(x, layers)`, that
        takes (1, H, W, 3) in 0..255; by default `models.vgg19(pooling="average")`.  A Module is
        used as after `eval()`, and left as it was.
    callback(Evaluation): called after every evaluation.  It may raise StopIteration to end the run.
    resume: an Evaluation's `state`, to go on from there with the same settings and pictures.
    Ctrl-C ends the run with the result so far.
    Raises ValueError for settings out of range, layers named twice, pictures that are not in
    0..255, or a single picture as content, style and start, where J is 0 from the beginning;
    TypeError for settings of another kind; OSError for files.
    """
    settings = settings_of(TRANSFER, settings)
    callback_of(TRANSFER, callback, "of an Evaluation")
    if resume is not None:
        check_state(TRANSFER, "resume", resume)
    styles = list(style) if isinstance(style, (list, tuple)) else [style]
    settings.check_styles(len(styles), masks, style_masks)
    net = models.vgg19(pooling="average") if net is None else net
    pictures = Pictures(content, styles, masks, style_masks, settings, net)
    check_known(net, "content_layers", settings.content_layers)     # before the styles are walked
    check_known(net, "style_layers", settings.style_layers)
    with evaluating(net) if isinstance(net, Module) else nullcontext():
        return _Painter(pictures, settings, net, callback).paint(resume)


class _Painter:
    """Paints from coarse to fine: J is made anew at each scale, and lowered from the last
    picture."""

    def __init__(self, pictures, settings, net, callback):
        self.pictures, self.settings, self.net, self.callback = pictures, settings, net, callback
        self.optimizer = settings.optimizer or optimizer_for(pictures.pixels)
        self.history, self.canvas, self.run = [], None, run_of(pictures, settings)

    def paint(self, resume):
        todo, start = plan(self.settings.size, self.settings.steps, self.settings.scales), None
        if resume is not None:
            todo, start, self.history = rest(resume, todo)
            self.pictures.at(resume["size"]).check_fits(start)
            if resume["of"] != self.run:
                raise ValueError(f"{TRANSFER}: the state to resume from is of a run with other "
                                 "pictures, masks or settings; give those that it began with")
        result, interrupted = None, False
        for scale in todo:
            try:
                found = self.paint_at(scale, start)
            except KeyboardInterrupt:           # while J was made; descend catches its own
                if result is None:
                    raise
                interrupted = True
                break
            result, interrupted = self.canvas.finish(found.picture), found.interrupted
            if found.ended:
                break
            start = self.canvas.taken(found.picture, found.memory)
        return Result(to_image(result), self.history, interrupted, result, self.pictures.stretched)

    def paint_at(self, scale, start):
        """Lower J at one size: descend's `Found`, with the picture and the memory of the optimiser.

        start: None, or the picture, its margin and the optimiser's memory, as `Canvas.taken` packs
        them: from the last size, or from a state to resume.
        """
        canvas = self.pictures.at(scale.size)
        objective = self.objective_on(canvas)
        picture, memory = canvas.start() if start is None else canvas.placed(start)
        self.canvas, self.objective, self.lowest = canvas, objective, float("inf")
        return descend(self.evaluate, picture, scale.steps, self.optimizer, report=self.report,
                       learning_rate=self.settings.learning_rate, memory=memory,
                       average=self.settings.average_used(self.optimizer))

    def objective_on(self, canvas):
        """J at one size.

        Where the settings ask for the content's share of the gradient instead of α and β, α is
        measured at this size, by a probe picture (`shares.py`).
        """
        settings = self.settings
        alpha, beta = settings.plain_weights
        with no_grad():
            regions = canvas.regions()
        objective = Objective(self.net, canvas.content, regions, content_weight=alpha,
                              style_weight=beta, content_layers=settings.content_layers,
                              style_layers=settings.style_layers,
                              content_layer_weights=settings.content_layer_weights,
                              style_layer_weights=settings.style_layer_weights,
                              variation_weight=settings.variation_weight)
        if settings.share is not None:
            probe = canvas.probe()
            objective.content_weight = content_weight_for(settings.share, objective, probe)
        return objective

    def evaluate(self, generated):
        costs = self.objective(generated)
        self.history.append({name: cost.item() for name, cost in costs.items()} | {
            "size": self.canvas.size, "content_weight": self.objective.content_weight})
        return costs["J"]

    def report(self, number, picture, memory):      # number: within this size
        if self.history[-1]["J"] < self.lowest:
            self.best, self.lowest = picture, self.history[-1]["J"]
        if self.callback is not None:
            self.memory = memory
            self.callback(Evaluation(len(self.history), self.history[-1], picture,
                                     self.canvas.size, self.canvas, self.state))

    def state(self, step):
        """What a run that goes on from this Evaluation needs; see `state.py`.

        L-BFGS goes on from the best picture, with a new estimate of the curvature.  The other
        methods repeat the evaluation, and then do what they would have done: bit for bit.
        """
        again = self.optimizer != "lbfgs"
        history = self.history[:step.number - again]
        return {"of": self.run, "size": step.size,
                "done": sum(costs["size"] == step.size for costs in history), "history": history,
                "start": step._canvas.taken(step.picture if again else self.best, self.memory)}


def to_image(picture):
    """(H, W, 3) in 0..255 as uint8, rounded and held to the range."""
    return np.rint(picture.clip(0, 255)).astype(np.uint8)
