"""Filters every command to an arm: what goes out is finite, in bounds and slow enough.

Order of the checks: finite, fresh, speed and acceleration of the tool, workspace box; then singularity, collision
margins, joint ranges, joint speeds and joint accelerations with all joints scaled together; and all places once more by
forward kinematics: that of what would be sent, and that where the arm would come to rest from there. No step is taken
from which the arm could not brake within its bounds. A command that fails is not repaired but dropped: the arm brakes.
No ROS here and no clocks: ages and time steps are arguments, so that every law can be tested as a law.

`SafetyFilter` is for arms that take joint positions; `twist_filter.TwistFilter` is for MoveIt Servo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import JointCommand, Vector
from rig_robot.arm.kinematics import Kinematics, NotReached
from rig_robot.arm.limits import REST_MARGIN, BoundsMissing, Limits
from rig_robot.arm.tool_ramp import ToolRamp, rotate, rotation, shorten


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
        self._eased = ToolRamp(limits, ramp)
        self._ahead, self._brakes = ahead, brakes
        self.position: Vector
        self.velocity: Vector
        self.target: Vector
        self._held: Vector | None = None  # `position`, where it is that of an arm that has come to rest
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
        self.target = reached + shorten(target - reached, leash)
        self.position, self.velocity = position, rate
        return self._command("; ".join(notes))

    def brake(self, dt: float, note: str) -> JointCommand:
        """Slow all joints together as fast as they may; where that is forbidden, stop at once."""
        if self._held is self.position and not self.velocity.any() and not self._eased.velocity.any():
            return self._command(note)  # it is at rest already, and stays where it was found that it may be
        braking = self._braking(self.velocity)
        slower = self.velocity * max(0.0, 1.0 - dt / braking) if braking > 0.0 else self.velocity
        position, rate = self._advance(slower, dt)
        if self._forbidden(position) is not None:
            position, rate = self.position, np.zeros_like(self.velocity)
        before = self._kinematics.forward(self.position)
        self._stay(position)
        self.velocity = rate
        self._eased.velocity = (self.target - before) / dt
        self._held = None if rate.any() else self.position
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
        return rotate(self._turn, shorten(rotation(self._turn, self._orientation), self.limits.turn_speed * dt))

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
