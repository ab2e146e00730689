"""Shows how far a run is, in a bar for each of its stages, and counts the time that it takes."""

from __future__ import annotations

import threading
import time
from typing import Any

from tqdm import tqdm

# Each process draws one bar. The lock that tqdm shares between processes is a semaphore of the system, which a killed
# worker leaves behind; a lock of this process is enough.
tqdm.set_lock(threading.RLock())


class RunMeter:
    """The bar and the clocks of a run.

    Args:
        notes: `seconds` and `cpu_seconds` in it go on from where a kill stopped them.
    """

    def __init__(self, notes: dict[str, Any]) -> None:
        self._notes = notes
        self._clocks = time.perf_counter(), time.process_time()
        self._bar: tqdm | None = None

    def advance(self, stage: str, done: int, total: int, unit: str) -> None:
        """Move the bar of a stage, and make it where the stage is new."""
        if self._bar is None or self._bar.desc != stage:
            self.close()
            self._bar = tqdm(desc=stage, total=total, initial=done - 1, unit=unit)
        self._bar.update(done - self._bar.n)
        if self._notes["history"]:
            self._bar.set_postfix_str(f"{self._notes['history'][-1]['mean_mm']:.0f} mm")

    def tick(self) -> None:
        """Add the time since the last call to the run's seconds."""
        now = time.perf_counter(), time.process_time()
        for key, before, after in zip(("seconds", "cpu_seconds"), self._clocks, now, strict=True):
            self._notes[key] += after - before
        self._clocks = now

    def close(self) -> None:
        """Close the bar: what is printed from here on has a line of its own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
