"""Reads the pictures in bags of any program: sqlite3 or MCAP, raw or compressed images, any topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from rig_robot.vision.image_decoding import PictureRefused, from_compressed, from_raw
from rig_robot.vision.observation import Crop, prepare

BAGS = (".mcap", ".db3")
"""Endings of bag files that are read without a directory around them."""
_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


class BagError(ValueError):
    """A bag's pictures cannot be used; the text names the bag, what was found and what would be right."""


def timed_pictures(path: Path, topic: str) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Read a bag's pictures.

    Args:
        path: The bag: its folder, or its MCAP or sqlite3 file.
        topic: Topic of the pictures; where the bag lacks it, the only one that has pictures is taken.

    Yields:
        Recorded time since the first picture [s], and the picture, uint8 [H, W, 3] RGB.

    Raises:
        BagError: If the file is no bag, has no such topic, or a picture in it is broken.
    """
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            connection = _choose(reader, topic, path)
            first: int | None = None
            for _, time_ns, data in reader.messages([connection]):
                first = time_ns if first is None else first
                message: Any = reader.deserialize(data, connection.msgtype)
                raw = connection.msgtype == _RAW
                try:
                    picture = from_raw(message) if raw else from_compressed(message.data.tobytes())
                except PictureRefused as error:
                    where = f"{path}, {connection.topic}, {1e-9 * (time_ns - first):.3f} s from its first picture"
                    raise BagError(f"{where}: {error}") from None
                yield 1e-9 * (time_ns - first), picture
    except BagError:
        raise
    except Exception as error:  # rosbags raises a dozen kinds of exception on broken files; all mean the same here
        raise BagError(f"{path} is not a bag that can be read: {error}") from error


def read_pictures(path: Path, topic: str, crop: Crop, size: int, every_s: float) -> Iterator[NDArray[np.uint8]]:
    """Read a bag's pictures as observations.

    Args:
        path: The bag: its folder, or its MCAP or sqlite3 file.
        topic: Topic of the pictures; where the bag lacks it, the only one that has pictures is taken.
        crop: The part of a picture that is observed.
        size: Side of an observation [pixels].
        every_s: Time between two pictures that are read [s]; 0: all are.

    Yields:
        uint8 [size, size, 3] RGB.

    Raises:
        BagError: If the file is no bag, has no such topic, or a picture in it is broken or empty after the crop.
    """
    due = 0.0
    for time_s, picture in timed_pictures(path, topic):
        if time_s < due:
            continue
        due = time_s + every_s
        try:
            yield prepare(picture, crop, size)
        except ValueError as error:
            raise BagError(f"{path}: {error}") from None


def _choose(reader: AnyReader, topic: str, path: Path) -> Any:
    offered = {
        connection.topic: connection for connection in reader.connections if connection.msgtype in (_RAW, _COMPRESSED)
    }
    for name in (topic, f"/{topic}"):
        if name in offered:
            return offered[name]
    if len(offered) == 1:
        return next(iter(offered.values()))
    raise BagError(f"{path} has pictures on {', '.join(sorted(offered)) or 'no topic'}: set topic to one of them")
