"""Updates of parameters, which act entry by entry: sooner where a parameter is large.

What it does    cuts w, g and what is remembered of them into strips of STRIP bytes, and updates
                strips side by side on all threads.  What a rule makes in between (Adam: eight
                arrays) then stays in a core's cache.  The numbers are the same, bit for bit.
When it acts    on the CPU, for parameters of more than STRIP bytes.
What it gains   Adam on 16 million float32 entries, two cores: 62 ms for 139 ms.
Measure again   time `Adam.step` with STRIP as it is, then with STRIP = 2 ** 60.
"""
import functools
import math

import numpy as np

from minidl import backend
from minidl.parallel.memory import empty
from minidl.parallel.threads import even, parallel_map

STRIP = 2 ** 20         # bytes


def entrywise(update):
    """For an `update(self, w, g, state)` each of whose entries depends on that entry alone.

    It gives the new w, and puts into `state` whole numbers, or arrays like w under names that
    stand in `self.remembers`.
    """
    @functools.wraps(update)
    def in_strips(self, w, g, state):
        if w.nbytes <= STRIP or backend.of(w) is not np:
            return update(self, w, g, state)
        before, gradient, moved = w.reshape(-1), g.reshape(-1), empty((w.size,), w.dtype)
        arrays = {name: empty((w.size,), w.dtype) for name in self.remembers}

        def move(part):
            own = {name: value if isinstance(value, int) else value.reshape(-1)[part]
                   for name, value in state.items()}
            moved[part] = update(self, before[part], gradient[part], own)
            for name, value in own.items():
                if not isinstance(value, int):
                    arrays[name][part] = value
            return own

        own, *_ = parallel_map(move, even(w.size, math.ceil(w.nbytes / STRIP)), np)
        for name, value in own.items():
            state[name] = value if isinstance(value, int) else arrays[name].reshape(w.shape)
        return moved.reshape(w.shape)
    return in_strips
