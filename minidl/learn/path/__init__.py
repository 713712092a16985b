"""The path: all exercises, in their order, in twelve chapters."""
import difflib

from minidl.learn.path.arrays import ARRAYS
from minidl.learn.path.convolution import CONVOLUTION
from minidl.learn.path.dense import DENSE
from minidl.learn.path.digits import DIGITS
from minidl.learn.path.encoder import ENCODER
from minidl.learn.path.numbers import NUMBERS
from minidl.learn.path.optimisers import OPTIMISERS
from minidl.learn.path.players import PLAYERS
from minidl.learn.path.pooling import POOLING
from minidl.learn.path.softmax import SOFTMAX
from minidl.learn.path.style import STYLE
from minidl.learn.path.sweep import SWEEP

CHAPTERS = [NUMBERS, SWEEP, ARRAYS, DENSE, CONVOLUTION, POOLING, SOFTMAX, OPTIMISERS, DIGITS,
            ENCODER, STYLE, PLAYERS]
EXERCISES = [exercise for chapter in CHAPTERS for exercise in chapter.exercises]


def find(name):
    """The exercise of that name; raises ValueError, with the nearest name, for another."""
    for exercise in EXERCISES:
        if exercise.name == name:
            return exercise
    close = difflib.get_close_matches(name, [exercise.name for exercise in EXERCISES], 1)
    raise ValueError(f"there is no exercise {name!r}"
                     + (f"; is {close[0]!r} meant?" if close else "; list shows all"))


def place(exercise):
    """Where an exercise stands: its number, its chapter."""
    chapter = next(chapter for chapter in CHAPTERS if exercise in chapter.exercises)
    return f"Exercise {EXERCISES.index(exercise) + 1} of {len(EXERCISES)}.  {chapter.title}"
