"""Detects, for the supervisor, joint states that stay the same to the last digit while the arm is told to move."""

from __future__ import annotations

import numpy as np

from rig_robot.arm.commands import Vector

FROZEN = 0.01
"""How far an arm may be told to go [rad, or m for Servo] while the measured joints stay the same to the last digit."""
LEAVES = 0.003
"""From how far on [rad, m] it counts as told to go."""


class FrozenJoints:
    """Measures for how long the joint states have not changed although the arm was told to move.

    Args:
        commanded: What the arm was told last: joint positions, [n] rad, or for Servo the way of the tool, [3] m.
    """

    def __init__(self, commanded: Vector) -> None:
        self._at_change = commanded
        self._left: float | None = None  # since when the command is elsewhere than then [s, steady clock]

    def measured_changed(self, commanded: Vector) -> None:
        """Note that the measured joints have changed, be it by the last digit, while the arm was told `commanded`."""
        self._at_change, self._left = commanded, None

    def seconds(self, commanded: Vector, steady: float) -> float:
        """Return for how long the measured joints have stayed the same though the arm was told to move [s].

        Args:
            commanded: What the arm was told last.
            steady: Steady clock [s].
        """
        told = float(np.abs(commanded - self._at_change).max())
        if told <= LEAVES:
            self._left = None
            return 0.0
        self._left = steady if self._left is None else self._left
        return steady - self._left if told > FROZEN else 0.0

    def no_measurement(self) -> None:
        """Note that joint states are too old to tell whether the arm moves."""
        self._left = None
