"""Neural style transfer.

Read `costs.py` (the lecture's formulas) and `transfer.py` (what is done with them).  Then, one idea
each: `descent.py` (how the pixels move), `pyramid.py` (from coarse to fine, in a margin),
`blending.py` and `masks.py` (several styles), `colors.py`, `shares.py` (weights that mean the same
at every size).  Around them stand `settings.py`, `canvas.py` (the pictures at one size), `state.py`
(runs that go on), `page.py` and `preview.py` (to look at).
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
