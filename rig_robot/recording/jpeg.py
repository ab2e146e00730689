"""Compresses camera pictures to JPEG: serialised `sensor_msgs/Image` to `sensor_msgs/CompressedImage`."""

from __future__ import annotations

import cv2
import numpy as np

from rig_robot.recording.rosbag2_format import types
from rig_robot.vision.image_decoding import PictureRefused, from_raw

QUALITY = 90
"""JPEG quality, of 100."""
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def compress(data: bytes) -> bytes:
    """Compress the picture in a message (CDR).

    Raises:
        PictureRefused: If its encoding is not known, or its fields contradict each other.
    """
    try:
        image = types().deserialize_cdr(data, RAW)
    except Exception as error:  # rosbags raises many kinds of exception for broken bytes
        raise PictureRefused(f"the {len(data)} bytes are no {RAW}: {error}") from None
    bgr = cv2.cvtColor(np.ascontiguousarray(from_raw(image)), cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise PictureRefused(f"the {image.width}x{image.height} picture cannot be a JPEG file")
    message = types().types[COMPRESSED](header=image.header, format="rgb8; jpeg compressed bgr8", data=jpeg.ravel())
    return bytes(types().serialize_cdr(message, COMPRESSED))
