"""Laws of the supervisor: whatever is measured and asked for, in any order and at any pace, what is sent is safe."""

import contextlib

import numpy as np
from bounded_arm import ARM, CENTRE, FREE, LIMITS, SEQUENCES, WIDE, check_place, started, velocities
from hypothesis import given, settings
from hypothesis import strategies as st
from supervised_arm import FALSE, PARK, PERIOD
from test_twist_filter import servo

from rig_robot.arm.commands import JointCommand
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.arm.limits import Limits
from rig_robot.arm.liveness import Timing
from rig_robot.arm.measured_joints import SETTLED, WINDOW
from rig_robot.arm.supervisor import ArmSupervisor, Refused
from rig_robot.common.message_age import Arrival, ClockJump
from rig_sim.world import HOME, WORKSPACE_HIGH, WORKSPACE_LOW

measured = st.sampled_from(
    ["follows", "follows", "follows", "lags", "frozen", "nothing", "elbow", "walks", "unstamped"]
)
measured = measured | st.sampled_from(sorted(FALSE))
said = st.sampled_from(["", "", "", "arm", "disarm", "disarm_by_hand", "estop", "reset_estop", "park", "jump", "beat"])
moments = st.lists(
    st.tuples(measured, st.integers(1, 12), said, velocities, st.floats(0.001, 0.1) | st.just(0.6)),
    min_size=1,
    max_size=12,
)


class HostileInputs:
    """Feeds arbitrary measurements, commands and times to an arm; checks each command against the one before."""

    def __init__(self, limits: Limits, place: np.ndarray) -> None:
        self.safety = started(limits, ramp=0.1, at=place)
        self.supervisor = ArmSupervisor(self.safety, Timing(heartbeat=0.5), {2: 0.2}, ClockJump(), PARK)
        self.truth = self.began = place
        self.time, self.clock = 100.0, 1e9
        self.sent: JointCommand | None = None
        self.sent_at = 0.0
        self.history = [place]

    def say(self, word: str) -> None:
        supervisor, armed = self.supervisor, self.supervisor.state.armed
        with contextlib.suppress(Refused):
            if word in ("arm", "park"):
                getattr(supervisor, word)(self.time)
            elif word in ("disarm", "estop"):
                getattr(supervisor, word)("a test")
            elif word == "jump":
                self.clock += 5.0
            elif word == "beat":
                supervisor.heartbeat_arrived(self.time)
            elif word:
                getattr(supervisor, word)()
        if supervisor.state.armed and not armed:
            assert word == "arm", "only arming arms"
            self.begin()

    def begin(self) -> None:
        """Note that arming starts again from the measured place, and check that the arm may be there."""
        place = self.safety.position
        assert np.isfinite(place).all() and (place >= ARM.lower).all() and (place <= ARM.upper).all()
        if self.sent is not None and not self.by_hand:
            seconds = self.time - self.sent_at
            slack = self.safety.limits.tracking_error * (2.0 + seconds / WINDOW)
            allowed = self.safety.limits.joint_speed * seconds + slack
            assert (np.abs(place - self.sent.position) <= allowed).all(), "armed where the arm cannot have got to"
        self.sent, self.began = None, place

    by_hand = False

    def measure(self, kind: str) -> None:
        if kind == "nothing":
            return
        truth = self.truth
        value = {
            "follows": lambda: truth,
            "lags": lambda: self.history[max(0, len(self.history) - 5)],
            "frozen": lambda: self.history[0],
            "elbow": lambda: truth + 0.19 * np.eye(7)[2],
            "walks": lambda: truth + 0.15 * len(self.history),
            "unstamped": lambda: truth,
        }.get(kind, lambda: FALSE[kind](truth))()
        self.supervisor.joints_arrived(value, Arrival(self.clock if kind == "unstamped" else 0.0, self.time))

    def tick(self, dt: float) -> None:
        self.time, self.clock = self.time + dt, self.clock + dt
        armed, begun = self.supervisor.state.armed, self.supervisor._begun
        command = self.supervisor.tick(self.clock, self.time)
        if armed and not begun and self.supervisor._begun:
            self.sent, self.began = None, self.safety.position
        self.history.append(self.truth)
        if command is None:
            return
        self.check(command, dt)
        self.truth, self.sent, self.sent_at, self.by_hand = command.position, command, self.time, False

    def check(self, command: JointCommand, dt: float) -> None:
        limits = self.safety.limits
        at_rest = JointCommand(self.began, np.zeros(7), "", self.began, 0.0)
        before = self.sent or at_rest
        elapsed = self.time - self.sent_at if self.sent is not None else dt
        check_place(limits, self.began, command.position, command)
        check_place(limits, self.began, command.rest, command)
        assert (np.abs(command.position - before.position) <= limits.commanded_speed * elapsed + 1e-9).all()
        change = np.abs(command.velocity - before.velocity)
        assert (change <= limits.joint_acceleration * elapsed + 1e-6).all() or not command.velocity.any()
        assert (np.abs(command.velocity) <= limits.commanded_speed + 1e-9).all()


