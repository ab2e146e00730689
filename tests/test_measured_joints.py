"""Which measured joints the supervisor believes, and what it does where not: brake, disarm, hold where it is."""

import dataclasses

import numpy as np
import pytest
from bounded_arm import CENTRE, FREE
from supervised_arm import FALSE, PERIOD, Arm, gives_up, under_way

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.liveness import Timing
from rig_robot.arm.measured_joints import ADOPTED, DOUBT
from rig_robot.arm.supervisor import Refused
from rig_sim.world import SPEED_LIMITS


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
