"""Relieves an arm that presses against an obstacle, for the supervisor: commands it to where it stands.

An arm that did not follow its commands is disarmed and brakes. Where it then stands still off its last command, the
controller goes on pressing towards that command; its own place is the one that asks for no force.
"""

from __future__ import annotations

from rig_robot.arm.commands import Vector
from rig_robot.arm.liveness import YOUNG
from rig_robot.arm.measured_joints import MeasuredJoints

RELIEVED = 0.01
"""Distance from its command [rad] at which an arm that stands against something is left alone."""
STILL = 0.1
"""Time for which the arm must have stood still [s]."""
WITHIN = 2.0
"""Time after being disarmed within which it is brought to where it stands [s]."""


class ContactRelief:
    """Finds the posture that an arm is to be brought to after a tracking error.

    Args:
        joints: The measured joints.
        tracking_error: Largest distance of a joint from its command before the arm is given up [rad].
    """

    def __init__(self, joints: MeasuredJoints, tracking_error: float) -> None:
        self._joints, self._farthest = joints, 2.0 * tracking_error
        self._until: float | None = None  # [s, steady clock]
        self._place: Vector | None = None

    @property
    def active(self) -> bool:
        """Whether the arm is watched, or being brought somewhere."""
        return self._until is not None

    def begin(self, steady: float) -> None:
        """Watch the arm from now on, steady clock [s]."""
        self._until, self._place = steady + WITHIN, None

    def cancel(self) -> None:
        """Leave the arm alone."""
        self._until = None

    def place(self, error: float, at_rest: bool, steady: float) -> Vector | None:
        """Return the posture to approach now, [n] rad; None for none.

        Args:
            error: Largest distance of a measured joint from its command [rad].
            at_rest: Whether the last command has left the arm at rest.
            steady: Steady clock [s].
        """
        if self._until is None:
            return None
        if self._place is None and at_rest:
            self._place = self._stands(error, steady)
        if steady > self._until:
            self.cancel()
            return None
        return self._place if self._joints.age(steady) <= YOUNG else None

    def _stands(self, error: float, steady: float) -> Vector | None:
        """Return where an arm stands that is held off its command, [n] rad; None where that is not sure."""
        joints = self._joints
        sure = joints.settled and joints.age(steady) <= YOUNG and joints.still(steady) >= STILL
        return joints.position if sure and RELIEVED < error <= self._farthest else None
