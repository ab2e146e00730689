"""Interprets joint trajectories as ros2_control's joint_trajectory_controller does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Refused(ValueError):
    """The controller rejects a trajectory; the text says why."""


class SetPoint(NamedTuple):
    """What a controller asks of the servos: position [n] (rad), velocity [n] (rad/s), acceleration [n] (rad/s^2)."""

    position: Array
    velocity: Array
    acceleration: Array


@dataclass(frozen=True)
class Trajectory:
    """Joint positions over time: cubic between points that give velocities, straight between others.

    Attributes:
        times: of the points [k] (s), rising; the first is where the motion starts from.
        positions: [k, n] (rad).
        velocities: [k, n] (rad/s), or None.
    """

    times: Array
    positions: Array
    velocities: Array | None

    def at(self, time: float) -> SetPoint:
        """Return where the arm is to be at a time (s). The last position is held."""
        still = np.zeros(self.positions.shape[1])
        if time >= self.times[-1]:
            return SetPoint(self.positions[-1], still, still)
        if time < self.times[0]:
            return SetPoint(self.positions[0], still, still)
        i = int(np.searchsorted(self.times, time, side="right")) - 1
        span = self.times[i + 1] - self.times[i]
        start, end = self.positions[i], self.positions[i + 1]
        if self.velocities is None:
            return SetPoint(start + (end - start) * (time - self.times[i]) / span, (end - start) / span, still)
        s = (time - self.times[i]) / span
        v0, v1 = self.velocities[i] * span, self.velocities[i + 1] * span
        # Cubic Hermite: start + v0 s + b s^2 + c s^3.
        b, c = 3 * (end - start) - 2 * v0 - v1, 2 * (start - end) + v0 + v1
        position = start + s * (v0 + s * (b + s * c))
        return SetPoint(position, (v0 + s * (2 * b + 3 * s * c)) / span, (2 * b + 6 * s * c) / span**2)


@dataclass(frozen=True)
class Point:
    """One point of a requested trajectory, with the fields of `trajectory_msgs/JointTrajectoryPoint`."""

    time_from_start: float
    positions: Sequence[float]
    velocities: Sequence[float]


def plan(
    names: Sequence[str],
    points: Sequence[Point],
    begin: float,
    now: float,
    state: SetPoint,
    joints: Sequence[str],
    lower: Array,
    upper: Array,
) -> Trajectory:
    """Return the trajectory that takes the arm from where it is through the points.

    Args:
        names: the joints in the order that the points have them: all of the arm's, in any order.
        points: where to be, and when.
        begin: the time (s) from which the points count.
        now: the time (s) of state.
        state: set point that the arm has now.
        joints, lower, upper: the arm's joints and their ranges [n] (rad).

    Raises:
        Refused: the trajectory is not for this arm, leaves its ranges, is not finite or is over already.
    """
    if sorted(names) != sorted(joints):
        raise Refused(f"joint_names must be {', '.join(joints)} in any order, not {', '.join(names) or 'empty'}")
    if not points:
        raise Refused("a trajectory must have at least one point")
    order = [list(names).index(joint) for joint in joints]
    n = len(joints)
    for number, point in enumerate(points):
        if len(point.positions) != n:
            raise Refused(f"point {number} must have {n} positions, not {len(point.positions)}")
        if len(point.velocities) not in (0, n):
            raise Refused(f"point {number} must have {n} velocities or none, not {len(point.velocities)}")
    positions = np.array([point.positions for point in points], dtype=np.float64)[:, order]
    given = all(len(point.velocities) for point in points)
    velocities = np.array([point.velocities for point in points], dtype=np.float64)[:, order] if given else None
    if not np.isfinite(positions).all() or not (velocities is None or np.isfinite(velocities).all()):
        raise Refused("positions and velocities must be finite")
    for joint, q, low, high in zip(joints, positions.T, lower, upper, strict=True):
        if q.min() < low or q.max() > high:
            raise Refused(f"{joint} must stay in [{low:.4f}, {high:.4f}] rad, not go to {q.min():.4f} to {q.max():.4f}")
    times = begin + np.array([point.time_from_start for point in points])
    if (np.diff(times) <= 0).any() or times[0] < begin:
        raise Refused("time_from_start must rise from point to point and must not be negative")
    if times[-1] < now:
        raise Refused(f"the trajectory ended {now - times[-1]:.3f} s ago")
    # Leave out points that are in the past; the motion to the first remaining point starts from the present set point.
    left = times > now
    if not left.any():
        return Trajectory(np.array([now]), positions[-1:], None)
    times, positions = np.concatenate([[now], times[left]]), np.concatenate([[state.position], positions[left]])
    if velocities is not None:
        velocities = np.concatenate([[state.velocity], velocities[left]])
    return Trajectory(times, positions, velocities)
