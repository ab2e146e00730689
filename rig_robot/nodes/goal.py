"""Goal node: validates the pictures that people and programs send, and makes each the goal or says why it cannot be.

Each picture gets one answer on `rig/goal/status`. A rejected picture never reaches another node, and the former goal
stays. Whether the VAE knows the content of a picture is measured with a copy of the encoder's VAE, and measured again
when the encoder activates another VAE.
"""

import hashlib
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.checkpoints.checkpoint import resolve
from rig_robot.checkpoints.compatibility import checkpoint_directory
from rig_robot.common.message_age import Arrival
from rig_robot.common.message_fields import stamp_ns, stamp_s, values
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.messages.diagnostics import ERROR, OK, WARN, diagnostic
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.imagined_goals import IMAGINED, comes_too_soon
from rig_robot.messages.typed_status import INSTALLED
from rig_robot.nodes.goal_action import GoalAction
from rig_robot.ros.duplicate_filter import DuplicateFilter
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import COMMAND, EPISODES, LATCHED, OBSERVATION
from rig_robot.ros.rejection_log import RejectionLog
from rig_robot.vision.goal_check import GoalCheck, Verdict
from rig_robot.vision.image_decoding import PictureRefused, from_compressed, from_raw
from rig_robot.vision.observation import Crop, prepare_goal

CAPTURE_MAX_AGE_PERIODS = 3
"""An observation older than so many action periods is not captured as a goal."""


