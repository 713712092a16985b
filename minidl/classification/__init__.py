"""Classifiers of signals and volumes: the same convolution in one and three dimensions.

Start with `networks.py`; `training.py` is how they learn, `measures.py` how good they are beside
what needs no learning, and the plots show what they look at.

    convnet, lecture_net        networks: of Blocks; the lecture's, with its sizes
    Block                       convolution, batch norm, ReLU, and pooling
    train, Recipe               how they learn
    scores, outputs             what a network says, and what a layer gives
    active_units                units that are active somewhere
    score_gradient              which part of an example its score depends on
    Standard                    channels brought to mean 0 and deviation 1
    confusion                   what was said of what
    interval                    between which bounds the share of right answers lies
    nearest_neighbour, best_thresholds      what needs no network
    plots, signal_plots, volume_plots       pictures
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

__all__ = ["Block", "Recipe", "Standard", "active_units", "best_thresholds", "confusion", "convnet",
           "interval", "lecture_net", "nearest_neighbour", "outputs", "plots", "score_gradient",
           "scores", "signal_plots", "train", "volume_plots"]
