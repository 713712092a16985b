"""Neural style transfer."""
from minidl.style.colors import luminance, match_colors, match_luminance, with_chroma
from minidl.style.costs import content_cost, gram_matrix, style_cost, style_layer_cost, total_variation
from minidl.style.page import Page
from minidl.style.preview import preview
from minidl.style.settings import Settings, check_settings
from minidl.style.shares import PRESETS, converted
from minidl.style.state import load_state, save_state
from minidl.style.transfer import Evaluation, Objective, Result, transfer
