"""Learning from one example: an encoder trained on episodes, and the one-shot examination."""
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
