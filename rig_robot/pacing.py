"""When to act on a stream of frames: once a period by their own stamps, so that nothing ages while a timer sleeps."""

from collections import deque
from statistics import median


class Pacer:
    """Chooses every n-th frame of a stream with jitter, losses and any rate.

    A frame is due when the period since the one last acted on is over, give or take half a frame interval: the frame
    nearest to the period's end is taken, whether it comes a little early or late.
    """

    def __init__(self, period_s: float) -> None:
        self._period = period_s
        self._intervals: deque[float] = deque(maxlen=15)
        self._seen: float | None = None
        self._acted: float | None = None

    def due(self, stamp_s: float) -> bool:
        """Whether to act on the frame with this stamp. Tell every frame: their interval is measured here."""
        if self._seen is not None:
            interval = stamp_s - self._seen
            if interval == 0:
                return False
            if interval > 0:
                self._intervals.append(interval)
            else:  # the clock was set back, or a recording starts again
                self._acted = None
        self._seen = stamp_s
        half_frame = median(self._intervals) / 2 if self._intervals else 0.0
        return self._acted is None or stamp_s - self._acted >= self._period - half_frame

    def acted(self, stamp_s: float) -> None:
        """Note that the frame with this stamp was acted on."""
        self._acted = stamp_s
