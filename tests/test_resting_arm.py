"""An arm at rest costs little, and whatever arms it or stops it finds it awake."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from rig_robot.bringup.parameter_files import read_parameters
from rig_robot.bringup.systems import NODES
from rig_robot.common.package_files import share
from rig_robot.nodes.arm import RESTING
from rig_robot.ros.qos import COMMAND, STATE
from rig_sim.world import HOME

PARAMETERS = read_parameters(share("config", "sim.yaml"), NODES)["arm"]


class Bench:
    """An arm node, and joint states of an arm that stands still."""

    def __init__(self, listener: Listener, process: NodeProcess, at: Any) -> None:
        self.listener, self.process = listener, process
        self.commands = listener.hear(JointTrajectory, "joint_trajectory_controller/joint_trajectory", COMMAND)
        self.poses = listener.hear(PoseStamped, "rig/ee_pose", STATE)
        self.twists = listener.node.create_publisher(TwistStamped, "rig/policy/twist", COMMAND)
        self._states = listener.node.create_publisher(JointState, "joint_states", 5)
        self.at = [float(angle) for angle in at]
        listener.node.create_timer(0.01, self._publish)
        listener.until(lambda: self.poses, "a pose")

    def _publish(self) -> None:
        message = JointState(name=PARAMETERS["joints"], position=self.at)
        message.header.stamp = self.listener.node.get_clock().now().to_msg()
        self._states.publish(message)

    def arm(self) -> float:
        """Arm, and return when the answer came [s, steady clock]."""
        answer = self.listener.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
        assert answer.success, answer.message
        return time.monotonic()

    def twist(self) -> None:
        message = TwistStamped()
        message.header.frame_id = "base"
        message.header.stamp = self.listener.node.get_clock().now().to_msg()
        message.twist.linear.x = 0.05
        self.twists.publish(message)

    def rate(self, heard: list[Any], seconds: float) -> float:
        before = len(heard)
        self.listener.spin(seconds)
        return (len(heard) - before) / seconds


@pytest.fixture
def bench(listener: Listener) -> Iterator[Bench]:
    from rig_sim.world import kinematics

    place = kinematics().solve(HOME, (0.6, 0.0, 0.25), (0.0, 1.0, 0.0, 0.0))
    with node_process("rig_robot.nodes.arm", PARAMETERS) as process:
        yield Bench(listener, process, place)


def test_a_disarmed_arm_is_looked_at_seldom_and_an_armed_one_at_the_command_rate(bench: Bench) -> None:
    bench.listener.spin(0.5)
    assert bench.rate(bench.poses, 2.0) < 2.0 / RESTING and not bench.commands
    bench.arm()
    needed = 0.6 * PARAMETERS.get("rate", 100.0)
    bench.listener.until(lambda: bench.rate(bench.commands, 1.0) > needed, "commands at the command rate")
    bench.listener.call(SetBool, "arm/set_armed", SetBool.Request(data=False))
    sent = len(bench.commands)
    bench.listener.spin(0.5)
    assert bench.rate(bench.poses, 2.0) < 2.0 / RESTING and len(bench.commands) <= sent + 1


@pytest.mark.alone
def test_it_wakes_within_a_few_command_periods_of_being_armed(bench: Bench) -> None:
    bench.listener.spin(1.0)
    armed = bench.arm()
    heard = len(bench.commands)
    bench.listener.until(lambda: len(bench.commands) > heard + 3, "commands")
    assert time.monotonic() - armed < RESTING, "it went on at the pace of an arm at rest"


def test_an_arm_that_waits_acts_on_the_first_twist_at_once(bench: Bench) -> None:
    bench.listener.spin(1.0)
    bench.arm()

    def moving() -> bool:
        bench.twist()
        return any(max(map(abs, command.points[0].velocities)) > 0 for command in bench.commands[-3:])

    def waking() -> float:
        bench.listener.spin(1.5)
        began = time.monotonic()
        bench.listener.until(moving, "a command that moves")
        return time.monotonic() - began

    bench.listener.until(lambda: waking() < 0.2, "it moves at once, whenever this machine does not stand still")


def test_an_emergency_stop_reaches_a_resting_arm(bench: Bench) -> None:
    bench.listener.spin(1.0)
    stop = bench.listener.node.create_publisher(Bool, "rig/estop", 1)
    bench.listener.until_heard("rig/estop", subscribers=1)
    stop.publish(Bool(data=True))
    bench.listener.until(lambda: "emergency stop by" in bench.process.output(), "the stop is logged", 2.0)
    refused = bench.listener.call(SetBool, "arm/set_armed", SetBool.Request(data=True))
    assert not refused.success and "emergency stop is latched" in refused.message
