"""A joint trajectory controller and joint limits, as ros2_control documents them. No ROS, no physics.

Written from the documentation of joint_trajectory_controller (Kilted) and joint_limits at control.ros.org; "documented"
below refers to it. Parameters have the names that they have there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

NO_VELOCITY = float(np.finfo(np.float32).eps)
"""Speeds below this count as zero at a trajectory's end [rad/s]."""


class Rejected(ValueError):
    """A trajectory that the controller does not take; the one that it follows goes on."""


@dataclass(frozen=True)
class Parameters:
    """The controller's parameters; times in s, angles in rad."""

    joints: Sequence[str]
    allow_partial_joints_goal: bool = False
    allow_nonzero_velocity_at_trajectory_end: bool = False
    interpolate_from_desired_state: bool = False
    interpolation_method: Literal["splines", "none"] = "splines"
    cmd_timeout: float = 0.0
    """After the end of a trajectory; 0: none. Ignored where it is not greater than `goal_time`."""
    trajectory: Mapping[str, float] = field(default_factory=dict)
    """`constraints.<joint>.trajectory`: distance from the path that is allowed; none where 0 or not given."""
    goal: Mapping[str, float] = field(default_factory=dict)
    """`constraints.<joint>.goal`: the same at the end."""
    goal_time: float = 0.0
    """`constraints.goal_time`: how long after its end the goal must be met; 0: never mind."""


@dataclass(frozen=True)
class Point:
    """A point of a trajectory, [n] each; velocities and accelerations None where not given."""

    time_from_start: float
    positions: Sequence[float]
    velocities: Sequence[float] | None = None
    accelerations: Sequence[float] | None = None


@dataclass(frozen=True)
class State:
    """Position [n] rad, velocity [n] rad/s and acceleration [n] rad/s^2 at a time [s]; None where not known."""

    time: float
    position: Array
    velocity: Array | None
    acceleration: Array | None

    @classmethod
    def rest(cls, time: float, position: ArrayLike) -> State:
        """Stand still at a position."""
        position = np.array(position, dtype=float)
        return cls(time, position, np.zeros_like(position), np.zeros_like(position))


def interpolate(a: State, b: State, time: float) -> State:
    """Return the state between two: quintic, cubic or linear, by which derivatives both have."""
    span, t = b.time - a.time, time - a.time
    if a.velocity is None or b.velocity is None:
        slope = (b.position - a.position) / span
        return State(time, a.position + slope * t, slope, np.zeros_like(slope))
    # A polynomial that has position and derivatives of both ends: the low coefficients are the beginning's, the others
    # solve for the end's.
    known = [a.position, a.velocity]
    wanted = [b.position, b.velocity]
    if a.acceleration is not None and b.acceleration is not None:
        known.append(a.acceleration / 2.0)
        wanted.append(b.acceleration)
    low = len(known)
    powers = np.arange(2 * low)
    rows = []
    for order in range(low):
        factor = np.array([np.prod(np.arange(p, p - order, -1)) if p >= order else 0 for p in powers], dtype=float)
        rows.append(factor * span ** np.maximum(powers - order, 0))
    matrix = np.array(rows)
    begin = np.array(known)
    end = np.linalg.solve(matrix[:, low:], np.array(wanted) - matrix[:, :low] @ begin)
    coefficients = np.concatenate([begin, end])

    def derivative(order: int) -> Array:
        factor = np.array([np.prod(np.arange(p, p - order, -1)) if p >= order else 0 for p in powers], dtype=float)
        return (factor * t ** np.maximum(powers - order, 0)) @ coefficients

    return State(time, derivative(0), derivative(1), derivative(2))


