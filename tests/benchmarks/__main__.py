"""python -m tests.benchmarks: see the head of this package for what is measured, and how."""
import argparse
import json
import os
import sys

from minidl import DeviceError
from minidl.files import atomic_write
from minidl.parallel.threads import number_of_threads

from . import chart, comparing, libraries, memory, report, scaling
from .cases import cases, chosen

EXTRAS = ("memory", "threads")


def parser():
    p = argparse.ArgumentParser("python -m tests.benchmarks",
                                description="minidl against others, on the same work.")
    p.add_argument("--only", nargs="+", default=[], metavar="NAME",
                   help="cases with one of these words in their name or section; memory and "
                        "threads are such words too")
    p.add_argument("--list", action="store_true", help="print the names of all cases, and stop")
    p.add_argument("--quick", action="store_true", help="fewer and smaller cases")
    p.add_argument("--repeat", type=int, default=7, help="samples of each (default: %(default)s)")
    p.add_argument("--threads", type=int, default=number_of_threads(),
                   help="of every library (default: all, %(default)s)")
    p.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    p.add_argument("--algorithms", nargs="*", metavar="NAME",
                   help="measure convolutions with each MINIDL_CONV (default: plain strips "
                        "winograd auto)")
    p.add_argument("--json", metavar="FILE", help="write everything that was measured")
    p.add_argument("--chart", metavar="FILE", help="draw the ratios (PNG)")
    p.add_argument("--readme", action="store_true", help="describe the machine above the tables")
    return p


def main(arguments=None):
    p = parser()
    options = p.parse_args(arguments)
    if options.repeat < 1 or options.threads < 1:
        p.error("--repeat and --threads must be at least 1")
    if options.list:
        print("\n".join(case.name for case in cases(options.quick)))
        return
    try:
        libraries.use_device(options.device)
    except (DeviceError, ImportError) as error:
        p.error(str(error))
    words = [word for word in options.only if word not in EXTRAS]
    selected = chosen(words, options.quick) if words or not options.only else []
    if words and not selected:
        p.error(f"no case has {' or '.join(words)} in its name; --list prints them all")
    result = measure(selected, options,
                     [extra for extra in EXTRAS if not options.only or extra in options.only])
    if options.readme:
        print(report.describe(result["machine"]) + "\n")
    print(report.tables(result["cases"], result["memory"], result["scaling"], result["threads"]))
    if options.json:
        with atomic_write(options.json) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    if options.chart:
        chart.draw(result["cases"], options.chart, result["machine"])


def measure(selected, options, extras):
    """Everything that was measured, as --json writes it; progress goes to stderr."""
    def say(text):
        print(text, file=sys.stderr, flush=True)

    versions, skipped = libraries.installed(options.device)
    libraries.use_threads(options.threads)
    machine = report.machine(versions, options.threads, options.device)
    result = {"machine": machine, "cases": [], "memory": {}, "threads": None}
    say("\n".join([report.describe(machine), *skipped]))
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        say(f"warning: this machine is busy (load {os.getloadavg()[0]:.1f}): what is measured now "
            "says little")
    algorithms = (
        options.algorithms if options.algorithms != [] else ["plain", "strips", "winograd", "auto"]
    )
    for case in selected:
        several = algorithms or () if case.section == "convolution" else ()
        result["cases"].append(comparing.compare(case, versions, options.repeat, options.device,
                                                 several))
        say(report.line(result["cases"][-1]))
    comparing.relate_to_product(result["cases"])
    result["scaling"] = scaling.per_pixel(result["cases"])
    if "threads" in extras and options.threads > 1 and options.device == "cpu":
        size = 128 if options.quick else 256
        result["threads"] = {
            "count": options.threads,
            "size": size,
            "speed-ups": scaling.threads(versions, options.threads, size, options.repeat),
        }
    if "memory" in extras:
        for case in (case for case in selected or cases(options.quick) if case.big):
            say(f"peak memory of {case.name} …")
            result["memory"][case.name] = memory.peaks(case, versions, options.device,
                                                       options.threads, options.quick)
    return result


if __name__ == "__main__":
    try:
        main()
    except comparing.Disagreement as error:
        sys.exit(str(error))
