"""Reads a webcam by OpenCV and Video4Linux: compressed by the camera (MJPG), so that USB 2 carries it."""

from __future__ import annotations

import os
import time

import cv2
import numpy as np

from rig_robot.cameras.driver import (
    AUTOMATIC,
    SENSOR_OPTIONS,
    CameraError,
    Frame,
    Kind,
    Lens,
    Now,
    Option,
    sensor_settings,
)

PATIENCE_S = 1
"""A camera that gives no frame for so long is gone or has stopped."""
_BY_HAND, _BY_ITSELF = 1, 3
"""Video4Linux's exposure modes: manual, and aperture priority, the only automatic one that webcams have."""
_OLDEST = 1.0
"""A kernel stamp that says a frame is older than this [s] is of another clock, and is not believed."""


class V4l2:
    """One camera.

    Args:
        device: A path such as /dev/v4l/by-id/... ; anything else that OpenCV opens (a file, an address) is taken too,
            but cannot be set.
        width: Of a frame [pixels].
        height: Of a frame [pixels].
        fps: Frames a second.
        exposure: In units of 100 us; AUTOMATIC: the camera chooses.
        gain: In units of the camera; AUTOMATIC: the camera chooses.
        white_balance: [K]; AUTOMATIC: the camera chooses.
        now: ROS time.
    """

    lens: Lens | None = None

    def __init__(
        self,
        device: str,
        width: int,
        height: int,
        fps: int,
        exposure: float,
        gain: float,
        white_balance: float,
        now: Now,
    ) -> None:
        self.fps = float(fps)
        self._device, self._width, self._height = device, width, height
        self._exposure, self._gain, self._white_balance = exposure, gain, white_balance
        self._now = now
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> str:
        """Open and set the camera; what it did not take is an error, not another picture."""
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(PATIENCE_S))  # else a read waits for 10 s
        kernel = self._device.startswith("/dev/")
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2 if kernel else cv2.CAP_ANY)
        if not capture.isOpened():
            raise CameraError(f"{self._device} cannot be opened as a camera: is it plugged in, and free?")
        self._capture = capture
        if kernel:
            self._set(capture)
        return self._device

    def read(self) -> Frame:
        """Wait for the next frame; the kernel keeps only one."""
        assert self._capture is not None
        came, bgr = self._capture.read()
        if not came:
            raise CameraError(f"{self._device} gives no frames any more: unplugged, or stopped")
        now = self._now()
        # Video4Linux stamps a frame by the steady clock when its first bytes arrive.
        age = time.monotonic() - self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        age = age if 0.0 <= age <= _OLDEST else 0.0
        return Frame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), now - round(1e9 * age))

    def close(self) -> None:
        """Let go of the device."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _set(self, capture: cv2.VideoCapture) -> None:
        # In this order: the format decides which sizes there are, and the size which rates.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._height)
        capture.set(cv2.CAP_PROP_FPS, self.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        size = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if size != (self._width, self._height):
            raise CameraError(
                f"{self._device} gives {size[0]}x{size[1]}, not {self._width}x{self._height}: set a size it has"
            )
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _BY_ITSELF if self._exposure == AUTOMATIC else _BY_HAND)
        capture.set(cv2.CAP_PROP_AUTO_WB, float(self._white_balance == AUTOMATIC))
        for name, place, value in (
            ("exposure", cv2.CAP_PROP_EXPOSURE, self._exposure),
            ("gain", cv2.CAP_PROP_GAIN, self._gain),
            ("white balance", cv2.CAP_PROP_WB_TEMPERATURE, self._white_balance),
        ):
            if value != AUTOMATIC and not capture.set(place, value):
                raise CameraError(f"{self._device} does not take {name} {value:g}: `v4l2-ctl -l` lists what it takes")


KIND = Kind(
    options=(
        *SENSOR_OPTIONS,
        Option("device", "/dev/video0", "Of source v4l2; /dev/v4l/by-id/... stays the same camera."),
    ),
    make=lambda given, now, _: V4l2(given["device"], *sensor_settings(given), now),
    has_sensor=True,
)
