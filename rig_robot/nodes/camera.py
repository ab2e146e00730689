"""Camera node: turns camera frames into observations, cropped and resized as the checkpoint was trained.

The frames come from a device that this node owns, from a recording, or from another driver's topic. Only fresh frames
of the checkpoint's aspect are passed on, with their capture stamp.
"""

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy import get_rmw_implementation_identifier
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from rig_robot.cameras.capture import QUARTERS, Capture, Rate, turned
from rig_robot.cameras.driver import Frame
from rig_robot.cameras.registry import SOURCES
from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.common.crop import wrong_crop
from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.common.message_age import Arrival
from rig_robot.common.message_fields import stamp_s
from rig_robot.common.package_files import locate
from rig_robot.messages.camera_info import describe
from rig_robot.messages.diagnostics import ERROR, OK, WARN
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.transforms import CAMERA_FRAME
from rig_robot.nodes.camera_mount import CameraMount
from rig_robot.nodes.camera_parameters import declare_driver
from rig_robot.nodes.camera_view import ViewComparison, view_details
from rig_robot.ros.frame_loss import FrameLoss, cure
from rig_robot.ros.lifecycle import ManagedNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import OBSERVATION
from rig_robot.ros.realtime_priority import take_priority
from rig_robot.ros.rejection_log import RejectionLog
from rig_robot.vision.image_decoding import from_compressed, from_raw
from rig_robot.vision.observation import ASPECT_TOLERANCE, Crop, prepare

MAX_AGE_PERIODS = 3
"""Frames older than so many action periods are not passed on."""
BLACK = 5.0
"""Mean grey level of 255 below which an observation is rejected: the lens is covered or the sensor dead."""
SLOW = 0.7
"""Share of the configured rate below which a camera is slow."""


