"""When the arm may move: arming, the emergency stop, the watchdog, and what disarms."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_safety import ARM, CENTRE, FREE, LIMITS, SEQUENCES, WIDE, check_place, servo, started, velocities

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.commands import JointCommand
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.arm.limits import BoundsMissing, Limits
from rig_robot.arm.liveness import Timing
from rig_robot.arm.measured_joints import ADOPTED, DOUBT, SETTLED, WINDOW
from rig_robot.arm.supervisor import ArmSupervisor, Refused
from rig_robot.common.message_age import Arrival, ClockJump
from rig_sim.world import HOME, SPEED_LIMITS, WORKSPACE_HIGH, WORKSPACE_LOW

PERIOD = 0.02
VELOCITY = np.array([0.2, 0.0, 0.0])


class Arm:
    """A supervisor, an arm that follows perfectly, and a clock that the test advances."""

    def __init__(
        self,
        timing: Timing = Timing(),  # noqa: B008
        held: dict[int, float] | None = None,
        park: np.ndarray | None = None,
    ) -> None:
        self.safety = started()
        self.supervisor = ArmSupervisor(self.safety, timing, held or {}, ClockJump(), park)
        self.time = 100.0
        self.clock_offset = 0.0
        self.measured = CENTRE
        self.joints_alive = True

    def armed(self) -> "Arm":
        for _ in range(SETTLED):
            self.time += PERIOD
            self.tell_joints()
        self.supervisor.arm(self.time)
        return self

    def tell_joints(self, measured: np.ndarray | None = None, age: float = 0.0) -> str | None:
        return self.supervisor.joints_arrived(self.measured if measured is None else measured, Arrival(age, self.time))

    def tell_twist(self, velocity: np.ndarray = VELOCITY, age: float = 0.0) -> None:
        self.supervisor.twist_arrived(velocity, Arrival(age, self.time))

    def tick(self, seconds: float = PERIOD) -> JointCommand | None:
        """Advance the time, a tick a period; return the last command."""
        command = None
        for _ in range(round(seconds / PERIOD)):
            self.time += PERIOD
            if self.joints_alive:
                self.tell_joints()
            command = self.supervisor.tick(self.time + self.clock_offset, self.time)
            if command is not None:
                self.measured = command.position
        return command

    def moving(self) -> bool:
        before = self.safety.position
        self.tick()
        return bool((self.safety.position != before).any())


def test_nothing_is_sent_before_arming() -> None:
    arm = Arm()
    arm.tell_twist()
    assert arm.tick(0.5) is None


def test_an_armed_arm_moves_on_a_twist_and_only_then() -> None:
    arm = Arm().armed()
    assert not arm.moving()
    arm.tell_twist()
    assert arm.moving() and arm.supervisor.state is ArmState.MOVING


def test_a_twist_from_before_arming_moves_nothing() -> None:
    arm = Arm()
    for _ in range(SETTLED):
        arm.time += PERIOD
        arm.tell_joints()
    arm.tell_twist()
    arm.supervisor.arm(arm.time)
    assert not any(arm.moving() for _ in range(5)), "the twist is still young enough to move it"
    arm.tell_twist()
    assert arm.moving()


def test_arming_is_refused_while_joint_states_are_missing_or_stale() -> None:
    arm = Arm()
    with pytest.raises(Refused, match="no joint state"):
        arm.supervisor.arm(arm.time)
    arm.tell_joints()
    with pytest.raises(Refused, match="stale"):
        arm.supervisor.arm(arm.time + 1.0)


def test_commands_that_end_stop_the_arm_within_the_watchdog_and_it_holds_its_last_command() -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick(0.1)
    arm.tick(0.25)
    held = arm.safety.position
    command = arm.tick(1.0)
    assert command is not None and (command.position == held).all() and not command.velocity.any()
    assert arm.supervisor.state is ArmState.WAITING and "stale" in arm.supervisor.reason


def test_an_old_frame_behind_a_young_message_does_not_move_the_arm() -> None:
    arm = Arm().armed()
    arm.tell_twist(age=0.3)
    assert not arm.moving()


def test_one_twist_moves_the_arm_no_longer_than_the_motion_time() -> None:
    arm = Arm(Timing(watchdog=10.0, motion_time=0.1)).armed()
    start = arm.safety.target
    arm.tell_twist()
    arm.tick(2.0)
    assert np.linalg.norm(arm.safety.target - start) < 0.2 * 0.1 + 0.01


@pytest.mark.parametrize(("period", "seconds"), [(0.04, 0.042), (0.1, 0.105), (0.2, 0.13)])
def test_one_twist_moves_the_arm_no_longer_than_the_next_one_takes(period: float, seconds: float) -> None:
    arm = Arm().armed()
    for _ in range(15):
        arm.tell_twist()
        arm.tick(period)
    arm.tell_twist()
    arm.time -= 1e-3  # not on the edge of a tick
    told = arm.time
    while arm.moving() and arm.safety.velocity.any() and not arm.supervisor._twists.late(arm.time):
        pass
    assert seconds <= arm.time - told <= seconds + PERIOD


def test_an_arm_whose_next_twist_is_late_brakes_as_fast_as_its_joints_may_and_goes_on_with_the_next() -> None:
    arm = Arm(Timing(motion_time=0.05)).armed()
    for _ in range(15):
        arm.tell_twist()
        arm.tick()
    arm.tick(0.06)
    while arm.safety.moving:
        before = arm.safety.velocity
        arm.tick()
        hardest = np.max(np.abs(before - arm.safety.velocity) / arm.safety.limits.joint_acceleration) / PERIOD
        assert hardest == pytest.approx(1.0) or not arm.safety.moving
    assert arm.supervisor.state is ArmState.MOVING and "late" in arm.supervisor.reason
    arm.tell_twist()
    assert arm.moving()


def test_joint_states_that_end_stop_the_arm() -> None:
    arm = Arm().armed()
    arm.joints_alive = False
    for _ in range(50):
        arm.tell_twist()
        arm.tick()
    assert not arm.moving() and "joint states" in arm.supervisor.reason
    assert arm.supervisor.state is ArmState.WAITING, "it goes on once they are back"


def test_an_arm_in_motion_is_not_sent_back_to_where_its_last_joint_state_was() -> None:
    arm = Arm().armed()
    arm.safety.limits = dataclasses.replace(arm.safety.limits, tracking_error=0.05)
    for _ in range(10):
        arm.tell_twist()
        arm.tick()
    before, arm.joints_alive = arm.safety.velocity, False
    for _ in range(15):
        arm.tell_twist()
        arm.tick()
        assert (arm.safety.velocity * before >= -1e-6).all(), "a joint turned back"
    assert "joint states" in arm.supervisor.reason and not arm.safety.velocity.any()


def test_the_emergency_stop_latches_until_reset_and_leaves_the_arm_disarmed() -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick()
    arm.supervisor.estop("button")
    arm.tell_twist()
    arm.tick(0.2)
    assert not arm.supervisor.braking
    arm.tell_twist()
    assert arm.tick(0.2) is None
    with pytest.raises(Refused, match="emergency stop"):
        arm.supervisor.arm(arm.time)
    arm.supervisor.reset_estop()
    assert arm.supervisor.state is ArmState.DISARMED
    arm.tell_twist()
    assert arm.tick(0.2) is None


def test_the_emergency_stop_latches_on_a_disarmed_arm_too() -> None:
    arm = Arm()
    arm.supervisor.estop("button")
    assert arm.supervisor.state is ArmState.ESTOPPED and arm.tick(0.2) is None


@pytest.mark.parametrize("how", ["estop", "disarm"])
def test_an_arm_that_is_stopped_in_motion_brakes_as_its_joints_may_and_is_not_armed_before_it_rests(how: str) -> None:
    arm = Arm().armed()
    for _ in range(5):
        arm.tell_twist()
        arm.tick(0.1)
    moving = arm.safety.velocity
    assert np.abs(moving).max() > 0.1
    getattr(arm.supervisor, how)("a test")
    assert arm.supervisor.braking
    command = arm.tick()
    assert command is not None
    assert (np.abs(command.velocity - moving) <= arm.safety.limits.joint_acceleration * PERIOD + 1e-9).all()
    if how == "disarm" and arm.supervisor.braking:
        with pytest.raises(Refused, match="coming to rest"):
            arm.supervisor.arm(arm.time)
    arm.tick(0.2)
    assert not arm.supervisor.braking and not arm.safety.velocity.any()
    assert arm.tick(0.5) is None, "an arm that rests is sent nothing more"


def test_resetting_what_is_not_stopped_is_refused() -> None:
    arm = Arm().armed()
    with pytest.raises(Refused):
        arm.supervisor.reset_estop()
    assert arm.supervisor.state.armed


def under_way() -> Arm:
    """Return an armed arm in motion."""
    arm = Arm().armed()
    for _ in range(10):
        arm.tell_twist()
        arm.tick()
    assert np.abs(arm.safety.velocity).max() > 0.1
    return arm


def gives_up(arm: Arm, measured: Callable[[], np.ndarray], seconds: float = 0.3, keeps_on: bool = True) -> str:
    """Feed other measurements from now on; check that the arm disarms and brakes within limits; return the reason."""
    end = arm.time + seconds
    while arm.time < end:
        before, moving = arm.safety.position, arm.safety.velocity
        arm.time += PERIOD
        arm.tell_joints(measured())
        if keeps_on:
            arm.tell_twist()
        command = arm.supervisor.tick(arm.time, arm.time)
        if command is None:
            break
        assert (np.abs(command.position - before) <= arm.safety.limits.commanded_speed * PERIOD + 1e-9).all()
        assert (np.abs(command.velocity - moving) <= arm.safety.limits.joint_acceleration * PERIOD + 1e-9).all()
    assert arm.supervisor.state is ArmState.DISARMED and not arm.safety.velocity.any()
    return arm.supervisor.reason


FALSE = {
    "zeros": lambda q: np.zeros(7),
    "9 rad": lambda q: np.full(7, 9.0),
    "degrees": np.degrees,
    "another order": lambda q: q[::-1],
    "a turn more": lambda q: q + 2 * np.pi * np.eye(7)[6],
    "a turn less": lambda q: q - 2 * np.pi * np.eye(7)[3],
    "not a number": lambda q: q * np.nan,
    "infinite": lambda q: q + np.inf,
    "beyond all": lambda q: q + 1e300,
}


@pytest.mark.parametrize("kind", FALSE)
def test_one_false_measurement_moves_nothing_and_is_refused_in_words(kind: str) -> None:
    arm, undisturbed = under_way(), under_way()
    arm.time += PERIOD
    undisturbed.time += PERIOD
    undisturbed.tell_joints()
    refused = arm.tell_joints(FALSE[kind](arm.measured))
    assert refused is not None and "joint_states" in refused and "refused" in refused
    command, other = (each.supervisor.tick(each.time, each.time) for each in (arm, undisturbed))
    np.testing.assert_array_equal(command.position, other.position)
    arm.measured = command.position
    arm.tell_twist()
    assert arm.moving() and arm.supervisor.state is ArmState.MOVING, "one alone is passed over"


@pytest.mark.parametrize("kind", FALSE)
def test_two_false_measurements_in_a_row_disarm_and_brake_at_the_last_command(kind: str) -> None:
    arm = under_way()
    last, moving = arm.safety.position, arm.safety.velocity
    reason = gives_up(arm, lambda: FALSE[kind](last))
    assert "joint_states" in reason
    braking = np.abs(moving / arm.safety.limits.joint_acceleration).max() + 2 * PERIOD
    assert (np.abs(arm.safety.position - last) <= np.abs(moving) * braking).all(), "it went further than it brakes"


def test_measurements_of_two_publishers_in_turn_disarm() -> None:
    arm = under_way()
    other = iter(range(10**6))
    true = arm.measured
    assert "joint_states" in gives_up(arm, lambda: np.zeros(7) if next(other) % 2 else true, keeps_on=False)


def test_rare_false_measurements_do_not_add_up_but_two_within_a_second_do() -> None:
    arm = Arm().armed()
    for _ in range(5):
        arm.tell_joints(np.zeros(7))
        arm.tick(DOUBT + 0.1)
        assert arm.supervisor.state.armed
    arm.tell_joints(np.zeros(7))
    arm.tick(0.5)
    arm.tell_joints(np.zeros(7))
    arm.time += PERIOD
    arm.supervisor.tick(arm.time, arm.time)
    assert arm.supervisor.state is ArmState.DISARMED


def test_two_false_measurements_in_a_row_disarm_however_far_apart() -> None:
    arm = Arm().armed()
    arm.tick(0.2)
    arm.joints_alive = False
    for _ in range(2):
        assert arm.supervisor.state.armed
        arm.tick(DOUBT + 0.5)
        arm.tell_joints(np.zeros(7))
        arm.tick()
    assert arm.supervisor.state is ArmState.DISARMED and "joint_states" in arm.supervisor.reason


def test_a_measurement_that_drifts_faster_than_the_joints_move_is_not_believed() -> None:
    arm = under_way()
    drift = iter(np.arange(1, 10**4) * 0.15)
    start = arm.measured
    gives_up(arm, lambda: start + next(drift), keeps_on=False)
    assert np.abs(arm.safety.position - start).max() < 0.1


def test_the_slack_of_each_measurement_does_not_add_up_to_a_motion() -> None:
    arm = Arm()
    arm.tick(0.5)
    told = []
    for number in range(1, 10):
        arm.time += PERIOD
        told.append(arm.tell_joints(CENTRE + 0.15 * number))
    assert told[0] is None and all(told[3:])


def test_a_first_measurement_of_nan_is_rejected() -> None:
    arm = Arm()
    assert "not finite" in str(arm.tell_joints(CENTRE * np.nan))
    arm.time += 2.0 * DOUBT
    with pytest.raises(Refused, match="no joint state"):
        arm.supervisor.arm(arm.time)


def test_an_arm_is_not_armed_at_a_false_measurement_nor_soon_after_one() -> None:
    arm = Arm()
    arm.tick(0.2)
    arm.time += PERIOD
    arm.tell_joints(np.zeros(7))
    arm.time += PERIOD
    with pytest.raises(Refused, match="joint_states"):
        arm.supervisor.arm(arm.time)
    arm.tick(DOUBT + 0.1)
    arm.supervisor.arm(arm.time)


def test_nothing_is_sent_before_the_joint_states_agree_with_each_other() -> None:
    """A driver's first message may be false: it publishes zeros before it has heard from its robot."""
    arm = Arm()
    arm.tell_joints(np.array([0.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0]))
    arm.supervisor.arm(arm.time)
    assert arm.tick(0.5) is None and arm.supervisor.state is ArmState.DISARMED
    arm.tick(ADOPTED + DOUBT)
    arm.supervisor.arm(arm.time)
    command = arm.tick()
    assert command is not None and (command.position == arm.measured).all()


