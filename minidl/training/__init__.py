"""Training: one loop for whatever is trained, with schedules, clipping, averages and checkpoints.

>>> import numpy as np
>>> import minidl as md
>>> from minidl.training import Loop, descend, schedules
>>> x = np.linspace(-1, 1, 64)[:, None]
>>> net = md.nn.Sequential(md.nn.Dense(1, 16, dtype="float64", rng=1), md.nn.Tanh(),
...                        md.nn.Dense(16, 1, dtype="float64", rng=2))
>>> adam = md.optim.Adam(net.parameters())
>>> def batch(t):                                       # from a seed and t alone
...     return x[np.random.default_rng([0, t]).integers(64, size=16)]
>>> def step(t, x):
...     loss = md.losses.mean_squared_error(net(x), np.sin(3 * x))
...     return descend((loss, adam))[0]
>>> loop = Loop(step, batch, 300, parts={"net": net, "adam": adam},   # checkpoint="run.npz", too
...             schedule=lambda t: 0.1 * schedules.warm_up_cosine(t, 300))
>>> [row["loss"] < 0.05 for row in loop.run()]          # means over 100 steps each
[False, True, True]

Start with `loop.py`; `descent.py` is the step, `checkpoint.py` what survives a kill, `processes.py`
how several processes take a step together.

    Loop                        draw a batch, take a step, note how it went, and again
    descend                     one step down, of one player or of several at once
    jointly                     a function of a batch whose rows several processes share
    indices                     which examples make batch t, for any number of processes
    clip_gradients              gradients shortened to a length
    schedules                   what share of its peak the learning rate has, step by step
    EMA                         the exponential moving average of a module's weights
    Best                        the state in which a module did best
    Checkpoint                  the file from which a killed run goes on
    Diverged                    what is raised where numbers are no longer finite
"""
from minidl.training import schedules
from minidl.training.averages import EMA
from minidl.training.best import Best
from minidl.training.checkpoint import Checkpoint
from minidl.training.descent import Diverged, clip_gradients, descend
from minidl.training.loop import Loop
from minidl.training.processes import indices, jointly

__all__ = ["Best", "Checkpoint", "Diverged", "EMA", "Loop", "clip_gradients", "descend", "indices",
           "jointly", "schedules"]
