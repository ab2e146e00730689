"""QoS overrides of ROS 2 take effect, change nothing of other topics, and a wrong one is named."""

from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_harness import Listener, node_process
from sensor_msgs.msg import Image

from rig_robot.messages.images import rgb_to_image
from rig_robot.ros import qos


def parameters(checkpoint: Path, **overrides: object) -> dict[str, object]:
    return {"checkpoint": str(checkpoint)} | {f"qos_overrides.{name}": value for name, value in overrides.items()}


def published(listener: Listener, topic: str) -> QoSProfile:
    found = listener.until(lambda: listener.node.get_publishers_info_by_topic(topic), f"a publisher on {topic}")
    return found[0].qos_profile


def subscribed(listener: Listener, topic: str) -> QoSProfile:
    found = listener.until(lambda: listener.node.get_subscriptions_info_by_topic(topic), f"a subscription on {topic}")
    return found[0].qos_profile


def test_a_publisher_is_as_the_override_says_and_the_others_are_as_they_were(
    listener: Listener, checkpoint: Path
) -> None:
    override = {"/rig/observation/image.publisher.reliability": "reliable"}
    override["/rig/observation/image.publisher.durability"] = "transient_local"
    with node_process("rig_robot.nodes.camera", parameters(checkpoint, **override)):
        overridden = published(listener, "rig/observation/image")
        assert overridden.reliability == ReliabilityPolicy.RELIABLE
        assert overridden.durability == DurabilityPolicy.TRANSIENT_LOCAL
        # Each endpoint of the node is discovered on its own: to have seen its publisher is not to have seen this one.
        assert subscribed(listener, "camera/image_raw").reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.OBSERVATION.reliability == ReliabilityPolicy.BEST_EFFORT, "the profile of all topics was changed"


def test_a_subscription_that_is_made_reliable_hears_every_frame(listener: Listener, checkpoint: Path) -> None:
    override = {
        "/camera/image_raw.subscription.reliability": "reliable",
        "/camera/image_raw.subscription.depth": 20,
    }
    seen = listener.hear(
        Image, "rig/observation/image", QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    publisher = listener.node.create_publisher(Image, "camera/image_raw", 20)
    with node_process("rig_robot.nodes.camera", parameters(checkpoint, **override)):
        listener.until_heard("rig/observation/image")
        listener.until_heard("camera/image_raw", subscribers=1)
        listener.wait_until_discovered_by("camera")
        for _ in range(10):
            publisher.publish(
                rgb_to_image(np.full((48, 64, 3), 128, np.uint8), listener.node.get_clock().now().to_msg(), "camera")
            )
        listener.until(lambda: len(seen) == 10, "all frames, though they come at once")


def test_an_override_of_no_topic_of_the_node_is_told(listener: Listener, checkpoint: Path) -> None:
    with node_process(
        "rig_robot.nodes.goal", parameters(checkpoint, **{"/camera/image_row.subscription.depth": 5})
    ) as goal:
        listener.until(lambda: "camera/image_row.subscription.depth does nothing" in goal.output(), "a warning")


@pytest.mark.parametrize(
    ("policy", "value", "right"),
    [("reliability", "reliabel", "reliabel"), ("depth", "five", "depth"), ("durability", 3, "durability")],
)
def test_an_override_that_is_none_ends_the_node_with_one_line(
    checkpoint: Path, policy: str, value: object, right: str
) -> None:
    given = parameters(checkpoint, **{f"/rig/goal/image.publisher.{policy}": value})
    with node_process("rig_robot.nodes.goal", given) as goal:
        assert goal.wait() == 2
        lines = [line for line in goal.output().splitlines() if line.strip()]
    assert len(lines) == 1 and right in lines[0] and "/rig/goal/image.publisher" in lines[0]
