"""Converts pictures to `sensor_msgs/Image`."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from sensor_msgs.msg import Image


def to_bytes(values: np.ndarray) -> array.array:
    """Return an array's bytes as `Image.data` takes them; a list or ndarray would be checked byte by byte."""
    return array.array("B", np.ascontiguousarray(values).tobytes())


def rgb_to_image(rgb: np.ndarray, stamp: Any, frame_id: str) -> Image:
    """Make an rgb8 message of a picture.

    Args:
        rgb: uint8 [H, W, 3].
        stamp: `builtin_interfaces/Time`, the capture stamp.
        frame_id: The camera's optical frame.
    """
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding="rgb8", step=3 * rgb.shape[1])
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.data = to_bytes(rgb)
    return message
