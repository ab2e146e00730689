"""When an arm may move: armed or not, stopped or not, and whether what its commands rest on is still alive.

Nothing moves unless armed; an e-stop latches and leaves the arm disarmed; whatever goes stale stops the arm; a clock
that jumps or an arm that does not follow disarms. No ROS here: the node tells what arrived and asks at each tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rig_robot.freshness import Arrival, ClockJump
from rig_robot.robot.kinematics import Vector
from rig_robot.robot.safety import JointCommand, SafetyFilter


class ArmState(Enum):
    """What the arm does, each with the sentence that people read."""

    DISARMED = "disarmed: nothing moves; call the arm service"
    WAITING = "armed: holds still, no fresh command"
    MOVING = "armed: follows the policy's commands"
    ESTOPPED = "emergency stop: reset it, then arm again"

    @property
    def armed(self) -> bool:
        return self in (ArmState.WAITING, ArmState.MOVING)


class Refused(Exception):
    """Arming or resetting is not possible; the text says why and what to do."""


@dataclass(frozen=True)
class Timing:
    """The times that decide what is alive.

    Attributes:
        watchdog: A frame, latent, policy or joint state older than this stops the arm [s].
        motion_time: One twist moves the arm for at most this long [s]; the next should be there by then.
        heartbeat: An operator's heartbeat older than this stops the arm [s]; 0 where none is required.
    """

    watchdog: float = 0.25
    motion_time: float = 0.15
    heartbeat: float = 0.0


class ArmSupervisor:
    """Decides at every tick what, if anything, is sent to the arm.

    Args:
        safety: The filter that every command passes.
        timing: What is alive for how long.
        held: Axes (0 x, 1 y, 2 z) that the policy does not drive and the place [m] where each is kept.
        clock: Watches ROS time against the steady clock.
    """

    def __init__(self, safety: SafetyFilter, timing: Timing, held: Mapping[int, float], clock: ClockJump) -> None:
        self._safety = safety
        self._timing = timing
        self._held = dict(held)
        self._clock = clock
        self.state = ArmState.DISARMED
        self.reason = "after start"
        self._joints: tuple[Vector, Arrival] | None = None
        self._twist: tuple[Vector, Arrival] | None = None
        self._heartbeat: float | None = None
        self._ticked: float | None = None

    def joints_arrived(self, position: Vector, arrival: Arrival) -> None:
        """Take a measured joint position, [n] rad."""
        self._joints = (position, arrival)

    def twist_arrived(self, velocity: Vector, arrival: Arrival) -> None:
        """Take a wanted tool velocity, base frame, [3] m/s."""
        self._twist = (velocity, arrival)

    def heartbeat_arrived(self, steady: float) -> None:
        """Take a sign of life of the operator; aged by its arrival [s, steady clock]."""
        self._heartbeat = steady

    def arm(self, steady: float) -> None:
        """Arm at the measured position.

        Raises:
            Refused: If the arm is stopped, its joints are not known now, or the operator is not there.
        """
        if self.state is ArmState.ESTOPPED:
            raise Refused(f"the emergency stop is latched ({self.reason}): reset it first")
        if self.state.armed:
            return
        if (stale := self._joints_stale(steady)) is not None:
            raise Refused(stale)
        if (absent := self._operator_absent(steady)) is not None:
            raise Refused(absent)
        assert self._joints is not None
        try:
            self._safety.start(self._joints[0])
        except ValueError as error:
            raise Refused(str(error)) from None
        self._twist = None  # what was wanted before arming is not wanted now
        self._ticked = steady
        self._become(ArmState.WAITING, "armed at the measured position")

    def disarm(self, reason: str) -> JointCommand | None:
        """Disarm; return the command that makes the arm hold, None if it was not armed."""
        if not self.state.armed:
            return None
        self._become(ArmState.DISARMED, reason)
        return self._hold(self._safety.position, reason)

    def estop(self, reason: str) -> JointCommand | None:
        """Latch the emergency stop; return the command that makes the arm hold, None if it was not armed."""
        held = self._hold(self._safety.position, reason) if self.state.armed else None
        if self.state is not ArmState.ESTOPPED:
            self._become(ArmState.ESTOPPED, reason)
        return held

    def reset_estop(self) -> None:
        """Release the emergency stop; the arm stays disarmed.

        Raises:
            Refused: If it is not latched.
        """
        if self.state is not ArmState.ESTOPPED:
            raise Refused(f"there is no emergency stop to reset; the arm is {self.state.name.lower()}")
        self._become(ArmState.DISARMED, "emergency stop was reset")

    def tick(self, ros_now: float, steady: float) -> JointCommand | None:
        """Return what to send now, None for nothing.

        Args:
            ros_now: ROS time [s].
            steady: Steady clock [s].
        """
        jump = self._clock.check(ros_now, steady)
        if not self.state.armed:
            return None
        if jump:
            return self.disarm(f"the clock jumped by {jump:+.3f} s")
        assert self._joints is not None and self._ticked is not None
        dt = steady - self._ticked
        if dt <= 0.0:
            return None
        self._ticked = steady
        # After a pause of this process the arm has stopped by itself; the time that was lost is not made up for.
        dt = min(dt, 0.1)
        measured = self._joints[0]
        error = self._safety.tracking_error(measured)
        if error > self._safety.limits.tracking_error:
            allowed = self._safety.limits.tracking_error
            reason = f"a joint is {error:.3f} rad from its command, at most {allowed} rad is allowed"
            self._become(ArmState.DISARMED, reason)
            return self._hold(measured, reason) if np.isfinite(measured).all() else None
        stop = self._joints_stale(steady) or self._operator_absent(steady)
        velocity, age, waiting = self._wanted(steady)
        if stop is not None:
            age, waiting = float("inf"), stop
        command = self._safety.step(velocity, age, dt)
        if waiting is None:
            self._become(ArmState.MOVING, command.note)
        else:
            self._become(ArmState.WAITING, waiting)
        return command

    def _wanted(self, steady: float) -> tuple[Vector, float, str | None]:
        """Return tool velocity [3] m/s, its age [s], and why the arm waits (None if it does not)."""
        if self._twist is None:
            return np.zeros(3), float("inf"), "no command since arming"
        velocity, arrival = self._twist
        age = arrival.now(steady)
        if age > self._timing.watchdog:
            return np.zeros(3), age, f"the last command is stale (older than {self._timing.watchdog} s)"
        if steady - arrival.steady > self._timing.motion_time:
            return np.zeros(3), age, None
        velocity = velocity.copy()
        for axis, place in self._held.items():
            # The policy moves in a plane; a proportional pull of 5/s keeps the tool in it.
            velocity[axis] = 5.0 * (place - self._safety.target[axis])
        return velocity, age, None

    def _joints_stale(self, steady: float) -> str | None:
        if self._joints is None:
            return "no joint state has arrived: is the controller running, and are its joint names the arm's?"
        age = self._joints[1].now(steady)
        limit = self._timing.watchdog
        return f"joint states are stale (older than {limit} s): is the controller running?" if age > limit else None

    def _operator_absent(self, steady: float) -> str | None:
        if self._timing.heartbeat <= 0.0:
            return None
        if self._heartbeat is None or steady - self._heartbeat > self._timing.heartbeat:
            return f"no operator heartbeat within {self._timing.heartbeat} s"
        return None

    def _hold(self, position: Vector, reason: str) -> JointCommand:
        return JointCommand(position, np.zeros_like(position), reason)

    def _become(self, state: ArmState, reason: str) -> None:
        self.state, self.reason = state, reason
