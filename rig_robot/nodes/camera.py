"""Camera node: frames in, observations out.

With `source` `topic` the frames come from another driver or from the simulation. Only fresh frames of the checkpoint's
camera are passed on, with their capture stamp.
"""

from typing import Any

from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from rig_robot import ros
from rig_robot.freshness import Arrival
from rig_robot.learning.checkpoint import read_config
from rig_robot.memory import keep_large_blocks
from rig_robot.observation import ASPECT_TOLERANCE, Crop, prepare
from rig_robot.pictures import from_raw
from rig_robot.refusals import Refusals
from rig_robot.resources import locate

MAX_AGE_PERIODS = 3
"""Frames older than so many action periods are not passed on."""


class CameraNode(ros.RigNode):
    """`camera/image_raw` -> `rig/observation/image`."""

    def __init__(self) -> None:
        super().__init__("camera")
        checkpoint = self.declare(
            "checkpoint", Parameter.Type.STRING, "Checkpoint directory: it says how a frame is cropped and resized."
        )
        self.declare("source", "topic", "Where the frames come from.", choices=("topic",))
        config = read_config(locate(checkpoint))
        self._crop = Crop(*config.camera.crop)
        self._size = config.camera.image_size
        self._camera = config.camera
        self._max_age = MAX_AGE_PERIODS * config.action.period_s
        self._refusals = Refusals(self.get_logger())
        self._passed = 0
        self._passed_before = 0
        self._age = float("nan")
        self._observations = self.publisher(Image, "rig/observation/image", ros.OBSERVATION)
        self.subscribe(Image, "camera/image_raw", self._on_frame, ros.OBSERVATION)

    def _on_frame(self, message: Image) -> None:
        try:
            self._check(message)
            observation = prepare(from_raw(message), self._crop, self._size)
        except ValueError as error:
            self._refusals.refuse(f"camera/image_raw: a frame is not used: {error}")
            return
        self._observations.publish(ros.rgb_to_image(observation, message.header.stamp, message.header.frame_id))
        self._refusals.accept()
        self._passed += 1

    def _check(self, message: Image) -> None:
        self._age = Arrival.of(ros.stamp_s(message.header.stamp), self.now()).age
        if self._age > self._max_age:
            raise ValueError(
                f"it is older than {self._max_age:g} s: is the driver late, or is use_sim_time set wrongly?"
            )
        aspect, expected = message.width / max(message.height, 1), self._camera.width / self._camera.height
        if abs(aspect / expected - 1) > ASPECT_TOLERANCE:
            raise ValueError(
                f"it is {message.width}x{message.height}; the checkpoint was trained on frames of the aspect of "
                f"{self._camera.width}x{self._camera.height}: set the driver to one, or train on this camera"
            )

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say whether frames come and are used."""
        rate, self._passed_before = self._passed - self._passed_before, self._passed
        values = {
            "rate [Hz]": rate,
            "age of the last frame at arrival [s]": f"{self._age:.4f}",
            "frames passed on": self._passed,
            "frames dropped": self._refusals.count,
        }
        if self._refusals.reason:
            return ros.WARN, self._refusals.reason, values
        if rate == 0:
            return ros.WARN, "no frames on camera/image_raw: is the driver running?", values
        return ros.OK, "frames are passed on", values


def main() -> None:
    keep_large_blocks()
    ros.run(CameraNode)


if __name__ == "__main__":
    main()