@settings(max_examples=SEQUENCES)
@given(moments, st.tuples(*[st.floats(0.0, 1.0)] * 3), st.booleans())
def test_no_sequence_of_measurements_and_orders_sends_what_is_unsafe(sequence: list, corner: tuple, wide: bool) -> None:
    place = WORKSPACE_LOW + np.array(corner) * (WORKSPACE_HIGH - WORKSPACE_LOW)
    arm = HostileInputs(WIDE if wide else LIMITS, FREE.solve(HOME, place, TOOL_DOWN))
    arm.supervisor.heartbeat_arrived(arm.time)
    for _ in range(SETTLED):
        arm.tick(PERIOD)
        arm.measure("follows")
    arm.say("arm")
    for kind, times, word, velocity, dt in sequence:
        arm.by_hand |= word == "disarm_by_hand"
        arm.say(word)
        for _ in range(times):
            arm.measure(kind)
            arm.supervisor.twist_arrived(np.array(velocity), Arrival(0.0, arm.time))
            arm.tick(dt)
    arm.say("disarm")
    for _ in range(100):
        arm.tick(PERIOD)
    assert not arm.safety.velocity.any(), "a disarmed arm comes to rest"


@settings(max_examples=SEQUENCES)
@given(moments)
def test_no_sequence_of_measurements_and_orders_for_servo_sends_what_is_unsafe(sequence: list) -> None:
    safety = servo()
    supervisor = ArmSupervisor(safety, Timing(), {}, ClockJump())
    time, before = 100.0, np.zeros(3)
    for _ in range(SETTLED):
        time += PERIOD
        supervisor.joints_arrived(CENTRE, Arrival(0.0, time))
    supervisor.arm(time)
    for kind, times, word, velocity, dt in sequence:
        with contextlib.suppress(Refused):
            if word in ("arm", "reset_estop", "disarm_by_hand"):
                getattr(supervisor, word)(*[time][: word == "arm"])
            elif word in ("disarm", "estop"):
                getattr(supervisor, word)("a test")
        for _ in range(times):
            place = FALSE[kind](CENTRE) if kind in FALSE else CENTRE + 0.19 * np.eye(7)[2] * (kind == "elbow")
            supervisor.joints_arrived(place, Arrival(1e9 if kind == "unstamped" else 0.0, time))
            supervisor.twist_arrived(np.array(velocity), Arrival(0.0, time))
            time += dt
            if (command := supervisor.tick(1e9 + time, time)) is None:
                continue
            assert np.isfinite(command.linear).all() and np.isfinite(command.angular).all()
            assert np.linalg.norm(command.linear) <= LIMITS.tool_speed + 1e-9
            assert np.linalg.norm(command.angular) <= LIMITS.turn_speed + 1e-9
            faster = np.linalg.norm(command.linear) - np.linalg.norm(before)
            assert faster <= LIMITS.tool_acceleration * dt + 1e-9
            before = command.linear
