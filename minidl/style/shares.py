"""Weights that mean the same at every size: shares of the gradient.

α and β multiply costs whose sizes depend on the picture, the layers, the network and the number of
pixels, so that no α is "strong" everywhere.  What is asked for instead is the share with which each
cost pulls at the pixels.  With the content's share s, 0 < s < 1, at a probe picture P:

    α ‖∂J_content/∂P‖₁ / (α ‖∂J_content/∂P‖₁ + β ‖∂J_style/∂P‖₁) = s,        β = 1

    so   α = s / (1 − s) · ‖∂J_style/∂P‖₁ / ‖∂J_content/∂P‖₁

P is 0.6 noise, drawn by the seed, and 0.4 content: at the content itself the content's gradient is
0.  The two norms are measured once at each size, which takes two gradients.
Source: normalize_gradients of neural-style (Johnson 2015), there at every step.
"""
import math

from minidl.operands import check_sizes
from minidl.settings import bounded, one_of
from minidl.tensor import grad, tensor

PROBE_NOISE = 0.6

# The content's share, and what the picture looks like.
PRESETS = {
    "light": 0.15,      # the photograph, with the painting's colours and a touch of its strokes
    "balanced": 0.03,   # everything is painted, and everything can still be recognised
    "strong": 0.006,    # the painting's shapes, out of which the subject emerges
}


def check_look(operation, look):
    """The content's share, of a name in PRESETS or a number 0 < s < 1."""
    if isinstance(look, str):
        if look not in PRESETS:
            raise ValueError(f"{operation}: look must be {', '.join(PRESETS)} or the content's "
                             f"share 0 < s < 1, got {look!r}")
        return PRESETS[look]
    return bounded(operation, "0 < look < 1", look)


def content_weight_for(share, objective, probe):
    """α, beside β = 1, with which the content pulls by this share at the probe (1, H, W, 3)."""
    pulls = {name: _pull(objective, name, probe) for name in ("J_content", "J_style")}
    if not pulls["J_content"] > 0:
        return 1.0                              # nothing to weigh: no α would give it a share
    return share / (1 - share) * pulls["J_style"] / pulls["J_content"]


def _pull(objective, name, probe):
    """‖∂J/∂P‖₁ of one of the objective's costs."""
    probe = tensor(probe, requires_grad=True)
    slope, = grad(objective(probe)[name], probe)
    return abs(slope).sum().item()


# Other tools, by what their costs are in ours (minidl.style.costs), for C channels and n places;
# G stands for the difference of two Gram matrices:
#   ours            J_content = 1/4 mean (a − c)²            J_style^[l] = 1/(4 C²) Σ (G/n)²
#   neural-style,   mean (a − c)²       = 4 J_content        1/C² Σ (G/(C n))² = 4/C² J_style^[l]
#   neural-style-pt
#   neural-style-tf 1/(2 √(C n)) Σ (a − c)²                  1/(4 C² n²) Σ G² = J_style^[l], mean
#                   = 2 √(C n) J_content                     over layers of weight 1/5, and styles
#   lecture         J_content, J_style                       as ours
TOOLS = {
    "neural-style": (5.0, 100.0),
    "neural-style-pt": (5.0, 100.0),
    "neural-style-tf": (5.0, 10_000.0),
    "lecture": (10.0, 40.0),
}
CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}


def converted(tool: str, content_weight: float | None = None, style_weight: float | None = None,
              height: int = 512, width: int = 512) -> dict:
    """What another tool's weights are here: {"content_weight", "style_weight",
    "style_layer_weights"}.

    They give the same J, for the layers relu4_2 and relu1_1 to relu5_1, VGG-19's weights in their
    first form (BGR minus the mean, 0..255) and content and style of one size, height × width
    pixels. By default the tool's own weights.  crowsonkb/style-transfer-pytorch has none that are
    equal: its costs are divided by the L1 norm of their own gradients at the activations, as shares
    are at the pixels.
    """
    one_of("converted", "tool", tool, TOOLS)
    check_sizes("converted", height=height, width=width)
    alpha, beta = (default if given is None else bounded("converted", f"0 ≤ {name} < inf", given)
                   for name, given, default in zip(("content_weight", "style_weight"),
                                                   (content_weight, style_weight), TOOLS[tool]))
    each = dict.fromkeys(CHANNELS, 1 / len(CHANNELS))
    if tool in ("neural-style", "neural-style-pt"):
        inverse = {layer: 4 / channels ** 2 for layer, channels in CHANNELS.items()}
        total = math.fsum(inverse.values())
        alpha, beta = 4 * alpha, beta * total
        each = {layer: value / total for layer, value in inverse.items()}
    elif tool == "neural-style-tf":
        alpha = alpha * 2 * math.sqrt(CHANNELS["relu4_1"] * (height // 8) * (width // 8))
        beta = beta / len(CHANNELS)
    return {"content_weight": alpha, "style_weight": beta, "style_layer_weights": each}
