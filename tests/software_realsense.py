"""Simulates a RealSense by librealsense's software device: all code from the sensor's frames on is the real one."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyrealsense2 as rs


class SoftwareRealSense:
    """One device. Its clock starts when the object is created, as a device's does when it gets power."""

    def __init__(self, serial: str = "77", sizes: tuple[tuple[int, int], ...] = ((640, 480),), fps: int = 30) -> None:
        self._device = rs.software_device()
        self._device.register_info(rs.camera_info.serial_number, serial)
        self._device.register_info(rs.camera_info.name, "Software RealSense")
        self.sensor = self._device.add_sensor("RGB Camera")
        self._profiles = {}
        for index, (width, height) in enumerate(sizes):
            stream = rs.video_stream()
            stream.type, stream.index, stream.uid, stream.fmt = rs.stream.color, 0, index, rs.format.rgb8
            stream.width, stream.height, stream.fps, stream.bpp = width, height, fps, 3
            lens = rs.intrinsics()
            lens.width, lens.height, lens.model = width, height, rs.distortion.brown_conrady
            lens.fx, lens.fy, lens.ppx, lens.ppy = 600.0, 610.0, width / 2 + 3, height / 2 - 5
            lens.coeffs = [0.1, -0.2, 0.001, 0.002, 0.05]
            stream.intrinsics = lens
            self._profiles[height, width] = self.sensor.add_video_stream(stream).as_video_stream_profile()
        # pyrealsense2 2.59 takes minimum, maximum, default, step, in spite of the names of its parameters.
        self.sensor.add_option(rs.option.exposure, rs.option_range(1, 10000, 156, 1), True)
        self.sensor.add_option(rs.option.enable_auto_exposure, rs.option_range(0, 1, 1, 1), True)
        self._plugged: list[Any] = []
        self._born = time.monotonic()
        self._number = 0

    def plug_in(self, context: rs.context) -> None:
        """Connect it. A context keeps a software device only while the list that announced it is referenced."""
        context.set_devices_changed_callback(lambda event: self._plugged.append(event.get_new_devices()))
        self._device.add_to(context)
        assert self._plugged

    def unplug(self) -> None:
        """Disconnect the device."""
        self._plugged.clear()

    def clock(self) -> float:
        """Return the time of the device's own clock [s]."""
        return time.monotonic() - self._born

    def deliver(self, image: np.ndarray, age: float = 0.0, skip: int = 0, host_stamp: float | None = None) -> None:
        """Deliver a frame that was captured `age` seconds ago, after `skip` lost frames."""
        self._number += 1 + skip
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = image, image.strides[0], 3
        if host_stamp is None:
            frame.timestamp, frame.domain = 1000 * (self.clock() - age), rs.timestamp_domain.hardware_clock
        else:
            frame.timestamp, frame.domain = 1000 * host_stamp, rs.timestamp_domain.global_time
        frame.frame_number = self._number
        frame.profile = self._profiles[image.shape[:2]]
        self.sensor.on_video_frame(frame)


class Feeding:
    """Delivers frames from a thread within `with Feeding(device, picture, rate):`."""

    def __init__(
        self, device: SoftwareRealSense, picture: Callable[[], np.ndarray], rate: float = 30.0, age: float = 0.0
    ) -> None:
        self._stop = threading.Event()

        def feed() -> None:
            while not self._stop.wait(1 / rate):
                device.deliver(picture(), age)

        self._thread = threading.Thread(target=feed, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
