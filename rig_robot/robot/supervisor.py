"""When an arm may move: armed or not, stopped or not, and whether what its commands rest on is still alive.

Nothing moves unless armed; an e-stop latches and leaves the arm disarmed; whatever goes stale stops the arm; a clock
that jumps or an arm that does not follow disarms. An arm that is told to stop brakes and then holds. No ROS here: the
node tells what arrived and asks at each tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rig_robot.freshness import Arrival, ClockJump
from rig_robot.robot.kinematics import Vector
from rig_robot.robot.safety import BoundsMissing, Command, Filter

YOUNG = 0.05
"""Age up to which a joint state tells where the arm is now [s]."""
PARKED = 2e-3
"""Distance from the park position that counts as there [m]."""
PARK_RATE = 2.0
"""Speed for each metre to the park position [1/s]; at most half of the tool's."""
PARK_PATIENCE = 2.0
"""Time without getting a millimetre nearer after which a park motion is given up [s]."""


class ArmState(Enum):
    """What the arm does, each with the sentence that people read."""

    DISARMED = "disarmed: nothing moves; call the arm service"
    WAITING = "armed: holds still, no fresh command"
    MOVING = "armed: follows the policy's commands"
    PARKING = "armed: drives to its park position, then disarms; disarm to abort"
    ESTOPPED = "emergency stop: reset it, then arm again"

    @property
    def armed(self) -> bool:
        return self in (ArmState.WAITING, ArmState.MOVING, ArmState.PARKING)


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
        park: Where the tool is parked, base frame, [3] m; None where there is no such place.

    Raises:
        BoundsMissing: If the park position is not inside the workspace box.
    """

    def __init__(
        self, safety: Filter, timing: Timing, held: Mapping[int, float], clock: ClockJump, park: Vector | None = None
    ) -> None:
        if park is not None and not (park.shape == (3,) and safety.limits.outside(park) == 0.0):
            raise BoundsMissing(
                f"park = {park.tolist()}: must be a place [x, y, z] in m inside the workspace from "
                f"{safety.limits.low.tolist()} to {safety.limits.high.tolist()}"
            )
        self._safety = safety
        self._timing = timing
        self._held = dict(held)
        self._clock = clock
        self._park = park
        self.state = ArmState.DISARMED
        self.reason = "after start"
        self._joints: tuple[Vector, Arrival] | None = None
        self._twist: tuple[Vector, Arrival] | None = None
        self._heartbeat: float | None = None
        self._ticked: float | None = None
        self._nearest = (np.inf, 0.0)  # to the park position [m], and when [s, steady clock]

    def joints_arrived(self, position: Vector, arrival: Arrival) -> None:
        """Take a measured joint position, [n] rad."""
        self._joints = (position, arrival)

    def twist_arrived(self, velocity: Vector, arrival: Arrival) -> None:
        """Take a wanted tool velocity, base frame, [3] m/s."""
        self._twist = (velocity, arrival)

    def heartbeat_arrived(self, steady: float) -> None:
        """Take a sign of life of the operator; aged by its arrival [s, steady clock]."""
        self._heartbeat = steady

    @property
    def braking(self) -> bool:
        """Whether a disarmed arm is still coming to rest: `tick` goes on sending until it is."""
        return not self.state.armed and self._safety.moving

    def arm(self, steady: float) -> None:
        """Arm at the measured position.

        Raises:
            Refused: If the arm is stopped, its joints are not known now, or the operator is not there.
        """
        if self.state is ArmState.ESTOPPED:
            raise Refused(f"the emergency stop is latched ({self.reason}): reset it first")
        if self.state.armed:
            return
        if self.braking:
            raise Refused("the arm is still coming to rest: try again")
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

    def park(self, steady: float) -> None:
        """Drive to the park position, whatever the policy says, and disarm there.

        Raises:
            Refused: If the arm is not armed or has no park position.
        """
        if self._park is None:
            raise Refused("there is no park position: give the parameter park, [x, y, z] in m inside the workspace")
        if not self.state.armed:
            raise Refused(f"the arm is {self.state.name.lower()} ({self.reason}): arm it first")
        self._nearest = (np.inf, steady)
        self._become(ArmState.PARKING, "on the way to the park position")

    def disarm(self, reason: str) -> None:
        """Disarm; an arm in motion brakes."""
        if self.state.armed:
            self._become(ArmState.DISARMED, reason)

    def estop(self, reason: str) -> None:
        """Latch the emergency stop; an arm in motion brakes."""
        if self.state is not ArmState.ESTOPPED:
            self._become(ArmState.ESTOPPED, reason)

    def reset_estop(self) -> None:
        """Release the emergency stop; the arm stays disarmed.

        Raises:
            Refused: If it is not latched.
        """
        if self.state is not ArmState.ESTOPPED:
            raise Refused(f"there is no emergency stop to reset; the arm is {self.state.name.lower()}")
        self._become(ArmState.DISARMED, "emergency stop was reset")

    def tick(self, ros_now: float, steady: float) -> Command | None:
        """Return what to send now, None for nothing.

        Args:
            ros_now: ROS time [s].
            steady: Steady clock [s].
        """
        jump = self._clock.check(ros_now, steady)
        if jump:
            self.disarm(f"the clock jumped by {jump:+.3f} s")
        if self._joints is None or self._ticked is None:
            return None
        dt = steady - self._ticked
        if dt <= 0.0:
            return None
        self._ticked = steady
        dt = self._safety.catch_up(dt)
        if not self.state.armed:
            return self._safety.brake(dt, self.reason) if self.braking else None
        if (hold := self._not_following(steady, dt)) is not None:
            return hold
        stop = self._joints_stale(steady) or self._operator_absent(steady)
        if self.state is ArmState.PARKING:
            return self._drive_to_park(stop, steady, dt)
        velocity, age, waiting = self._wanted(steady)
        if stop is not None:
            age, waiting = float("inf"), stop
        command = self._safety.step(velocity, age, dt)
        if waiting is None:
            self._become(ArmState.MOVING, command.note)
        else:
            self._become(ArmState.WAITING, waiting)
        return command

    def _not_following(self, steady: float, dt: float) -> Command | None:
        """Give an arm up that is not where it was told to be; return what it is sent then, None if it follows."""
        assert self._joints is not None
        measured, arrival = self._joints
        # An old measurement says where the arm was: it lags behind one in motion, and must not be gone back to.
        if arrival.now(steady) > YOUNG:
            return None
        error, allowed = self._safety.observe(measured), self._safety.limits.tracking_error
        if error <= allowed:
            return None
        self.disarm(f"a joint is {error:.3f} rad from its command, at most {allowed} rad is allowed")
        # Where the arm stands against something, its own place is the one that asks for no force.
        known = bool(np.isfinite(measured).all())
        return self._safety.hold(measured, self.reason) if known else self._safety.brake(dt, self.reason)

    def _drive_to_park(self, stop: str | None, steady: float, dt: float) -> Command:
        assert self._park is not None
        if stop is not None:
            self.disarm(f"the park motion was aborted: {stop}")
            return self._safety.brake(dt, self.reason)
        way = self._park - self._safety.target
        distance, speed = float(np.linalg.norm(way)), 0.5 * self._safety.limits.tool_speed
        if distance < PARKED:
            self.disarm("parked")
            return self._safety.brake(dt, self.reason)
        if distance < self._nearest[0] - 1e-3:
            self._nearest = (distance, steady)
        command = self._safety.step(way * min(PARK_RATE, speed / distance), 0.0, dt)
        if steady - self._nearest[1] > PARK_PATIENCE:
            why = command.note or "the arm does not move"
            self.disarm(f"the park motion was given up {1000 * distance:.0f} mm away: {why}")
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

    def _become(self, state: ArmState, reason: str) -> None:
        self.state, self.reason = state, reason