def test_an_arm_that_is_elsewhere_without_having_been_seen_to_go_there_is_armed_only_at_a_persons_word() -> None:
    arm = under_way()
    arm.supervisor.disarm("a test")
    arm.tick(0.5)
    last, arm.measured = arm.measured, np.zeros(7)
    arm.tick(ADOPTED + DOUBT + 0.1)
    with pytest.raises(Refused, match="not seen to move"):
        arm.supervisor.arm(arm.time)
    arm.measured = last
    arm.tick(ADOPTED + DOUBT + 0.1)
    arm.supervisor.arm(arm.time)
    arm.supervisor.disarm("a test")
    arm.measured = np.array([0.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0])
    arm.tick(ADOPTED + DOUBT + 0.1)
    arm.supervisor.disarm_by_hand()
    arm.supervisor.arm(arm.time)
    command = arm.tick()
    assert command is not None and (command.position == arm.measured).all()


def test_an_arm_that_was_moved_by_another_program_is_armed_where_it_is() -> None:
    arm = Arm().armed()
    arm.tick(0.1)
    arm.supervisor.disarm("a test")
    for _ in range(100):
        arm.measured = arm.measured + 0.01 * np.eye(7)[0]
        arm.tick()
    arm.supervisor.arm(arm.time)
    command = arm.tick()
    assert command is not None and (command.position == arm.measured).all()


