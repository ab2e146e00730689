"""Reads a RealSense's colour stream by librealsense's sensor interface: no depth, no syncer, only the newest frame."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rig_robot.cameras.device_clock import DeviceClock
from rig_robot.cameras.driver import (
    AUTOMATIC,
    SENSOR_OPTIONS,
    CameraError,
    DriverMissing,
    Frame,
    Kind,
    Lens,
    Now,
    Option,
    sensor_settings,
)

PATIENCE_MS = 1000
"""A camera that gives no frame for so long is gone or has stopped."""


class RealSense:
    """The colour stream of one device.

    Args:
        serial: Serial number of the device; empty: the only one there is.
        width: Of a frame [pixels].
        height: Of a frame [pixels].
        fps: Frames a second.
        exposure: In units of the device, 100 us for a D400's colour; AUTOMATIC: it chooses.
        gain: In units of the device; AUTOMATIC: it chooses, as it does for an automatic exposure.
        white_balance: [K]; AUTOMATIC: it chooses.
        now: ROS time.
        context: `pyrealsense2.context` where devices are found; None: that of the devices plugged in.
    """

    def __init__(
        self,
        serial: str,
        width: int,
        height: int,
        fps: int,
        exposure: float,
        gain: float,
        white_balance: float,
        now: Now,
        context: Any = None,
    ) -> None:
        self.lens: Lens | None = None
        self.fps = float(fps)
        self._serial, self._width, self._height = serial, width, height
        self._exposure, self._gain, self._white_balance = exposure, gain, white_balance
        self._now = now
        self._context = _librealsense().context() if context is None else context
        self._device: Any = None
        self._sensor: Any = None
        self._clock = DeviceClock()
        self._last = 0

    def open(self) -> str:
        """Find the device, set it and start its colour stream."""
        rs = _librealsense()
        try:
            device = self._find()
            sensor, profile = self._profile(device)
            self._set(sensor)
            self._lens(profile)
            queue = rs.frame_queue(1)  # of one: the newest frame replaces one that nobody took
            sensor.open(profile)
            self._device, self._sensor, self._queue = device, sensor, queue
            sensor.start(queue)
        except RuntimeError as error:
            raise error if isinstance(error, CameraError) else CameraError(f"the RealSense: {error}") from error
        self._clock, self._last = DeviceClock(), 0
        return f"{_info(device, rs.camera_info.name)}, serial number {_info(device, rs.camera_info.serial_number)}"

    def read(self) -> Frame:
        """Wait for the newest frame."""
        came, frame = self._queue.try_wait_for_frame(PATIENCE_MS)
        if not came:
            gone = self._device is None or not self._device.is_connected()
            what = "was unplugged" if gone else f"has given no frame for {PATIENCE_MS / 1000:g} s"
            raise CameraError(f"the RealSense {what}")
        steady, now = time.monotonic(), self._now()
        age = self._age(frame, steady)
        number = frame.get_frame_number()
        lost = max(0, number - self._last - 1) if self._last else 0
        self._last = number
        return Frame(np.asanyarray(frame.get_data()), now - round(1e9 * age), lost)

    def close(self) -> None:
        """Stop the stream; a device that is gone throws at both."""
        sensor, self._sensor, self._device = self._sensor, None, None
        if sensor is not None:
            for end in (sensor.stop, sensor.close):
                with contextlib.suppress(RuntimeError):
                    end()

    def _find(self) -> Any:
        number = _librealsense().camera_info.serial_number
        devices = {_info(device, number): device for device in self._context.query_devices()}
        if self._serial in devices:
            return devices[self._serial]
        present = ", ".join(sorted(devices)) or "none"
        if self._serial or not devices:
            wanted = f" with serial number {self._serial}" if self._serial else ""
            raise CameraError(
                f"there is no RealSense{wanted} (present: {present}): is it plugged in, by a USB 3 cable?"
            )
        if len(devices) > 1:
            raise CameraError(f"there are {len(devices)} RealSense devices: set serial to one of {present}")
        return next(iter(devices.values()))

    def _profile(self, device: Any) -> tuple[Any, Any]:
        """Return the colour sensor and the stream profile asked for."""
        rs, offered = _librealsense(), set()
        for sensor in device.query_sensors():
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() != rs.stream.color or profile.format() != rs.format.rgb8:
                    continue
                video = profile.as_video_stream_profile()
                kind = (video.width(), video.height(), video.fps())
                if kind == (self._width, self._height, int(self.fps)):
                    return sensor, video
                offered.add(kind)
        listed = ", ".join(f"{width}x{height} at {fps}" for width, height, fps in sorted(offered)) or "none"
        raise CameraError(
            f"the RealSense has no colour stream of {self._width}x{self._height} at {self.fps:g} Hz; it has: {listed}"
            " (fewer by USB 2)"
        )

    def _set(self, sensor: Any) -> None:
        """Fix exposure, gain and white balance, or have the camera choose; ask for stamps of the host's time."""
        option = _librealsense().option
        _give(sensor, option.enable_auto_exposure, float(self._exposure == AUTOMATIC), needed=False)
        _give(sensor, option.enable_auto_white_balance, float(self._white_balance == AUTOMATIC), needed=False)
        for chosen, value in (
            (option.exposure, self._exposure),
            (option.gain, self._gain if self._exposure != AUTOMATIC else AUTOMATIC),
            (option.white_balance, self._white_balance),
        ):
            if value != AUTOMATIC:
                _give(sensor, chosen, value, needed=True)
        _give(sensor, option.global_time_enabled, 1.0, needed=False)

    def _lens(self, profile: Any) -> None:
        seen = profile.get_intrinsics()
        # An inverse model without coefficients, as most D400 report, is none at all.
        models = _librealsense().distortion
        known = seen.fx > 0 and (seen.model in (models.none, models.brown_conrady) or not any(seen.coeffs))
        self.lens = Lens((seen.fx, seen.fy), (seen.ppx, seen.ppy), "plumb_bob", tuple(seen.coeffs)) if known else None

    def _age(self, frame: Any, steady: float) -> float:
        """Return a frame's age [s]: librealsense tells the host's time of the capture, or the device its own."""
        stamp = frame.get_timestamp() / 1000
        if frame.get_frame_timestamp_domain() == _librealsense().timestamp_domain.hardware_clock:
            return self._clock.age(stamp, steady)
        return time.time() - stamp


