"""Frames from disk at their own rate, stamped as they are shown: a video, a folder of pictures, or a rosbag2."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rig_robot.cameras.driver import (
    SENSOR_OPTIONS,
    CameraError,
    DriverMissing,
    Ended,
    Frame,
    Kind,
    Lens,
    Now,
    Option,
)
from rig_robot.common.package_files import locate
from rig_robot.recording.bag_images import BAGS, BagError, timed_pictures
from rig_robot.vision.image_decoding import PictureRefused, from_compressed

PICTURES = (".png", ".jpg", ".jpeg")
_BEHIND = 0.1
"""A reader further behind than this [s] does not catch up: it goes on at the recording's rate."""

Timed = tuple[float, np.ndarray]
"""A moment [s] from the recording's beginning, and the picture [H, W, 3] RGB to show then."""


class FileCamera:
    """A recording played like a camera.

    Args:
        path: A video, a folder of PNG or JPEG pictures (in the order of their names), or a bag: its folder or file.
        fps: Pictures a second of a folder; videos and bags have a rate of their own.
        topic: Topic of a bag; where the bag lacks it, the only one that has pictures is taken.
        loop: Whether to begin again at the end.
        now: ROS time.
    """

    lens: Lens | None = None

    def __init__(self, path: Path, fps: float, topic: str, loop: bool, now: Now) -> None:
        self.fps = 0.0  # not to be held to
        self._path, self._rate, self._topic, self._loop, self._now = path, fps, topic, loop, now
        self._frames: Iterator[Timed] = iter(())
        self._begin = 0.0
        self._shown = 0

    def open(self) -> str:
        """Find out what it is and begin."""
        if not self._path.exists():
            raise CameraError(f"{self._path} does not exist")
        self._frames = self._read()
        self._shown = 0
        return str(self._path)

    def read(self) -> Frame:
        """Wait until the next picture is due."""
        due, image = self._next()
        if not self._shown:
            self._begin = time.monotonic()  # opening a bag takes its time
        wait = self._begin + due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        elif wait < -_BEHIND:
            self._begin -= wait
        self._shown += 1
        return Frame(image, self._now())

    def close(self) -> None:
        """Let go of the files."""
        self._frames = iter(())

    def _next(self) -> Timed:
        frame = next(self._frames, None)
        some = self._shown > 0
        if frame is None and some and self._loop:
            self._frames, self._shown = self._read(), 0
            frame = next(self._frames, None)
        if frame is not None:
            return frame
        if some:
            raise Ended(f"{self._path} is over")
        raise CameraError(f"{self._path} holds no pictures")

    def _read(self) -> Iterator[Timed]:
        path = self._path
        if path.suffix in BAGS or (path / "metadata.yaml").exists():
            return _bag(path, self._topic)
        return _folder(path, self._rate) if path.is_dir() else _video(path)


def _folder(path: Path, fps: float) -> Iterator[Timed]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    for index, file in enumerate(files):
        try:
            yield index / fps, from_compressed(file.read_bytes())
        except PictureRefused as error:
            raise CameraError(f"{file}: {error}") from None


def _video(path: Path) -> Iterator[Timed]:
    video = cv2.VideoCapture(str(path))
    try:
        fps = video.get(cv2.CAP_PROP_FPS)
        if not video.isOpened() or not fps > 0:
            raise CameraError(f"{path} is not a video that OpenCV can read")
        index = 0
        while (read := video.read())[0]:
            yield index / fps, np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), np.uint8)
            index += 1
    finally:
        video.release()


def _bag(path: Path, topic: str) -> Iterator[Timed]:
    """Return the pictures at the times at which they were recorded."""
    try:
        yield from timed_pictures(path, topic)
    except BagError as error:
        raise CameraError(str(error)) from None


def _make(given: Mapping[str, Any], now: Now, _: Any) -> FileCamera:
    if not given["path"]:
        raise DriverMissing("parameter path must be given: a video, a folder of pictures, or a rosbag2")
    return FileCamera(Path(locate(given["path"])), given["fps"], given["topic"], given["loop"], now)


KIND = Kind(
    options=(
        *(option for option in SENSOR_OPTIONS if option.name == "fps"),
        Option("path", "", "Of source file: a video, a folder of pictures, or a rosbag2."),
        Option("loop", False, "Whether source file begins again at its end."),
    ),
    make=_make,
    has_sensor=False,
)
