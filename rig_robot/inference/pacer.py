"""Decides when to act on a stream of frames: once a period by their own stamps, so that no frame waits for a timer."""

from collections import deque
from statistics import median

_CONSECUTIVE = 3
"""Number of consecutive frames, older than the newest and in order, that show that the clock was set back."""
_TIE = 0.05
"""Share of the frame interval within which two frames count as equally near to the period's end."""


class Pacer:
    """Chooses every n-th frame of a stream with jitter, losses, any rate, and frames out of order.

    A frame is due when the period since the one last acted on is over, give or take half a frame interval: the frame
    nearest to the period's end is taken, whether it comes a little early or late; of two that are equally near, the
    earlier and the later in turn.

    A frame that comes after a newer one (a driver that swaps its buffers, two paths through a network) is skipped. If
    an action came late because of it, the next action comes earlier; no action follows another within less than half a
    period. If several consecutive frames are older than the newest one, in order and for half a period, the clock was
    set back, and the pacer continues with the new time. A frame that is older than the one last acted on by less than a
    period is never due.
    """

    def __init__(self, period_s: float) -> None:
        self._period = period_s
        self._intervals: deque[float] = deque(maxlen=15)
        self._newest: float | None = None
        self._older: list[float] = []
        self._disorder = False, False  # whether a frame was skipped: before the one last acted on, and since then
        self._acted: float | None = None
        self._late = 0.0  # how late the actions are against one a period [s]; below 0: early

    def due(self, stamp_s: float) -> bool:
        """Return whether to act on the frame with this stamp; call it for every frame: it measures their interval."""
        if self._newest is None or stamp_s > self._newest:
            if self._newest is not None:
                self._intervals.append(stamp_s - self._newest)
            self._newest, self._older = stamp_s, []
        elif self._set_back(stamp_s):
            self._newest, self._older = stamp_s, []
            if self._acted is not None and stamp_s <= self._acted - self._period:
                self._acted = None
        else:
            if stamp_s < self._newest:
                self._disorder = self._disorder[0], True
            if stamp_s > self._newest - self._period:
                return False  # if the newest stamp lies far in the future, the older frames may be the right ones
        return self._acted is None or stamp_s - self._acted >= self._least_gap()

    def acted(self, stamp_s: float) -> None:
        """Note that the frame with this stamp was acted on."""
        if self._acted is not None:
            late = self._lateness() + stamp_s - self._acted - self._period
            self._late = min(max(late, -self._period), self._period)
        self._acted, self._disorder = stamp_s, (self._disorder[1], False)

    def _lateness(self) -> float:
        """Return the lateness of the actions that the next action is to compensate [s]; below 0: earliness."""
        # Lateness by a lost frame is not compensated, since training would get uneven steps.
        return self._late if any(self._disorder) else min(self._late, 0.0)

    def _set_back(self, stamp_s: float) -> bool:
        """Return whether the frames that are older than the newest, with this one, show that the clock was set back."""
        if not self._older or stamp_s < self._older[-1]:
            self._older = [stamp_s]
        elif stamp_s > self._older[-1]:
            self._older.append(stamp_s)
        return len(self._older) >= _CONSECUTIVE and self._older[-1] - self._older[0] >= self._period / 2

    def _least_gap(self) -> float:
        """Return the least time since the frame last acted on after which a frame is due [s]."""
        interval, late = median(self._intervals) if self._intervals else 0.0, self._lateness()
        tie = _TIE * interval
        least = self._period - interval / 2 - max(late, 0.0) + (tie if late < -tie else -tie)
        return max(least, self._period / 2)
