"""Filters every command to an arm: what goes out is finite, in bounds and slow enough.

Order of the checks: finite, fresh, speed and acceleration of the tool, workspace box; then singularity, collision
margins, joint ranges, joint speeds and joint accelerations with all joints scaled together; and all places once more by
forward kinematics: that of what would be sent, and that where the arm would come to rest from there. No step is taken
from which the arm could not brake within its bounds. A command that fails is not repaired but dropped: the arm brakes.
No ROS here and no clocks: ages and time steps are arguments, so that every law can be tested as a law.

`SafetyFilter` is for arms that take joint positions. `TwistFilter` is for MoveIt Servo, which takes tool velocities and
looks after joints, singularities and collisions itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import JointCommand, TwistCommand, Vector
from rig_robot.arm.kinematics import Kinematics, NotReached

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


class _Eased:
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
        limited = _shorten(wanted, self._limits.tool_speed)
        if limited is not wanted:
            notes.append(f"slowed to {self._limits.tool_speed} m/s")
        self.velocity = self.velocity + _shorten(limited - self.velocity, self._limits.tool_acceleration * dt)
        return self.velocity


class SafetyFilter:
    """Turns tool velocities into joint commands within the limits.

    It keeps the last commanded joint position and velocity; nothing else has memory. Start it from the measured
    position (`start`), then call `step` at the controller's rate.

    Args:
        kinematics: The arm, with the margin that its links keep.
        limits: Its bounds.
        orientation: Tool orientation that is held, quaternion w x y z.
        ramp: Time over which commands fade in after a start [s].
        ahead: How long the arm takes to where a command tells it to be [s].
        brakes: Whether it then goes on to the command's `rest`, where no other has come; else it stays there.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        limits: Limits,
        orientation: ArrayLike,
        ramp: float = 1.0,
        ahead: float = 0.02,
        brakes: bool = True,
    ) -> None:
        joints = len(kinematics.joints)
        for name in ("joint_speed", "joint_acceleration"):
            if getattr(limits, name).shape != (joints,):
                given = getattr(limits, name).tolist()
                raise BoundsMissing(f"{name} = {given}: must have one number for each of the {joints} joints")
        self.limits = limits
        self._kinematics = kinematics
        self._orientation = np.asarray(orientation, dtype=np.float64)
        self._eased = _Eased(limits, ramp)
        self._ahead, self._brakes = ahead, brakes
        self.position: Vector
        self.velocity: Vector
        self.target: Vector
        self.start((kinematics.lower + kinematics.upper) / 2)

    def start(self, measured: ArrayLike) -> None:
        """Begin at the measured joint position [n] rad, at rest, with nothing of the ramp done.

        Raises:
            ValueError: If it is not finite, or further outside the joint limits than the joints move, at the speed that
                they may have, in the time that a command takes.
        """
        measured = np.asarray(measured, dtype=np.float64)
        inside = np.clip(measured, self._kinematics.lower, self._kinematics.upper)
        if not (np.abs(measured - inside) <= self.limits.joint_speed * self._ahead).all():
            raise ValueError(
                f"measured joint position {np.round(measured, 4).tolist()} rad is outside the joint limits "
                f"{self._kinematics.lower.tolist()} to {self._kinematics.upper.tolist()}: move the arm by hand"
            )
        self._eased.start()
        self._stay(inside)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints."""
        return self._kinematics.joints

    @property
    def commanded(self) -> Vector:
        """What the arm was told last: joint positions, [n] rad."""
        return self.position

    @property
    def moving(self) -> bool:
        """Whether the last command leaves the arm in motion."""
        return bool(self.velocity.any())

    def observe(self, measured: Vector) -> float:
        """Return the largest distance of a measured joint [n] rad from its command [rad]; infinite if not finite."""
        error = np.abs(measured - self.position)
        return float(error.max()) if np.isfinite(error).all() else float("inf")

    def catch_up(self, dt: float) -> float:
        """Follow what the arm has done by itself where the last command is long ago; return the time to step by [s].

        Time that was lost is not made up for: the arm would have to hurry.

        Args:
            dt: Time since the last command [s].
        """
        late = dt - self._ahead
        if late <= 0.0:
            return dt
        braking = self._braking(self.velocity)
        if self._brakes and braking > 0.0:
            part = min(late / braking, 1.0)
            position = self.position + self.velocity * braking * (part - part**2 / 2)
            velocity, eased = self.velocity * (1.0 - part), self._eased.velocity * (1.0 - part)
            self._stay(np.clip(position, self._kinematics.lower, self._kinematics.upper))
            self.velocity, self._eased.velocity = velocity, eased
        elif not self._brakes:
            self._stay(self.position)
        return self._ahead

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
        if (wrong := self._eased.wrong(velocity, age)) is not None:
            return self.brake(dt, wrong)
        notes: list[str] = []
        eased = self._eased.towards(velocity, dt, notes)
        allowed = self.limits.into_box(self.target, eased, dt)
        if np.abs(allowed - eased).max() * dt > 1e-6:
            notes.append("kept inside the workspace box")
        target = self.target + allowed * dt
        try:
            wanted = self._kinematics.step(self.position, target, self._turned(dt), dt)
        except NotReached as why_not:
            return self.brake(dt, f"dropped: {why_not}")
        if not np.isfinite(wanted).all():
            return self.brake(dt, "dropped: no joint motion makes this tool motion")
        wanted = self._keep_from_singularity(wanted, notes)
        position, rate = self._limit_joints(wanted, dt, notes)
        why = self._forbidden_motion(position, rate)
        if why is not None:
            return self.brake(dt, f"stopped: {why}")
        # The target waits for the joints, but keeps what the inverse kinematics has still to make good.
        reached, self._turn = self._kinematics.pose(position)
        leash = self.limits.tool_speed * dt
        self.target = reached + _shorten(target - reached, leash)
        self.position, self.velocity = position, rate
        return self._command("; ".join(notes))

    def brake(self, dt: float, note: str) -> JointCommand:
        """Slow all joints together as fast as they may; where that is forbidden, stop at once."""
        braking = self._braking(self.velocity)
        slower = self.velocity * max(0.0, 1.0 - dt / braking) if braking > 0.0 else self.velocity
        position, rate = self._advance(slower, dt)
        if self._forbidden(position) is not None:
            position, rate = self.position, np.zeros_like(self.velocity)
        before = self._kinematics.forward(self.position)
        self._stay(position)
        self.velocity = rate
        self._eased.velocity = (self.target - before) / dt
        return self._command(note)

    def approach(self, place: Vector, dt: float, note: str) -> JointCommand:
        """Go on a straight line to a joint position [n] rad, within all limits; stay where one forbids it.

        The arm must be at rest when it begins, and be given the same place until it is there.
        """
        way = np.clip(place, self._kinematics.lower, self._kinematics.upper) - self.position
        distance = float(np.abs(way).max())
        if distance == 0.0:
            return self.brake(dt, note)
        part = min(distance, 0.01) / distance  # of the way: where the tool's speed along it is taken
        tool = self._kinematics.forward(self.position + way * part) - self.target
        tool_way = float(np.linalg.norm(tool)) / part
        speed = _speed_on_line(self.limits, way, tool_way, float(np.abs(self.velocity).max()), dt)
        position, rate = self._advance(way / distance * speed, dt)
        why = self._forbidden_motion(position, rate)
        if why is not None:
            return self.brake(dt, f"{note}; stopped: {why}")
        self._stay(position)
        self.velocity = rate
        return self._command(note)

    def _command(self, note: str) -> JointCommand:
        """Return the command for where the filter is, with the way to rest from there."""
        braking = self._braking(self.velocity)
        rest = np.clip(self.position + self.velocity * braking / 2, self._kinematics.lower, self._kinematics.upper)
        return JointCommand(self.position, self.velocity, note, rest, braking)

    def _braking(self, rate: Vector) -> float:
        """Return how long joints that move at a rate [n] rad/s take to brake together [s]."""
        return float(np.max(np.abs(rate) / self.limits.joint_acceleration))

    def _stay(self, position: Vector) -> None:
        self.position, self.velocity = position, np.zeros_like(position)
        self.target, self._turn = self._kinematics.pose(position)
        self._eased.velocity = np.zeros(3)

    def _turned(self, dt: float) -> Vector:
        """Return how the tool may be turned after dt, on its way to its orientation: quaternion w x y z."""
        return _rotate(self._turn, _shorten(_rotation(self._turn, self._orientation), self.limits.turn_speed * dt))

    def _keep_from_singularity(self, wanted: Vector, notes: list[str]) -> Vector:
        """Return the joint position [n] rad to go to: less far the nearer a singularity is; from it at full speed."""
        now, then = self._kinematics.condition(self.position), self._kinematics.condition(wanted)
        slow, stop = self.limits.singularity_slow, self.limits.singularity_stop
        if then <= max(slow, now):
            return wanted
        notes.append(f"slowed near a singularity (condition number {then:.0f})")
        return self.position + max(0.0, (stop - then) / (stop - slow)) * (wanted - self.position)

    def _limit_joints(self, wanted: Vector, dt: float, notes: list[str]) -> tuple[Vector, Vector]:
        """Return position [n] and velocity [n] that respect the joints' ranges, speeds and accelerations."""
        lower, upper = self._kinematics.lower, self._kinematics.upper
        rate = (np.clip(wanted, lower, upper) - self.position) / dt
        # The ramp holds for every motion, also for that of the elbow to its rest posture.
        slow = float(np.max(np.abs(rate) / (self.limits.commanded_speed * self._eased.blend), initial=1.0))
        change = rate / slow - self.velocity
        hard = float(np.max(np.abs(change) / (self.limits.joint_acceleration * dt), initial=1.0))
        rate = self.velocity + change / hard
        if slow > 1.0 or hard > 1.0:
            notes.append("joints slowed together")
        return self._advance(rate, dt)

    def _advance(self, rate: Vector, dt: float) -> tuple[Vector, Vector]:
        # Clipped for what rounding adds; what would leave its range is braked before.
        position = np.clip(self.position + rate * dt, self._kinematics.lower, self._kinematics.upper)
        return position, (position - self.position) / dt

    def _forbidden_motion(self, position: Vector, rate: Vector) -> str | None:
        """Return why the arm may not be at a joint position [n] rad with joints that move at a rate [n] rad/s.

        It goes only where it may be, and only as fast as it can still come to rest where it may be.
        """
        return self._forbidden(position) or self._forbidden_rest(position + rate * self._braking(rate) / 2)

    def _forbidden_rest(self, rest: Vector) -> str | None:
        """Return why the arm may not come to rest at joint position [n] rad when no further command comes."""
        outside = self.limits.outside(self._kinematics.forward(rest), REST_MARGIN)
        if outside > 0.0 and outside > self.limits.outside(self._kinematics.forward(self.position), REST_MARGIN):
            return "the arm would have come to rest too near to a face of the workspace box"
        return self._forbidden(rest)

    def _forbidden(self, position: Vector) -> str | None:
        """Return why the arm may not be at joint position [n] rad; None if it may, or is no worse off than now."""
        arm, now = self._kinematics, self.position
        if (position < arm.lower - 1e-9).any() or (position > arm.upper + 1e-9).any():
            return "a joint could not have stopped before the end of its range"
        outside = self.limits.outside(arm.forward(position))
        if outside > 0.0 and outside > self.limits.outside(arm.forward(now)):
            return "the joints would have left the workspace box"
        near = arm.margin.distance if arm.margin is not None else -np.inf
        if (clearance := arm.clearance(position)) < near and clearance < arm.clearance(now):
            return f"links would have come closer than {near} m to each other or to the table"
        stop = self.limits.singularity_stop
        if (condition := arm.condition(position)) > stop and condition > arm.condition(now):
            return f"the arm would have come too near to a singularity (condition number above {stop:g})"
        return None


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
        self._eased = _Eased(limits, ramp)
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
        turn = _rotation(self._turn, self._orientation) * self.TURN_RATE
        return TwistCommand(allowed, _shorten(turn, self.limits.turn_speed * self._eased.blend), "; ".join(notes))

    def brake(self, dt: float, note: str) -> TwistCommand:
        """Slow the tool as fast as it may."""
        slower = _shorten(-self._eased.velocity, self.limits.tool_acceleration * dt)
        velocity = self._eased.velocity + slower
        self._eased.velocity = self.limits.into_box(self.target, velocity, self._timeout)
        self.commanded = self.commanded + self._eased.velocity * dt
        return TwistCommand(self._eased.velocity, np.zeros(3), note)

    def approach(self, _: Vector, dt: float, note: str) -> TwistCommand:
        """Stay: joints are for Servo to move."""
        return self.brake(dt, note)


