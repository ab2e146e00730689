"""Says which of the open pages has control. Its pulse is the operator's heartbeat; any page may stop the arm.

Called by the front server's thread (pulses, stops, jogging) and by the page's thread (buttons): every method is short
and holds a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GONE = 2.0
"""Time without a word after which a page counts as closed [s]; a hidden one is heard once a second."""
KEPT = 5.0
"""Time for which a page that was closed or loaded again keeps the control [s]."""

Move = tuple[float, float, float]
"""Velocity along x, y and z, each from -1 to 1 (full speed of jogging)."""


class Control:
    """The open pages, and which of them has control.

    Args:
        beat: Sends the operator's heartbeat.
        stop: Stops the arm; called with who asks for it.
        jog: Moves the tool for as long as it is called at least every 0.13 s.
    """

    def __init__(self, beat: Callable[[], None], stop: Callable[[str], None], jog: Callable[[Move], None]) -> None:
        self._beat, self._stop, self._jog = beat, stop, jog
        self._lock = threading.Lock()
        self._heard: dict[str, float] = {}  # by page: when it was heard last [s, steady clock]
        self._holder = ""
        self._held = 0.0  # when the holder was heard last [s, steady clock]
        self._jogs = False

    def join(self, page: str) -> bool:
        """Add a page; return False where a page of this name is open already. With nobody in control it gets it."""
        now = time.monotonic()
        with self._lock:
            if now - self._heard.get(page, -GONE) < GONE:
                return False
            self._heard[page] = now
            if not self._holder_at(now):
                self._give(page, now)
            return True

    def leave(self, page: str) -> None:
        """Take out a page that was closed; it keeps the control for `KEPT` seconds."""
        with self._lock:
            self._heard.pop(page, None)
            if page == self._holder:
                self._jogs = False

    def hear(self, page: str, visible: bool) -> None:
        """Take a page's sign of life. A visible page in control passes on the operator's heartbeat."""
        now = time.monotonic()
        with self._lock:
            if page not in self._heard:
                return
            self._heard[page] = now
            if page != self._holder:
                return
            self._held = now
        if visible:
            self._beat()

    def stop(self, page: str) -> None:
        """Stop the arm: any page may."""
        self._stop(page or "a page")

    def jog(self, page: str, move: Move) -> bool:
        """Move the tool, if the page has control and jogging is switched on; return whether it does."""
        with self._lock:
            allowed = page == self._holder and self._jogs
        if allowed:
            self._jog(move)
        return allowed

    def take(self, page: str) -> None:
        """Give a page the control, whoever has it now; jogging ends."""
        with self._lock:
            self._give(page, time.monotonic())

    def allow_jogging(self, page: str, on: bool) -> None:
        """Switch jogging on or off, for the page in control."""
        with self._lock:
            if page == self._holder:
                self._jogs = on

    def has_control(self, page: str) -> bool:
        """Return whether a page has control."""
        with self._lock:
            return bool(page) and self._holder_at(time.monotonic()) == page

    @property
    def free(self) -> bool:
        """Whether no page has control."""
        with self._lock:
            return not self._holder_at(time.monotonic())

    @property
    def jogs(self) -> bool:
        """Whether jogging is switched on."""
        with self._lock:
            return self._jogs

    @property
    def open(self) -> int:
        """Number of open pages."""
        now = time.monotonic()
        with self._lock:
            return sum(now - heard < GONE for heard in self._heard.values())

    def _holder_at(self, now: float) -> str:
        return self._holder if now - self._held < KEPT else ""

    def _give(self, page: str, now: float) -> None:
        self._holder, self._held, self._jogs = page, now, False
