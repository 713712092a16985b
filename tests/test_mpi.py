"""Several processes, started by mpiexec.  Where there is no MPI these tests are skipped; CI
installs one by the extra `cluster`."""

import importlib.util
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

from joint_training import Run, apart
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = str(Path(__file__).with_name("mpi_program.py"))
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}"
                                       f"{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and an MPI: pip install -e '.[cluster]'")


def mpi(size, *command, fails=False, within=60):
    """(stdout, stderr) of a Python program in so many processes of one thread."""
    environment = {name: value for name, value in os.environ.items() if name != "MINIDL_DEVICE"}
    environment |= {"MINIDL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([MPIEXEC, "-n", str(size), sys.executable, *command], cwd=ROOT,
                          capture_output=True, text=True, timeout=within, env=environment)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("size", [2, 3])
def test_collectives_are_adjoint(size):
    said, _ = mpi(size, PROGRAM, "adjoints")
    assert said.count("done") == size


def test_two_ranks_hold_the_halves_of_a_model():
    said, _ = mpi(2, PROGRAM, "model_parallel")
    assert said.count("done") == 2


def test_parameters_are_those_of_one_process_also_after_a_restart(tmp_path):
    """20 steps in float64, with uneven batches: alone; by two; by three, then two."""
    alone = Run(batch_size=14).run()
    path, options = tmp_path / "found.npz", {"batch_size": 14}
    mpi(2, PROGRAM, "train", str(path), json.dumps(options))
    found = dict(np.load(path))
    assert found.pop("t") == 20
    np.testing.assert_allclose(found.pop("losses"), list(alone.losses.values()), rtol=1e-12)
    assert apart(found, alone.state()) < 1e-12
    options["checkpoint"] = str(tmp_path / "run.npz")
    mpi(3, PROGRAM, "train", str(path), json.dumps(options | {"stop": 8}))
    mpi(2, PROGRAM, "train", str(path), json.dumps(options))
    found = dict(np.load(path))
    assert found.pop("t") == 20 and len(found.pop("losses")) == 12
    assert apart(found, alone.state()) < 1e-12


@pytest.mark.parametrize("kind, where, said", [
    ("exception", 1, "rank 1 of 2: RuntimeError: out of luck; all processes end"),
    ("kill", 0, "rank 0 of 2 (process"),
    ("exit", 1, "rank 1 to the end of its program; all processes end"),
    ("other way", 1, "rank 1 to barrier; all processes end"),
    ("nan", 1, "nan (rank 1 brought the first numbers that are not) at step 4; all")])
def test_all_end_when_one_does_with_one_line_that_names_it(kind, where, said):
    _, errors = mpi(2, PROGRAM, "fault", kind, str(where), fails=True)
    lines = [line for line in errors.splitlines() if line.startswith("rank ")]
    assert len(lines) == 1 and said in lines[0], errors


def test_killed_at_any_moment_it_goes_on_to_the_same_parameters(tmp_path):
    path, options = tmp_path / "found.npz", {"checkpoint": str(tmp_path / "run.npz"), "slow": 0.05}
    command = [MPIEXEC, "-n", "2", sys.executable, PROGRAM, "train", str(path), json.dumps(options)]
    environment = os.environ | {"MINIDL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               env=environment)
    begun = time.monotonic()
    while not (tmp_path / "run.npz").exists() and time.monotonic() - begun < 60:
        time.sleep(0.05)
    os.kill(int((tmp_path / "found.npz.1").read_text()), 9)
    assert running.wait(timeout=60) != 0
    mpi(2, PROGRAM, "train", str(path), json.dumps(options))
    found = dict(np.load(path))
    assert found.pop("t") == 20 and len(found.pop("losses")) < 20
    assert apart(found, Run().run().state()) < 1e-12


def test_the_demo_of_faces_trains_and_only_the_first_process_speaks_and_writes(tmp_path):
    from minidl.data import write_drawn_faces
    write_drawn_faces(tmp_path / "people", 24, 4, size=40, seed=0)
    said, errors = mpi(
        2, "-m", "mpi4py", "-m", "demos.faces", "train", "--data", str(tmp_path / "people"),
        "--model", str(tmp_path / "encoder.npz"), "--output", str(tmp_path / "out"), "--size", "40",
        "--steps", "2", "--pretrain-steps", "2", "--people", "6", "--every", "2", "--quiet",
        "--json", str(tmp_path / "figures.json"))
    assert said.count("area under the ROC") == 1 and errors == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "augmentation.png",
        "training.png",
    ]
    assert json.loads((tmp_path / "figures.json").read_text())["steps"] == 4
    assert (tmp_path / "encoder.npz").exists()


@pytest.mark.parametrize("command, line", [
    (["demos.faces", "train", "--data", "nowhere", "--model", "a.npz"], "nowhere"),
    (["demos.style_transfer"], "this command is for one process; mpiexec is for `train`")])
def test_a_mistake_is_said_once(tmp_path, command, line):
    said, errors = mpi(2, "-m", "mpi4py", "-m", *command, "--output", str(tmp_path), fails=True)
    assert said == "" and errors.count(line) == 1, errors
    assert len([each for each in errors.splitlines() if each.startswith("rank ")]) == 1
