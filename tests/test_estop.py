"""An emergency stop is received from every publisher, once, without a false warning, and names its sender."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from ros_harness import Listener, NodeProcess, node_process
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from test_arm_node import PARAMETERS

from rig_robot.ros import estop
from rig_robot.ros.estop import BEST_EFFORT, EstopTopic
from rig_robot.ros.qos import COMMAND, LATCHED

ONCE = """
import rclpy, time
from std_msgs.msg import Bool
rclpy.init()
node = rclpy.create_node("stop_button")
publisher = node.create_publisher(Bool, "rig/estop", 10)
while not publisher.get_subscription_count():
    rclpy.spin_once(node, timeout_sec=0.05)
publisher.publish(Bool(data=True))
rclpy.spin_once(node, timeout_sec=0.3)
rclpy.spin_once(node, timeout_sec=0.3)
rclpy.shutdown()
"""
"""What `ros2 topic pub --once` does, with what rclpy itself says of the QoS."""


class EstopListener:
    """Runs `EstopTopic` in a node of the test, and keeps what it received."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.stops: list[str] = []
        self.at_once: list[str] = []
        self.topic = EstopTopic(listener.node, "rig/estop", self.at_once.append, self.stops.append)
        listener.node.create_timer(estop.LOOK_EVERY, self.topic.look)

    def until(self, stops: int) -> None:
        self.listener.until(lambda: len(self.stops) >= stops, f"{stops} stops, of {self.stops}", 30.0)
        assert len(self.at_once) == len(self.stops), "the stop does not wait for the name"

    def let_catching_up_end(self) -> None:
        """Let the time be over in which latched publishers are asked for their earlier messages."""
        self.topic._until = 0.0
        self.listener.until(lambda: self.topic._catching_up is None, "the latched ones have said all")


@pytest.fixture
def button() -> Iterator[Listener]:
    node = Listener("button")
    yield node
    node.close()


@pytest.fixture
def other_button() -> Iterator[Listener]:
    node = Listener("other_button")
    yield node
    node.close()


def published(node: Node, qos: QoSProfile, *, data: bool = True) -> Publisher:
    publisher = node.create_publisher(Bool, "rig/estop", qos)
    publisher.publish(Bool(data=data))
    return publisher


def test_a_stop_that_was_latched_before_the_listener_came_is_heard_once(listener: Listener, button: Listener) -> None:
    published(button.node, LATCHED)
    ears = EstopListener(listener)
    ears.until(1)
    listener.spin(0.3)
    assert ears.stops == ["rig/estop from /button"]


@pytest.mark.parametrize("qos", [LATCHED, COMMAND, BEST_EFFORT], ids=["latched", "volatile", "best effort"])
def test_a_stop_of_any_publisher_that_comes_late_is_heard_once(
    listener: Listener, button: Listener, qos: QoSProfile
) -> None:
    ears = EstopListener(listener)
    listener.spin(0.3)
    publisher = button.node.create_publisher(Bool, "rig/estop", qos)
    button.until(lambda: publisher.get_subscription_count() >= 1, "the button has met the listener")
    listener.until_heard("rig/estop")
    listener.spin(0.3)
    publisher.publish(Bool(data=True))
    ears.until(1)
    listener.spin(0.3)
    assert ears.stops == ["rig/estop from /button"]
    publisher.publish(Bool(data=False))
    publisher.publish(Bool(data=True))
    ears.until(2)


def test_a_latched_stop_of_a_second_button_is_heard_and_the_first_ones_not_again(
    listener: Listener, button: Listener, other_button: Listener
) -> None:
    ears = EstopListener(listener)
    published(button.node, LATCHED)
    ears.until(1)
    ears.let_catching_up_end()
    published(other_button.node, LATCHED)
    ears.until(2)
    listener.spin(0.5)
    assert ears.stops == ["rig/estop from /button", "rig/estop from /other_button"]


def test_no_publisher_is_told_that_it_is_not_heard(listener: Listener, button: Listener) -> None:
    """Beside a latched button as well, once that has said what it had to say."""
    ears = EstopListener(listener)
    published(button.node, LATCHED)
    ears.until(1)
    ears.let_catching_up_end()
    warned: list[object] = []
    events = PublisherEventCallbacks(incompatible_qos=warned.append)
    ordinary = button.node.create_publisher(Bool, "rig/estop", COMMAND, event_callbacks=events)
    button.until(lambda: ordinary.get_subscription_count() >= 2, "the listener is met")
    button.spin(0.3)
    listener.spin(0.3)
    ordinary.publish(Bool(data=True))
    ears.until(2)
    assert not warned


@pytest.fixture(scope="module")
def arm() -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.arm", PARAMETERS, {"__ns": "/left"}) as process:
        yield process


def errors(arm: NodeProcess) -> list[str]:
    return [line for line in arm.output().splitlines() if line.startswith("[ERROR]")]


def test_a_stop_of_a_disarmed_arm_is_one_line_that_says_who_and_how_to_reset(
    arm: NodeProcess, listener: Listener
) -> None:
    listener.wait_until_discovered_by("/left/arm")
    before = len(errors(arm))
    command = ONCE.replace("rig/estop", "/left/rig/estop")
    once = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=30, env=os.environ)
    assert "QoS" not in once.stdout + once.stderr
    listener.until(lambda: len(errors(arm)) > before, "the stop is said")
    [line] = errors(arm)[before:]
    assert "emergency stop by rig/estop from /stop_button" in line
    assert "rig tell reset --namespace left" in line and "/left/arm/reset_estop" in line
    assert "QoS" not in arm.output()


def test_a_stop_by_service_names_the_caller_even_where_it_is_stopped_already(
    arm: NodeProcess, listener: Listener
) -> None:
    for _ in range(2):
        before = len(errors(arm))
        assert listener.call(Trigger, "/left/arm/estop").success
        listener.until(lambda before=before: len(errors(arm)) > before, "the stop is said")
        [line] = errors(arm)[before:]
        assert re.search(r"emergency stop by service /left/arm/estop, called by .*/listener", line)
    assert listener.call(Trigger, "/left/arm/reset_estop").success
