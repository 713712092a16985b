"""What the commands of demos.faces make of their options."""
from demos.command_line import counting
from minidl.faces.model import Model

FEW = 64                        # pictures, for which nobody waits


def model_of(options):
    """The Model that the options name."""
    return Model(options.model, options.crop, options.left_out, False if options.no_align else None,
                 options.detector, whole_of(options), options.smallest, counting_of(options))


def whole_of(options):
    """`whole` as `faces.find` takes it."""
    return True if options.whole else "auto"


def counting_of(options):
    """A bar of pictures that are looked at, unless they are few, or with --quiet."""
    return lambda total, said: counting(total, said, options.quiet or total <= FEW)