class JointTrajectoryController:
    """Follows the newest trajectory; times are of a clock that does not jump.

    Args:
        parameters: As documented.
        time: Now [s].
        position: Where the joints are [n] rad: held until a trajectory comes.

    Attributes:
        note: The last thing worth saying, e.g. why a trajectory was aborted.
    """

    def __init__(self, parameters: Parameters, time: float, position: ArrayLike) -> None:
        self.parameters = parameters
        self.note = ""
        names = parameters.joints
        self._path = np.array([parameters.trajectory.get(joint, 0.0) for joint in names])
        self._goal = np.array([parameters.goal.get(joint, 0.0) for joint in names])
        self._desired = State.rest(time, position)
        self._measured = self._desired
        self._states = [self._desired]
        self._holds = True
        self._deferred: tuple[float, list[State], Array] | None = None

    def take(self, names: Sequence[str], points: Sequence[Point], now: float, begin: float | None = None) -> None:
        """Take a trajectory from the topic; it replaces the one that is followed.

        Args:
            names: The joints in the order that the points have them.
            points: Where to be, and when.
            now: Time [s].
            begin: Time that the points count from [s]; None for stamp 0, which means now.

        Raises:
            Rejected: If it is not for these joints, not complete, or over.
        """
        order, given = self._check(names, points)
        start = now if begin is None else begin
        if start + points[-1].time_from_start < now:
            raise Rejected(f"the trajectory ended {now - start - points[-1].time_from_start:.3f} s ago")
        states = [
            State(
                start + point.time_from_start,
                self._spread(point.positions, order),
                None if point.velocities is None else self._spread(point.velocities, order, 0.0),
                None if point.accelerations is None else self._spread(point.accelerations, order, 0.0),
            )
            for point in points
        ]
        if start > now:  # documented: what is followed goes on until the new one starts
            self._deferred = (start, states, given)
            return
        self._replace(now, states, given)

    def update(self, time: float, position: Array, velocity: Array) -> State:
        """Return what the joints are told at a time [s], given what they are measured at, [n] rad and rad/s."""
        self._measured = State(time, position, velocity, None)
        if self._deferred is not None and time >= self._deferred[0]:
            _, states, given = self._deferred
            self._deferred = None
            self._replace(time, states, given)
        end = self._states[-1].time
        if self._holds:
            self._desired = State.rest(time, self._desired.position)
            return self._desired
        desired = self._sample(time)
        error = np.abs(desired.position - position)
        late = time - end
        if late < 0 and self._beyond(error, self._path):
            return self._hold(time, f"path tolerance violated by {error.max():.3f} rad: holding position")
        if late > self.parameters.goal_time > 0.0 and self._beyond(error, self._goal):
            return self._hold(time, f"goal tolerance violated by {error.max():.3f} rad: holding position")
        if late > self.parameters.cmd_timeout > self.parameters.goal_time:
            return self._hold(time, "command timeout: holding position")
        self._desired = desired
        return desired

    def _replace(self, now: float, states: list[State], given: Array) -> None:
        """Follow `states` from the state of now on: what lies in the past is dropped."""
        from_desired = self.parameters.interpolate_from_desired_state
        start = self._desired if from_desired else self._measured
        if not given.all():  # documented: joints that are not named stay where they are
            states = [self._filled(state, given, start.position) for state in states]
        # Documented: the first point is where the motion goes, from where the arm is. One due now is there at once.
        self._states = [
            start,  # of the last update: the time since then is not lost
            *(state for state in states if state.time > now),
        ]
        if len(self._states) == 1:
            self._states = [State(now, states[-1].position, states[-1].velocity, states[-1].acceleration)]
        self._holds = False

    def _sample(self, time: float) -> State:
        states = self._states
        if time >= states[-1].time:  # documented: the last position is held
            return State.rest(time, states[-1].position)
        after = max(1, next(i for i, state in enumerate(states) if state.time > time))
        if self.parameters.interpolation_method == "none":
            return states[after - 1]
        return interpolate(states[after - 1], states[after], time)

    def _hold(self, time: float, why: str) -> State:
        """Abort: hold the position that the arm is at now."""
        self.note = why
        self._holds = True
        position = self._desired.position if self.parameters.interpolate_from_desired_state else self._measured.position
        self._desired = State.rest(time, position)
        self._states = [self._desired]
        return self._desired

    def _check(self, names: Sequence[str], points: Sequence[Point]) -> tuple[list[int], Array]:
        """Return where each named joint belongs, and which joints are named, bool [n]."""
        joints = list(self.parameters.joints)
        if not names or not points:
            raise Rejected("empty joint names or points")
        if unknown := [name for name in names if name not in joints]:
            raise Rejected(f"joint {unknown[0]} does not match the controller's joints")
        if len(set(names)) != len(names):
            raise Rejected("a joint is named twice")
        if len(names) != len(joints) and not self.parameters.allow_partial_joints_goal:
            raise Rejected("joints do not match the controller's joints, and partial goals are not allowed")
        previous = -1.0
        for number, point in enumerate(points):
            if point.time_from_start < 0.0 or point.time_from_start <= previous:
                raise Rejected(f"time of point {number} is not strictly increasing")
            previous = point.time_from_start
            for what, values in (
                ("positions", point.positions),
                ("velocities", point.velocities),
                ("accelerations", point.accelerations),
            ):
                if values is not None and len(values) != len(names):
                    raise Rejected(f"mismatch between joint_names ({len(names)}) and {what} at point {number}")
                if values is not None and not np.isfinite(values).all():
                    raise Rejected(f"{what} of point {number} are not finite")
        last = points[-1].velocities
        if (
            not self.parameters.allow_nonzero_velocity_at_trajectory_end
            and last is not None
            and np.abs(last).max() > NO_VELOCITY
        ):
            raise Rejected("velocity of the last point is not zero")
        order = [joints.index(name) for name in names]
        given = np.zeros(len(joints), bool)
        given[order] = True
        return order, given

    def _spread(self, values: Sequence[float], order: list[int], other: float = np.nan) -> Array:
        """Put values, in the order of a message, where the controller's joints have them."""
        whole = np.full(len(self.parameters.joints), other)
        whole[order] = values
        return whole

    @staticmethod
    def _filled(state: State, given: Array, position: Array) -> State:
        return State(state.time, np.where(given, state.position, position), state.velocity, state.acceleration)

    @staticmethod
    def _beyond(error: Array, tolerance: Array) -> bool:
        return bool((error > np.where(tolerance > 0.0, tolerance, np.inf)).any())


