"""What several processes gain, send and survive: the figures of minidl/parallel/distributed.

    python -m tests.benchmarks.processes            two processes against two threads, in turns;
                                                    what is sent; how much the sweep hides
    python -m tests.benchmarks.processes kill       one of two ranks is killed at 20 random moments

The first line needs a machine with two cores and little else to do.
"""
import json
import os
from pathlib import Path
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import minidl as md
from minidl.faces.objectives import objective
from minidl.parallel.distributed.buckets import Buckets
from minidl.training import descend, jointly

PICTURES, SIDE, STEPS, ROUNDS = 128, 72, 10, 4
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}"
                                       f"{os.environ.get('PATH', '')}")


class Timed(Buckets):
    """Buckets that note how long the sums take once all ranks have come to the end of the sweep."""
    waits, last = [], []

    def sums(self):
        self.communicator.barrier()
        begun = time.perf_counter()
        found = super().sums()
        Timed.waits.append(time.perf_counter() - begun)
        Timed.last = [own for *_, own in self.sent]
        return found


def siamese():
    """A step of the Siamese encoder with mined triplets, on a batch that is joined."""
    encoder = md.models.siamese_encoder(size=SIDE, seed=0).train()
    pictures = np.random.default_rng(0).integers(0, 255, (PICTURES, SIDE, SIDE, 1))
    x, who = pictures.astype("float32"), np.repeat(np.arange(PICTURES // 4), 4)
    goal = objective("triplet", encoder.features, form="squared", margin=0.2, mining="semi_hard")
    adam = md.optim.AdamW(encoder.parameters(), 1e-4)

    def step():
        loss, _ = goal(jointly(encoder, md.tensor(x)), who, None)
        return descend((loss, adam))

    return step, sum(w.data.nbytes for w in encoder.parameters())


def rank():
    """What each process of a measurement does; the first prints what it found."""
    from minidl.training import processes
    processes.Buckets, ranks = Timed, md.distributed.communicator()
    step, size = siamese()
    for _ in range(2):
        step()
    ranks.bytes.clear()
    Timed.waits.clear()
    times, processor = [], time.process_time()
    for _ in range(STEPS):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    sent = {name: n / STEPS for name, n in ranks.bytes.items()}
    processor = sum(ranks.objects(time.process_time() - processor))
    found = {"ms": 1e3 * statistics.median(times), "least_ms": 1e3 * min(times), "bytes": sent,
             "processor_ms": 1e3 * processor / STEPS, "parameters": size}
    if ranks.size > 1:
        alone = []
        for _ in range(STEPS):                          # the same sums, with nothing beside them
            ranks.barrier()
            begun = time.perf_counter()
            for begun_sum in [ranks.start_sum(own) for own in Timed.last]:
                begun_sum.wait()
            alone.append(time.perf_counter() - begun)
        found |= {"sums_ms": 1e3 * statistics.median(alone), "least_sums_ms": 1e3 * min(alone),
                  "left_ms": 1e3 * statistics.median(Timed.waits),
                  "least_left_ms": 1e3 * min(Timed.waits)}
    if ranks.rank == 0:
        print(json.dumps(found))


def started(size, threads):
    """The figures of so many processes with so many threads each."""
    command = [sys.executable, "-m", "tests.benchmarks.processes", "rank"]
    environment = os.environ | {"MINIDL_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    said = subprocess.run([MPIEXEC, "-n", str(size), *command] if size > 1 else command,
                          capture_output=True, text=True, check=True, env=environment).stdout
    return json.loads(said.splitlines()[-1])


def compare():
    """Rounds of one process with two threads, two with one, one with one."""
    kinds = {"1 × 2 threads": (1, 2), "2 × 1 thread": (2, 1), "1 × 1 thread": (1, 1)}
    found = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, kind in kinds.items():
            found[name].append(started(*kind))
            print(name, {k: round(n, 1) for k, n in found[name][-1].items() if k != "bytes"},
                  flush=True)
    for measure, choose in ("ms", statistics.median), ("least_ms", min), (
            "processor_ms", statistics.median):
        one, two, alone = (choose(each[measure] for each in found[name]) for name in kinds)
        print(f"{measure:13} 1 × 2 threads {one:7.1f}  2 × 1 thread {two:7.1f}  1 × 1 thread "
              f"{alone:7.1f}   1 × 2 by 2 × 1: {one / two:.2f}")
    of_two = min(found["2 × 1 thread"], key=lambda each: each["ms"])
    print(f"gradients: {of_two['bytes']['gradients']:,.0f} bytes a step, parameters "
          f"{of_two['parameters']:,}")
    for least in "", "least_":
        alone, left = (min(each[f"{least}{name}"] for each in found["2 × 1 thread"])
                       for name in ("sums_ms", "left_ms"))
        print(f"sums alone {alone:.1f} ms, left after the sweep {left:.1f} ms: "
              f"{1 - left / alone:.0%} hidden")
    print("bytes a step, by operation:", {k: round(n) for k, n in of_two["bytes"].items()})


def kill(times=20):
    """Kill one of two ranks at random moments, and start again, until a run has come to its end."""
    program = str(Path(__file__).parent.parent / "mpi_program.py")
    chance, seconds, folder = random.Random(0), [], Path(tempfile.mkdtemp())
    path, checkpoint = folder / "found.npz", folder / "run.npz"
    options = {"checkpoint": str(checkpoint), "steps": 20 * times, "slow": 0.01}
    command = [MPIEXEC, "-n", "2", sys.executable, program, "train", str(path)]
    environment = os.environ | {"MINIDL_NUM_THREADS": "1"}
    reached = 0
    while len(seconds) < times:
        running = subprocess.Popen([*command, json.dumps(options)], env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(chance.uniform(0.3, 4))
        ranks = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
                 and _is_rank(pid, running.pid, str(path))]
        if not ranks:
            continue
        os.kill(chance.choice(ranks), 9)
        begun = time.monotonic()
        said = running.communicate(timeout=30)[1]
        seconds.append(time.monotonic() - begun)
        lines = [line for line in said.splitlines() if line.startswith("rank ")]
        saved = md.training.checkpoint.read(checkpoint)
        t = saved[1]["progress"]["t"] if saved else 0
        assert t >= reached, "a checkpoint was lost"
        reached = t
        print(
            f"{seconds[-1]:.2f} s  step {t:4}  {lines[0] if lines else '(before it was watched)'}"
        )
    states = []
    for each in options, {"steps": options["steps"]}:   # to the end; and all of it, undisturbed
        subprocess.run([*command, json.dumps(each)], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
        with np.load(path) as found:
            states.append({name: found[name] for name in found.files if name != "losses"})
    same = all((states[0][name] == states[1][name]).all() for name in states[0])
    print(f"{times} kills: ended after {statistics.median(seconds):.2f} s, at most "
          f"{max(seconds):.2f} s; the parameters after {states[0]['t']} steps are "
          f"{'to the bit' if same else 'NOT'} those of a run that nobody disturbed")
    shutil.rmtree(folder)


def _is_rank(pid, mpiexec, path):
    """Whether a process is a Python that mpiexec has started with that path in its arguments."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return "python" in said[0] and path in said and int(pid) != mpiexec


if __name__ == "__main__":
    {"": compare, "rank": rank, "kill": kill}["".join(sys.argv[1:2])]()
