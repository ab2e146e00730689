"""Makes `geometry_msgs/TransformStamped` messages."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TransformStamped
from numpy.typing import ArrayLike

CAMERA_FRAME = "camera_optical_frame"
"""Frame of a camera's pictures: z into the picture, x to its right, y down (REP 103 and 105)"""


def transform(parent: str, child: str, stamp: Any, position: ArrayLike, quaternion: ArrayLike) -> TransformStamped:
    """Make a transform.

    Args:
        parent: The frame in which the child's pose is given.
        child: The frame whose pose it is.
        stamp: `builtin_interfaces/Time` of the pose.
        position: Position of the child's origin in the parent [3] m.
        quaternion: Orientation of the child in the parent [4] w x y z.
    """
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = map(float, position)  # type: ignore[arg-type]
    turn.w, turn.x, turn.y, turn.z = map(float, quaternion)  # type: ignore[arg-type]
    return message
