"""Declares the camera node's parameters that choose and set up a camera driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig_robot.cameras.driver import AUTOMATIC, Driver
from rig_robot.common.package_files import locate
from rig_robot.ros.node import BadParameter, RigNode

SOURCES = ("topic", "realsense", "v4l2", "file")
"""Values of the parameter `source`."""


def declare_driver(
    node: RigNode, source: str, topic: str, now_ns: Callable[[], int], realsense_context: Any
) -> Driver | None:
    """Return the driver of a source; None for `topic`, where another process has the camera.

    Args:
        node: The camera node.
        source: Value of the parameter `source`.
        topic: Value of the parameter `topic`: for a bag, the topic that is read from it.
        now_ns: Returns ROS time now [ns].
        realsense_context: `pyrealsense2.context` in which a RealSense is looked for; None: the devices plugged in.

    Raises:
        BadParameter: If a parameter is missing, or the source needs a package that is not installed.
    """
    width = node.declare("width", 640, "Of a frame (realsense, v4l2) [pixels].", low=16, high=8192)
    height = node.declare("height", 480, "Of a frame (realsense, v4l2) [pixels].", low=16, high=8192)
    fps = node.declare("fps", 30, "Frames a second (realsense, v4l2, a folder of pictures).", low=1, high=300)
    units = "0: the camera chooses, and may choose otherwise at any moment."
    exposure = node.declare("exposure", 0.0, f"In units of the device, mostly 100 us. {units}", low=0.0, high=1e6)
    gain = node.declare("gain", 0.0, f"In units of the device. {units}", low=0.0, high=1e6)
    white = node.declare("white_balance", 0.0, f"[K]. {units}", low=0.0, high=1e5)
    serial = node.declare("serial", "", "Serial number of the RealSense; empty: the only one.")
    device = node.declare("device", "/dev/video0", "Of source v4l2; /dev/v4l/by-id/... stays the same camera.")
    path = node.declare("path", "", "Of source file: a video, a folder of pictures, or a rosbag2.")
    loop = node.declare("loop", False, "Whether source file begins again at its end.")
    if source == "topic":
        return None
    if source == "file":
        from rig_robot.cameras.playback import FileCamera

        if not path:
            raise BadParameter("parameter path must be given: a video, a folder of pictures, or a rosbag2")
        return FileCamera(Path(locate(path)), fps, topic, loop, now_ns)
    if AUTOMATIC in (exposure, white):
        node.get_logger().warning(
            "exposure or white_balance is automatic: what the networks see will change with the arm and the light"
        )
    settings = (width, height, fps, exposure, gain, white, now_ns)
    if source == "v4l2":
        from rig_robot.cameras.v4l2 import V4l2

        return V4l2(device, *settings)
    try:
        # pyrealsense2 brings a Fast DDS of its own: loaded before rclpy's, it makes the process crash when it exits.
        from rig_robot.cameras.realsense import RealSense
    except ImportError as error:
        raise BadParameter(f"source realsense needs pyrealsense2: pip install pyrealsense2 ({error})") from None
    return RealSense(serial, *settings, realsense_context)
