"""Decides when an arm may move: whether it is armed, not stopped, and what its commands rest on is alive.

Nothing moves unless armed; an e-stop latches and leaves the arm disarmed; whatever goes stale stops the arm; a clock
that jumps or an arm that does not follow disarms. An arm that is told to stop brakes and then holds. No ROS here: the
node tells what arrived and asks at each tick.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.commands import Command, JointCommand, Vector
from rig_robot.arm.contact_relief import ContactRelief
from rig_robot.arm.limits import BoundsMissing
from rig_robot.arm.liveness import YOUNG, Liveness, Timing
from rig_robot.arm.measured_joints import MeasuredJoints
from rig_robot.arm.park_motion import ParkMotion
from rig_robot.arm.safety import SafetyFilter
from rig_robot.arm.twist_filter import TwistFilter
from rig_robot.arm.twist_stream import TwistStream
from rig_robot.common.message_age import Arrival, ClockJump

Filter = SafetyFilter | TwistFilter
"""What every command to the arm passes."""

PAUSED = 0.05
"""Time between two ticks [s] after which joint states may have arrived that nobody has taken in yet."""


class Refused(Exception):
    """Arming or resetting is not possible; the text says why and what to do."""


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
        self._clock = clock
        self._park = park
        self.state = ArmState.DISARMED
        self.reason = "after start"
        self._joints = MeasuredJoints(safety.joints, safety.limits.joint_speed, safety.limits.tracking_error)
        self._liveness = Liveness(timing, self._joints, safety.commanded)
        self._twists = TwistStream(timing.motion_time, timing.watchdog, held)
        self._ticked: float | None = None
        self._begun = False  # whether an armed arm has been sent anything
        self._sent: Vector | None = None  # the last joint command there was
        self._relief = ContactRelief(self._joints, safety.limits.tracking_error)
        self._parking: ParkMotion | None = None

    def joints_arrived(self, position: Vector, arrival: Arrival) -> str | None:
        """Take a measured joint position, [n] rad; return why it is refused, None if it is believed."""
        return self._liveness.joints_arrived(position, arrival, self._safety.commanded)

    def twist_arrived(self, velocity: Vector, arrival: Arrival) -> None:
        """Take a wanted tool velocity, base frame, [3] m/s."""
        self._twists.take(velocity, arrival)

    def heartbeat_arrived(self, steady: float) -> None:
        """Take a sign of life of the operator; aged by its arrival [s, steady clock]."""
        self._liveness.heartbeat_arrived(steady)

    @property
    def braking(self) -> bool:
        """Whether a disarmed arm is still coming to rest: `tick` goes on sending until it is."""
        return not self.state.armed and self._safety.moving

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves until the arm is armed: it is disarmed, its brake done, and it is left where it is."""
        return not (self.state.armed or self._safety.moving or self._relief.active)

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
        liveness, joints = self._liveness, self._joints
        wrong = joints.doubt(steady) or liveness.joints_stale(steady) or liveness.operator_absent(steady)
        if wrong or (wrong := joints.elsewhere(self._sent)):
            raise Refused(wrong)
        self._relief.cancel()
        self._begin()
        self._joints.accept_place()
        self._twists.forget()
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
        self._liveness.begin(self._safety.commanded)

    def park(self, steady: float) -> None:
        """Drive to the park position, whatever the policy says, and disarm there.

        Raises:
            Refused: If the arm is not armed or has no park position.
        """
        if self._park is None:
            raise Refused("there is no park position: give the parameter park, [x, y, z] in m inside the workspace")
        if not self.state.armed:
            raise Refused(f"the arm is {self.state.name.lower()} ({self.reason}): arm it first")
        self._parking = ParkMotion(self._park, steady)
        self._become(ArmState.PARKING, "on the way to the park position")

    def disarm(self, reason: str, *, may_relieve: bool = True) -> None:
        """Disarm; an arm in motion brakes. `may_relieve`: then it may still ease a contact that it presses against."""
        if not may_relieve:
            self._relief.cancel()
        if self.state.armed:
            self._become(ArmState.DISARMED, reason)

    def disarm_by_hand(self) -> None:
        """Disarm as a person asks; of a disarmed arm it means: it is where the joint states say."""
        if not self.state.armed:
            self._joints.accept_place()
        self.disarm("by service", may_relieve=False)

    def estop(self, reason: str) -> None:
        """Latch the emergency stop; an arm in motion brakes."""
        self._relief.cancel()
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
        repeated = self._liveness.repeated(self._safety.commanded, steady)
        if self.state.armed and (wrong := self._joints.disbelieved or repeated) is not None:
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
        stop = self._liveness.stale(steady, paused)
        if self.state is ArmState.PARKING:
            return self._drive_to_park(stop, steady, dt)
        stop = stop or self._liveness.hanging(self._safety.commanded, steady)
        velocity, age, waiting = self._twists.wanted(self._safety.target, steady)
        if stop is not None:
            age, waiting = float("inf"), stop
        if waiting is None and self._twists.late(steady) and self._safety.moving and not self._twists.rested:
            # As fast as the joints may: to rest along the tool's line the arm would take twice as long.
            command = self._safety.brake(dt, "the next command is late")
            self._twists.rested = not self._safety.moving
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
        measured = self._joints.position
        assert measured is not None
        place = self._relief.place(self._safety.observe(measured), not self._safety.moving, steady)
        if place is not None:
            if self._safety.observe(place) > 0.0:
                return self._safety.approach(place, dt, self.reason)
            self._relief.cancel()
        return self._safety.brake(dt, self.reason) if self._safety.moving else None

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
        self._relief.begin(steady)
        return self._safety.brake(dt, self.reason)

    def _drive_to_park(self, stop: str | None, steady: float, dt: float) -> Command:
        assert self._parking is not None
        if stop is not None:
            self.disarm(f"the park motion was aborted: {stop}")
            return self._safety.brake(dt, self.reason)
        velocity = self._parking.velocity(self._safety.target, self._safety.limits.tool_speed, steady)
        if velocity is None:
            self.disarm("parked")
            return self._safety.brake(dt, self.reason)
        command = self._safety.step(velocity, 0.0, dt)
        if self._parking.stuck(steady):
            why = command.note or "the arm does not move"
            self.disarm(f"the park motion was given up {1000 * self._parking.distance:.0f} mm away: {why}")
        return command

    def _become(self, state: ArmState, reason: str) -> None:
        self.state, self.reason = state, reason
