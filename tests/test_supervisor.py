"""When the arm may move: arming, the emergency stop, the watchdog, and what disarms."""

import numpy as np
import pytest
from test_safety import CENTRE, started

from rig_robot.freshness import Arrival, ClockJump
from rig_robot.robot.safety import JointCommand
from rig_robot.robot.supervisor import ArmState, ArmSupervisor, Refused, Timing

PERIOD = 0.02
VELOCITY = np.array([0.2, 0.0, 0.0])


class Arm:
    """A supervisor, a perfectly following arm, and time that passes when told."""

    def __init__(self, timing: Timing = Timing(), held: dict[int, float] | None = None) -> None:  # noqa: B008
        self.safety = started()
        self.supervisor = ArmSupervisor(self.safety, timing, held or {}, ClockJump())
        self.time = 100.0
        self.clock_offset = 0.0
        self.measured = CENTRE
        self.joints_alive = True

    def armed(self) -> "Arm":
        self.tell_joints()
        self.supervisor.arm(self.time)
        return self

    def tell_joints(self) -> None:
        self.supervisor.joints_arrived(self.measured, Arrival(0.0, self.time))

    def tell_twist(self, velocity: np.ndarray = VELOCITY, age: float = 0.0) -> None:
        self.supervisor.twist_arrived(velocity, Arrival(age, self.time))

    def tick(self, seconds: float = PERIOD) -> JointCommand | None:
        """Pass time, a tick a period; return the last command."""
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
    arm.tell_joints()
    arm.tell_twist()
    arm.supervisor.arm(arm.time)
    assert not arm.moving()


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


def test_joint_states_that_end_stop_the_arm() -> None:
    arm = Arm().armed()
    arm.joints_alive = False
    for _ in range(50):
        arm.tell_twist()
        arm.tick()
    assert not arm.moving() and "joint states" in arm.supervisor.reason


def test_the_emergency_stop_latches_until_reset_and_leaves_the_arm_disarmed() -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick()
    held = arm.supervisor.estop("button")
    assert held is not None and not held.velocity.any()
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
    assert arm.supervisor.estop("button") is None
    assert arm.supervisor.state is ArmState.ESTOPPED


def test_resetting_what_is_not_stopped_is_refused() -> None:
    arm = Arm().armed()
    with pytest.raises(Refused):
        arm.supervisor.reset_estop()
    assert arm.supervisor.state.armed


def test_an_arm_that_does_not_follow_is_disarmed_and_held_where_it_is() -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick()
    arm.measured = arm.measured + 0.3
    command = arm.tick()
    assert command is not None and (command.position == arm.measured).all()
    assert arm.supervisor.state is ArmState.DISARMED and "rad" in arm.supervisor.reason


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 0.5, -0.5])
def test_a_jump_of_the_clock_disarms(jump: float) -> None:
    arm = Arm().armed()
    arm.tell_twist()
    arm.tick(0.1)
    arm.clock_offset = jump
    command = arm.tick()
    assert command is not None and not command.velocity.any()
    assert arm.supervisor.state is ArmState.DISARMED and "jump" in arm.supervisor.reason


def test_a_required_heartbeat_must_be_there_to_arm_and_to_move() -> None:
    arm = Arm(Timing(heartbeat=0.5))
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