class SaturationLimiter:
    """Joint limits by clamping: positions, speeds, and how fast a speed may grow.

    Documented: values are clamped to what position, velocity and acceleration limits leave. A joint may always stop at
    once: no deceleration limit is set.

    Args:
        lower, upper: Joint ranges [n] rad.
        speed: Largest speeds [n] rad/s.
        acceleration: Largest growth of a speed [n] rad/s^2.
        position: Where the joints are [n] rad.
    """

    def __init__(
        self, lower: ArrayLike, upper: ArrayLike, speed: ArrayLike, acceleration: ArrayLike, position: ArrayLike
    ) -> None:
        self._lower, self._upper = np.array(lower, dtype=float), np.array(upper, dtype=float)
        self._speed, self._acceleration = np.array(speed, dtype=float), np.array(acceleration, dtype=float)
        self.position = np.array(position, dtype=float)
        self.velocity = np.zeros_like(self.position)
        self.clamped = 0

    def enforce(self, wanted: Array, dt: float) -> Array:
        """Return the command [n] rad that may be sent for one that is wanted, `dt` s after the last."""
        speed = np.minimum(self._speed, np.abs(self.velocity) + self._acceleration * dt)
        step = np.clip(wanted - self.position, -speed * dt, speed * dt)
        position = np.clip(self.position + step, self._lower, self._upper)
        self.clamped += bool(np.abs(position - wanted).max() > 1e-9)
        self.velocity = (position - self.position) / dt
        self.position = position
        return position
