"""What a camera driver is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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
