"""The costs of neural style transfer (Gatys, Ecker and Bethge 2016; the lecture's notation).

    J(G) = α J_content(C, G) + β J_style(S, G) + γ J_variation(G)

C is the content picture, S the style picture, G the generated one.  All are differentiable in G.
Superscripts say of which picture: a^C are activations of the content, and G^S, G^G the Gram
matrices of the other two; n_H, n_W, n_C are the sizes H, W, C of a layer.
N counts pictures; the content and style costs of several are sums.  float16 is widened to float32,
and only what a function gives is rounded back.  minidl/learn/steps/LECTURE.md goes through the
lecture, the end of a course on convolutional networks, idea by idea.
"""
import math

import numpy as np

from minidl.operands import floating, operand
from minidl.ops import gram, reshape, square, sum
from minidl.ops.precision import rounded, widened
from minidl.settings import bounded
from minidl.tensor import Tensor


def gram_matrix(a: Tensor | np.ndarray) -> Tensor:
    """G_kk' = Σ_ij a_ijk a_ijk': how strongly channels k and k' are active together, anywhere.

    a (…, H, W, C) → (…, C, C).  With F = a as a matrix of H·W rows, G = Fᵀ F:

        dG = dFᵀ F + Fᵀ dF        so   F̄ = F (Ḡ + Ḡᵀ)
    """
    a = floating("gram_matrix", a, "a")
    if a.ndim < 3:
        raise ValueError(f"gram_matrix: a must be (…, H, W, C), got shape {a.shape}")
    rows = reshape(a, a.shape[:-3] + (math.prod(a.shape[-3:-1]), a.shape[-1]))
    return gram(rows)


def content_cost(a_content: Tensor | np.ndarray, a_generated: Tensor | np.ndarray) -> Tensor:
    """J_content = 1 / (4 n_H n_W n_C) · Σ (a^C − a^G)²,  the lecture's equation 1.

        ∂J/∂a^G = (a^G − a^C) / (2 n_H n_W n_C)

    a_content, a_generated: activations (N, H, W, C) of one layer.
    """
    a_content = widened("content_cost", a_content, "a_content")
    a_generated = floating("content_cost", a_generated, "a_generated")
    dtype, a_generated = a_generated.dtype, widened("content_cost", a_generated)
    if a_content.shape != a_generated.shape:
        raise ValueError(f"content_cost: a_content has shape {a_content.shape}, a_generated "
                         f"{a_generated.shape}; they must be equal")
    cost = sum(square(a_content - a_generated)) * (1 / (4 * math.prod(a_generated.shape[-3:])))
    return rounded(cost, dtype)


def style_layer_cost(gram_style: Tensor | np.ndarray, a_generated: Tensor | np.ndarray) -> Tensor:
    """J_style^[l] = 1 / (4 n_C²) · Σ_kk' (G^S − G^G)²_kk' with each Gram matrix divided by its
    picture's n_H n_W.

    Where the pictures have one size this is the lecture's 1 / (4 n_C² (n_H n_W)²) Σ (G^S − G^G)²;
    divided so, a style picture of another size serves too.
    a_generated: (N, H, W, C);  gram_style: (N, C, C), already divided (`mean_gram`), or (C, C), one
    style for all.  Raises ValueError for shapes that do not fit.
    """
    a_generated = floating("style_layer_cost", a_generated, "a_generated")
    gram_style = operand("style_layer_cost", gram_style, "gram_style")
    styles, pictures = gram_style.shape[:-2], a_generated.shape[:-3]
    if (a_generated.ndim < 3 or gram_style.shape[-2:] != a_generated.shape[-1:] * 2
            or styles != pictures and math.prod(styles) != 1):
        raise ValueError("style_layer_cost: gram_style must be (N, C, C) or (C, C) for a_generated "
                         f"(N, H, W, C), got {gram_style.shape} and {a_generated.shape}")
    difference = mean_gram(widened("style_layer_cost", a_generated)) - gram_style
    cost = sum(square(difference)) * (1 / (4 * a_generated.shape[-1] ** 2))
    return rounded(cost, a_generated.dtype)


def mean_gram(a):
    """gram_matrix(a) / (n_H n_W): the mean of f fᵀ over the places, with their activations f."""
    a = floating("mean_gram", a, "a")
    return rounded(gram_matrix(widened("mean_gram", a)) * (1 / math.prod(a.shape[-3:-1])), a.dtype)


