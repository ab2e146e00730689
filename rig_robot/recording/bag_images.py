"""Reads the pictures in bags of any program: sqlite3 or MCAP, raw or compressed images, any topic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig_robot.common.one_line import one_line
from rig_robot.recording.bag_reader import Bag, BagError, Message, Report, warn
from rig_robot.recording.rosbag2_format import types
from rig_robot.vision.image_decoding import PictureRefused, from_compressed, from_raw
from rig_robot.vision.observation import Crop, prepare

_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def timed_pictures(path: Path, topic: str, report: Report = warn) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Read a bag's pictures; those that cannot be used are reported and left out.

    Args:
        path: The bag: its folder, or its MCAP or sqlite3 file.
        topic: Topic of the pictures; where the bag lacks it, the only one that has pictures is taken.
        report: Is told what of the bag is not used, and where it holds other than it says.

    Yields:
        Recorded time since the first picture [s], and the picture, uint8 [H, W, 3] RGB.

    Raises:
        BagError: If the file is no bag, or has no such topic.
    """
    with Bag(path, report) as bag:
        name = _choose(bag, topic)
        first: int | None = None
        for message in bag.messages(name, (_RAW, _COMPRESSED)):
            first = message.time_ns if first is None else first
            time_s = 1e-9 * (message.time_ns - first)
            try:
                picture = _picture(message)
            except PictureRefused as error:
                where = f"picture {message.number} of {name}, {time_s:.3f} s from the first"
                report(one_line(f"{path}: {where}, is not used: {error}"))
            else:
                yield time_s, picture


def read_pictures(
    path: Path, topic: str, crop: Crop, size: int, every_s: float, report: Report = warn
) -> Iterator[NDArray[np.uint8]]:
    """Read a bag's pictures as observations; those that cannot be used are reported and left out.

    Args:
        path: The bag: its folder, or its MCAP or sqlite3 file.
        topic: Topic of the pictures; where the bag lacks it, the only one that has pictures is taken.
        crop: The part of a picture that is observed.
        size: Side of an observation [pixels].
        every_s: Time between two pictures that are read [s]; 0: all are.
        report: Is told what of the bag is not used, and where it holds other than it says.

    Yields:
        uint8 [size, size, 3] RGB.

    Raises:
        BagError: If the file is no bag, or has no such topic.
    """
    last = -math.inf
    for time_s, picture in timed_pictures(path, topic, report):
        if abs(time_s - last) < every_s:
            continue
        try:
            observation = prepare(picture, crop, size)
        except ValueError as error:
            report(f"{path}: a picture {time_s:.3f} s from the first is not used: {error}")
            continue
        last = time_s
        yield observation


def _picture(message: Message) -> NDArray[np.uint8]:
    """Return the picture in a message.

    Raises:
        PictureRefused: If it is broken.
    """
    kind = message.source.type
    try:
        content: Any = types().deserialize_cdr(message.data, kind)
    except Exception as error:  # rosbags raises many kinds of exception for broken bytes
        raise PictureRefused(f"its {len(message.data)} bytes are no {kind}: {error}") from None
    return from_raw(content) if kind == _RAW else from_compressed(content.data.tobytes())


def _choose(bag: Bag, topic: str) -> str:
    """Return the topic whose pictures are read."""
    offered = {
        source.topic for source in bag.sources if source.type in (_RAW, _COMPRESSED) and source.encoding == "cdr"
    }
    for name in (topic, f"/{topic}"):
        if name in offered:
            return name
    if len(offered) == 1:
        return next(iter(offered))
    if offered:
        raise BagError(f"{bag.path} has pictures on {', '.join(sorted(offered))}: set topic to one of them")
    if bag.problems and not bag.sources:
        raise BagError(f"{bag.path} is not a bag that can be read: {bag.problems[0]}")
    held = sorted({f"{source.topic} ({source.type}, {source.encoding})" for source in bag.sources})
    listed = ", ".join(held[:10]) or "nothing"
    raise BagError(f"{bag.path} has pictures on no topic, as {_RAW} or {_COMPRESSED} in cdr; it holds {listed}")
