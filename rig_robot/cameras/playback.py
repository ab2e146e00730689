"""Plays frames from disk at their own rate, stamped as they are shown: a video, pictures or a rosbag2."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from rig_robot.common.one_line import one_line
from rig_robot.common.package_files import locate
from rig_robot.vision.image_decoding import PictureRefused, from_compressed

PICTURES = (".png", ".jpg", ".jpeg")
_BEHIND = 0.1
"""A reader further behind than this [s] does not catch up: it goes on at the recording's rate."""
_PAUSE = 10.0
"""A longer pause in a recording is passed over [s]: it is mostly a wrong stamp, and 1970 is 50 years away."""
_LARGEST = 2**28
"""Largest size of a picture's file [bytes]"""
_SAID = 20
"""So many of a recording's faults are told one by one; the others are counted."""
_KEPT = 100_000
"""So many faults are counted."""

Report = Callable[[str], None]
"""Is told in a sentence what of a recording is not shown; it names the file."""
Timed = tuple[float, np.ndarray]
"""A moment [s] from the recording's beginning, and the picture [H, W, 3] RGB to show then."""


class FileCamera:
    """A recording played like a camera. A picture that cannot be shown is named once and left out.

    Args:
        path: A video, a picture, a folder of PNG or JPEG pictures (in the order of their names), or a bag: its folder
            or file.
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
        self._faults = Faults()

    def open(self) -> str:
        """Find out what it is and begin."""
        try:
            self._path.stat()
        except FileNotFoundError:
            raise CameraError(f"{self._path} does not exist") from None
        except OSError as error:
            raise CameraError(f"{self._path} cannot be read: {error.strerror or error}") from None
        self._frames = self._read()
        self._shown = 0
        return str(self._path)

    def read(self) -> Frame:
        """Wait until the next picture is due."""
        due, image = self._next()
        if not self._shown:
            self._begin = time.monotonic() - due  # opening a bag takes its time
        wait = self._begin + due - time.monotonic()
        if wait > _PAUSE:
            self._faults.note(f"{self._path}: a pause of {wait:.0f} s between two pictures is passed over")
            self._begin -= wait
        elif wait > 0:
            time.sleep(wait)
        elif wait < -_BEHIND:
            self._begin -= wait
        self._shown += 1
        return Frame(image, self._now(), notes=self._faults.new())

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
            raise Ended("; ".join((f"{self._path} is over", *self._faults.new(end=True))))
        raise CameraError("; ".join((f"{self._path} holds no picture that can be shown", *self._faults.all())))

    def _read(self) -> Iterator[Timed]:
        return pictures(self._path, self._rate, self._topic, self._faults.note)


def pictures(path: Path, fps: float, topic: str, report: Report) -> Iterator[Timed]:
    """Read the pictures of a recording.

    Args:
        path: A video, a picture, a folder of PNG or JPEG pictures (in the order of their names), or a bag.
        fps: Pictures a second of a folder.
        topic: Topic of a bag; where the bag lacks it, the only one that has pictures is taken.
        report: Is told of each picture that cannot be shown and is left out.

    Raises:
        CameraError: If it cannot be read.
    """
    from rig_robot.recording.bag_reader import is_bag  # its 11 MB are nothing that a live camera needs

    try:
        if is_bag(path):
            return _bag(path, topic, report)
        if not path.is_dir():
            return _files([path], 1.0, report) if path.suffix.lower() in PICTURES else _video(path, report)
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        return _files(files, fps, report)
    except OSError as error:
        raise CameraError(f"{path} cannot be read: {error.strerror or error}") from None


class Faults:
    """What is wrong with a recording: each fault is told once, however often the recording is played."""

    def __init__(self) -> None:
        self._noted: dict[str, None] = {}
        self._told = 0

    def note(self, text: str) -> None:
        """Keep a sentence about a fault."""
        if len(self._noted) < _KEPT:
            self._noted[one_line(text)] = None

    def all(self) -> list[str]:
        """Return the first of all faults."""
        return list(self._noted)[:_SAID]

    def new(self, end: bool = False) -> tuple[str, ...]:
        """Return the faults that were not told yet.

        Args:
            end: Whether the recording is over: then those that were too many to be told are counted.
        """
        told, self._told = self._told, len(self._noted)
        if told == self._told and not end:
            return ()
        new = list(self._noted)[min(told, _SAID) : _SAID]
        if end and self._told > _SAID:
            new.append(f"{self._told - _SAID} more of it were left out, the last: {list(self._noted)[-1]}")
        return tuple(new)


def _files(files: Sequence[Path], fps: float, report: Report) -> Iterator[Timed]:
    """Return pictures in files."""
    for index, file in enumerate(files):
        try:
            with file.open("rb") as opened:
                data = opened.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise PictureRefused(f"it has more than {_LARGEST >> 20} MiB")
            yield index / fps, from_compressed(data)
        except PictureRefused as error:
            report(f"{file} is not shown: {error}")
        except OSError as error:
            report(f"{file} is not shown: {error.strerror or error}")


def _video(path: Path, report: Report) -> Iterator[Timed]:
    video = cv2.VideoCapture(str(path))
    index = 0
    try:
        fps, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        if not video.isOpened() or not 0 < fps < np.inf:
            raise CameraError(f"{path} is not a video that OpenCV can read")
        while (read := video.read())[0]:
            yield index / fps, np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), np.uint8)
            index += 1
        if 0 < index < count:
            report(f"{path}: {index} pictures were read, it says that it holds {count:.0f}")
    except cv2.error as error:
        if not index:
            raise CameraError(f"{path} is not a video that OpenCV can read: {error}") from None
        report(f"{path} cannot be read after {index} pictures: {error}")
    finally:
        video.release()


def _bag(path: Path, topic: str, report: Report) -> Iterator[Timed]:
    """Return the pictures at the times at which they were recorded."""
    from rig_robot.recording.bag_images import timed_pictures
    from rig_robot.recording.bag_reader import BagError

    try:
        yield from timed_pictures(path, topic, report)
    except BagError as error:
        raise CameraError(str(error)) from None


def _make(given: Mapping[str, Any], now: Now, _: Any) -> FileCamera:
    if not given["path"]:
        raise DriverMissing("parameter path must be given: a video, a picture, a folder of pictures, or a rosbag2")
    return FileCamera(Path(locate(given["path"])), given["fps"], given["topic"], given["loop"], now)


KIND = Kind(
    options=(
        *(option for option in SENSOR_OPTIONS if option.name == "fps"),
        Option("path", "", "Of source file: a video, a picture, a folder of pictures, or a rosbag2."),
        Option("loop", False, "Whether source file begins again at its end."),
    ),
    make=_make,
    has_sensor=False,
)