class GoalNode(RigNode):
    """`rig/goal/image_in` and `rig/goal/image_in/compressed` -> `rig/goal/image`, `rig/goal/status`."""

    def __init__(self) -> None:
        super().__init__("goal")
        checkpoint = self.declare(
            "checkpoint",
            Parameter.Type.STRING,
            "Checkpoint directory, or a root of several: it says how a picture is prepared, and its VAE judges it.",
        )
        self._max_megapixels = self.declare(
            "max_megapixels", 50.0, "Largest goal picture that is taken [megapixels].", low=0.01, high=1000.0
        )
        self.declare(
            "refuse_unknown", False, "Refuse a picture that the VAE does not know, not only warn.", read_only=False
        )
        self.declare("accept_grey", False, "Take pictures without colour for a VAE of colour.", read_only=False)
        directory = resolve(locate(checkpoint))
        self._root = directory.parent
        encoder = Encoder(directory)
        config = encoder.config
        self._crop = Crop(*config.camera.crop)
        self._size = config.camera.image_size
        self._aspect = config.camera.width / config.camera.height
        self._max_age = CAPTURE_MAX_AGE_PERIODS * config.action.period_s
        self._rejections = RejectionLog(self.get_logger(), repeat_s=1.0)
        self._accepted = 0
        self._goal = "none"
        self._since = 0.0  # when the goal was decided on, ROS time [s]
        self._picture: np.ndarray | None = None  # of a shown goal, as an observation
        self._doubt = ""  # about that picture
        self._observation: tuple[Image, Arrival] | None = None

        self._goals = self.publisher(Image, "rig/goal/image", LATCHED)
        self._status = self.publisher(DiagnosticStatus, "rig/goal/status", LATCHED)
        self.subscribe(Image, "rig/observation/image", self._on_observation, OBSERVATION)
        self.subscribe(Image, "rig/goal/reconstruction", self._on_reconstruction, LATCHED)
        self.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_ready, EPISODES)
        self._subscribe_twice(Image, "rig/goal/image_in", _content_raw, self._on_raw)
        self._subscribe_twice(CompressedImage, "rig/goal/image_in/compressed", _content_compressed, self._on_compressed)
        self.create_service(Trigger, "~/capture", self._capture)
        self.create_service(Trigger, "~/clear", self._clear)
        self._vae_id = encoder.vae_id  # of the encoder node's VAE
        self._check_with(GoalCheck(encoder))
        if INSTALLED:
            GoalAction(self, self._take_for_action, lambda: self._goal, lambda: self._clear_for("action"))

    def _subscribe_twice(
        self, kind: type, topic: str, content: Callable[[Any], Hashable], callback: Callable[[Any], None]
    ) -> None:
        """Subscribe reliably and best effort: a best-effort publisher reaches only the second, a reliable one both."""
        duplicates = DuplicateFilter()
        for side, qos in enumerate((COMMAND, OBSERVATION)):

            def deliver(message: Any, side: int = side) -> None:
                if duplicates.is_new(side, content(message), time.monotonic()):
                    callback(message)

            # Incompatible QoS is not reported: a publisher that does not fit one of the two fits the other.
            self.create_subscription(kind, topic, deliver, qos)

    def _on_raw(self, message: Image) -> None:
        what = {"source": "image_in", "encoding": message.encoding, "size": f"{message.width}x{message.height}"}
        self._take(what, lambda: from_raw(message, self._max_megapixels))

    def _on_compressed(self, message: CompressedImage) -> None:
        what = {"source": "image_in/compressed", "format": message.format, "bytes": len(message.data)}
        self._take(what, lambda: from_compressed(bytes(message.data), self._max_megapixels))

    def _take_for_action(self, message: CompressedImage) -> tuple[str, str]:
        """Make a picture of the action, or the present view, the goal; return its name, and why it was refused."""
        if len(message.data):
            what = {"source": "action", "format": message.format, "bytes": len(message.data)}
            self._take(what, lambda: from_compressed(bytes(message.data), self._max_megapixels))
        elif refused := self._capture_view():
            return self._goal, refused
        return self._goal, self._rejections.reason or ""

    def _take(self, what: dict[str, Any], decode: Callable[[], np.ndarray]) -> None:
        """Decode a picture and make it the goal, or reject it and say why."""
        try:
            picture = decode()
            observation, warning = prepare_goal(picture, self._crop, self._size, self._aspect)
            verdict = self._check.judge(observation)
            if against := self._against(verdict):
                raise PictureRefused(against)
        except (ValueError, MemoryError) as error:
            old = "there is still no goal" if self._goal == "none" else "the old goal stays"
            reason = f"goal picture refused, {old}: {error or 'there is not enough memory for it'}"
            self._rejections.reject(reason)
            self._tell(ERROR, reason, what | {"accepted": False, "goal": self._goal})
            return
        what["size"] = f"{picture.shape[1]}x{picture.shape[0]}"
        self._set(observation, what | _figures(verdict), [warning or "", verdict.text])

    def _against(self, verdict: Verdict) -> str:
        """Return why a picture with this verdict may not be the goal; empty where it may."""
        if verdict.grey and not self.get_parameter("accept_grey").value:
            return f"{verdict.text}: send one in colour (with accept_grey set it is taken, but the arm may end far off)"
        if verdict.known or not self.get_parameter("refuse_unknown").value:
            return ""
        undecided = self._check.undecided or "nothing has been learnt yet: no picture is known"
        return f"{verdict.text or undecided} (refuse_unknown is set)"

    def _set(self, observation: np.ndarray, what: dict[str, Any], doubts: Sequence[str] = ()) -> None:
        """Make a picture the goal; its stamp, the time of acceptance, names the goal.

        Args:
            observation: uint8 [S, S, 3] RGB, or [0, 0, 3] for no goal.
            what: Key-value pairs for the answer.
            doubts: Doubts about the picture, or why there is no goal any more; empty texts are left out.
        """
        stamp = self.get_clock().now().to_msg()
        self._goals.publish(rgb_to_image(observation, stamp, "goal"))
        self._rejections.accept()
        self._accepted += 1
        self._since = stamp_s(stamp)
        self._goal, self._picture = (str(stamp_ns(stamp)), observation) if observation.size else ("none", None)
        text = f"new goal from {what['source']}" if observation.size else "no goal any more"
        self._doubt = "; ".join(filter(None, doubts))
        self.get_logger().info(text)
        if self._doubt:
            text += f"{', but' if observation.size else ':'} {self._doubt}"
            self.get_logger().warning(self._doubt)
        level = WARN if self._doubt else OK
        self._tell(level, text, what | {"accepted": True, "goal": self._goal})

    def _on_reconstruction(self, message: Image) -> None:
        """Publish a goal that the encoder has imagined on the topic of all goals."""
        stamp = stamp_s(message.header.stamp)
        if message.header.frame_id != IMAGINED or stamp <= self._since:
            return
        if self._picture is not None and comes_too_soon(stamp, self._since):
            return  # the encoder takes the shown goal as well
        self._goals.publish(message)
        self._goal, self._since = str(stamp_ns(message.header.stamp)), stamp
        self._picture, self._doubt = None, ""
        self._tell(OK, "imagined goal", {"source": IMAGINED, "accepted": True, "goal": self._goal})

    # The VAE that goals are checked with

    def _check_with(self, check: GoalCheck) -> None:
        self._check = check
        if check.undecided:
            self.get_logger().warning(check.undecided)

    def _on_ready(self, message: DiagnosticStatus) -> None:
        """Load the VAE that the encoder has activated."""
        said = values(message)
        if said.get("state") != AnswerState.ACTIVE or said.get("vae", self._vae_id) == self._vae_id:
            return
        self._vae_id, name = said["vae"], said.get("checkpoint", "")
        self.run_in_background(
            lambda: GoalCheck(Encoder(checkpoint_directory(self._root, name))), lambda found: self._loaded(name, found)
        )

    def _loaded(self, name: str, found: GoalCheck | Exception) -> None:
        if isinstance(found, Exception):
            self.get_logger().error(f"goals are still judged by VAE {self._check.vae_id}, not by {name}'s: {found}")
        elif found.vae_id == self._vae_id and found.vae_id != self._check.vae_id:
            self._check_with(found)
            self._check_again()

    def _check_again(self) -> None:
        """Check the present goal with the new VAE, and end it where its picture would now be rejected."""
        if self._picture is None:
            return
        verdict = self._check.judge(self._picture)
        what = {"source": "swap", "vae": self._check.vae_id} | _figures(verdict)
        if against := self._against(verdict):
            self._set(np.empty((0, 0, 3), np.uint8), what, [f"refused by VAE {self._check.vae_id}: {against}"])
            return
        self._doubt = verdict.text
        text = f"the same goal, by VAE {self._check.vae_id}" + (f", but {verdict.text}" if verdict.text else "")
        level = WARN if verdict.text else OK
        self._tell(level, text, what | {"accepted": True, "goal": self._goal})

    def _tell(self, level: bytes, text: str, values: dict[str, Any]) -> None:
        self._status.publish(diagnostic("goal", level, text, values))

    def _on_observation(self, message: Image) -> None:
        try:
            self._observation = message, Arrival.of(stamp_s(message.header.stamp), self.now())
        except ValueError:
            self._observation = None

    def _capture(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Make the current view the goal."""
        response.message = self._capture_view() or self._rejections.reason or ""
        response.success = not response.message
        doubt = f", but {self._doubt}" if self._doubt else ""
        response.message = response.message or f"the current view is the goal {self._goal}{doubt}"
        return response

    def _capture_view(self) -> str:
        """Make the current view the goal; return why there is none."""
        if self._observation is None:
            return "there is no image on rig/observation/image: is the camera node running?"
        message, arrival = self._observation
        if arrival.now() > self._max_age:
            return (
                f"the last image on rig/observation/image is {arrival.now():.1f} s old, more than {self._max_age:g} s: "
                "is the camera still running?"
            )
        self._take({"source": "capture", "capture_stamp": stamp_ns(message.header.stamp)}, lambda: from_raw(message))
        return ""

    def _clear(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """End the goal."""
        self._clear_for("clear")
        response.success, response.message = True, "there is no goal any more"
        return response

    def _clear_for(self, source: str) -> None:
        self._set(np.empty((0, 0, 3), np.uint8), {"source": source})

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return the goal, and whether the last picture was accepted."""
        values = {"goal": self._goal, "accepted": self._accepted, "refused": self._rejections.count}
        if self._rejections.reason:
            return WARN, self._rejections.reason, values
        if self._doubt and self._picture is not None:
            return WARN, f"the goal is {self._goal}, but {self._doubt}", values
        return OK, "no goal" if self._goal == "none" else f"the goal is {self._goal}", values


def _figures(verdict: Verdict) -> dict[str, str]:
    """Return a verdict's figures: whether the VAE knows the picture, and its error over the usual error."""
    if verdict.known is None:
        return {"known": "cannot be told"}
    return {"known": str(verdict.known), "times usual": f"{verdict.times:.2f}"}


def _content_raw(message: Image) -> Hashable:
    head = (str(message.header), message.width, message.height, message.encoding, message.step)
    return *head, hashlib.blake2b(message.data).digest()


def _content_compressed(message: CompressedImage) -> Hashable:
    return str(message.header), message.format, hashlib.blake2b(message.data).digest()


def main() -> None:
    run(GoalNode)


if __name__ == "__main__":
    main()