@pytest.mark.parametrize("rate", [100.0, 50.0])
def test_joint_states_that_stay_the_same_while_the_arm_is_told_to_move_disarm(rate: float) -> None:
    arm = Arm().armed()
    for _ in range(20):
        arm.time += 1 / rate
        arm.tell_joints()
        arm.tell_twist()
        arm.measured = arm.supervisor.tick(arm.time, arm.time).position
    frozen, since, brakes = arm.measured, arm.time, False
    while arm.supervisor.state.armed:
        arm.time += 1 / rate
        arm.tell_joints(frozen)
        arm.tell_twist()
        arm.supervisor.tick(arm.time, arm.time)
        assert arm.time - since < 0.17
        brakes = brakes or ("do not change" in arm.supervisor.reason and arm.supervisor.state is ArmState.WAITING)
    assert brakes, "it must brake before it is sure"
    assert "not changed" in arm.supervisor.reason


def test_joint_states_that_hang_for_less_than_their_age_brake_the_arm_and_it_goes_on() -> None:
    arm = under_way()
    frozen, measured = arm.measured, arm.measured
    for number in range(40):
        arm.time += 0.01
        arm.tell_joints(frozen if number < 8 else measured)
        arm.tell_twist()
        measured = arm.supervisor.tick(arm.time, arm.time).position
        assert arm.supervisor.state.armed
    assert arm.supervisor.state is ArmState.MOVING


