"""The goal node's action, where `rig_robot_interfaces` is installed: a picture in, how it ended out."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.action import ActionClient
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import CompressedImage, Image
from test_image_decoding import png

from rig_robot.common.message_fields import stamp_ns
from rig_robot.inference.goal_pursuit import Outcome
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import LATCHED

interfaces = pytest.importorskip("rig_robot_interfaces.action", reason="not compiled here: make interfaces")
PICTURE = CompressedImage(format="png", data=png(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)))


@pytest.fixture(scope="module")
def goal_node(checkpoint) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(checkpoint), "accept_grey": True}) as process:
        yield process


class Client:
    """Sends goals, and acts as the policy and the arm."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.goals = listener.hear(Image, "rig/goal/image", LATCHED)
        self.progress = listener.node.create_publisher(DiagnosticStatus, "rig/goal/progress", LATCHED)
        self.arm = listener.node.create_publisher(DiagnosticStatus, "rig/arm/status", LATCHED)
        self.feedback: list[Any] = []
        self.client = ActionClient(listener.node, interfaces.ReachGoalImage, "goal/reach")
        listener.until(self.client.server_is_ready, "the action is there")
        for publisher in (self.progress, self.arm):
            listener.until(publisher.get_subscription_count, f"{publisher.topic_name} is heard")
        listener.wait_until_discovered_by("goal")
        self.say_arm("moving")

    def say_arm(self, state: str) -> None:
        self.arm.publish(diagnostic("arm", OK, state, {"state": state, "reason": "the test"}))

    def say(self, state: str, goal: int, **values: object) -> None:
        self.progress.publish(diagnostic("goal progress", OK, state, {"state": state, "goal": goal, **values}))

    def send(self, image: CompressedImage = PICTURE, timeout: float = 20.0) -> Any:
        """Send a goal and return its handle."""
        self.sent = self.listener.node.get_clock().now().nanoseconds
        request = interfaces.ReachGoalImage.Goal(image=image, timeout=timeout)
        sent = self.client.send_goal_async(request, lambda message: self.feedback.append(message.feedback.progress))
        self.listener.until(sent.done, "the action answers")
        assert sent.result().accepted
        return sent.result()

    def name(self) -> int:
        return self.listener.until(self.names, "a goal")[-1]

    def names(self) -> list[int]:
        """Return the names of the goals since one was sent: the goal before it, which is latched, may come late."""
        return [name for goal in self.goals if (name := stamp_ns(goal.header.stamp)) > self.sent]

    def result(self, handle: Any, meanwhile: Callable[[], object] = lambda: None) -> Any:
        found = handle.get_result_async()

        def done() -> bool:
            meanwhile()
            return found.done()

        self.listener.until(done, "the action ends")
        return found.result().result


@pytest.fixture
def client(goal_node, listener) -> Client:
    return Client(listener)


def test_a_reached_goal_succeeds_with_its_distance_and_feedback_on_the_way(client: Client) -> None:
    handle = client.send()
    name = client.name()
    client.say("going", name, **{"tool [mm]": "57.5", "distance": "2.5", "exact": True, "seconds": "1.5"})
    client.listener.until(lambda: client.feedback, "feedback")
    assert (client.feedback[0].tool_mm, client.feedback[0].goal, client.feedback[0].exact) == (57.5, name, True)
    assert np.isnan(client.feedback[0].object_mm)
    client.say("reached", name, **{"tool [mm]": "2.5"})
    found = client.result(handle)
    assert (found.outcome, found.why, found.progress.tool_mm) == (Outcome.REACHED, "reached", 2.5)
    assert client.goals[-1].width  # the arm stays there


@pytest.mark.parametrize("state", ["disarmed", "estopped"])
def test_an_arm_that_is_stopped_ends_it_and_clears_the_goal(client: Client, state: str) -> None:
    handle = client.send()
    client.say("going", client.name())
    client.say_arm(state)
    found = client.result(handle)
    assert found.outcome == Outcome.STOPPED and f"the arm is {state} (the test)" in found.why
    client.listener.until(lambda: not client.goals[-1].width, "the goal is cleared")


def test_a_cancelled_goal_is_cleared(client: Client) -> None:
    handle = client.send()
    name = client.name()
    cancelled = handle.cancel_goal_async()
    found = client.result(handle, lambda: client.say("going", name))
    assert cancelled.done() and found.outcome == Outcome.CANCELLED
    client.listener.until(lambda: not client.goals[-1].width, "the goal is cleared")


def test_another_goal_takes_its_place(client: Client) -> None:
    first = client.send()
    client.say("going", client.name())
    second = client.send()
    assert client.result(first).outcome == Outcome.REPLACED
    client.say("reached", client.name())
    assert client.result(second).outcome == Outcome.REACHED


def test_what_is_no_picture_is_refused_and_nothing_else_changes(client: Client) -> None:
    handle = client.send(CompressedImage(format="png", data=b"nothing"))
    found = client.result(handle)
    assert found.outcome == Outcome.REFUSED and "goal picture refused" in found.why and not client.names()


def test_a_present_view_that_nobody_sees_is_refused(client: Client) -> None:
    handle = client.send(CompressedImage())
    found = client.result(handle)
    assert found.outcome == Outcome.REFUSED and "rig/observation/image" in found.why


def test_a_time_that_is_none_is_refused_and_a_short_one_kept(client: Client) -> None:
    handle = client.send(timeout=float("nan"))
    assert client.result(handle).outcome == Outcome.REFUSED
    handle = client.send(timeout=0.5)
    name = client.name()
    found = client.result(handle, lambda: client.say("going", name))
    assert found.outcome == Outcome.TIMED_OUT and "0.5 s" in found.why


def test_a_report_that_is_none_is_passed_over_and_told(client: Client, goal_node: NodeProcess) -> None:
    handle = client.send()
    name = client.name()
    client.say("nowhere", name)
    client.listener.until(lambda: "is not as expected" in goal_node.output(), "it is told")
    client.say("going", name, distance="1e999999999999")
    client.say("going", str(2**80))
    client.say("reached", name)
    assert client.result(handle).outcome == Outcome.REACHED
