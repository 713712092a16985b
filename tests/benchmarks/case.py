"""A case: one piece of work, written for several libraries."""
import numpy as np

from .libraries import LAYOUTS, NAMES


class Case:
    """A subclass has a method for every library that it runs in, named as in `libraries.NAMES`.

    The method makes its inputs and gives `step`, a function without arguments that does the work
    once and gives what it
    computed: a number, or an array whose norm must be the same in all libraries.  PyTorch's is
    called once for each layout.

    name: how the table calls it;  section: which part of the table it belongs to;  big: whether its
        memory is measured;
    operations: multiplications and additions in convolutions and matrix products; None lets PyTorch
        count them.
    """
    layouts, big, operations = LAYOUTS, False, None

    def contestants(self, libraries):
        """{label: function that makes the step} of those libraries in which this case exists."""
        found = {}
        for module in libraries:
            if module == "torch":
                found |= {f"PyTorch {layout}": lambda layout=layout: self.torch(layout)
                          for layout in self.layouts}
            elif hasattr(self, module):
                found[NAMES[module]] = getattr(self, module)
        return found


def normal(shape, seed=0, scale=1.0):
    """Normal numbers in float32, the same for every library."""
    return scale * np.random.default_rng(seed).standard_normal(shape, np.float32)