def test_an_arm_at_rest_whose_joint_states_stay_the_same_stays_armed() -> None:
    arm = Arm().armed()
    arm.tick(5.0)
    assert arm.supervisor.state.armed


def test_joint_states_without_a_stamp_are_refused_in_words_and_do_not_hide_good_ones() -> None:
    arm = under_way()
    assert "stamp" in str(arm.tell_joints(age=1.8e9))
    arm.tell_twist()
    assert arm.moving()


def test_joint_states_are_stale_by_their_own_rate_and_a_pause_of_this_process_is_not_theirs() -> None:
    arm = under_way()
    arm.time += 0.15
    arm.tell_twist()
    arm.supervisor.tick(arm.time, arm.time)
    assert arm.supervisor.state is ArmState.MOVING, "it may be that nobody has taken them in yet"
    arm.joints_alive = False
    arm.tell_twist()
    arm.tick(PERIOD)
    assert arm.supervisor.state is ArmState.WAITING and "joint states are stale" in arm.supervisor.reason


def test_the_age_at_which_joint_states_are_stale_can_be_given() -> None:
    arm = Arm(Timing(joint_states=0.2)).armed()
    arm.tick(0.5)
    arm.joints_alive = False
    for expected in (True, False):
        for _ in range(8):
            arm.tell_twist()
            arm.tick()
        assert (arm.supervisor.state is ArmState.MOVING) is expected