@functools.cache
def _librealsense() -> Any:
    """Return the module pyrealsense2, loaded late: it brings a Fast DDS of its own.

    A process that loads it before rclpy's crashes when it exits.
    """
    try:
        import pyrealsense2
    except ImportError as error:
        raise DriverMissing(f"source realsense needs pyrealsense2: pip install pyrealsense2 ({error})") from None
    return pyrealsense2


def _info(device: Any, what: Any) -> str:
    return device.get_info(what) if device.supports(what) else "?"


def _give(sensor: Any, option: Any, value: float, needed: bool) -> None:
    """Set an option of the device. Where it does not have it: raise CameraError if `needed`, else leave it."""
    name = option.name.replace("_", " ")
    if not sensor.supports(option) or sensor.is_option_read_only(option):
        if needed:
            raise CameraError(f"the RealSense cannot be told its {name}: set it to {AUTOMATIC}")
        return
    span = sensor.get_option_range(option)
    if not span.min <= value <= span.max:
        raise CameraError(f"{name} is {value:g}: this RealSense takes {span.min:g} to {span.max:g}")
    sensor.set_option(option, value)


def _make(given: Mapping[str, Any], now: Now, context: Any) -> RealSense:
    return RealSense(given["serial"], *sensor_settings(given), now, context)


KIND = Kind(
    options=(*SENSOR_OPTIONS, Option("serial", "", "Serial number of the RealSense; empty: the only one.")),
    make=_make,
    has_sensor=True,
)
