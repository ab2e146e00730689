"""Drives the tool to its park position, for the supervisor: how fast, whether it is there, when to give up."""

from __future__ import annotations

import numpy as np

from rig_robot.arm.commands import Vector

THERE = 2e-3
"""Distance from the park position that counts as there [m]."""
RATE = 2.0
"""Speed for each metre to the park position [1/s]; at most half of the tool's."""
PATIENCE = 2.0
"""Time without getting a millimetre nearer after which a park motion is given up [s]."""


class ParkMotion:
    """A drive to the park position that has begun.

    Args:
        place: The park position, base frame, [3] m.
        steady: Steady clock [s].
    """

    def __init__(self, place: Vector, steady: float) -> None:
        self._place = place
        self._nearest, self._since = np.inf, steady
        self.distance = np.inf
        """From the tool to the park position, when it was last asked [m]."""

    def velocity(self, tool: Vector, tool_speed: float, steady: float) -> Vector | None:
        """Return the velocity [3] m/s to drive with; None once the tool is there.

        Args:
            tool: Where it is, base frame, [3] m.
            tool_speed: Its largest speed [m/s].
            steady: Steady clock [s].
        """
        way = self._place - tool
        self.distance = float(np.linalg.norm(way))
        if self.distance < THERE:
            return None
        if self.distance < self._nearest - 1e-3:
            self._nearest, self._since = self.distance, steady
        return way * min(RATE, 0.5 * tool_speed / self.distance)

    def stuck(self, steady: float) -> bool:
        """Return whether the tool has come no nearer for so long that the motion is to be given up."""
        return steady - self._since > PATIENCE