def blocked(offset: float = 0.25, axis: int = 0) -> Arm:
    """Return an arm that was pushed off its command and stays there."""
    arm = under_way()
    start, towards = arm.measured, np.eye(7)[axis]
    for share in np.linspace(0.0, 1.0, 6):
        arm.time += PERIOD
        arm.tell_joints(start + share * offset * towards)
        arm.supervisor.tick(arm.time, arm.time)
    arm.measured = start + offset * towards
    assert arm.supervisor.state is ArmState.DISARMED and "from its command" in arm.supervisor.reason
    return arm


@pytest.mark.parametrize("axis", [0, 6])
def test_an_arm_that_does_not_follow_is_disarmed_and_then_held_where_it_stands_within_all_limits(axis: int) -> None:
    arm = blocked(axis=axis)
    arm.safety.limits = dataclasses.replace(arm.safety.limits, joint_speed=SPEED_LIMITS * (1.0 if axis == 0 else 0.1))
    limits, sent = arm.safety.limits, [arm.safety.position]
    velocity = arm.safety.velocity
    for _ in range(100):
        arm.time += PERIOD
        arm.tell_joints()
        if (command := arm.supervisor.tick(arm.time, arm.time)) is not None:
            assert (np.abs(command.position - sent[-1]) <= limits.commanded_speed * PERIOD + 1e-9).all()
            assert (np.abs(command.velocity - velocity) <= limits.joint_acceleration * PERIOD + 1e-9).all()
            tool = np.linalg.norm(FREE.forward(command.position) - FREE.forward(sent[-1])) / PERIOD
            assert tool <= 1.05 * limits.tool_speed
            sent.append(command.position)
            velocity = command.velocity
    np.testing.assert_allclose(sent[-1], arm.measured, atol=1e-9)
    assert not velocity.any() and command is None, "it rests there and is sent nothing more"


