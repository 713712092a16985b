"""Peak memory of a case: each library in a process of its own.

A process of that kind is `python -m tests.benchmarks.memory MODULE LAYOUT DEVICE THREADS QUICK
CASE`.
"""
import json
import os
from pathlib import Path
import subprocess
import sys

from . import libraries

STEPS = 3


def peaks(case, versions, device, threads, quick):
    """{label: {"process": bytes, "steps": bytes}} for minidl and PyTorch, the latter in both
    layouts."""
    asked = [("minidl", "minidl", "-")] + [(f"PyTorch {layout}", "torch", layout)
                                           for layout in case.layouts]
    return {label: _in_a_process(module, layout, device, str(threads), str(quick), case.name)
            for label, module, layout in asked if module in versions}


def _in_a_process(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-m", __name__, *arguments], env=environment,
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def measure(module, layout, device, threads, case):
    """The peak of three steps of the case in bytes, and what of it was not there after the
    imports."""
    library = libraries.load(module)
    libraries.use_device(device)
    libraries.use_threads(threads)
    before = _resident("VmRSS")
    step = case.torch(layout) if module == "torch" else case.minidl()
    _forget_peak()
    for _ in range(STEPS):
        step()
    libraries.synchronize()
    if device == "gpu":
        peak, before = (library.cuda.max_memory_reserved() if module == "torch"
                        else libraries.load("cupy").get_default_memory_pool().total_bytes()), 0
    else:
        peak = _resident("VmHWM")
    return {"process": peak, "steps": peak - before}


def _resident(field):
    """Bytes of this process: VmRSS, resident now, or VmHWM, the most so far.

    Linux tells both.  getrusage's ru_maxrss would count what the parent had at the fork; elsewhere
    there is only that.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines()
                    if line.startswith(field))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _forget_peak():
    """Begin the most-so-far anew, so that preparing the inputs does not count: Linux only."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def main(module, layout, device, threads, quick, name):
    from .cases import find
    print(json.dumps(measure(module, layout, device, int(threads), find(name, quick == "True"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
