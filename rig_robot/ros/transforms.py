"""Publishes transforms on /tf and /tf_static where `tf2_msgs` is installed, which comes with a full ROS 2 only."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy

from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

_TF = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


class Transforms:
    """Publishes the transforms of a node; without `tf2_msgs` it logs one line and does nothing.

    Args:
        node: The node.
        static: Whether they never change (/tf_static, latched) or are sent again and again (/tf).
    """

    def __init__(self, node: RigNode, *, static: bool) -> None:
        topic = "/tf_static" if static else "/tf"
        self._static = static
        self._publisher: Any = None
        if not available():
            node.get_logger().info(f"tf2_msgs is not installed (it comes with a full ROS 2): nothing on {topic}")
        else:
            self._publisher = node.publisher(TFMessage, topic, LATCHED if static else _TF)

    @property
    def wanted(self) -> bool:
        """Whether anybody would receive a transform now, or later where they are static."""
        return self._publisher is not None and (self._static or self._publisher.get_subscription_count() > 0)

    def send(self, *transforms: TransformStamped) -> None:
        """Publish transforms; static ones replace those sent before."""
        if self._publisher is not None:
            self._publisher.publish(TFMessage(transforms=list(transforms)))


def available() -> bool:
    """Return whether transforms can be published here."""
    return TFMessage is not None