class CameraNode(ManagedNode):
    """A driver or `camera/image_raw` -> `rig/observation/image`.

    Args:
        devices: Where the driver looks for devices (`pyrealsense2.context` for a RealSense); None: those plugged in.
    """

    def __init__(self, devices: Any = None) -> None:
        super().__init__("camera")
        checkpoint = self.declare(
            "checkpoint", Parameter.Type.STRING, "Checkpoint directory: it says how a frame is cropped and resized."
        )
        source = self.declare("source", "topic", "Where the frames come from.", choices=SOURCES)
        directory = resolve(locate(checkpoint))
        config = read_config(directory)
        camera = config.camera
        self._crop = Crop(
            *self.declare(
                "crop",
                [float(part) for part in camera.crop],
                "Part of the turned frame that is observed: left, top, width, height as fractions of it.",
                check=wrong_crop,
            )
        )
        self._size = self.declare(
            "size",
            camera.image_size,
            "Side of the observation [pixels]; networks take their own only.",
            low=8,
            high=512,
        )
        self._rotation = self.declare(
            "rotation",
            0,
            "Degrees by which frames are turned clockwise before they are cropped: 0, 90, 180 or 270.",
            check=lambda value: None if value in QUARTERS else "must be 0, 90, 180 or 270",
        )
        self._mount = CameraMount(self)
        self._view = ViewComparison(self, directory, self._size == camera.image_size)
        self._aspect = camera.width * camera.crop[2] / (camera.height * camera.crop[3])
        self._trained = f"{camera.width}x{camera.height}"
        self._period = config.action.period_s
        self._max_age = MAX_AGE_PERIODS * self._period
        self._rejections = RejectionLog(self.get_logger())
        self._passed, self._rate, self._expected_rate = 0, Rate(), 0.0
        self._age = float("nan")
        self._loss, self._loss_said = FrameLoss(), False
        self._resolution, self._resolutions, self._changed = "", 0, ""
        self._changes_said: set[str] = set()
        take_priority(self)
        self._take_frames(source, devices)
        self.begin_life()

    def _take_frames(self, source: str, devices: Any) -> None:
        """Declare the source of the frames, and open or subscribe to it."""
        self._observations = self.publisher(Image, "rig/observation/image", OBSERVATION)
        self._frame_id = self.declare("frame_id", CAMERA_FRAME, "Optical frame of a camera that this node owns.")
        self._where = topic = self.declare("topic", "camera/image_raw", "Source topic, or topic of a bag.")
        transport = self.declare(
            "transport", "raw", "Of source topic; compressed: TOPIC/compressed.", choices=("raw", "compressed")
        )
        driver = declare_driver(self, source, topic, self._now_ns, devices)
        self._capture: Capture | None = None
        if driver is not None:
            self._where, self._expected_rate = source, driver.fps
            self._frames = self.publisher(Image, "camera/image_raw", OBSERVATION)
            self._infos = self.publisher(CameraInfo, "camera/camera_info", OBSERVATION)
            self._capture = Capture(driver, self._take, self._say, self._rotation)
            self._capture.start()
        elif transport == "compressed":
            self._where = f"{topic}/compressed"
            self.subscribe(CompressedImage, self._where, self._on_compressed, OBSERVATION, self._loss.missed)
        else:
            self.subscribe(Image, topic, self._on_frame, OBSERVATION, self._loss.missed)

    def stop(self) -> None:
        if self._capture is not None:
            self._capture.stop()
        self._view.stop()

    def _say(self, text: str) -> None:
        self.get_logger().warning(text)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_frame(self, message: Image) -> None:
        if not self.active:
            return
        self._loss.came(stamp_s(message.header.stamp))
        try:
            self._check_age(message.header.stamp)
            picture = turned(from_raw(message), self._rotation)
        except ValueError as error:
            self._reject(error)
            return
        self._observe(picture, message.header.stamp, message.header.frame_id)

    def _on_compressed(self, message: CompressedImage) -> None:
        if not self.active:
            return
        self._loss.came(stamp_s(message.header.stamp))
        try:
            self._check_age(message.header.stamp)
            picture = turned(from_compressed(bytes(message.data)), self._rotation)
        except ValueError as error:
            self._reject(error)
            return
        self._observe(picture, message.header.stamp, message.header.frame_id)

    def _take(self, frame: Frame) -> None:
        """Publish a frame of this node's own camera, raw and as an observation; runs in the camera's thread."""
        if not self.active:
            return
        stamp = Time(sec=frame.stamp_ns // 10**9, nanosec=frame.stamp_ns % 10**9)
        try:
            self._check_age(stamp)
        except ValueError as error:
            self._reject(error)
            return
        self._observe(frame.image, stamp, self._frame_id)
        whole = rgb_to_image(frame.image, stamp, self._frame_id)
        assert self._capture is not None
        info = describe(self._capture.driver.lens, frame.image.shape, self._rotation)
        info.header = whole.header
        self._frames.publish(whole)
        self._infos.publish(info)

    def _observe(self, picture: np.ndarray, stamp: Time, frame_id: str) -> None:
        """Publish the observation of a picture, uint8 [H, W, 3] RGB, or reject the picture."""
        try:
            self._check_resolution(picture)
            observation = prepare(picture, self._crop, self._size)
            if observation.mean() < BLACK:
                raise ValueError("it is black: is the lens covered, or the light off?")
        except ValueError as error:
            self._reject(error)
            return
        self._observations.publish(rgb_to_image(observation, stamp, frame_id))
        self._mount.see(frame_id, stamp)
        self._rejections.accept()
        self._passed += 1
        self._rate.note()
        self._view.show(observation)

    def _reject(self, error: ValueError) -> None:
        self._rejections.reject(f"{self._where}: a frame is not used: {error}")

    def _check_age(self, stamp: Time) -> None:
        self._age = Arrival.of(stamp_s(stamp), self.now()).age
        if self._age > self._max_age:
            raise ValueError(
                f"it is older than {self._max_age:g} s: is the driver late, or is use_sim_time set wrongly?"
            )

    def _check_resolution(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        resolution = f"{width}x{height}"
        if resolution != self._resolution:
            if self._resolution:
                self._resolutions += 1
                self._changed = f"{self._where}: frames were {self._resolution} and are {resolution} now"
                if self._changed not in self._changes_said:  # a recording may go back and forth with every frame
                    self.get_logger().warning(self._changed)
                self._changes_said.add(self._changed)
            self._resolution = resolution
        aspect = width * self._crop.width / (height * self._crop.height)
        if abs(aspect / self._aspect - 1) > ASPECT_TOLERANCE:
            raise ValueError(
                f"it is {resolution}; the checkpoint was trained on frames of the aspect of {self._trained}: "
                "set the driver to one, set crop, or train on this camera"
            )

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return whether frames arrive and are used."""
        rate = self._rate.per_second()
        values = {
            "rate [Hz]": round(rate, 1),
            "age of the last frame at arrival [s]": f"{self._age:.4f}",
            "frames passed on": self._passed,
            "frames dropped": self._rejections.count,
            "resolution": self._resolution,
            "changes of resolution": self._resolutions,
        }
        changed, self._changed = self._changed, ""
        if (view := self._view.change) is not None:
            values |= view_details(view)
        if (lost := self._lost_frames()) is not None:
            values["frames lost on their way"] = f"{lost[0]:.0%}"
        if (capture := self._capture) is not None:
            values |= {"frames lost by the camera's count": capture.lost, "reconnections": capture.reconnections}
            if capture.ended:
                return WARN, capture.problem or "", values
            if not capture.alive():
                return ERROR, "the camera's thread has ended: restart this node", values
            if capture.problem:
                return ERROR, capture.problem, values
        if self._rejections.reason:
            return WARN, self._rejections.reason, values
        if lost is not None:
            return WARN, lost[1], values
        if rate == 0:
            if self._capture is None and self.count_publishers(self._where):
                why = f"{self._where} is published, but no frame arrives: {cure(get_rmw_implementation_identifier())}"
                return WARN, why, values
            return WARN, f"no frames on {self._where}: is the driver running?", values
        if changed:
            return WARN, changed, values
        needed = max(1 / self._period, SLOW * self._expected_rate)
        if rate < 0.9 * needed:
            return (
                WARN,
                f"{rate:.1f} frames a second; at least {needed:.0f} are needed: slow camera or cable?",
                values,
            )
        if view is not None and view.problems:
            return WARN, f"not the checkpoint's view: {'; '.join(view.problems)}", values
        return OK, "frames are passed on", values

    def _lost_frames(self) -> tuple[float, str] | None:
        """Return the share of another driver's frames that are lost on their way, and the cure; log it once."""
        loss = self._loss.loss() if self._capture is None else None
        if loss is None:
            return None
        text = f"{self._where}: {loss.text()}: {loss.cure(get_rmw_implementation_identifier())}"
        if not self._loss_said:
            self.get_logger().warning(text)
            self._loss_said = True
        return loss.share, text


def main() -> None:
    keep_large_blocks()
    run(CameraNode)


if __name__ == "__main__":
    main()
