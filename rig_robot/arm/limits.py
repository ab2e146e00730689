"""Holds the bounds of an arm, and what keeps a tool velocity inside its box."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from rig_robot.arm.commands import Vector

FACE_MARGIN = 2e-3
"""How far inside the box the tool is stopped [m]: for the inverse kinematics' error and the swing of a real arm."""
REST_MARGIN = FACE_MARGIN / 2
"""How far inside the box an arm that gets no further command must come to rest [m]: its joints bend the tool's way."""


class BoundsMissing(ValueError):
    """A bound is missing or not a bound; the text names it, its value and what it must be."""


@dataclass(frozen=True)
class Limits:
    """The bounds of an arm. There is no default for any of them: who does not give them does not move.

    Attributes:
        low: Lower corner of the workspace box, base frame, [3] m.
        high: Upper corner, [3] m.
        tool_speed: Largest speed of the tool [m/s].
        tool_acceleration: Largest acceleration of the tool that is asked of the joints [m/s^2].
        turn_speed: Speed at which a tool that is turned otherwise is turned to its orientation [rad/s].
        approach_rate: Speed towards a face of the box for each metre that it is away [1/s]. The smaller, the earlier
            the tool slows, and the less an arm that lags behind its commands swings past the face.
        joint_speed: Largest speed of each joint, [n] rad/s.
        joint_acceleration: Largest acceleration of each joint, [n] rad/s^2.
        braking_time: No joint is sent faster than it can brake to rest from within this time [s].
        singularity_slow: Condition number of the tool's Jacobian from which the arm slows on its way to a singularity.
        singularity_stop: The one at which it goes no nearer to it.
        max_age: A command older than this is none [s].
        tracking_error: Largest distance of a joint from its command before the arm is given up [rad].
    """

    low: Vector
    high: Vector
    tool_speed: float
    tool_acceleration: float
    turn_speed: float
    approach_rate: float
    joint_speed: Vector
    joint_acceleration: Vector
    braking_time: float
    singularity_slow: float
    singularity_stop: float
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
        if self.singularity_slow >= self.singularity_stop:
            raise BoundsMissing(
                f"singularity_slow = {self.singularity_slow}: must be below singularity_stop = {self.singularity_stop}"
            )

    @property
    def commanded_speed(self) -> Vector:
        """Largest speed that each joint is sent, [n] rad/s: its own, or what it brakes from within `braking_time`."""
        return np.minimum(self.joint_speed, self.joint_acceleration * self.braking_time)

    def outside(self, position: Vector, margin: float = 0.0) -> float:
        """Return how far a position [3] m lies outside the box, made smaller by a margin on each side [m]; 0 inside."""
        return float(np.linalg.norm(position - np.clip(position, self.low + margin, self.high - margin)))

    def into_box(self, position: Vector, velocity: Vector, dt: float) -> Vector:
        """Return the velocity [3] m/s that may be had at a position [3] m for dt [s].

        It is slower the nearer a face is, leads into the box from outside, and never further out.
        """
        low, high = self.low + FACE_MARGIN, self.high - FACE_MARGIN
        up = self.approach_rate * np.maximum(high - position, 0.0)
        down = self.approach_rate * np.maximum(position - low, 0.0)
        end = position + np.clip(velocity, -down, up) * dt
        return (np.clip(end, np.minimum(low, position), np.maximum(high, position)) - position) / dt
