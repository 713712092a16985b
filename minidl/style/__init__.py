"""Neural style transfer."""
from minidl.style.costs import content_cost, gram_matrix, style_cost, style_layer_cost, total_variation
from minidl.style.transfer import Evaluation, Objective, Result, check_settings, transfer
