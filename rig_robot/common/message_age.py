"""Measures how old a message is, so that neither a jump of the clock nor a delayed queue makes it look fresh.

Age is ROS time now minus stamp, read once at arrival, plus the steady clock's time since: a clock that is set back
afterwards cannot make an old message young again.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from statistics import median

FUTURE_LIMIT = 0.05
"""A stamp further than this in the future [s] is refused: the clocks of two machines disagree."""


class FromTheFuture(ValueError):
    """A message carries a stamp later than now; the text says by how much."""


@dataclass(frozen=True)
class Arrival:
    """A message's age at its arrival and the moment of it.

    Attributes:
        age: Age at arrival [s].
        steady: Steady clock at arrival [s].
    """

    age: float
    steady: float

    @classmethod
    def of(cls, stamp: float, ros_now: float, steady: float | None = None, waited: float = 0.0) -> Arrival:
        """Note the arrival of a message.

        Args:
            stamp: The message's stamp, ROS time [s].
            ros_now: ROS time now [s].
            steady: Steady clock now [s]; read here if not given.
            waited: How long ago it arrived [s]; a message does not arrive before its stamp.

        Raises:
            FromTheFuture: If the stamp lies more than `FUTURE_LIMIT` after now.
        """
        age = ros_now - stamp
        if age < -FUTURE_LIMIT:
            raise FromTheFuture(
                f"stamp lies {-age:.3f} s in the future; at most {FUTURE_LIMIT} s is allowed: "
                "synchronise the clocks (chrony, PTP) or check use_sim_time"
            )
        age = max(age, 0.0)
        waited = min(waited, age)
        return cls(age - waited, (time.monotonic() if steady is None else steady) - waited)

    def now(self, steady: float | None = None) -> float:
        """Return the message's age now [s]."""
        return self.age + (time.monotonic() if steady is None else steady) - self.steady


class Period:
    """Learns the period of a stream of messages from their arrivals."""

    KNOWN = 10
    """Intervals between messages from which on the period counts as known."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=50)
        self._last: float | None = None

    def note(self, steady: float) -> None:
        """Note the arrival of a message, steady clock [s]."""
        if self._last is not None:
            self._intervals.append(steady - self._last)
        self._last = steady

    def times(self, factor: float, *, least: float, most: float) -> float:
        """Return `factor` median periods, clipped to two bounds [s]; the upper bound while the period is not known."""
        if len(self._intervals) < self.KNOWN:
            return most
        return min(most, max(least, factor * median(self._intervals)))


class ClockJump:
    """Compares ROS time with the steady clock and reports when ROS time jumps.

    Args:
        limit: Difference between the two clocks' progress that counts as a jump [s].
        rate: ROS seconds per steady second: 1 for real time; None follows a simulated clock, where only a step
            backwards is a jump.
    """

    def __init__(self, limit: float = 0.1, rate: float | None = 1.0) -> None:
        self._limit = limit
        self._rate = rate
        self._last: tuple[float, float] | None = None

    def check(self, ros_now: float, steady: float | None = None) -> float:
        """Return the jump [s] since the last call, 0 where there is none. Call it at every tick."""
        steady = time.monotonic() if steady is None else steady
        last, self._last = self._last, (ros_now, steady)
        if last is None:
            return 0.0
        progress = ros_now - last[0]
        if self._rate is None:
            return progress if progress < 0.0 else 0.0
        jump = progress - self._rate * (steady - last[1])
        return jump if abs(jump) > self._limit else 0.0
