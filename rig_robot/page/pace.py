"""Says how often pictures are sent: less often while the processors are busy, since the robot's control comes first.

On the robot's own computer the console and the browser compete with it.
"""

from __future__ import annotations

import threading
import time
from collections import deque

FASTEST, SLOWEST = 1 / 15, 1 / 5
"""Shortest and longest time between two pictures of a kind [s]."""
TICK = 0.02
"""Time that the thread sleeps at a time [s]; what it sleeps longer is the wait for a processor."""
LATE, PROMPT = 0.004, 0.002
"""Lateness above which pictures are sent less often, and below which more often [s]."""
JUDGED, SHARE = 50, 0.9
"""Ticks after which the pace is set anew, and the share of them that must be prompt."""
SLOWER, QUICKER = 1.5, 0.9
"""Factors by which the period changes."""


class Pace:
    """The time between two pictures of a kind, which follows how late a sleeping thread wakes up."""

    def __init__(self) -> None:
        self.period = FASTEST
        """[s]"""
        self.lateness = 0.0
        """how late the thread woke up lately, `SHARE` of the times at most [s]"""
        self._late: deque[float] = deque(maxlen=JUDGED)

    def watch(self, looked_at: threading.Event) -> None:
        """Start a thread that adapts the pace while somebody looks."""
        threading.Thread(target=self._watch, args=(looked_at,), name="pace", daemon=True).start()

    def _watch(self, looked_at: threading.Event) -> None:
        while True:
            looked_at.wait()
            began = time.monotonic()
            time.sleep(TICK)
            self.note(time.monotonic() - began - TICK)

    def note(self, late: float) -> None:
        """Take by how much one tick was late [s]."""
        self._late.append(late)
        if len(self._late) < JUDGED:
            return
        self.lateness = sorted(self._late)[int(SHARE * JUDGED) - 1]
        self._late.clear()
        if self.lateness > LATE:
            self.period = min(SLOWER * self.period, SLOWEST)
        elif self.lateness < PROMPT:
            self.period = max(QUICKER * self.period, FASTEST)
