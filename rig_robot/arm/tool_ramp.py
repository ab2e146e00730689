"""Ramps wanted tool velocities, which both filters do first, and turns orientations."""

from __future__ import annotations

import mujoco
import numpy as np

from rig_robot.arm.commands import Vector
from rig_robot.arm.limits import Limits


class ToolRamp:
    """What both filters do to a wanted tool velocity first: drop what is none, fade in, limit speed and its change."""

    def __init__(self, limits: Limits, ramp: float) -> None:
        self._limits = limits
        self._ramp = ramp
        self.start()

    def start(self) -> None:
        """Begin at rest, with nothing of the ramp done."""
        self.blend = 0.0
        self.velocity = np.zeros(3)

    def wrong(self, velocity: Vector, age: float) -> str | None:
        """Return why a command is none; None if it is one."""
        if not np.isfinite(velocity).all():
            return f"dropped: velocity {velocity.tolist()} is not finite"
        if not 0.0 <= age <= self._limits.max_age:
            return f"dropped: {age:.3f} s old, at most {self._limits.max_age} s is fresh"
        return None

    def towards(self, wanted: Vector, dt: float, notes: list[str]) -> Vector:
        """Return the tool velocity [3] m/s after dt [s] on the way to the one that is wanted."""
        self.blend = 1.0 if self._ramp <= 0 else min(1.0, self.blend + dt / self._ramp)
        wanted = wanted * self.blend
        limited = shorten(wanted, self._limits.tool_speed)
        if limited is not wanted:
            notes.append(f"slowed to {self._limits.tool_speed} m/s")
        self.velocity = self.velocity + shorten(limited - self.velocity, self._limits.tool_acceleration * dt)
        return self.velocity


def shorten(vector: Vector, length: float) -> Vector:
    """Return the vector itself, or one of the same direction and the given length where it is longer."""
    largest = float(np.abs(vector).max())
    if largest == 0.0:
        return vector
    norm = largest * float(np.linalg.norm(vector / largest))  # the square of a huge number would overflow
    return vector if norm <= length else vector / largest * (length / (norm / largest))


def rotation(start: Vector, end: Vector) -> Vector:
    """Return the rotation vector [3] rad, base frame, that turns one orientation (w x y z) to another the short way."""
    inverse, between, vector = np.empty(4), np.empty(4), np.empty(3)
    mujoco.mju_negQuat(inverse, start)
    mujoco.mju_mulQuat(between, end, inverse)
    mujoco.mju_quat2Vel(vector, between, 1.0)
    return vector


def rotate(start: Vector, vector: Vector) -> Vector:
    """Return an orientation (w x y z) after a rotation by a vector [3] rad of the base frame."""
    turn, end = np.empty(4), np.empty(4)
    angle = float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(turn, vector / angle if angle > 0.0 else np.array([1.0, 0.0, 0.0]), angle)
    mujoco.mju_mulQuat(end, turn, start)
    return end
