"""When the arm may move: arming, the emergency stop, the watchdog, and what disarms."""

import dataclasses

import numpy as np
import pytest
from bounded_arm import started
from supervised_arm import PARK, PERIOD, Arm

from rig_robot.arm.arm_state import ArmState
from rig_robot.arm.limits import BoundsMissing
from rig_robot.arm.liveness import Timing
from rig_robot.arm.measured_joints import SETTLED
from rig_robot.arm.supervisor import Refused


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