@pytest.mark.parametrize("how", ["estop", "disarm_by_hand", "moves", "silent"])
def test_an_arm_is_not_relieved_after_a_stop_nor_towards_a_place_that_is_not_sure(how: str) -> None:
    arm = blocked()
    if how == "silent":
        arm.joints_alive = False
    elif how != "moves":
        getattr(arm.supervisor, how)(*["a test"][: how == "estop"])
    for number in range(100):
        arm.time += PERIOD
        if how == "moves":
            arm.measured = arm.measured + 0.012 * (-1) ** number * np.eye(7)[0]
        if arm.joints_alive:
            arm.tell_joints()
        arm.supervisor.tick(arm.time, arm.time)
    assert arm.safety.observe(arm.measured) > 0.15


def test_relief_ends_with_the_joint_states_that_it_rests_on() -> None:
    arm = blocked()
    while not arm.safety.moving or arm.time < 100.7:
        arm.time += PERIOD
        arm.tell_joints()
        arm.supervisor.tick(arm.time, arm.time)
    for _ in range(100):
        arm.time += PERIOD
        arm.supervisor.tick(arm.time, arm.time)
    assert not arm.safety.moving and arm.safety.observe(arm.measured) > 0.01


def test_an_arm_is_not_relieved_by_a_long_way() -> None:
    arm = blocked()
    for _ in range(25):
        arm.time += PERIOD
        arm.measured = arm.measured + 0.02 * np.eye(7)[0]
        arm.tell_joints()
        arm.supervisor.tick(arm.time, arm.time)
    far = arm.safety.observe(arm.measured)
    for _ in range(100):
        arm.time += PERIOD
        arm.tell_joints()
        arm.supervisor.tick(arm.time, arm.time)
    assert arm.safety.observe(arm.measured) == far > 0.4


def test_an_arm_is_not_relieved_where_that_would_lead_it_out_of_its_box() -> None:
    arm = blocked()
    low = arm.safety.target - [0.0, 0.01, 0.0]
    arm.safety.limits = dataclasses.replace(arm.safety.limits, low=low, high=arm.safety.target + 0.01)
    arm_kinematics = FREE
    for _ in range(100):
        arm.time += PERIOD
        arm.tell_joints()
        command = arm.supervisor.tick(arm.time, arm.time)
        if command is not None:
            assert arm.safety.limits.outside(arm_kinematics.forward(command.position)) < 1e-9
    assert arm.safety.observe(arm.measured) > 0.1


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 0.5, -0.5])
def test_a_jump_of_the_clock_disarms(jump: float) -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick(0.1)
    arm.clock_offset = jump
    command = arm.tick(0.1)
    assert not arm.safety.velocity.any() and command is None
    assert arm.supervisor.state is ArmState.DISARMED and "jump" in arm.supervisor.reason


