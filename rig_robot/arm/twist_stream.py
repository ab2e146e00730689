"""Keeps the last tool velocity that the policy sent, for the supervisor: its age, and for how long it holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rig_robot.arm.commands import Vector
from rig_robot.common.message_age import Arrival, Period

PERIODS, SHORTEST = 1.05, 0.02
"""How long one twist moves the arm, once their rate is known: in periods of theirs, and at the least [s]."""


class TwistStream:
    """The last tool velocity that was asked for, and whether it still moves the arm.

    Args:
        motion_time: One twist moves the arm for at most this long [s].
        watchdog: A twist whose frame is older than this is stale [s].
        held: Axes (0 x, 1 y, 2 z) that the policy does not drive and the place [m] where each is kept.
    """

    def __init__(self, motion_time: float, watchdog: float, held: Mapping[int, float]) -> None:
        self._longest, self._watchdog, self._held = motion_time, watchdog, dict(held)
        self._motion_time = motion_time
        self._period = Period()
        self._last: tuple[Vector, Arrival] | None = None
        self.rested = True
        """Whether the arm has come to rest since the last twist."""

    def take(self, velocity: Vector, arrival: Arrival) -> None:
        """Take a wanted tool velocity, base frame, [3] m/s."""
        self._last, self.rested = (velocity, arrival), False
        self._period.note(arrival.steady)
        self._motion_time = self._period.times(PERIODS, least=min(SHORTEST, self._longest), most=self._longest)

    def forget(self) -> None:
        """Drop the last twist: what was wanted before arming is not wanted now."""
        self._last = None

    def late(self, steady: float) -> bool:
        """Return whether the last twist moves the arm no longer, and the next has not come."""
        return self._last is not None and steady - self._last[1].steady > self._motion_time

    def wanted(self, tool: Vector, steady: float) -> tuple[Vector, float, str | None]:
        """Return tool velocity [3] m/s, its age [s], and why the arm waits (None if it does not).

        Args:
            tool: Where the tool is told to be, base frame, [3] m.
            steady: Steady clock [s].
        """
        if self._last is None:
            return np.zeros(3), float("inf"), "no command since arming"
        velocity, arrival = self._last
        age = arrival.now(steady)
        if age > self._watchdog:
            return np.zeros(3), age, f"the last command is stale (older than {self._watchdog} s)"
        if self.late(steady):
            return np.zeros(3), age, None
        velocity = velocity.copy()
        for axis, place in self._held.items():
            # The policy moves in a plane; a proportional pull of 5/s keeps the tool in it.
            velocity[axis] = 5.0 * (place - tool[axis])
        return velocity, age, None
