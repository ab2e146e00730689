"""What the arm node says to each kind of controller, where it gets its description from, and how it ends."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from obedient_arm import PERIOD, ObedientArm
from rclpy.clock import ClockType
from ros_harness import Listener, assert_realtime, node_process
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from test_arm_node import PARAMETERS
from trajectory_msgs.msg import JointTrajectory

from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.nodes.arm import ArmNode
from rig_robot.ros.qos import LATCHED
from rig_sim.world import HOME, JOINTS, ROBOT, kinematics

FREE = kinematics()
START = FREE.solve(HOME, [0.6, 0.0, 0.2], TOOL_DOWN)


TOPICS = PARAMETERS | {
    "joint_states_topic": "joint_states",
    "command_topic": "joint_trajectory_controller/joint_trajectory",
}


def obedient(listener: Listener, kind: type = JointTrajectory, topic: str = "") -> ObedientArm:
    return ObedientArm(listener, TOPICS, FREE, START, kind, topic)


@pytest.fixture
def listener() -> Iterator[Listener]:
    node = Listener("bench")
    yield node
    node.close()


@pytest.mark.alone
def test_forward_command_controllers_get_joint_positions_that_follow_the_twist(listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"interface": "joint_position"}):
        arm = obedient(listener, Float64MultiArray, "forward_position_controller/commands")
        arm.arm()
        arm.drive_until(lambda: arm.path()[-1, 0] > 0.05, "the arm follows", 0.05, 0.0)
        assert np.median(np.diff(arm.path()[-30:, 0])) == pytest.approx(0.05 * PERIOD, rel=0.1), "as fast as the twist"
        arm.listener.spin(0.3)
        assert arm.path()[-1, 0] < 0.08 and np.abs(arm.path()[:, 1:]).max() < 5e-3
        assert all(len(command.data) == 7 for command in arm.commands)


@pytest.mark.alone
def test_servo_gets_a_stamped_stream_of_twists_and_a_zero_to_stop(listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"interface": "twist"}):
        arm = obedient(listener, TwistStamped, "servo_node/delta_twist_cmds")
        arm.arm()

        def speeds() -> np.ndarray:
            return np.array([command.twist.linear.x for command in arm.commands])

        arm.drive_until(lambda: arm.commands and speeds().max() > 0.095, "Servo gets the whole twist", 0.1, 0.0)
        arm.drive(0.5, 0.1, 0.0)
        stamps = np.array([c.header.stamp.sec + 1e-9 * c.header.stamp.nanosec for c in arm.commands])
        assert speeds().max() == pytest.approx(0.1, rel=0.05) and arm.commands[-1].header.frame_id == "base"
        assert np.median(np.diff(stamps)) < 0.02, "Servo wants 50 Hz or more"
        assert abs(time.time() - stamps[-1]) < 1.0
        arm.listener.spin(0.6)
        assert not arm.commands[-1].twist.linear.x, "a stop is a zero twist"
        # This arm stands still at x = 0.6: what is asked for may not take it past the face at 0.75 before Servo stops.
        there = FREE.solve(START, [0.74, 0.0, 0.2], TOOL_DOWN)
        for share in np.linspace(0.0, 1.0, 20):
            arm.joints = (1 - share) * START + share * there
            arm.listener.spin(0.05)
        arm.commands.clear()
        arm.drive(0.5, 0.3, 0.0)
        assert max(command.twist.linear.x for command in arm.commands) <= 0.01 / 0.1


def test_the_park_service_takes_the_tool_there_and_disarms(listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"park": [0.62, 0.05, 0.25]}):
        arm = obedient(listener)
        assert "arm it first" in listener.call(Trigger, "arm/park").message
        arm.arm()
        assert listener.call(Trigger, "arm/park").success and arm.state()["state"] == "parking"
        listener.until(lambda: arm.state()["state"] == "disarmed", "the arm is parked", 10.0)
        assert arm.state()["reason"] == "parked"
        assert np.linalg.norm(FREE.forward(arm.joints) - [0.62, 0.05, 0.25]) < 3e-3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "service"])
def test_an_arm_in_motion_is_braked_before_the_node_ends_or_the_service_answers(listener: Listener, how) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS) as node:
        arm = obedient(listener)
        arm.arm()

        def speed() -> float:
            return np.abs(arm.commands[-1].points[0].velocities).max()

        arm.drive_until(lambda: arm.commands and speed() > 0.2, "the arm moves fast", 0.0, 0.3)
        moving = speed()
        begin = len(arm.commands) - 1
        if how == "service":
            assert listener.call(Trigger, "arm/estop").success
        else:
            node.process.send_signal(how)
            listener.until(lambda: not node.running(), "the node has ended", 5.0)
            assert node.wait() == 0
        listener.spin(0.1)
        speeds = np.array([command.points[0].velocities for command in arm.commands[begin:]])
        assert not speeds[-1].any(), "the last command must leave the arm at rest"
        largest = np.abs(speeds).max(axis=1)
        assert ((largest > 0.0) & (largest < 0.9 * moving)).any(), "it must brake, not stop dead"


def test_a_description_of_meshes_alone_serves_where_the_margin_is_given_up(listener: Listener) -> None:
    without = PARAMETERS | {"collision_margin": 0.0, "servo_timeout": 0.2}
    with node_process("rig_robot.nodes.arm", without):
        obedient(listener).arm()


def test_the_description_is_taken_from_robot_state_publishers_topic(listener: Listener) -> None:
    publisher = listener.node.create_publisher(String, "robot_description", LATCHED)
    publisher.publish(String(data=ROBOT.read_text()))
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"description": "topic"}):
        arm = obedient(listener)
        arm.arm()
        arm.drive_until(lambda: arm.path()[-1, 1] > 0.02, "the arm moves", 0.0, 0.1)


def test_a_margin_without_shapes_to_keep_it_between_is_refused(tmp_path: Path) -> None:
    links = "".join(f'<link name="l{i}"/>' for i in range(8))
    joints = "".join(
        f'<joint name="{name}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/><axis xyz="0 0 1"/>'
        '<origin xyz="0.1 0 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        for i, name in enumerate(JOINTS)
    )
    description = tmp_path / "bare.urdf"
    description.write_text(f'<robot name="bare">{links}{joints}</robot>')
    parameters = PARAMETERS | {"description": str(description), "tool": "l7", "rest": [0.0] * 7, "base_frame": "l0"}
    with node_process("rig_robot.nodes.arm", parameters) as node:
        assert node.wait() == 2 and "collision_margin" in node.output() and "Traceback" not in node.output()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"interface": "twist", "rate": 30.0}, "50 Hz"),
        ({"park": [2.0, 0.0, 0.2]}, "park"),
        ({"tool_offset": [0.0, 0.1]}, "tool_offset"),
        ({"singularity_slow": 40.0}, "singularity_slow"),
        ({"table_height": None}, "table_height"),
    ],
)
def test_impossible_values_are_named(change: dict, named: str) -> None:
    parameters = {name: value for name, value in (PARAMETERS | change).items() if value is not None}
    with node_process("rig_robot.nodes.arm", parameters) as node:
        assert node.wait() == 2 and named in node.output() and "Traceback" not in node.output(), node.output()


def test_a_parameter_with_a_typo_is_refused_and_the_right_one_named() -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"workspace_hight": [1.0, 1.0, 1.0]}) as node:
        assert node.wait() == 2
        assert "workspace_hight is unknown to node arm: did you mean workspace_high?" in node.output()


def test_real_time_priority_is_taken_where_it_may_be_and_its_refusal_told_where_not(listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"realtime_priority": 7}) as node:
        obedient(listener)
        assert_realtime(node)


@pytest.mark.alone
def test_an_arm_whose_clock_is_set_back_by_an_hour_stops_and_goes_on_saying_how_it_is(listener: Listener) -> None:
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"use_sim_time": True}):
        clock = listener.node.create_publisher(Clock, "/clock", 10)
        offset = 10_000.0

        def stamp() -> Time:
            now = offset + time.monotonic()
            return Time(sec=int(now), nanosec=int(1e9 * (now % 1.0)))

        listener.node.create_timer(PERIOD, lambda: clock.publish(Clock(clock=stamp())))
        arm = obedient(listener)
        arm.stamp = stamp
        arm.arm()
        arm.drive_until(lambda: arm.statuses and arm.state()["state"] == "moving", "the arm moves", 0.0, 0.1)
        offset -= 3600.0
        arm.statuses.clear()
        listener.until(lambda: arm.statuses and arm.state()["state"] == "disarmed", "the arm is disarmed", 1.0)
        assert "clock jumped" in arm.state()["reason"]
        listener.spin(0.3)
        assert not np.any(arm.commands[-1].points[0].velocities)
        arm.statuses.clear()
        listener.until(lambda: arm.statuses, "the arm goes on saying how it is", 2.0)
        arm.arm()


def test_no_timer_of_the_arm_node_goes_by_a_clock_that_can_be_set_back() -> None:
    """After an hour back, a timer by system time is silent for an hour: no watchdog, no status."""
    given = [word for name, value in PARAMETERS.items() for word in ("-p", f"{name}:={json.dumps(value)}")]
    rclpy.init(args=["--ros-args", *given])
    try:
        timers = list(ArmNode().timers)
        assert len(timers) >= 3
        assert {timer.clock.clock_type for timer in timers} == {ClockType.STEADY_TIME}
    finally:
        rclpy.shutdown()
