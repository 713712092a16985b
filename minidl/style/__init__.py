"""Neural style transfer.

Read `costs.py` (the lecture's formulas) and `transfer.py` (what is done with them).  Then, one idea
each: `descent.py` (how the pixels move), `pyramid.py` (from coarse to fine, in a margin),
`blending.py` and `masks.py` (several styles), `colors.py`, `shares.py` (weights that mean the same
at every size).  Around them stand `settings.py`, `canvas.py` (the pictures at one size), `state.py`
(runs that go on), `page.py` and `preview.py` (to look at).

The costs
    gram_matrix                 how strongly channels are active together
    content_cost                of one layer's activations
    style_cost, style_layer_cost    of several layers, of one
    total_variation             how rough a picture is
    Objective                   J(G), for fixed content and style
Painting
    transfer, Result            a content in the style of a painting
    Evaluation                  what its callback is given
    Settings, check_settings    all that it may be told, checked
    PRESETS, converted          the content's share by name; other tools' weights
    save_state, load_state      a run that was cut short
Colours
    luminance, with_chroma      Y of a picture; its Y with another's chroma
    match_colors, match_luminance   a painting in the content's colours
To look at
    preview                     a grid of small pictures to choose from
    Page                        one HTML file that shows a run
"""
from minidl.style.colors import luminance, match_colors, match_luminance, with_chroma
from minidl.style.costs import (
    content_cost,
    gram_matrix,
    style_cost,
    style_layer_cost,
    total_variation,
)
from minidl.style.page import Page
from minidl.style.preview import preview
from minidl.style.settings import Settings, check_settings
from minidl.style.shares import PRESETS, converted
from minidl.style.state import load_state, save_state
from minidl.style.transfer import Evaluation, Objective, Result, transfer

__all__ = ["Evaluation", "Objective", "PRESETS", "Page", "Result", "Settings", "check_settings",
           "content_cost", "converted", "gram_matrix", "load_state", "luminance", "match_colors",
           "match_luminance", "preview", "save_state", "style_cost", "style_layer_cost",
           "total_variation", "transfer", "with_chroma"]