def style_cost(a_style, a_generated, layer_weights=None):
    """J_style = Σ_l λ_l J_style^[l],  the lecture's equation 2;  J^[l] is style_layer_cost's.

    a_style, a_generated: activations (N, H, W, C) of one layer, or dictionaries {layer:
        activations} with equal keys.
    layer_weights: {layer: λ_l}, none negative, adding up to 1; by default all equal.
    """
    if isinstance(a_style, dict) != isinstance(a_generated, dict):
        raise TypeError("style_cost: a_style and a_generated must both be arrays or both be "
                        f"dictionaries, got {type(a_style).__name__} and "
                        f"{type(a_generated).__name__}")
    if not isinstance(a_generated, dict):
        a_style, a_generated = {"": a_style}, {"": a_generated}
    if a_style.keys() != a_generated.keys():
        raise ValueError(f"style_cost: a_style has layers {sorted(a_style)}, a_generated "
                         f"{sorted(a_generated)}")
    if not a_generated:
        raise ValueError("style_cost: a_style and a_generated have no layers")
    weights = check_layer_weights("style_cost", a_generated, layer_weights)
    total = 0
    for name, a in a_generated.items():
        style = operand("style_cost", a_style[name], "a_style")
        a = operand("style_cost", a, "a_generated")
        if min(style.ndim, a.ndim) < 3:
            raise ValueError(f"style_cost: activations must be (N, H, W, C), got a_style "
                             f"{style.shape} and a_generated {a.shape}")
        if style.shape[-1] != a.shape[-1]:
            raise ValueError(f"style_cost: layer {name!r} has {style.shape[-1]} channels in "
                             f"a_style and {a.shape[-1]} in a_generated")
        style = widened("style_cost", style)            # so that its Gram matrix is not rounded
        total = total + weights[name] * style_layer_cost(mean_gram(style), a)
    return total


def check_layers(operation, argument, layers):
    """The names of layers as a tuple.

    Raises TypeError for what is no list of names, ValueError where there are none, or one is named
    twice.
    """
    if isinstance(layers, dict):
        raise TypeError(f"{operation}: {argument} must be a list of names of layers, got a "
                        "dictionary; weights go into "
                        f"{argument.replace('layers', 'layer_weights')}")
    try:
        names = None if isinstance(layers, str) else tuple(layers)
    except TypeError:
        names = None
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{operation}: {argument} must be a list of names of layers, got "
                        f"{layers!r}")
    if not names:
        raise ValueError(f"{operation}: {argument} must name at least one layer")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{operation}: {argument} names {name!r} twice")
    return names


def check_layer_weights(operation, layers, layer_weights):
    """{layer: λ}: equal ones by default; others are divided by their sum, which is 1 but for
    rounding.

    Raises ValueError unless they name these layers and add up to 1, TypeError for what is no
    dictionary of numbers.
    """
    if layer_weights is None:
        return {name: 1 / len(layers) for name in layers}
    if not isinstance(layer_weights, dict):
        raise TypeError(f"{operation}: layer weights must be a dictionary {{layer: λ}}, got "
                        f"{type(layer_weights).__name__}")
    if set(layer_weights) != set(layers):
        raise ValueError(f"{operation}: layer weights are given for {sorted(layer_weights)}, the "
                         f"layers are {sorted(layers)}")
    weights = {name: bounded(operation, f"0 ≤ the weight of layer {name} ≤ 1", weight)
               for name, weight in layer_weights.items()}
    total = math.fsum(weights.values())
    if abs(total - 1) > 1e-3:       # not only by rounding, as three times 0.333
        raise ValueError(f"{operation}: layer weights must add up to 1, got {layer_weights}, which "
                         f"add up to {total:g}")
    return {name: weight / total for name, weight in weights.items()}


def total_variation(x: Tensor | np.ndarray) -> Tensor:
    """J_variation = Σ (x_{i+1,j} − x_{ij})² + Σ (x_{i,j+1} − x_{ij})², divided by the number of
    values: how rough x is.

    x: (N, H, W, C).  Source: Mahendran and Vedaldi 2015, with exponent β = 2.
    """
    x = floating("total_variation", x, "x")
    if x.ndim != 4:
        raise ValueError(f"total_variation: x must be (N, H, W, C), got shape {x.shape}")
    dtype, x = x.dtype, widened("total_variation", x)
    down, right = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
    return rounded((sum(square(down)) + sum(square(right))) * (1 / x.size), dtype)