Filter = SafetyFilter | TwistFilter


def _speed_on_line(limits: Limits, way: Vector, tool_way: float, now: float, dt: float) -> float:
    """Return how fast the farthest joint may go on a straight line of joint positions, to come to rest at its end.

    Args:
        limits: The arm's bounds.
        way: The way to go, [n] rad.
        tool_way: What the tool goes meanwhile, were its speed the same all along [m].
        now: Speed of the farthest joint [rad/s].
        dt: Time step [s].
    """
    distance = float(np.abs(way).max())
    line = np.abs(way) / distance
    moving = line > 0.0
    hard = float((limits.joint_acceleration[moving] / line[moving]).min())
    fast = float((limits.commanded_speed[moving] / line[moving]).min())
    # Along this line the tool goes so far for each radian; it has a speed of its own that it may not exceed.
    fast = min(fast, limits.tool_speed * distance / max(tool_way, 1e-12))
    # The speed from which the rest of the way is enough to brake on in steps of dt, and some more for the last.
    gentle = 0.8 * hard
    braked = float(np.sqrt((gentle * dt / 2.0) ** 2 + 2.0 * gentle * distance)) - gentle * dt / 2.0
    return min(fast, now + hard * dt, braked, distance / dt)


def _shorten(vector: Vector, length: float) -> Vector:
    """Return the vector itself, or one of the same direction and the given length where it is longer."""
    largest = float(np.abs(vector).max())
    if largest == 0.0:
        return vector
    norm = largest * float(np.linalg.norm(vector / largest))  # the square of a huge number would overflow
    return vector if norm <= length else vector / largest * (length / (norm / largest))


def _rotation(start: Vector, end: Vector) -> Vector:
    """Return the rotation vector [3] rad, base frame, that turns one orientation (w x y z) to another the short way."""
    inverse, between, vector = np.empty(4), np.empty(4), np.empty(3)
    mujoco.mju_negQuat(inverse, start)
    mujoco.mju_mulQuat(between, end, inverse)
    mujoco.mju_quat2Vel(vector, between, 1.0)
    return vector


def _rotate(start: Vector, vector: Vector) -> Vector:
    """Return an orientation (w x y z) after a rotation by a vector [3] rad of the base frame."""
    turn, end = np.empty(4), np.empty(4)
    angle = float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(turn, vector / angle if angle > 0.0 else np.array([1.0, 0.0, 0.0]), angle)
    mujoco.mju_mulQuat(end, turn, start)
    return end
