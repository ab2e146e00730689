"""Did the machine stand still? A process on each core that only sleeps, and notes when it was woken far too late."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

LATE = 0.08
"""A wake-up later than this [s] is a stall: nothing of ours asks for a core that long at the usual priority"""
WATCH = f"""
import os, sys, time
os.sched_setaffinity(0, {{int(sys.argv[1])}})
last = time.monotonic()
while os.getppid() == int(sys.argv[2]):
    time.sleep(0.01)
    now = time.monotonic()
    if now - last > {LATE}:
        print(last, now, flush=True)
    last = now
"""


class Stalls:
    """Watches every core that this process may use."""

    def __init__(self) -> None:
        self._files: list[Path] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        for core in sorted(os.sched_getaffinity(0)):
            with tempfile.NamedTemporaryFile(suffix=".stalls", delete=False) as file:
                command = [sys.executable, "-c", WATCH, str(core), str(os.getpid())]
                self._processes.append(subprocess.Popen(command, stdout=file))
                self._files.append(Path(file.name))

    def longest(self, since: float, until: float) -> float:
        """Return the longest stall of any core that overlaps a time of the steady clock [s]; 0: none."""
        found = 0.0
        for file in self._files:
            for line in file.read_text().splitlines():
                begin, end = map(float, line.split())
                if begin <= until and end >= since:
                    found = max(found, end - begin)
        return found

    def close(self) -> None:
        """End the watchers and remove their notes."""
        for process in self._processes:
            process.kill()
            process.wait()
        for file in self._files:
            file.unlink()
