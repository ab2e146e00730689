"""Goal node: takes the pictures that people and programs send and makes goals of them, or says why it cannot.

A picture that cannot be used is answered on `rig/goal/status`; the goal before it stays.
"""

import hashlib
import time
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from rig_robot import ros
from rig_robot.deduplication import Deduplicator
from rig_robot.freshness import Arrival
from rig_robot.learning.checkpoint import read_config
from rig_robot.observation import Crop, prepare_goal
from rig_robot.pictures import from_compressed, from_raw
from rig_robot.refusals import Refusals
from rig_robot.resources import locate

CAPTURE_MAX_AGE_PERIODS = 3
"""An observation older than so many action periods is not captured as a goal."""


class GoalNode(ros.RigNode):
    """`rig/goal/image_in` and `rig/goal/image_in/compressed` -> `rig/goal/image`, `rig/goal/status`."""

    def __init__(self) -> None:
        super().__init__("goal")
        checkpoint = self.declare(
            "checkpoint",
            Parameter.Type.STRING,
            "Checkpoint directory: it says how a goal picture is cropped and resized.",
        )
        self._max_megapixels = self.declare(
            "max_megapixels", 50.0, "Largest goal picture that is taken [megapixels].", low=0.01, high=1000.0
        )
        config = read_config(locate(checkpoint))
        self._crop = Crop(*config.camera.crop)
        self._size = config.camera.image_size
        self._aspect = config.camera.width / config.camera.height
        self._max_age = CAPTURE_MAX_AGE_PERIODS * config.action.period_s
        self._refusals = Refusals(self.get_logger(), repeat_s=1.0)
        self._accepted = 0
        self._goal = "none"
        self._observation: tuple[Image, Arrival] | None = None

        self._goals = self.publisher(Image, "rig/goal/image", ros.LATCHED)
        self._status = self.publisher(DiagnosticStatus, "rig/goal/status", ros.LATCHED)
        self.subscribe(Image, "rig/observation/image", self._on_observation, ros.OBSERVATION)
        self._subscribe_twice(Image, "rig/goal/image_in", _content_raw, self._on_raw)
        self._subscribe_twice(CompressedImage, "rig/goal/image_in/compressed", _content_compressed, self._on_compressed)
        self.create_service(Trigger, "~/capture", self._capture)
        self.create_service(Trigger, "~/clear", self._clear)

    def _subscribe_twice(
        self, kind: type, topic: str, content: Callable[[Any], Hashable], callback: Callable[[Any], None]
    ) -> None:
        """Hear any publisher: a best-effort one never reaches a reliable subscription, a reliable one reaches both."""
        deduplicator = Deduplicator()
        for side, qos in enumerate((ros.COMMAND, ros.OBSERVATION)):

            def deliver(message: Any, side: int = side) -> None:
                if deduplicator.is_new(side, content(message), time.monotonic()):
                    callback(message)

            # No report of incompatible QoS: what one of the two cannot hear, the other does.
            self.create_subscription(kind, topic, deliver, qos)

    def _on_raw(self, message: Image) -> None:
        what = {"source": "image_in", "encoding": message.encoding, "size": f"{message.width}x{message.height}"}
        self._take(what, lambda: from_raw(message, self._max_megapixels))

    def _on_compressed(self, message: CompressedImage) -> None:
        what = {"source": "image_in/compressed", "format": message.format, "bytes": len(message.data)}
        self._take(what, lambda: from_compressed(bytes(message.data), self._max_megapixels))

    def _take(self, what: dict[str, Any], decode: Callable[[], np.ndarray]) -> None:
        """Make the picture that `decode` gives the goal, or refuse it and say why."""
        try:
            picture = decode()
            observation, warning = prepare_goal(picture, self._crop, self._size, self._aspect)
        except (ValueError, MemoryError) as error:
            old = "there is still no goal" if self._goal == "none" else "the old goal stays"
            reason = f"goal picture refused, {old}: {error or 'there is not enough memory for it'}"
            self._refusals.refuse(reason)
            self._tell(ros.ERROR, reason, what | {"accepted": False, "goal": self._goal})
            return
        what["size"] = f"{picture.shape[1]}x{picture.shape[0]}"
        self._set(observation, what, warning)

    def _set(self, observation: np.ndarray, what: dict[str, Any], warning: str | None = None) -> None:
        """observation: uint8 [S, S, 3] RGB, or [0, 0, 3] for no goal. The time of acceptance, its stamp, names it."""
        stamp = self.get_clock().now().to_msg()
        self._goals.publish(ros.rgb_to_image(observation, stamp, "goal"))
        self._refusals.accept()
        self._accepted += 1
        self._goal = str(ros.stamp_ns(stamp)) if observation.size else "none"
        text = f"new goal from {what['source']}" if observation.size else "no goal any more"
        self.get_logger().info(text)
        if warning:
            self.get_logger().warning(warning)
        self._tell(ros.WARN if warning else ros.OK, warning or text, what | {"accepted": True, "goal": self._goal})

    def _tell(self, level: bytes, text: str, values: dict[str, Any]) -> None:
        self._status.publish(ros.diagnostic("goal", level, text, values))

    def _on_observation(self, message: Image) -> None:
        try:
            self._observation = message, Arrival.of(ros.stamp_s(message.header.stamp), self.now())
        except ValueError:
            self._observation = None

    def _capture(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The current view becomes the goal."""
        if self._observation is None:
            response.message = "there is no image on rig/observation/image: is the camera node running?"
            return response
        message, arrival = self._observation
        if arrival.now() > self._max_age:
            response.message = (
                f"the last image on rig/observation/image is {arrival.now():.1f} s old, more than {self._max_age:g} s: "
                "is the camera still running?"
            )
            return response
        self._take(
            {"source": "capture", "capture_stamp": ros.stamp_ns(message.header.stamp)}, lambda: from_raw(message)
        )
        response.success = self._refusals.reason is None
        response.message = self._refusals.reason or f"the current view is the goal {self._goal}"
        return response

    def _clear(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """There is no goal any more."""
        self._set(np.empty((0, 0, 3), np.uint8), {"source": "clear"})
        response.success, response.message = True, "there is no goal any more"
        return response

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say what the goal is and how the last picture fared."""
        values = {"goal": self._goal, "accepted": self._accepted, "refused": self._refusals.count}
        if self._refusals.reason:
            return ros.WARN, self._refusals.reason, values
        return ros.OK, "no goal" if self._goal == "none" else f"the goal is {self._goal}", values


def _content_raw(message: Image) -> Hashable:
    head = (str(message.header), message.width, message.height, message.encoding, message.step)
    return *head, hashlib.blake2b(message.data).digest()


def _content_compressed(message: CompressedImage) -> Hashable:
    return str(message.header), message.format, hashlib.blake2b(message.data).digest()


def main() -> None:
    ros.run(GoalNode)


if __name__ == "__main__":
    main()
