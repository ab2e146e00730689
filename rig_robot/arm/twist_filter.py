"""Filters tool velocities for MoveIt Servo, which looks after joints, singularities and collisions itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import TwistCommand, Vector
from rig_robot.arm.kinematics import Kinematics
from rig_robot.arm.limits import Limits
from rig_robot.arm.tool_ramp import ToolRamp, rotation, shorten


class TwistFilter:
    """Keeps tool velocities within the limits, for MoveIt Servo.

    The box holds for where the tool would be when Servo stops by itself: measured position + velocity x `timeout`.
    Joint limits, singularities and collisions are Servo's.

    Args:
        kinematics: The arm.
        limits: Its bounds; those of the joints are not used.
        orientation: Tool orientation that is held, quaternion w x y z.
        ramp: Time over which commands fade in after a start [s].
        timeout: How long Servo goes on after the last command (its `incoming_command_timeout`) [s].
    """

    TURN_RATE = 2.0
    """Angular velocity for each radian that the tool is turned away from its orientation [1/s]."""

    def __init__(
        self, kinematics: Kinematics, limits: Limits, orientation: ArrayLike, ramp: float = 1.0, timeout: float = 0.1
    ) -> None:
        self.limits = limits
        self._kinematics = kinematics
        self._orientation = np.asarray(orientation, dtype=np.float64)
        self._timeout = timeout
        self._eased = ToolRamp(limits, ramp)
        self.commanded = np.zeros(3)
        """How far the tool was told to go, all commands added up [3] m."""
        self.start((kinematics.lower + kinematics.upper) / 2)

    def start(self, measured: ArrayLike) -> None:
        """Begin at the measured joint position [n] rad, at rest, with nothing of the ramp done.

        Raises:
            ValueError: If it is not finite.
        """
        measured = np.asarray(measured, dtype=np.float64)
        if not np.isfinite(measured).all():
            raise ValueError(f"measured joint position {measured.tolist()} rad is not finite")
        self._eased.start()
        self.observe(measured)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints."""
        return self._kinematics.joints

    @property
    def moving(self) -> bool:
        """Whether the last command leaves the arm in motion."""
        return bool(self._eased.velocity.any())

    def observe(self, measured: Vector) -> float:
        """Take a measured joint position [n] rad; infinite if it is not finite, else 0: Servo does the following."""
        if not np.isfinite(measured).all():
            return float("inf")
        self.target, self._turn = self._kinematics.pose(measured)
        return 0.0

    def catch_up(self, dt: float) -> float:
        """Return the time to step by [s]: Servo has stopped by itself where the last command is longer ago [s]."""
        if dt > self._timeout:
            self._eased.velocity = np.zeros(3)
        return min(dt, self._timeout)

    def step(self, velocity: ArrayLike, age: float, dt: float) -> TwistCommand:
        """Filter one command; arguments as those of `SafetyFilter.step`."""
        velocity = np.asarray(velocity, dtype=np.float64)
        if (wrong := self._eased.wrong(velocity, age)) is not None:
            return self.brake(dt, wrong)
        notes: list[str] = []
        eased = self._eased.towards(velocity, dt, notes)
        allowed = self.limits.into_box(self.target, eased, self._timeout)
        if np.abs(allowed - eased).max() * dt > 1e-6:
            notes.append("kept inside the workspace box")
        self._eased.velocity = allowed
        self.commanded = self.commanded + allowed * dt
        turn = rotation(self._turn, self._orientation) * self.TURN_RATE
        return TwistCommand(allowed, shorten(turn, self.limits.turn_speed * self._eased.blend), "; ".join(notes))

    def brake(self, dt: float, note: str) -> TwistCommand:
        """Slow the tool as fast as it may."""
        slower = shorten(-self._eased.velocity, self.limits.tool_acceleration * dt)
        velocity = self._eased.velocity + slower
        self._eased.velocity = self.limits.into_box(self.target, velocity, self._timeout)
        self.commanded = self.commanded + self._eased.velocity * dt
        return TwistCommand(self._eased.velocity, np.zeros(3), note)

    def approach(self, _: Vector, dt: float, note: str) -> TwistCommand:
        """Stay: joints are for Servo to move."""
        return self.brake(dt, note)
