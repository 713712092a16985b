"""Classifiers of signals and volumes: the same convolution in one and three dimensions.

Start with `networks.py`; `training.py` is how they learn, `measures.py` how good they are beside
what needs no learning, and the plots show what they look at.
"""
from minidl.classification import plots, signal_plots, volume_plots
from minidl.classification.measures import (
    Standard,
    best_thresholds,
    confusion,
    interval,
    nearest_neighbour,
)
from minidl.classification.networks import Block, convnet, lecture_net
from minidl.classification.saliency import score_gradient
from minidl.classification.training import Recipe, active_units, outputs, scores, train
