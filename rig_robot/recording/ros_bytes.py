"""Writes messages as the bytes that travel (CDR) without ROS, for episodes that no recorder has heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rig_robot.recording import rosbag2_format as bag


def cdr(kind: str, **fields: Any) -> bytes:
    """Return a message of a type such as `std_msgs/msg/Header` as bytes."""
    return bytes(bag.types().serialize_cdr(make(kind, **fields), kind))


def make(kind: str, **fields: Any) -> Any:
    """Return a message."""
    return bag.types().types[kind](**fields)


def header(stamp: int, frame: str = "") -> Any:
    """Return a header; stamp in ns."""
    time = make("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make("std_msgs/msg/Header", stamp=time, frame_id=frame)


def image(stamp: int, picture: np.ndarray, frame: str = "camera") -> bytes:
    """Return an rgb8 image of a picture, uint8 [H, W, 3] RGB."""
    height, width = picture.shape[:2]
    layout = {"height": height, "width": width, "encoding": "rgb8", "is_bigendian": 0, "step": 3 * width}
    return cdr("sensor_msgs/msg/Image", header=header(stamp, frame), **layout, data=picture.ravel())


def twist(stamp: int, x: float = 0.0, y: float = 0.0, z: float = 0.0, frame: str = "base") -> bytes:
    """Return a stamped twist that only moves [m/s]."""
    vector = "geometry_msgs/msg/Vector3"
    both = make(
        "geometry_msgs/msg/Twist", linear=make(vector, x=x, y=y, z=z), angular=make(vector, x=0.0, y=0.0, z=0.0)
    )
    return cdr("geometry_msgs/msg/TwistStamped", header=header(stamp, frame), twist=both)


def pose(stamp: int, x: float, y: float, z: float, turn: Sequence[float] = (1.0, 0.0, 0.0, 0.0)) -> bytes:
    """Return a stamped pose: place [m] and quaternion w, x, y, z."""
    names = dict(zip("wxyz", map(float, turn), strict=True))
    both = make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=make("geometry_msgs/msg/Quaternion", **names),
    )
    return cdr("geometry_msgs/msg/PoseStamped", header=header(stamp, "base"), pose=both)


def status(**values: str) -> bytes:
    """Return a diagnostic status with these values."""
    entries = [make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()]
    return cdr("diagnostic_msgs/msg/DiagnosticStatus", level=0, name="", message="", hardware_id="", values=entries)
