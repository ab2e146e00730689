"""The camera node with a RealSense that is software: real librealsense from the sensor's frames on.

    python -m standin.camera --ros-args -p source:=realsense ...        (in benchmarks/, with STANDIN_TRUTH=FILE)

The device renders the arm as it truly stands; it has a clock of its own, as a device has, that begins when it is
plugged in.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Any

import mujoco
import numpy as np

# Before pyrealsense2, which brings a Fast DDS of its own: the other way round, the process crashes when it exits.
import rclpy  # noqa: F401  # isort: skip
import pyrealsense2 as rs

from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.nodes.camera import CameraNode
from rig_robot.ros.node_process import run
from rig_sim.world import CAMERA_SIZE, HOME, Camera, World
from standin.clock import sleep
from standin.ground_truth import GroundTruth

RATE = 30
SERIAL = "STANDIN0001"
VIEW = "STANDIN_VIEW"
"""Variable that names the scene's camera."""


class Device:
    """A colour camera for librealsense. Frames come from a thread of its own."""

    def __init__(self, truth: GroundTruth, view: str) -> None:
        self._truth, self._view = truth, view
        self._device = rs.software_device()
        self._device.register_info(rs.camera_info.name, "Stand-in RealSense")
        self._device.register_info(rs.camera_info.serial_number, SERIAL)
        self._sensor = self._device.add_sensor("RGB Camera")
        width, height = CAMERA_SIZE
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt = rs.stream.color, 0, 1, rs.format.rgb8
        stream.width, stream.height, stream.fps, stream.bpp = width, height, RATE, 3
        stream.intrinsics = rs.intrinsics()
        stream.intrinsics.width, stream.intrinsics.height = width, height
        self._profile = self._sensor.add_video_stream(stream).as_video_stream_profile()
        self._listed: list[Any] = []
        self._born = time.monotonic()

    def plug_in(self, context: Any) -> None:
        """Let a context find the device, and begin to see."""
        # A context lists a software device only while somebody holds the list of the event that tells of it.
        context.set_devices_changed_callback(lambda event: self._listed.append(event.get_new_devices()))
        self._device.add_to(context)
        threading.Thread(target=self._see, daemon=True).start()

    def _see(self) -> None:
        world = World()
        camera = Camera(world.model, *CAMERA_SIZE, self._view)
        data = mujoco.MjData(world.model)
        on_the_way: deque[tuple[float, int, np.ndarray]] = deque()
        due, number = time.monotonic(), 0
        while True:
            due += 1.0 / RATE
            sleep(due - time.monotonic())
            if time.monotonic() - due > 1.0 / RATE:
                due = time.monotonic()  # a sensor does not make up for what it has missed
            number += 1
            joints = self._truth.now().joints
            data.qpos[:] = joints[-1] if len(joints) else HOME
            captured = time.monotonic()
            mujoco.mj_kinematics(world.model, data)
            mujoco.mj_camlight(world.model, data)
            on_the_way.append((captured, number, camera.render(data)))
            while on_the_way and time.monotonic() - on_the_way[0][0] >= self._truth.frame_delay:
                frame = on_the_way.popleft()
                if self._truth.sends_frames:
                    self._deliver(*frame)

    def _deliver(self, captured: float, number: int, pixels: np.ndarray) -> None:
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = pixels, pixels.strides[0], 3
        frame.timestamp = 1000.0 * (captured - self._born)
        frame.domain = rs.timestamp_domain.hardware_clock
        frame.frame_number = number
        frame.profile = self._profile
        self._sensor.on_video_frame(frame)


def main() -> None:
    keep_large_blocks()
    context = rs.context()
    device = Device(GroundTruth.open(), os.environ.get(VIEW, "camera"))
    device.plug_in(context)
    run(lambda: CameraNode(devices=context))


if __name__ == "__main__":
    main()
