"""Measurements as tables (Markdown), and as one line each while they are made."""
import os
from pathlib import Path
import platform

import numpy as np
from threadpoolctl import threadpool_info

OTHERS = ("MyGrad", "DeZero", "SmallPebble", "autograd", "NumPy")


def machine(versions, threads, device):
    """What was measured on: {"cpu", "cores", "threads", "device", "python", "numpy", "blas",
    "libraries"}."""
    return {"cpu": _processor(), "cores": os.cpu_count(), "threads": threads,
            "device": _gpu() if device == "gpu" else "cpu",
            "python": platform.python_version(), "numpy": np.__version__, "blas": _blas(),
            "libraries": versions}


def _processor():
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blas():
    """NumPy's BLAS and the processors that its kernels are for: those for older ones take twice as
    long."""
    for library in threadpool_info():
        if library["user_api"] == "blas":
            processor = library.get("architecture", "this processor")
            return f"{library['internal_api']} {library['version']} for {processor}"
    return "an unknown BLAS"


def _gpu():
    import cupy
    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


def describe(machine):
    """The machine in a sentence."""
    where = f"{machine['threads']} threads on {machine['cores']} cores of {machine['cpu']}"
    where += "" if machine["device"] == "cpu" else f", {machine['device']}"
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items()
                          if name not in ("minidl", "numpy"))
    return (f"{where}; Python {machine['python']}, NumPy {machine['numpy']} with "
            f"{machine['blas']}, {libraries}.")


def line(record):
    """A measurement in one line."""
    ratios = "   ".join(f"{name} {ratio:.2f}×" for name, ratio in record["ratios"].items())
    algorithms = [f"{label.split()[1]} {_time(times)}" for label, times in record["seconds"].items()
                  if label.startswith("minidl ")]
    ours = "  ".join(algorithms) if algorithms else f"minidl {_time(record['seconds']['minidl'])}"
    return f"{record['name']:<50} {ours}   {ratios}"


def tables(records, memory, scaling, threads):
    """All tables that there is something for, in Markdown."""
    made = [against_pytorch(records), by_algorithm(records), against_others(records),
            of_memory(memory), of_scaling(scaling),
            of_threads(threads)]
    return "\n\n".join(table for table in made if table)


def against_pytorch(records):
    rows = []
    for record in records:
        if "PyTorch" in record["best"]:
            ours, theirs = (record["seconds"][record["best"][name]]
                            for name in ("minidl", "PyTorch"))
            layout = record["best"]["PyTorch"].removeprefix("PyTorch ")
            rows.append([record["name"], _spread(ours), f"{_spread(theirs)}, {layout}",
                         f"**{record['ratios']['PyTorch']:.2f}**", _share(record)])
    return _table(["median (quartiles)", "minidl", "PyTorch, better layout", "PyTorch / minidl",
                   "of matmul"], rows)


def by_algorithm(records):
    labels = list(dict.fromkeys(label for r in records for label in r["seconds"]
                                if label.startswith("minidl ")))
    rows = [[r["name"], *(_time(r["seconds"][label]) for label in labels),
             _time(r["seconds"][r["best"]["PyTorch"]])]
            for r in records if labels and labels[0] in r["seconds"] and "PyTorch" in r["best"]]
    return _table(["MINIDL_CONV", *(label.removeprefix("minidl ") for label in labels), "PyTorch"],
                  rows)


def against_others(records):
    names = [name for name in OTHERS if any(name in record["ratios"] for record in records)]
    rows = [[record["name"], _time(record["seconds"][record["best"]["minidl"]]),
             *(f"{_time(record['seconds'][name])}, {record['ratios'][name]:.1f}×"
               if name in record["ratios"] else "–"
               for name in names)] for record in records
            if any(name in record["ratios"] for name in names)]
    return _table(["time, and how many times minidl's", "minidl", *names], rows)


def of_memory(memory):
    """memory: {case: {label: {"process": bytes, "steps": bytes}}}"""
    rows = []
    for name, peaks in memory.items():
        ours, *others = peaks["minidl"], *(peak for label, peak in peaks.items()
                                           if label != "minidl")
        cells = ["–", "–"]
        if others:
            theirs = min(others, key=lambda peak: peak["process"])
            whole, steps = (theirs[part] / ours[part] for part in ("process", "steps"))
            cells = [_megabytes(theirs), f"**{whole:.2f}** ({steps:.2f})"]
        rows.append([name, _megabytes(ours), *cells])
    return _table(["peak memory (without imports)", "minidl", "PyTorch, smaller layout",
                   "PyTorch / minidl"], rows)


def of_scaling(scaling):
    rows = [[f"{size}²", f"{each:.2f} µs", f"{by_first:.2f}"] for size, each, by_first in scaling]
    return _table(["style step", "minidl, per pixel", "by the first"],
                  rows) if len(rows) > 1 else ""


def of_threads(threads):
    """threads: {"count": n, "size": pixels, "speed-ups": {label: {"one", "many", "speed-up"}}}, or
    None."""
    if not threads:
        return ""
    rows = [[label, _seconds(t["one"]), _seconds(t["many"]), f"**{t['speed-up']:.2f}**"]
            for label, t in threads["speed-ups"].items()]
    return _table([f"style step {threads['size']}²", "1 thread", f"{threads['count']} threads",
                   "speed-up"], rows)


def _table(head, rows):
    if not rows:
        return ""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _share(record):
    """Minidl's rate by that of a plain matrix product, where the case is about products."""
    share = record["of_matmul"] or 0
    return f"{share:.0%}" if share >= 0.05 else ""


def _time(times):
    return _seconds(times["median"])


def _seconds(t):
    """Three digits: 1.23 s, 45.6 ms, 789 µs."""
    scale, unit = _unit(t)
    return f"{_three_digits(t * scale)} {unit}"


def _spread(times):
    """Median and quartiles: 45.6 (45.1–47.0) ms."""
    scale, unit = _unit(times["median"])
    median, lower, upper = (_three_digits(times[name] * scale)
                            for name in ("median", "lower", "upper"))
    return f"{median} ({lower}–{upper}) {unit}"


def _unit(t):
    return (1, "s") if t >= 1 else (1e3, "ms") if t >= 1e-3 else (1e6, "µs")


def _three_digits(number):
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f}"


def _megabytes(peak):
    return f"{peak['process'] / 2 ** 20:.0f} ({peak['steps'] / 2 ** 20:.0f}) MB"
