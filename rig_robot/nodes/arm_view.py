"""Shows the arm to people, for the arm node: its description, its tool's frame, its box, target and path.

Nothing here takes part in control. It uses poses that the node has published anyway, at low rates, only while somebody
listens, and ends itself where it fails: no picture is worth a command that comes late.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from rig_robot.arm.commands import Vector
from rig_robot.arm.limits import Limits
from rig_robot.messages.markers import box, path, target
from rig_robot.messages.transforms import transform
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import COMMAND, LATCHED
from rig_robot.ros.transforms import Transforms

TRANSFORM_PERIOD, MARKER_PERIOD = 0.05, 0.2
"""Between two transforms, and between two sets of markers [s]"""
PATH_POINTS, PATH_STEP = 150, 0.003
"""Most points of the path, and the least distance between two of them [m]"""
OTHERS = 3.0
"""Time that the robot's own robot_state_publisher gets to say what the robot looks like before this node does [s]"""


class ArmView:
    """Publishes `robot_description`, `/tf` and `rig/markers`.

    Args:
        node: The arm node.
        base_frame: Frame of all poses.
        limits: The arm's bounds, whose box is shown.
        description: The robot's description; None where another node publishes it.
        sent_to: Returns where the tool is sent, base frame [3] m; None while nothing moves.
    """

    def __init__(
        self,
        node: RigNode,
        base_frame: str,
        limits: Limits,
        description: str | None,
        sent_to: Callable[[], Vector | None],
    ) -> None:
        self._node, self._base_frame, self._limits, self._sent_to = node, base_frame, limits, sent_to
        self._failed = False
        frame = node.declare("tool_frame", "tool", "Frame of the tool on /tf; empty: none is published.")
        self._frame = frame
        if description is not None and frame in links(description):
            node.get_logger().info(f"{frame} is a link of the description, so /tf has it from elsewhere: not published")
            self._frame = ""
        self._transforms = Transforms(node, static=False) if self._frame else None
        self._markers = node.publisher(MarkerArray, "rig/markers", COMMAND)
        self._description = description if description is not None and is_urdf(description) else None
        self._pose: tuple[Vector, Vector, object] | None = None
        self._sent: object = None  # stamp of the last transform
        self._path: deque[Vector] = deque(maxlen=PATH_POINTS)
        self._due = time.monotonic() + OTHERS
        node.every(TRANSFORM_PERIOD, lambda: self._unless_failed(self._send_transform))
        node.every(MARKER_PERIOD, lambda: self._unless_failed(self._send_markers))
        if self._description is not None:
            self._descriptions = node.create_publisher(String, "robot_description", LATCHED)

    def see(self, position: Vector, quaternion: Vector, stamp: object) -> None:
        """Take the tool's measured pose: position [3] m, quaternion w x y z, base frame, and its stamp."""
        self._pose = position, quaternion, stamp

    def _unless_failed(self, show: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            show()
        except Exception as error:
            self._failed = True
            self._node.get_logger().error(f"the arm is no longer shown: {type(error).__name__}: {error}")

    def _describe(self) -> None:
        """Publish the description once, where nobody else does."""
        text, self._description = self._description, None
        if self._node.count_publishers("robot_description") > 1:
            self._node.get_logger().info("robot_description is published by another node: this one does not")
            self._node.destroy_publisher(self._descriptions)
        else:
            self._descriptions.publish(String(data=text))

    def _send_transform(self) -> None:
        if self._pose is None:
            return
        position, quaternion, stamp = self._pose
        if not self._path or float(np.abs(position - self._path[-1]).max()) > PATH_STEP:
            self._path.append(position)
        if self._transforms is not None and self._transforms.wanted and stamp is not self._sent:
            self._sent = stamp  # the same twice would be an old one to tf2
            self._transforms.send(transform(self._base_frame, self._frame, stamp, position, quaternion))

    def _send_markers(self) -> None:
        if self._description is not None and time.monotonic() > self._due:
            self._describe()
        if self._markers.get_subscription_count() == 0:
            return
        header = Header(frame_id=self._base_frame, stamp=self._node.get_clock().now().to_msg())
        low, high = self._limits.low, self._limits.high
        shown = [box(header, low, high), target(header, self._sent_to()), path(header, self._path)]
        self._markers.publish(MarkerArray(markers=shown))


def is_urdf(description: str) -> bool:
    """Return whether a description is a URDF, which RViz and robot_state_publisher take; an MJCF is not."""
    root = re.search(r"<([A-Za-z]\w*)", re.sub(r"<!--.*?-->|<\?.*?\?>", "", description, flags=re.DOTALL))
    return root is not None and root[1] == "robot"


def links(description: str) -> set[str]:
    """Return the names of a URDF's links; none of another description."""
    return set(re.findall(r"<link\b[^>]*\bname=[\"']([^\"']+)", description)) if is_urdf(description) else set()
