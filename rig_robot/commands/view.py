"""`rig view`: has a camera moved, or its light changed, since a checkpoint was made or other pictures were taken?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.cameras.driver import CameraError
from rig_robot.cameras.playback import pictures
from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.commands.options import ViewOptions
from rig_robot.common.output_paths import check_file
from rig_robot.common.package_files import locate
from rig_robot.recording.bag_reader import warn
from rig_robot.vision.image_decoding import from_compressed, from_raw
from rig_robot.vision.observation import Crop, Image, prepare
from rig_robot.vision.view_check import Reference, ViewChange, compare, reference
from rig_robot.vision.view_plot import picture as draw
from rig_robot.vision.view_plot import write_picture

WHOLE, SIZE = Crop(0.0, 0.0, 1.0, 1.0), 48
"""What of a picture is compared, and its side then [pixels], where no checkpoint says it"""
MOST = 1000
"""Most pictures of a reference; of more, evenly spaced ones are taken"""
TOGETHER, APART = 6, 0.5
"""Most pictures of today that are compared together, and the time between two of a topic [s]"""


def run(options: ViewOptions) -> int:
    """Print how the view differs; return the exit status: 1 if it has changed.

    Raises:
        ValueError: If the options contradict each other, or there is nothing to compare.
    """
    check_file("picture", options.picture)
    if (options.source is None) is (not options.topic):
        raise ValueError("view: name either pictures (a folder, picture, video or bag) or --topic")
    scene, crop, size = _reference(options)
    if options.source is None:
        today = _listen(options, crop, size)
    else:
        today = _observations(options.source, crop, size, TOGETHER)
    change = compare(scene, np.stack(today))
    _tell(change)
    if options.picture is not None:
        write_picture(options.picture, draw(scene, np.stack(today), change))
    return 1 if change.problems else 0


def _reference(options: ViewOptions) -> tuple[Reference, Crop, int]:
    """Return what to compare with, and how pictures are cropped and sized for that."""
    if (options.reference is None) is (not options.checkpoint):
        raise ValueError("view: name what to compare with, either --reference PICTURES or --checkpoint")
    if options.reference is not None:
        scene = Reference.of(np.stack(_observations(options.reference, WHOLE, SIZE, MOST)))
        crop, size, named = WHOLE, SIZE, str(options.reference)
    else:
        directory = resolve(locate(options.checkpoint))
        camera, kept = read_config(directory).camera, reference(directory)
        if kept is None:
            raise ValueError(
                f"{options.checkpoint} has no reference of its scene (too little stood still while the robot explored, "
                "or it is of an earlier version): compare with pictures of before, --reference PICTURES"
            )
        scene, crop, size, named = kept, Crop(*camera.crop), camera.image_size, options.checkpoint
    if not scene.still:
        raise ValueError(f"{named}: too little stands still in it to compare with: must be of one camera that is fixed")
    return scene, crop, size


def _observations(path: Path, crop: Crop, size: int, most: int) -> list[Image]:
    """Return at most so many pictures of a recording, evenly spaced, as observations: each uint8 [size, size, 3]."""
    if not path.exists():
        raise ValueError(f"{path} does not exist: name pictures of the camera")
    found: list[Image] = []
    stride = 1
    try:
        for index, (_, image) in enumerate(pictures(path, 1.0, "", warn)):
            if index % stride == 0:
                found.append(prepare(np.ascontiguousarray(image), crop, size))
            if len(found) > 2 * most:
                found, stride = found[::2], 2 * stride
    except CameraError as error:
        raise ValueError(str(error)) from None
    if not found:
        raise ValueError(f"{path} holds no picture: name a PNG or JPEG, a folder of them, a video or a bag")
    return [found[index] for index in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))]


def _listen(options: ViewOptions, crop: Crop, size: int) -> list[Image]:
    """Return observations of what a topic shows."""
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image as RawImage

    from rig_robot.commands.ros_session import RosSession
    from rig_robot.ros.qos import OBSERVATION

    compressed = options.topic.endswith("/compressed")
    seen: list[Image] = []
    refused: list[str] = []
    due = 0.0

    def take(message: Any) -> None:
        nonlocal due
        if (now := time.monotonic()) < due:
            return
        due = now + APART
        try:
            image = from_compressed(bytes(message.data)) if compressed else from_raw(message)
            seen.append(prepare(np.ascontiguousarray(image), crop, size))
        except ValueError as error:
            refused.append(str(error))

    with RosSession("rig_view_command", options.namespace, options.timeout) as session:
        session.node.create_subscription(CompressedImage if compressed else RawImage, options.topic, take, OBSERVATION)
        session.until(lambda: len(seen) >= TOGETHER)
        name = session.node.resolve_topic_name(options.topic)
    if not seen:
        why = f": {refused[-1]}" if refused else ": does the camera run in this ROS domain?"
        raise ValueError(f"no picture on {name} within {options.timeout:g} s{why}")
    return seen


def _tell(change: ViewChange) -> None:
    for line in _lines(change):
        print(line)


def _lines(change: ViewChange) -> Iterable[str]:
    yield from change.problems or ("the view is as it was",)
    right, down = change.shift
    yield (
        f"shifted by {right:+.1f} to the right and {down:+.1f} down (pixels of {change.size}), turned by "
        f"{change.turned:+.1f} degrees clockwise, brightness {change.brightness:+.0%}"
    )
    if change.blind:
        yield f"a shift {' or '.join(change.blind)} could not be seen: no edge in sight shows it"
