"""Generative adversarial networks: an artist and an art critic, from a laboratory in the plane to pictures."""
from minidl.gan import density, dirac, measures, mixtures, penalties, plots, theory
from minidl.gan.diffaugment import DiffAugment
from minidl.gan.games import GAMES, Game, game
from minidl.gan.mixtures import Mixture
from minidl.gan.penalties import gradient_penalty, r1, r2
from minidl.gan.plane import Laboratory, Recipe
from minidl.gan.spectral import SpectralNorm, spectral_norm
