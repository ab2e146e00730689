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

from rig_robot.arm.commands import Command, JointCommand, Vector
from rig_robot.arm.measured_joints import MeasuredJoints
from rig_robot.arm.safety import BoundsMissing, Filter
from rig_robot.common.message_age import Arrival, ClockJump, Period

TWIST_PERIODS, SHORTEST_MOTION = 1.05, 0.02
"""How long one twist moves the arm, once their rate is known: in periods of theirs, and at the least [s]."""
YOUNG = 0.05
"""Age up to which a joint state tells where the arm is now [s]."""
FROZEN = 0.01
"""How far an arm may be told to go [rad, or m for Servo] while the measured joints stay the same to the last digit."""
LEAVES = 0.003
"""From how far on [rad, m] it counts as told to go."""
RELIEVED = 0.01
"""Distance from its command [rad] at which an arm that stands against something is left alone."""
RELIEF_STILL, RELIEF_TIME = 0.1, 2.0
"""It must have stood still for the one, and is brought to where it stands within the other, of being disarmed [s]."""
PAUSED = 0.05
"""Time between two ticks [s] after which joint states may have arrived that nobody has taken in yet."""
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
        watchdog: A frame, latent or policy older than this stops the arm [s].
        motion_time: One twist moves the arm for at most this long [s], and for no longer than the next needs to come.
        heartbeat: An operator's heartbeat older than this stops the arm [s]; 0 where none is required.
        joint_states: A joint state older than this stops the arm [s]; 0: learnt from their rate, at most the watchdog.
    """

    watchdog: float = 0.25
    motion_time: float = 0.13
    heartbeat: float = 0.0
    joint_states: float = 0.0


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
        self._joints = MeasuredJoints(safety.joints, safety.limits.joint_speed, safety.limits.tracking_error)
        self._joints_age = timing.watchdog
        self._twist: tuple[Vector, Arrival] | None = None
        self._twist_period = Period()
        self._rested = True  # whether the arm has come to rest since that twist
        self._motion_time = timing.motion_time
        self._heartbeat: float | None = None
        self._ticked: float | None = None
        self._begun = False  # whether an armed arm has been sent anything
        self._sent: Vector | None = None  # the last joint command there was
        self._unchanged = safety.commanded  # what was commanded when the measured joints last changed
        self._left: float | None = None  # since when the command is elsewhere than then [s, steady clock]
        self._relief: tuple[float, Vector | None] | None = None  # until when [s], and to which posture
        self._nearest = (np.inf, 0.0)  # to the park position [m], and when [s, steady clock]

    def joints_arrived(self, position: Vector, arrival: Arrival) -> str | None:
        """Take a measured joint position, [n] rad; return why it is refused, None if it is believed."""
        if arrival.age > self._timing.watchdog:
            return (
                f"joint_states is stamped {arrival.age:.3f} s ago, at most {self._timing.watchdog} s is fresh (a "
                "driver that does not stamp, or another clock?): refused"
            )
        refused = self._joints.take(position, arrival)
        if self._joints.changed == arrival.steady:
            self._unchanged, self._left = self._safety.commanded, None
        self._joints_age = self._timing.joint_states or self._joints.learnt_age(self._timing.watchdog)
        return refused

    def twist_arrived(self, velocity: Vector, arrival: Arrival) -> None:
        """Take a wanted tool velocity, base frame, [3] m/s."""
        self._twist, self._rested = (velocity, arrival), False
        self._twist_period.note(arrival.steady)
        self._motion_time = self._twist_period.times(
            TWIST_PERIODS, least=min(SHORTEST_MOTION, self._timing.motion_time), most=self._timing.motion_time
        )

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
        if (wrong := self._joints.doubt(steady) or self._joints_stale(steady)) is not None:
            raise Refused(wrong)
        if (absent := self._operator_absent(steady)) is not None:
            raise Refused(absent)
        if (elsewhere := self._elsewhere()) is not None:
            raise Refused(elsewhere)
        self._relief = None
        self._begin()
        self._joints.accept_place()
        self._twist = None  # what was wanted before arming is not wanted now
        self._ticked = steady
        self._become(ArmState.WAITING, "armed at the measured position")

    def _begin(self) -> None:
        """Begin at the measured position, once the joint states agree with each other.

        Raises:
            Refused: If the arm cannot begin there.
        """
        assert self._joints.position is not None
        try:
            self._safety.start(self._joints.position)
        except ValueError as error:
            raise Refused(str(error)) from None
        self._begun = self._joints.settled
        self._unchanged, self._left = self._safety.commanded, None

    def _elsewhere(self) -> str | None:
        """Return why an arm is not armed that is somewhere else than it was sent and was not seen to go there."""
        position, allowed = self._joints.position, self._safety.limits.tracking_error
        if self._sent is None or position is None or not self._joints.unseen:
            return None
        if (np.abs(position - self._sent) <= allowed).all():
            return None
        return (
            f"the joint states say {np.round(position, 3).tolist()} rad; the last command was "
            f"{np.round(self._sent, 3).tolist()}, and the arm was not seen to move between them: look at the arm. If "
            "it is truly there, say disarm once more (`rig tell disarm`), then arm it"
        )

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

    def disarm_by_hand(self) -> None:
        """Disarm as a person asks; of a disarmed arm it means: it is where the joint states say."""
        if not self.state.armed:
            self._joints.accept_place()
        self._relief = None
        self.disarm("by service")

    def estop(self, reason: str) -> None:
        """Latch the emergency stop; an arm in motion brakes."""
        self._relief = None
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
        if self._joints.position is None or self._ticked is None:
            return None
        dt = steady - self._ticked
        if dt <= 0.0:
            return None
        self._ticked = steady
        if self.state.armed and (why := self._not_begun()) is not None:
            self._become(*why)
            return None
        paused, dt = dt if dt > PAUSED else 0.0, self._safety.catch_up(dt)
        if self.state.armed and (wrong := self._joints.disbelieved or self._frozen(steady)) is not None:
            self.disarm(wrong)
        command = self._command(steady, dt, paused) if self.state.armed else self._at_rest(steady, dt)
        if command is not None:
            self._sent = command.position if isinstance(command, JointCommand) else None
        return command

    def _command(self, steady: float, dt: float, paused: float) -> Command:
        """Return what an armed arm is sent.

        Args:
            steady: Steady clock [s].
            dt: Time since the last command [s].
            paused: The same where this process has slept so long that joint states may wait to be taken in, else 0 [s].
        """
        if (given_up := self._not_following(steady, dt)) is not None:
            return given_up
        stop = self._joints_stale(steady, paused) or self._operator_absent(steady)
        if self.state is ArmState.PARKING:
            return self._drive_to_park(stop, steady, dt)
        if stop is None and self._unmoved(steady) > self._joints_age / 2.0:
            stop = "joint states do not change, though the arm was told to move"
        velocity, age, waiting = self._wanted(steady)
        if stop is not None:
            age, waiting = float("inf"), stop
        if waiting is None and self._late(steady) and self._safety.moving and not self._rested:
            # As fast as the joints may: to rest along the tool's line the arm would take twice as long.
            command = self._safety.brake(dt, "the next command is late")
            self._rested = not self._safety.moving
        else:
            command = self._safety.step(velocity, age, dt)
        if waiting is None:
            self._become(ArmState.MOVING, command.note)
        else:
            self._become(ArmState.WAITING, waiting)
        return command

    def _not_begun(self) -> tuple[ArmState, str] | None:
        """Begin where the joint states agree by now; return state and reason where an armed arm is sent nothing yet."""
        if self._begun:
            return None
        if (wrong := self._joints.disbelieved) is not None:
            return ArmState.DISARMED, wrong
        if not self._joints.settled:
            return self.state, "waits for joint states that agree with each other"
        try:
            self._begin()
        except Refused as refusal:
            return ArmState.DISARMED, str(refusal)
        return None

    def _at_rest(self, steady: float, dt: float) -> Command | None:
        """Return what a disarmed arm is sent: it brakes, and is relieved of what it stands against; then nothing."""
        if self._relief is not None:
            until, place = self._relief
            if place is None and not self._safety.moving:
                place = self._stands(steady)
            if steady > until or (place is not None and self._safety.observe(place) == 0.0):
                self._relief = None
            elif place is not None and self._joints.age(steady) <= YOUNG:
                self._relief = until, place
                return self._safety.approach(place, dt, self.reason)
        return self._safety.brake(dt, self.reason) if self._safety.moving else None

    def _stands(self, steady: float) -> Vector | None:
        """Return where an arm stands that is held off its command, [n] rad; None where that is not sure."""
        measured, joints = self._joints.position, self._joints
        assert measured is not None
        error = self._safety.observe(measured)
        near = RELIEVED < error <= 2.0 * self._safety.limits.tracking_error
        sure = joints.settled and joints.age(steady) <= YOUNG and joints.still(steady) >= RELIEF_STILL
        return measured if near and sure else None

    def _unmoved(self, steady: float) -> float:
        """Return for how long the measured joints have stayed the same though the arm is told to move [s]."""
        told = float(np.abs(self._safety.commanded - self._unchanged).max())
        if told <= LEAVES or self._joints.age(steady) > YOUNG:
            self._left = None
            return 0.0
        self._left = steady if self._left is None else self._left
        return steady - self._left if told > FROZEN else 0.0

    def _frozen(self, steady: float) -> str | None:
        """Return why the measured joints say nothing: they stay the same though the arm is told to move. Else None."""
        if self._unmoved(steady) <= self._joints_age:
            return None
        return (
            f"joint states have not changed by a digit for {steady - self._joints.changed:.2f} s, though the arm was "
            "told to move: a driver that repeats itself, or an arm whose controller is not active?"
        )

    def _not_following(self, steady: float, dt: float) -> Command | None:
        """Give an arm up that is not where it was told to be; return what it is sent then, None if it follows."""
        assert self._joints.position is not None
        # An old measurement says where the arm was: it lags behind one in motion.
        if self._joints.age(steady) > YOUNG:
            return None
        error, allowed = self._safety.observe(self._joints.position), self._safety.limits.tracking_error
        if error <= allowed:
            return None
        self.disarm(f"a joint is {error:.3f} rad from its command, at most {allowed} rad is allowed")
        # It brakes first. Where it then stands still off its command, it stands against something, and its own place
        # is the one that asks for no force.
        self._relief = steady + RELIEF_TIME, None
        return self._safety.brake(dt, self.reason)

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
        if self._late(steady):
            return np.zeros(3), age, None
        velocity = velocity.copy()
        for axis, place in self._held.items():
            # The policy moves in a plane; a proportional pull of 5/s keeps the tool in it.
            velocity[axis] = 5.0 * (place - self._safety.target[axis])
        return velocity, age, None

    def _late(self, steady: float) -> bool:
        """Return whether the last twist moves the arm no longer, and the next has not come."""
        return self._twist is not None and steady - self._twist[1].steady > self._motion_time

    def _joints_stale(self, steady: float, paused: float = 0.0) -> str | None:
        if self._joints.position is None:
            return "no joint state has arrived: is the controller running, and are its joint names the arm's?"
        limit = self._joints_age
        if self._joints.age(steady) <= limit + paused:
            return None
        return f"joint states are stale (older than {limit:.2g} s): is the controller running?"

    def _operator_absent(self, steady: float) -> str | None:
        if self._timing.heartbeat <= 0.0:
            return None
        if self._heartbeat is None or steady - self._heartbeat > self._timing.heartbeat:
            return f"no operator heartbeat within {self._timing.heartbeat} s"
        return None

    def _become(self, state: ArmState, reason: str) -> None:
        self.state, self.reason = state, reason
