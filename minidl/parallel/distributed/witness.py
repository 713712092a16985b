"""A process beside the ranks of one machine: it sees when one of them is killed, and says which.

    python witness.py FOLDER SIZE RANK:PID …

Each rank holds the pipe FOLDER/RANK open for writing.  One that ends by itself writes "." to it
first, and "!" where it ends all, after a line of its own.  The pipe of one that is killed is closed
by the system, at once: before the launcher can end the others.  Then one line names it, and the
others get a second in which the launcher may end them.  In the end the folder is removed.
"""
import os
from pathlib import Path
import select
import shutil
import signal
import sys
import time


def main(folder, size, *ranks):
    ranks, watched = dict(map(int, each.split(":")) for each in ranks), {}
    if hasattr(select, "epoll"):
        closed, patience = select.epoll(), 10           # in the order in which they were closed
    else:
        closed, patience = select.poll(), 10_000
    for rank in ranks:
        pipe = os.open(folder / str(rank), os.O_RDONLY | os.O_NONBLOCK)
        watched[pipe] = rank
        closed.register(pipe, select.POLLIN)
    while watched:
        found = closed.poll(patience)
        if not found and not any(is_there(ranks[rank]) for rank in watched.values()):
            return                      # they ended before they had opened their pipes
        for pipe, _ in found:
            rank = watched.pop(pipe)
            closed.unregister(pipe)
            said = os.read(pipe, 1)
            if not said:
                print(f"rank {rank} of {size} (process {ranks[rank]}) was killed; all processes "
                      "end, and the next start goes on from the last checkpoint", file=sys.stderr,
                      flush=True)
            if said != b".":
                end(ranks[other] for other in watched.values())
                return


def is_there(process):
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def end(processes):
    """Kill those that are still there after a second."""
    time.sleep(1)
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        main(place, *sys.argv[2:])
    finally:
        shutil.rmtree(place, ignore_errors=True)
