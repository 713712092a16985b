"""Generative adversarial networks: an artist and an art critic play.

Start with `games.py`, `penalties.py` and `theory.py`; `plane.py` is the laboratory, where all can
be seen; `networks.py` and `training.py` make pictures.

The game
    game, Game, GAMES           two costs on scores, by the game's name
    r1, r2, gradient_penalty    penalties on the slope of the score
    spectral_norm, SpectralNorm     weights divided by their largest singular value
In the plane
    Laboratory, Recipe          one game for a shape, and how it is played
    Mixture                     a shape, of Gaussians
Pictures
    Generator, Discriminator    DCGAN's networks, with classes or without
    Training, PictureRecipe     a run, and how pictures are learned
    DiffAugment                 real and generated pictures changed alike
    Judge, train_judge          a classifier that has seen neither player
    save_generator, load_generator      a Generator in a file
More, each a module with its own help()
    theory, density, dirac      the best critic; a generator's own density; the smallest game
    mixtures                    shapes in the plane: ring, grid, line, spiral, blobs, a drawing
    measures, report            how good the samples are; all figures of a generator
    penalties, diffaugment      the parts that the names above are made of
    pictures, plots             grids and walks of samples; games and runs as pictures
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

__all__ = ["DiffAugment", "Discriminator", "GAMES", "Game", "Generator", "Judge", "Laboratory",
           "Mixture", "PictureRecipe", "Recipe", "SpectralNorm", "Training", "density",
           "diffaugment", "dirac", "game", "gradient_penalty", "load_generator", "measures",
           "mixtures", "penalties", "pictures", "plots", "r1", "r2", "report", "save_generator",
           "spectral_norm", "theory", "train_judge"]