def test_a_required_heartbeat_must_be_there_to_arm_and_to_move() -> None:
    arm = Arm(Timing(heartbeat=0.5))
    for _ in range(SETTLED):
        arm.tell_joints()
    with pytest.raises(Refused, match="heartbeat"):
        arm.supervisor.arm(arm.time)
    arm.supervisor.heartbeat_arrived(arm.time)
    arm.supervisor.arm(arm.time)
    arm.tell_twist()
    assert arm.moving()
    for _ in range(40):
        arm.tell_twist()
        arm.tick()
    assert not arm.moving() and "heartbeat" in arm.supervisor.reason


def test_an_axis_that_the_policy_does_not_drive_is_brought_to_its_place() -> None:
    place = float(started().target[2]) + 0.03
    arm = Arm(held={2: place}).armed()
    for _ in range(200):
        arm.tell_twist(np.zeros(3))
        arm.tick()
    assert arm.safety.target[2] == pytest.approx(place, abs=1e-3)


def test_after_a_pause_of_the_process_the_lost_time_is_not_made_up_for() -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick(0.1)
    before = arm.safety.target
    arm.time += 5.0
    arm.tell_joints()
    arm.tell_twist()
    arm.supervisor.tick(arm.time, arm.time)
    assert np.linalg.norm(arm.safety.target - before) < 0.2 * 0.1 + 0.01


PARK = np.array([0.55, -0.1, 0.3])


def parking() -> Arm:
    arm = Arm(park=PARK).armed()
    arm.supervisor.park(arm.time)
    arm.tick(0.4)
    assert arm.supervisor.state is ArmState.PARKING
    return arm


def test_parking_drives_to_the_park_position_and_disarms_there() -> None:
    arm = parking()
    arm.tell_twist(np.array([0.3, 0.3, 0.0]))  # what the policy says does not count
    arm.tick(8.0)
    assert arm.supervisor.state is ArmState.DISARMED and arm.supervisor.reason == "parked"
    assert np.linalg.norm(arm.safety.target - PARK) < 3e-3 and not arm.supervisor.braking


@pytest.mark.parametrize("how", ["disarm", "estop", "joints", "heartbeat"])
def test_a_park_motion_that_is_aborted_leaves_the_arm_still(how: str) -> None:
    arm = parking()
    if how == "joints":
        arm.joints_alive = False
    elif how == "heartbeat":
        arm.supervisor._liveness.timing = Timing(heartbeat=0.1)
    else:
        getattr(arm.supervisor, how)("aborted")
    arm.tick(0.6)
    held = arm.safety.position
    assert not arm.safety.velocity.any() and np.linalg.norm(arm.safety.target - PARK) > 0.02
    assert not arm.supervisor.state.armed and arm.supervisor.reason != "parked"
    arm.joints_alive = True
    arm.supervisor.heartbeat_arrived(arm.time)
    arm.tick(1.0)
    assert (arm.safety.position == held).all(), "it must not go on by itself"


def test_parking_is_refused_where_there_is_no_place_or_the_arm_is_not_armed() -> None:
    with pytest.raises(Refused, match="park"):
        Arm().armed().supervisor.park(100.0)
    with pytest.raises(Refused, match="arm it first"):
        Arm(park=PARK).supervisor.park(100.0)
    with pytest.raises(BoundsMissing, match="inside the workspace"):
        Arm(park=np.array([0.0, 0.0, 1.0]))


def test_a_park_motion_that_comes_no_nearer_is_given_up() -> None:
    arm = parking()
    arm.safety.limits = dataclasses.replace(arm.safety.limits, tool_speed=1e-6)
    arm.tick(3.0)
    assert arm.supervisor.state is ArmState.DISARMED and "given up" in arm.supervisor.reason


# Laws: whatever is measured, asked for and said, in any order and at any pace, what is sent is safe.

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
