"""The core where there is NumPy and little else, as in a browser: no SciPy, Pillow, Matplotlib,
Hypothesis or threadpoolctl, no threads, no files."""
import os
from pathlib import Path
import subprocess
import sys

import pytest

BARE = """
import builtins, os, sys, threading

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("scipy", "PIL", "matplotlib", "hypothesis", "threadpoolctl"):
            raise ImportError(f"{name} is not here")

def refused(what, error):
    def call(*arguments, **options):
        raise error(f"{what} are not here: {arguments}")
    return call

import numpy as np
sys.meta_path.insert(0, Blocked())
threading.Thread.start = refused("threads", RuntimeError)
builtins.open = os.open = os.mkdir = os.replace = refused("files", OSError)
"""

PROGRAMS = {
    "gradients": """
import minidl as md
from minidl import ops
x = md.tensor([1.0, 2.0], requires_grad=True)
assert md.grad(ops.sum(x * x), x)[0].numpy().tolist() == [2.0, 4.0]
assert md.testing.gradcheck(ops.softmax, [0.1, -0.2, 0.3], order=2) < 1e-6
hessian = md.testing.hessian(lambda x: x[0] ** 2 * x[1], [1.0, 2.0])
assert hessian.numpy().tolist() == [[4, 2], [2, 0]]
rng = np.random.default_rng(0)
for n in (1, 2, 3):
    picture, filters = rng.random((2, *(5,) * n, 3)), rng.random((*(3,) * n, 3, 4))
    md.testing.gradcheck(lambda x, w: ops.conv(x, w, stride=2, padding=1), picture, filters,
                         mode="directional")
large = md.tensor(rng.random((8, 64, 64, 16), "float32"), requires_grad=True)
w = md.tensor(rng.random((3, 3, 16, 16), "float32"), requires_grad=True)
md.grad(ops.sum(ops.max_pool(ops.conv(large, w), 2)), [large, w])
""",
    "training": """
import minidl as md
from minidl import nn
rng = np.random.default_rng(0)
x = rng.standard_normal((60, 8, 8, 1)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype(int)
net = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool(2),
                    nn.Flatten(), nn.Dropout(0.1, rng=1), nn.Dense(36, 2, rng=2))
optimizer = md.optim.Adam(net.parameters(), learning_rate=1e-2)
losses = []
for epoch in range(20):
    for x_batch, y_batch in md.data.prefetch(md.data.batches(x, y, batch_size=20, rng=rng)):
        optimizer.zero_grad()
        loss = md.losses.cross_entropy(net(md.tensor(x_batch)), md.tensor(y_batch))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
assert len(losses) == 60 and np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3]), losses
""",
    "costs": """
import minidl as md
from minidl import losses, style
rng = np.random.default_rng(0)
a, b = rng.random((1, 4, 4, 3)), rng.random((1, 4, 4, 3))
md.testing.gradcheck(lambda x: style.style_cost(a, x) + style.content_cost(a, x), b)
md.testing.gradcheck(losses.triplet, rng.random((4, 3)), rng.random((4, 3)), rng.random((4, 3)))
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs(name, tmp_path):
    root = Path(__file__).parent.parent
    end = "assert not {'scipy', 'PIL', 'matplotlib'} & sys.modules.keys()\nprint('well')"
    done = subprocess.run([sys.executable, "-B", "-c", BARE + PROGRAMS[name] + end], cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(root), "MINIDL_NUM_THREADS": "2"},
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr


def test_what_is_blocked_would_be_seen():
    for line, words in (("import scipy", "scipy is not here"), ("open('x')", "files are not here"),
                        ("threading.Thread(target=print).start()", "threads are not here")):
        done = subprocess.run([sys.executable, "-c", BARE + line], capture_output=True, text=True)
        assert done.returncode == 1 and words in done.stderr
