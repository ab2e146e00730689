"""Defines what a camera driver is, what it gives, and how it is described to the camera node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

AUTOMATIC = 0
"""As exposure, gain or white balance: the camera chooses, and goes on choosing."""

Now = Callable[[], int]
"""ROS time now [ns]."""


class CameraError(RuntimeError):
    """A camera is not there, not as asked for, or no longer answers; the text says what would be right."""


class Ended(Exception):
    """A recording is over."""


@dataclass(frozen=True)
class Frame:
    """One picture of a camera."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB; it may be the driver's own memory, good as long as the frame is held"""
    stamp_ns: int
    """ROS time of the capture"""
    lost: int = 0
    """frames that the device counted since the last one given and that never came here"""
    notes: tuple[str, ...] = ()
    """sentences for people about what was wrong since the last frame, such as a broken picture of a recording"""


@dataclass(frozen=True)
class Lens:
    """A pinhole and its distortion, as `sensor_msgs/CameraInfo` has them."""

    focal: tuple[float, float]
    """[pixels] along x and y"""
    centre: tuple[float, float]
    """[pixels]"""
    model: str
    """name of the distortion model"""
    distortion: tuple[float, ...]


class Driver(Protocol):
    """A camera as `Capture` drives it: opened, read until it fails, closed, and opened again."""

    lens: Lens | None
    """calibration, where the device knows it; once open"""
    fps: float
    """frames a second that it should give; 0: unknown"""

    def open(self) -> str:
        """Find the device and begin; say in a few words what was opened. Raises CameraError."""

    def read(self) -> Frame:
        """Wait for the newest frame. Raises CameraError where none comes, Ended where none ever will."""

    def close(self) -> None:
        """Let go of the device, whatever state it is in."""


@dataclass(frozen=True)
class Option:
    """A parameter of the camera node that a driver needs.

    Attributes:
        name: Its name.
        default: Its default; the type of the value is that of the default.
        text: One sentence for people, with the unit.
        low: Smallest value of a number.
        high: Largest value of a number.
    """

    name: str
    default: str | float | int | bool
    text: str
    low: float | None = None
    high: float | None = None


_CHOSEN = "0: the camera chooses, and may choose otherwise at any moment."
SENSOR_OPTIONS = (
    Option("width", 640, "Of a frame (realsense, v4l2) [pixels].", 16, 8192),
    Option("height", 480, "Of a frame (realsense, v4l2) [pixels].", 16, 8192),
    Option("fps", 30, "Frames a second (realsense, v4l2, a folder of pictures).", 1, 300),
    Option("exposure", 0.0, f"In units of the device, mostly 100 us. {_CHOSEN}", 0.0, 1e6),
    Option("gain", 0.0, f"In units of the device. {_CHOSEN}", 0.0, 1e6),
    Option("white_balance", 0.0, f"[K]. {_CHOSEN}", 0.0, 1e5),
)
"""What every camera with a sensor is set to."""


def sensor_settings(given: Mapping[str, Any]) -> tuple[int, int, int, float, float, float]:
    """Return what a camera with a sensor is set to, in the order of `SENSOR_OPTIONS`."""
    width, height, fps, exposure, gain, white_balance = (given[option.name] for option in SENSOR_OPTIONS)
    return width, height, fps, exposure, gain, white_balance


class DriverMissing(ValueError):
    """A driver needs a package that is not installed, or a parameter that is not given; the text says which."""


@dataclass(frozen=True)
class Kind:
    """One kind of camera, as `registry.py` lists it.

    Attributes:
        options: The parameters that it needs.
        make: Returns the driver from the values of all options (and `topic`, of a bag), the clock, and where devices
            are looked for (None: those plugged in). Raises DriverMissing.
        has_sensor: Whether it is a camera that is set to a rate, exposure and white balance.
    """

    options: tuple[Option, ...]
    make: Callable[[Mapping[str, Any], Now, Any], Driver]
    has_sensor: bool
