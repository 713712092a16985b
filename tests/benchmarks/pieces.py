"""What each piece of kernels/fast and parallel gains: `python -m tests.benchmarks.pieces`.

A piece is switched off by a patch inside this process, where calls with it and without it take
turns.  Printed is the median of  time without / time with:  of processor time, summed over all
threads, which a busy machine changes little; for what threads do, of time on the clock.
--write puts it into the table of minidl/kernels/fast/README.md.
"""
import argparse
from contextlib import contextmanager
import ctypes
from dataclasses import dataclass
import importlib
import inspect
import math
import os
import pathlib
import statistics
import time

import numpy as np

import minidl as md
from minidl import kernels
from minidl.files import atomic_write
from minidl.kernels.fast import selection, winograd
from minidl.kernels.geometry import Geometry

from .case import normal
from .convnet import ConvNet
from .networks import DCGAN, Siamese
from .style import StyleStep

README = pathlib.Path(md.__file__).parent / "kernels" / "fast" / "README.md"
SAMPLE = 0.05           # seconds of one sample
NEVER = math.inf


@dataclass
class Piece:
    """code: modules and functions that would go with it;  off: {what: its value without the piece}.

    cases: pairs of a name and a function that makes the step.
    """
    name: str
    code: str
    acts: str
    off: dict
    cases: list
    clock: object = time.process_time

    def lines(self):
        return sum(_lines(name) for name in self.code.split())


# cases

