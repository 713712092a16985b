"""A process beside the ranks of one machine: it sees when one of them is killed, and says which.

    python witness.py FOLDER SIZE RANK:PID …

A rank that ends by itself leaves a file with its number in FOLDER first.  Where one has ended
without, one line names it, and the others get a second in which the launcher may end them.  The
kernel reports deaths in the order in which they happened (Linux; elsewhere nobody is seen).
"""
import os
from pathlib import Path
import select
import shutil
import signal
import sys
import time


def main(folder, size, *ranks):
    ranks = dict(map(int, each.split(":")) for each in ranks)
    if not hasattr(os, "pidfd_open"):
        return
    deaths, watched = select.epoll(), {}
    for rank, pid in ranks.items():
        try:
            watched[os.pidfd_open(pid)] = rank
        except ProcessLookupError:
            pass
    for descriptor in watched:
        deaths.register(descriptor, select.EPOLLIN)
    while watched:
        for descriptor, _ in deaths.poll():
            rank = watched.pop(descriptor)
            deaths.unregister(descriptor)
            if not (folder / str(rank)).exists():
                print(f"rank {rank} of {size} (process {ranks[rank]}) was killed; all processes "
                      "end, and the next start goes on from the last checkpoint", file=sys.stderr,
                      flush=True)
                time.sleep(1)
                for other in watched:
                    try:
                        signal.pidfd_send_signal(other, signal.SIGKILL)
                    except OSError:
                        pass
                return


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        main(place, *sys.argv[2:])
    finally:
        shutil.rmtree(place, ignore_errors=True)
