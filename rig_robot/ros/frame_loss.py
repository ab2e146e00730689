"""Measures how many frames of another process's camera driver are lost on their way, and says what cures it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rig_robot.bringup.environment import dds_profile

WORTH_A_WORD = 0.05
"""Share of the driver's frames that may be lost without a warning."""
SETTLE, WINDOW = 3.0, 8.0
"""Time after the first frame that does not count, and the time span that is measured at once [s]."""
LEAST = 40
"""Fewest steps between stamps from which the driver's rate is estimated."""
EVENTS = 4
"""Fewest separate losses that count: a single interruption is no lasting loss."""
REGULAR = 0.85
"""Share of the steps that must be whole multiples of the driver's own step."""
MIXED = (0.5, 1.5)
"""Bounds on how often short and long steps alternate, relative to chance. Below, they come in runs: the driver changed
its rate, as an automatic exposure does. Above, they alternate: the stamps are irregular, and no frames are lost."""


@dataclass(frozen=True)
class Loss:
    """How many of a driver's frames are lost.

    Attributes:
        arriving: Frames a second that arrive [Hz].
        own: Frames a second that the driver gives [Hz].
        share: Share of its frames that do not arrive.
        on_the_way: Whether the middleware has counted the loss; otherwise it is estimated from the stamps.
    """

    arriving: float
    own: float
    share: float
    on_the_way: bool

    def text(self) -> str:
        return f"{self.arriving:.1f} of the driver's {self.own:.1f} frames a second arrive"

    def cure(self, middleware: str) -> str:
        """Return what to do, for a ROS middleware."""
        also = "" if self.on_the_way else "; if it has that, it leaves them out itself or this computer is too busy"
        return cure(middleware) + also


def cure(middleware: str) -> str:
    """Return how to make large messages arrive, for a ROS middleware."""
    if not middleware.startswith("rmw_fastrtps"):
        return f"{middleware} loses large messages: give it shared memory or larger socket buffers (net.core.rmem_max)"
    variable, file = next(iter(dds_profile("camera", {}).items()))
    return f"start the driver's process with {variable}={file} (in a container: mount that file, and --ipc=host)"


class FrameLoss:
    """Compares the frames that arrive with those that the driver publishes.

    The middleware counts the messages that it knows it has missed. For other losses the driver's own rate is estimated
    from the stamps: by their shortest step that recurs.

    Args:
        settle: Time after the first frame that does not count [s].
        window: Time span that is measured at once [s].
    """

    def __init__(self, settle: float = SETTLE, window: float = WINDOW) -> None:
        self._settle, self._window = settle, window
        self._begin: float | None = None
        self._stamps: deque[tuple[float, float]] = deque()
        self._missed: deque[tuple[float, int]] = deque()

    def came(self, stamp: float, steady: float | None = None) -> None:
        """Note a frame: its stamp [s] and the steady clock [s]."""
        if (now := self._counts(steady)) is not None and stamp > 0.0:
            self._stamps.append((now, stamp))

    def missed(self, count: int, steady: float | None = None) -> None:
        """Note messages that the middleware has missed."""
        if (now := self._counts(steady)) is not None and count > 0:
            self._missed.append((now, count))

    def loss(self, steady: float | None = None) -> Loss | None:
        """Return the loss of the last `window` seconds; None where it is small or not known yet."""
        now = time.monotonic() if steady is None else steady
        for noted in (self._stamps, self._missed):
            while noted and noted[0][0] < now - self._window:
                noted.popleft()
        if self._begin is None or now < self._begin + self._settle + self._window:
            return None
        return judge([stamp for _, stamp in self._stamps], [count for _, count in self._missed], self._window)

    def _counts(self, steady: float | None) -> float | None:
        now = time.monotonic() if steady is None else steady
        if self._begin is None:
            self._begin = now
        return now if now >= self._begin + self._settle else None


def judge(stamps: Sequence[float], missed: Sequence[int], seconds: float) -> Loss | None:
    """Return the loss of a stream; None where it is small.

    Args:
        stamps: Stamps of the frames that arrived, in any order, some perhaps twice [s].
        missed: How many messages the middleware missed, each time that it did.
        seconds: Time span of the stream [s].
    """
    arriving, lost = len(stamps) / seconds, sum(missed)
    if (len(missed) >= EVENTS or lost > len(stamps)) and lost > WORTH_A_WORD * (lost + len(stamps)):
        return Loss(arriving, arriving + lost / seconds, lost / (lost + len(stamps)), True)
    told = _by_stamps(stamps)
    if told is None or told[1] <= WORTH_A_WORD:
        return None
    return Loss(arriving, 1.0 / told[0], told[1], False)


def _by_stamps(stamps: Sequence[float]) -> tuple[float, float] | None:
    """Return the driver's own step [s] and the share of its frames that are missing; None where neither is known."""
    steps = np.diff(np.unique(stamps))
    if len(steps) < LEAST:
        return None
    short = float(np.quantile(steps, 0.1))
    own = float(np.median(steps[(steps > 0.7 * short) & (steps < 1.4 * short)]))
    whole = np.maximum(np.round(steps / own), 1.0)
    if (np.abs(steps / own - whole) < 0.25).mean() < REGULAR:
        return None
    long = whole > 1.0
    if long.sum() < EVENTS:
        return own, 0.0
    turns, by_chance = float((long[1:] != long[:-1]).mean()), 2.0 * float(long.mean()) * (1.0 - float(long.mean()))
    mixed = MIXED[0] * by_chance <= turns <= MIXED[1] * by_chance and by_chance > 0.0
    return own, float(1.0 - len(whole) / whole.sum()) if mixed else 0.0
