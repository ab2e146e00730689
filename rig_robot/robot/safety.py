"""The one filter that every command to an arm passes: what goes out is finite, in bounds and slow enough.

Order of the checks: finite, fresh, speed limit, workspace box, then joint, joint-speed and joint-acceleration limits
with all joints scaled together, and the box once more by forward kinematics of what would be sent.
No ROS here and no clocks: ages and time steps are arguments, so that every law can be tested as a law.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from rig_robot.robot.kinematics import Kinematics, Vector

FACE_MARGIN = 2e-3
"""How far inside the box the tool is stopped [m]: for the inverse kinematics' error and the swing of a real arm."""


class BoundsMissing(ValueError):
    """A bound is missing or not a bound; the text names it, its value and what it must be."""


@dataclass(frozen=True)
class Limits:
    """The bounds of an arm. There is no default for any of them: who does not give them does not move.

    Attributes:
        low: Lower corner of the workspace box, base frame, [3] m.
        high: Upper corner, [3] m.
        tool_speed: Largest speed of the tool [m/s].
        approach_rate: Speed towards a face of the box for each metre that it is away [1/s]. The smaller, the earlier
            the tool slows, and the less an arm that lags behind its commands swings past the face.
        joint_speed: Largest speed of each joint, [n] rad/s.
        joint_acceleration: Largest acceleration of each joint, [n] rad/s^2.
        max_age: A command older than this is none [s].
        tracking_error: Largest distance of a joint from its command before the arm is given up [rad].
    """

    low: Vector
    high: Vector
    tool_speed: float
    approach_rate: float
    joint_speed: Vector
    joint_acceleration: Vector
    max_age: float
    tracking_error: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=np.float64)
            if value.size == 0 or not np.isfinite(value).all():
                raise BoundsMissing(f"{field.name} = {value.tolist()}: every bound must be given as a finite number")
            if field.name not in ("low", "high") and not (value > 0).all():
                raise BoundsMissing(f"{field.name} = {value.tolist()}: must be greater than 0")
            object.__setattr__(self, field.name, value if value.ndim else float(value))
        two_corners = self.low.shape == self.high.shape == (3,)
        if not two_corners or not (self.high - self.low > 2 * FACE_MARGIN).all():
            raise BoundsMissing(
                f"workspace from {self.low.tolist()} to {self.high.tolist()}: must be two corners [x, y, z] in m, "
                f"each number of the lower one smaller by more than {2 * FACE_MARGIN} m"
            )

    def outside(self, position: Vector) -> float:
        """Return how far a position [3] m lies outside the box [m], 0 inside."""
        return float(np.linalg.norm(position - np.clip(position, self.low, self.high)))


@dataclass(frozen=True)
class JointCommand:
    """What may be sent to the arm.

    Attributes:
        position: Joint positions, [n] rad.
        velocity: Joint velocities there, [n] rad/s.
        note: What the filter changed or dropped and why; empty if nothing.
    """

    position: Vector
    velocity: Vector
    note: str = ""


