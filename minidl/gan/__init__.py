"""Generative adversarial networks: an artist and an art critic play.

Start with `games.py`, `penalties.py` and `theory.py`; `plane.py` is the laboratory, where all can
be seen; `networks.py` and `training.py` make pictures.
"""
from minidl.gan import (
    density,
    diffaugment,
    dirac,
    measures,
    mixtures,
    penalties,
    pictures,
    plots,
    report,
    theory,
)
from minidl.gan.diffaugment import DiffAugment
from minidl.gan.games import GAMES, Game, game
from minidl.gan.judge import Judge, train_judge
from minidl.gan.mixtures import Mixture
from minidl.gan.networks import Discriminator, Generator
from minidl.gan.penalties import gradient_penalty, r1, r2
from minidl.gan.plane import Laboratory, Recipe
from minidl.gan.saving import load_generator, save_generator
from minidl.gan.spectral import SpectralNorm, spectral_norm
from minidl.gan.training import PictureRecipe, Training
