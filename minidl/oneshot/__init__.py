"""Learning from one example: an encoder trained on episodes, and the one-shot examination.

Training (episodes.py)
    train, Step                 an encoder, on episodes drawn from Characters
    episode_loss                how badly pictures find their class by one example
Use (episodes.py)
    encode_characters, VIEWS    encodings of length 1, over several views of each picture
    distances                   from questions to examples
Examination (examination.py)
    examine                     an encoder, by runs such as Omniglot's
    one_shot, OneShot           the share of right answers, from distances
    draw_runs, draw_one_shot    runs drawn from Characters, and from labels
"""
from minidl.oneshot.episodes import (
    VIEWS,
    Step,
    distances,
    encode_characters,
    episode_loss,
    train,
)
from minidl.oneshot.examination import OneShot, draw_one_shot, draw_runs, examine, one_shot

__all__ = ["VIEWS", "OneShot", "Step", "distances", "draw_one_shot", "draw_runs",
           "encode_characters", "episode_loss", "examine", "one_shot", "train"]