class SafetyFilter:
    """Turns tool velocities into joint commands within the limits.

    It keeps the last commanded joint position and velocity; nothing else has memory. Start it from the measured
    position (`start`), then call `step` at the controller's rate.

    Args:
        kinematics: The arm.
        limits: Its bounds.
        orientation: Tool orientation that is held, quaternion w x y z.
        ramp: Time over which commands fade in after a start [s].
    """

    def __init__(self, kinematics: Kinematics, limits: Limits, orientation: ArrayLike, ramp: float = 1.0) -> None:
        joints = len(kinematics.joints)
        for name in ("joint_speed", "joint_acceleration"):
            if getattr(limits, name).shape != (joints,):
                given = getattr(limits, name).tolist()
                raise BoundsMissing(f"{name} = {given}: must have one number for each of the {joints} joints")
        self.limits = limits
        self._kinematics = kinematics
        self._orientation = np.asarray(orientation, dtype=np.float64)
        self._ramp = ramp
        self.start((kinematics.lower + kinematics.upper) / 2)

    def start(self, measured: ArrayLike) -> None:
        """Begin at the measured joint position [n] rad, at rest, with nothing of the ramp done.

        Raises:
            ValueError: If it is not finite or outside the joint limits by more than the tracking error.
        """
        measured = np.asarray(measured, dtype=np.float64)
        inside = np.clip(measured, self._kinematics.lower, self._kinematics.upper)
        if not np.isfinite(measured).all() or np.abs(measured - inside).max() > self.limits.tracking_error:
            raise ValueError(
                f"measured joint position {np.round(measured, 4).tolist()} rad is outside the joint limits "
                f"{self._kinematics.lower.tolist()} to {self._kinematics.upper.tolist()}: move the arm by hand"
            )
        self.position = inside
        self.velocity = np.zeros_like(inside)
        self.target = self._kinematics.forward(inside)
        self._blend = 0.0

    def tracking_error(self, measured: Vector) -> float:
        """Return the largest distance of a joint [n] rad from its command [rad]; infinite if one is not finite."""
        error = np.abs(measured - self.position)
        return float(error.max()) if np.isfinite(error).all() else float("inf")

    def step(self, velocity: ArrayLike, age: float, dt: float) -> JointCommand:
        """Filter one command.

        Args:
            velocity: Wanted tool velocity in the base frame, [3] m/s.
            age: Age of what the command rests on [s].
            dt: Time since the last step [s].

        Returns:
            What may be sent. A command that is dropped brakes the arm, which then holds its last commanded position.
        """
        velocity = np.asarray(velocity, dtype=np.float64)
        if not np.isfinite(velocity).all():
            return self._brake(dt, f"dropped: velocity {velocity.tolist()} is not finite")
        if not 0.0 <= age <= self.limits.max_age:
            return self._brake(dt, f"dropped: {age:.3f} s old, at most {self.limits.max_age} s is fresh")
        self._blend = 1.0 if self._ramp <= 0 else min(1.0, self._blend + dt / self._ramp)
        notes: list[str] = []
        velocity = self._limit_speed(velocity * self._blend, notes)
        target = self._limit_to_box(velocity, dt, notes)
        wanted = self._kinematics.step(self.position, target, self._orientation, dt)
        if not np.isfinite(wanted).all():
            return self._brake(dt, "dropped: no joint motion makes this tool motion")
        position, rate = self._limit_joints(wanted, dt, notes)
        if not self._may_be_at(position):
            return self._brake(dt, "stopped: the joints would have left the workspace box")
        # The target waits for the joints, but keeps what the inverse kinematics has still to make good.
        reached = self._kinematics.forward(position)
        leash = self.limits.tool_speed * dt
        self.target = reached + _shorten(target - reached, leash)
        self.position, self.velocity = position, rate
        return JointCommand(position, rate, "; ".join(notes))

    def _limit_speed(self, velocity: Vector, notes: list[str]) -> Vector:
        limited = _shorten(velocity, self.limits.tool_speed)
        if limited is not velocity:
            notes.append(f"slowed to {self.limits.tool_speed} m/s")
        return limited

    def _limit_to_box(self, velocity: Vector, dt: float, notes: list[str]) -> Vector:
        """Return where the tool may go in dt: into the box, never further out, and slower the nearer a face is."""
        low, high = self.limits.low + FACE_MARGIN, self.limits.high - FACE_MARGIN
        up = self.limits.approach_rate * np.maximum(high - self.target, 0.0)
        down = self.limits.approach_rate * np.maximum(self.target - low, 0.0)
        free = self.target + np.clip(velocity, -down, up) * dt
        target = np.clip(free, np.minimum(low, self.target), np.maximum(high, self.target))
        if np.abs(target - self.target - velocity * dt).max() > 1e-6:
            notes.append("kept inside the workspace box")
        return target

    def _limit_joints(self, wanted: Vector, dt: float, notes: list[str]) -> tuple[Vector, Vector]:
        """Return position [n] and velocity [n] that respect the joints' ranges, speeds and accelerations."""
        lower, upper = self._kinematics.lower, self._kinematics.upper
        rate = (np.clip(wanted, lower, upper) - self.position) / dt
        # The ramp holds for every motion, also for that of the elbow to its rest posture.
        slow = float(np.max(np.abs(rate) / (self.limits.joint_speed * self._blend), initial=1.0))
        change = rate / slow - self.velocity
        hard = float(np.max(np.abs(change) / (self.limits.joint_acceleration * dt), initial=1.0))
        rate = self.velocity + change / hard
        if slow > 1.0 or hard > 1.0:
            notes.append("joints slowed together")
        return self._advance(rate, dt)

    def _brake(self, dt: float, note: str) -> JointCommand:
        """Slow all joints together as fast as they may; where that would leave the box, stop at once."""
        hard = float(np.max(np.abs(self.velocity) / (self.limits.joint_acceleration * dt), initial=1.0))
        position, rate = self._advance(self.velocity * (1.0 - 1.0 / hard), dt)
        if not self._may_be_at(position):
            position, rate = self.position, np.zeros_like(self.velocity)
        self.position, self.velocity = position, rate
        self.target = self._kinematics.forward(position)
        return JointCommand(position, rate, note)

    def _advance(self, rate: Vector, dt: float) -> tuple[Vector, Vector]:
        position = np.clip(self.position + rate * dt, self._kinematics.lower, self._kinematics.upper)
        return position, (position - self.position) / dt

    def _may_be_at(self, position: Vector) -> bool:
        """Return whether the tool is inside the box at joint position [n] rad, or at least no further out than now."""
        outside = self.limits.outside(self._kinematics.forward(position))
        now = self.limits.outside(self._kinematics.forward(self.position))
        return outside <= now


def _shorten(vector: Vector, length: float) -> Vector:
    """Return the vector itself, or one of the same direction and the given length where it is longer."""
    largest = float(np.abs(vector).max())
    if largest == 0.0:
        return vector
    norm = largest * float(np.linalg.norm(vector / largest))  # the square of a huge number would overflow
    return vector if norm <= length else vector / largest * (length / (norm / largest))
