"""Publishes where the camera is mounted, for the camera node: its optical frame on /tf_static."""

from __future__ import annotations

import math
from typing import Any

from rig_robot.messages.transforms import transform
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.transforms import Transforms

UNKNOWN = [0.0]
"""Value of the parameter `pose` where it is not given"""


class CameraMount:
    """Publishes the camera's pose, once for each frame name that frames come with.

    Args:
        node: The camera node.

    Raises:
        BadParameter: If the pose is none.
    """

    def __init__(self, node: RigNode) -> None:
        self._node = node
        self._base_frame = node.declare("base_frame", "base", "Frame in which pose is: the base of the arm.")
        text = (
            "Where the camera's optical frame (REP 103: z into the picture, x to its right, y down) is in base_frame: "
            "x, y, z [m] and the quaternion w, x, y, z. Give it where it is measured and nobody else publishes it."
        )
        self._pose = list(node.declare("pose", UNKNOWN, text))
        if self._pose == UNKNOWN:
            return
        if len(self._pose) != 7 or not math.isfinite(sum(self._pose)) or not 0.99 < math.hypot(*self._pose[3:]) < 1.01:
            raise BadParameter(
                f"parameter pose = {self._pose}: must be x, y, z [m] and a quaternion w, x, y, z of length 1"
            )
        self._transforms = Transforms(node, static=True)
        self._named: set[str] = set()

    def see(self, frame_id: str, stamp: Any) -> None:
        """Take the name of the frame that a camera frame is in, and its stamp."""
        if self._pose != UNKNOWN and frame_id not in self._named:
            self._named.add(frame_id)
            names = sorted(self._named)
            self._transforms.send(
                *(transform(self._base_frame, name, stamp, self._pose[:3], self._pose[3:]) for name in names)
            )