def contraction(what, shape, kernel, outputs, stride=1, dilation=1, groups=1, bias=False):
    """One of the three contractions with filters of kernelⁿ taps, padded to keep the sizes."""
    axes = len(shape) - 2
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    name = f"{what} {_times(shape)} → {outputs}, {_times([kernel] * axes)}"
    name += "".join(f", {key} {value}" for key, value in options.items() if value > 1)

    def make():
        padding = dilation * (kernel - 1) // 2
        g = Geometry(shape[1:-1], *[(n,) * axes for n in (kernel, stride, padding, dilation)],
                     groups)
        x, u = normal(shape), normal((shape[0], *g.output, outputs), 1)
        w, b = normal((*g.kernel, shape[-1] // groups, outputs),
                      2), normal((outputs,), 3) if bias else None

        def both():
            new = w.copy()                      # as in training: filters that were not seen before
            return kernels.conv(x, new, b, g), kernels.conv_input(u, new, g)

        return {"conv": lambda: kernels.conv(x, w, b, g),
                "conv_input": lambda: kernels.conv_input(u, w, g),
                "conv_weight": lambda: kernels.conv_weight(x, u, g, bias),
                "conv and conv_input": both}[what]

    return name + ", bias" * bias, make


def on(function, *shapes):
    """A function of the kernels, on normal numbers of those shapes."""
    def make():
        arrays = [normal(shape, i) for i, shape in enumerate(shapes)]
        return lambda: function(*arrays)

    return f"{function.__name__} {', '.join(map(_times, shapes))}", make


def add_transpose(x):
    return selection.add_transpose(x)


def switches(shape):
    def make():
        g = Geometry(shape[1:-1], (2, 2), (2, 2), (0, 0), (1, 1), 1)
        x = normal(shape)
        return lambda: kernels.max_pool(x, g, find=True)

    return f"max_pool {_times(shape)} with switches", make


def adam(size):
    def make():
        w = md.tensor(normal((size,)), requires_grad=True)
        w.grad = md.tensor(normal((size,), 1))
        return md.optim.Adam([w], 1e-3).step

    return f"Adam.step of {size:,} weights", make


def step(case):
    return case.name, case.minidl


def _times(sizes):
    return "×".join(map(str, sizes))


STYLE, LARGE, SIAMESE, CONVNET, GAN = map(
    step, (StyleStep(256), StyleStep(512), Siamese(), ConvNet(), DCGAN(32)))
VGG = contraction("conv", (1, 256, 256, 64), 3, 64)
DEEP = contraction("conv", (1, 32, 32, 512), 3, 512)
FIRST = contraction("conv", (96, 64, 64, 1), 3, 32, bias=True)
WEIGHT = contraction("conv_weight", (96, 64, 64, 1), 3, 32)
STRIDED = contraction("conv", (32, 56, 56, 128), 3, 128, stride=2)


# how pieces are switched off, where a number does not do it

def never(*_, **__):
    return False


def by_argmax(planes, best, found):
    found[...] = planes.argmax(0) + 1


def by_elements(source, target):
    target[...] = source


def as_they_are(length, *_):
    return length


def give_back(wanted):
    """glibc's malloc: bytes from which it asks the system, and gives back at once; or as it was."""
    large = 2 ** 17 if wanted else 2 ** 25 - 2 ** 14
    for parameter in (-3, -1):                  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        ctypes.CDLL(None).mallopt(parameter, large)


PIECES = [
    Piece("Winograd F(4×4, 3×3)", "winograd", "float32, 3×3, stride 1, 17 tiles or more",
          {"convolution._winograd": never},
          [VGG, contraction("conv_weight", (96, 16, 16, 64), 3, 128), STYLE]),
    Piece("Winograd F(2×2, 3×3)", "", "16 to 64 of its tiles, 64 channels or more",
          {"winograd.FEWEST_F2": (NEVER, 0)},
          [contraction("conv", (1, 16, 16, 512), 3, 512),
           contraction("conv", (1, 10, 10, 256), 3, 256)]),
    Piece("filters kept transformed", "winograd.once", "as long as the array of filters lives",
          {"winograd.transformed": winograd.transformed.__wrapped__,
           "winograd.shared": winograd.shared.__wrapped__}, [DEEP, STYLE]),
    Piece("filters shared with the adjoint", "winograd.shared winograd._adjoint",
          "large filters, few tiles: saves memory too", {"winograd.SHARED": NEVER},
          [contraction("conv and conv_input", (1, 32, 32, 512), 3, 512), STYLE]),
    Piece("few tiles: threads share outputs", "winograd.transform", "F(4×4, 3×3), few tiles",
          {"winograd.BY_OUTPUTS": NEVER},
          [contraction("conv", (1, 24, 24, 512), 3, 512), DEEP], time.perf_counter),
    Piece("planar", "planar", "3×3×3, and 3×3 with dilation", {"convolution._planar": never},
          [contraction("conv", (2, 16, 32, 32, 32), 3, 64),
           contraction("conv", (8, 64, 64, 64), 3, 64, dilation=2)]),
    Piece("depthwise", "depthwise", "groups = channels = filters", {"depthwise.applies": never},
          [contraction(what, (1, 64, 64, 256), 3, 256, groups=256)
           for what in ("conv", "conv_input", "conv_weight")]),
    Piece("im2col in strips", "columns", "wherever nothing below or above acts",
          {"columns.BUDGET": 2 ** 40, "convolution.BUDGET": 2 ** 40},
          [STRIDED, contraction("conv_weight", (32, 56, 56, 128), 3, 128, stride=2)]),
    Piece("taps of the first axis overlap", "convolution._overlapping convolution._rows",
          "stride 1, several channels, up to 32 outputs", {"convolution.OVERLAP": 0},
          [contraction("conv_weight", (128, 14, 14, 16), 3, 32),
           contraction("conv_input", (128, 14, 14, 16), 3, 32), CONVNET]),
    Piece("gathering along places", "columns.short", "few channels", {"columns.SHORT": 0},
          [FIRST, WEIGHT, CONVNET]),
    Piece("the bias as one more tap", "", "few channels", {"convolution.short": never},
          [FIRST, contraction("conv_weight", (96, 64, 64, 1), 3, 32, bias=True)]),
    Piece("col2im", "fold convolution._narrow", "few channels come out",
          {"convolution.FEW_OUTPUTS": NEVER, "convolution.SHORT": 0},
          [contraction("conv_input", (1, 256, 256, 3), 3, 64),
           contraction("conv_input", (64, 64, 64, 3), 4, 64, stride=2), GAN]),
    Piece("strides by remainders", "convolution._by_remainders convolution._remainders",
          "conv_input with strides, many channels", {"convolution.SHORT": NEVER},
          [contraction("conv_input", (64, 16, 16, 128), 4, 256, stride=2), GAN]),
    Piece("small products", "product.multiply product._stack",
          "long products of few channels", {"product.SMALL": 0},
          [contraction("conv", (32, 56, 56, 64), 1, 64), WEIGHT, CONVNET]),
    Piece("large products cut for threads", "product._shared", "2²⁴ multiplications or more",
          {"product.FOR_THREADS": NEVER}, [on(kernels.matmul, (2048, 512), (512, 512))],
          time.perf_counter),
    Piece("BLAS held to one thread", "threads._OneBlasThread threads._switches threads._openblas",
          "in every product", {"product.ON_ONE_THREAD": NEVER},
          [on(kernels.matmul, (512, 512), (512, 512)), CONVNET], time.perf_counter),
    Piece("threads", "threads", "much work, more than one core", {"$MINIDL_NUM_THREADS": "1"},
          [VGG, STYLE, SIAMESE], time.perf_counter),
    Piece("threads woken where it pays", "threads.threads_for", "little work",
          {"threads.WORTHWHILE": 0},
          [contraction("conv", (4, 14, 14, 8), 3, 8), switches((4, 32, 32, 16))],
          time.perf_counter),
    Piece("memory used again", "memory", "results of 1 MB or more", {"memory.LARGE": NEVER},
          [LARGE, STYLE, SIAMESE]),
    Piece("a lesson to glibc", "", "arrays below 32 MB, Linux", {"malloc": True},
          [CONVNET, SIAMESE]),
    Piece("rows padded to odd cache lines", "memory.pitch", "tiles, and columns along places",
          {f"{file}.pitch": as_they_are for file in ("memory", "threads", "winograd")},
          [VGG, DEEP, STYLE]),
    Piece("a padded copy to transpose", "selection.add_transpose", "Gram matrices' gradients",
          {"selection.add_transpose": lambda x: x + x.mT}, [on(add_transpose, (1, 512, 512))]),
    Piece("selection by bits", "selection._bits selection.choose_here", "always",
          {"selection._bits": lambda x: None},
          [on(kernels.keep_positive, *[(96, 64, 64, 32)] * 2), SIAMESE, GAN]),
    Piece("elementwise in threads", "selection._elementwise", "2¹⁶ elements or more",
          {"selection.MUCH": NEVER},
          [on(kernels.relu, (96, 64, 64, 32)), on(kernels.add, *[(1, 256, 256, 64)] * 2)],
          time.perf_counter),
    Piece("switches by counting", "pooling._find", "max-pooling with a gradient",
          {"pooling._find": by_argmax}, [switches((96, 64, 64, 32)), SIAMESE]),
    Piece("all channels of a place as one item", "views.move", "pooling; few channels",
          {"pooling.move": by_elements}, [switches((128, 28, 28, 16)), switches((128, 28, 28, 8)),
                                          CONVNET]),
    Piece("views without as_strided", "views.strided", "contiguous arrays",
          {f"{file}.strided": np.lib.stride_tricks.as_strided for file in ("views", "winograd")},
          [contraction("conv", (1, 8, 8, 4), 3, 4)]),
    Piece("channels in strips", "channels", "batch norm of large arrays",
          {"channels.BUDGET": 2 ** 60}, [SIAMESE]),
    Piece("rows of several places", "channels._together", "fewer than 512 channels",
          {"channels.WIDE": 0}, [SIAMESE]),
    Piece("elementwise updates in strips", "elementwise", "parameters of 1 MB or more",
          {"elementwise.STRIP": 2 ** 60}, [adam(2 ** 22)], time.perf_counter),
]


# measuring

def _module(name):
    folder = "minidl.parallel." if name in ("threads", "memory") else "minidl.kernels.fast."
    return importlib.import_module(folder + name)


def _lines(name):
    module, _, function = name.partition(".")
    if function:
        return len(inspect.getsourcelines(inspect.unwrap(getattr(_module(module), function)))[0])
    return len(inspect.getsource(_module(module)).splitlines())


@contextmanager
def without(off):
    """Inside, what `off` names has another value: "module.name", "$VARIABLE", or malloc's habit."""
    before = []
    try:
        for target, value in off.items():
            if target == "malloc":
                give_back(True)
                before.append((give_back, False))
            elif target[0] == "$":
                before.append((_set_variable, target[1:], os.environ.get(target[1:])))
                _set_variable(target[1:], value)
            else:
                module, name = target.split(".")
                before.append((setattr, _module(module), name, getattr(_module(module), name)))
                setattr(_module(module), name, value)
        yield
    finally:
        for put, *arguments in before:
            put(*arguments)


def _set_variable(name, value):
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def gain(piece, make, pairs):
    """Median of time without / time with."""
    run, other = make(), make()                 # each with its own arrays, and what is kept of them
    with without(piece.off):
        other()
    run()
    calls = math.ceil(SAMPLE / max(1e-6, _seconds(run, 1, piece.clock)))
    found = []
    for i in range(pairs):
        took = {}
        for off in (False, True) if i % 2 else (True, False):
            if off:
                with without(piece.off):
                    took[off] = _seconds(other, calls, piece.clock)
            else:
                took[off] = _seconds(run, calls, piece.clock)
        found.append(took[True] / took[False])
    return statistics.median(found)


def _seconds(step, calls, clock):
    step()
    started = clock()
    for _ in range(calls):
        step()
    return (clock() - started) / calls


def row(piece, gains):
    cells = piece.name, piece.code or "a constant", piece.lines() or "", piece.acts, gains
    return "| " + " | ".join(map(str, cells)) + " |"


def write(rows):
    """Put rows {name: row} into the table in place of those of the same name."""
    text = README.read_text(encoding="utf-8").splitlines()
    text = [rows.get(line.split(" | ")[0].removeprefix("| "), line) for line in text]
    with atomic_write(README) as file:
        file.write(("\n".join(text) + "\n").encode())


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.pieces",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD",
                        help="pieces with one of these words in their name")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="into the README's table")
    options = parser.parse_args()
    rows = {}
    for piece in PIECES:
        if options.only and not any(w.lower() in piece.name.lower() for w in options.only):
            continue
        gains = []
        for name, make in piece.cases:
            gains.append(f"{gain(piece, make, options.pairs):.2f} {name}")
            print(f"{piece.name:36} {gains[-1]}", flush=True)
        rows[piece.name] = row(piece, "; ".join(gains))
        if options.write:
            write(rows)


if __name__ == "__main__":
    main()
