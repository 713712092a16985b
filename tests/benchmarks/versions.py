"""Two checkouts of minidl, timed against each other: `python -m tests.benchmarks.versions OLD
[NEW]`.

Processes take turns, old, new, old, new, …; each runs all cases once, in minidl alone.  The ratio
new / old of a case is taken within each pair of processes, so a machine that is slow for some
minutes slows both.  Printed are the median of the ratios and the interval that holds the true
median with 95 % (order statistics).
"""
import argparse
import json
from math import comb
import os
import statistics
import subprocess
import sys

RUN = """if True:
    import json, math, sys
    from tests.benchmarks.cases import chosen
    from tests.benchmarks.measuring import SHORTEST, WARM, seconds
    for case in chosen(sys.argv[1:]):
        if not hasattr(case, "minidl"):
            continue
        step = case.minidl()
        step()
        once = seconds(step)
        took = seconds(step, math.ceil(SHORTEST / once), math.ceil(WARM / once))
        print(json.dumps([case.name, took]), flush=True)
    """


def times(checkout, words):
    """{case: seconds of one call} of a new process in the checkout."""
    environment = os.environ | {"PYTHONPATH": checkout}
    told = subprocess.run([sys.executable, "-c", RUN, *words], cwd=checkout, env=environment,
                          check=True,
                          stdout=subprocess.PIPE, text=True)
    return dict(map(json.loads, told.stdout.splitlines()))


def interval(values):
    """The narrowest pair of order statistics that holds the median with 95 % or more, as far as
    there is one."""
    n, values = len(values), sorted(values)
    for k in reversed(range(n // 2)):
        if sum(comb(n, i) for i in range(k + 1)) / 2 ** (n - 1) <= 0.05:
            return values[k], values[n - 1 - k]
    return values[0], values[-1]


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.versions",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("old", help="folder of the older checkout")
    parser.add_argument("new", nargs="?", default=".", help="folder of the newer one (this one)")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD",
                        help="cases with one of these words")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the ratios of every pair")
    options = parser.parse_args()
    old, new = os.path.abspath(options.old), os.path.abspath(options.new)
    ratios = {}
    for pair in range(options.pairs):
        before, after = times(old, options.only), times(new, options.only)
        for name in before.keys() & after.keys():
            ratios.setdefault(name, []).append(after[name] / before[name])
        print(f"pair {pair + 1} of {options.pairs}", file=sys.stderr)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(ratios, file)
    for name, found in ratios.items():
        low, high = interval(found)
        print(f"{statistics.median(found):6.3f}  [{low:.3f}, {high:.3f}]  {name}")


if __name__ == "__main__":
    main()
