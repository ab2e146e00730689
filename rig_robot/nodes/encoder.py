"""Encoder node: turns observations and goal images into latents that are named after their VAE.

No other node encodes. The node keeps the goal's picture beside its latent: a latent means nothing to another VAE, and
the VAE may be replaced while the robot runs. A new VAE is loaded beside the running one. Once the policy node has
loaded the new policy as well, the encoder publishes the goal as the new VAE encodes it, and from the next observation
on it encodes all with the new VAE.
"""

from typing import Any, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.checkpoint_delivery.swap_follower import Loaded, SwapFollower
from rig_robot.checkpoints.checkpoint import resolve
from rig_robot.common.message_fields import stamp_ns, stamp_s, values
from rig_robot.common.package_files import locate
from rig_robot.inference.latent import Latent, no_goal
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, WARN
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.imagined_goals import IMAGINED, comes_too_soon
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import EPISODES, LATCHED, OBSERVATION
from rig_robot.ros.realtime_priority import take_priority
from rig_robot.ros.rejection_log import RejectionLog
from rig_robot.vision.image_decoding import from_raw

FRAMES = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Deeper than other streams: observations that wait while a checkpoint is loaded are encoded afterwards, not lost."""


class Goal(NamedTuple):
    """A goal in a form that every VAE can encode."""

    picture: np.ndarray
    """uint8 [S, S, 3] RGB; of an imagined goal the decoded picture"""
    stamp: Any
    shown: bool
    """whether a person or a program has shown it; otherwise the VAE has imagined it"""

    def text(self) -> str:
        return f"{'picture of' if self.shown else 'imagined at'} {stamp_s(self.stamp):.3f} s"


class EncoderNode(RigNode):
    """`rig/observation/image` -> `rig/latent`; `rig/goal/image` -> `rig/goal/latent`, `rig/goal/reconstruction`."""

    def __init__(self) -> None:
        super().__init__("encoder")
        checkpoint = self.declare(
            "checkpoint", Parameter.Type.STRING, "Checkpoint directory, or a root of several: its VAE encodes."
        )
        directory = resolve(locate(checkpoint))
        self._running = Loaded(directory.name, _load(directory))
        self._policy_has = ""
        self._rng = np.random.default_rng()
        self._rejections = RejectionLog(self.get_logger())
        self._encoded = 0
        self._encoded_before = 0
        self._goal: Goal | None = None
        self._scene: np.ndarray | None = None  # the last observation, in which imagined goals are drawn
        self._latents = self.publisher(Image, "rig/latent", OBSERVATION)
        self._goal_latents = self.publisher(Image, "rig/goal/latent", LATCHED)
        self._reconstructions = self.publisher(Image, "rig/goal/reconstruction", LATCHED)
        self.subscribe(Image, "rig/observation/image", self._on_observation, FRAMES)
        self.subscribe(Image, "rig/goal/image", self._on_goal, LATCHED)
        self._swaps = SwapFollower(
            self, directory.parent, lambda: self._running, _load, self._activate, AnswerState.ACTIVE, "encodes"
        )
        self.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_ready, EPISODES)
        self.create_service(Trigger, "~/imagine_goal", self._imagine_goal)
        self._swaps.answer(AnswerState.ACTIVE, self._running.name, "encodes")
        take_priority(self)

    def _on_observation(self, message: Image) -> None:
        try:
            picture = from_raw(message)
            encoded = self._encode(picture)
        except ValueError as error:
            self._rejections.reject(f"rig/observation/image: not encoded: {error}")
            return
        self._scene = picture
        self._latents.publish(latent.to_message(encoded, message.header.stamp))
        self._rejections.accept()
        self._encoded += 1

    def _on_goal(self, message: Image) -> None:
        """Encode a goal that the goal node has published, shown or imagined.

        An imagined goal is mostly this node's own, and known already. After a restart of this node it is not.
        """
        stamp, shown = message.header.stamp, message.header.frame_id != IMAGINED
        if not shown and self._goal is not None and stamp_ns(stamp) <= stamp_ns(self._goal.stamp):
            return
        if message.width == 0 and message.height == 0:
            self._goal = None
            self._goal_latents.publish(latent.to_message(no_goal(self._encoder.vae_id), stamp))
            self._reconstructions.publish(rgb_to_image(np.empty((0, 0, 3), np.uint8), stamp, "goal"))
            return
        try:
            picture = from_raw(message)
            goal = self._encode(picture)
        except ValueError as error:
            self._rejections.reject(f"rig/goal/image: not encoded, the old goal stays: {error}")
            return
        self._goal = Goal(picture, stamp, shown)
        self._publish_goal(self._goal, goal, self._encoder.decode(goal.mean, picture))

    def _imagine_goal(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Sample a goal from the latent prior and publish it (RIG, Algorithm 1, line 4)."""
        stamp = self.get_clock().now().to_msg()
        present = self._goal
        if present is not None and present.shown and comes_too_soon(stamp_s(stamp), stamp_s(present.stamp)):
            response.success, response.message = False, "a goal was shown just now"  # the caller cannot know of it yet
            return response
        imagined = self._encoder.imagine(self._rng)
        picture = self._encoder.decode(imagined, self._scene)
        self._goal = Goal(picture, stamp, shown=False)
        self._publish_goal(self._goal, self._encode(picture)._replace(mean=imagined), picture)
        response.success, response.message = True, str(stamp_ns(stamp))
        return response

    def _on_ready(self, message: DiagnosticStatus) -> None:
        said = values(message)
        if said.get("state") == AnswerState.READY:
            self._policy_has = said.get("checkpoint", "")
            self._activate()

    def _activate(self) -> None:
        """Encode with the candidate once the policy has loaded it: first the goal, then all later observations."""
        candidate = self._swaps.candidate
        if candidate is None or candidate.name != self._policy_has:
            return
        self._running = self._swaps.take()
        if self._goal is not None:
            goal = self._encode(self._goal.picture)
            self._publish_goal(self._goal, goal, self._encoder.decode(goal.mean, self._goal.picture))
        self.get_logger().info(f"encodes with {self._running.name}, VAE {self._encoder.vae_id}")
        self._swaps.answer(AnswerState.ACTIVE, self._running.name, "encodes")

    @property
    def _encoder(self) -> Encoder:
        return self._running.network

    def _encode(self, picture: np.ndarray) -> Latent:
        """Return the latent of a picture, uint8 [S, S, 3] RGB."""
        return Latent(self._encoder.vae_id, *self._encoder.encode(picture))

    def _publish_goal(self, goal: Goal, encoded: Latent, reconstruction: np.ndarray) -> None:
        """Publish a goal's latent and its reconstruction, uint8 [S, S, 3] RGB: all that the policy can know of it."""
        self._goal_latents.publish(latent.to_message(encoded._replace(imagined=not goal.shown), goal.stamp))
        frame_id = "goal" if goal.shown else IMAGINED
        self._reconstructions.publish(rgb_to_image(reconstruction, goal.stamp, frame_id))

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return whether images arrive and are encoded."""
        rate, self._encoded_before = self._encoded - self._encoded_before, self._encoded
        details = {
            "rate [Hz]": rate,
            "images encoded": self._encoded,
            "images refused": self._rejections.count,
            "goal": self._goal.text() if self._goal else "none",
            "checkpoint": self._running.name,
            "vae": self._encoder.vae_id,
        }
        if self._rejections.reason:
            return WARN, self._rejections.reason, details
        if rate == 0:
            return WARN, "no images on rig/observation/image: is the camera node running?", details
        return OK, "images are encoded", details


def _load(directory: Any) -> Encoder:
    """Load a checkpoint's VAE and use it once: the first call takes many times longer than the rest."""
    encoder = Encoder(directory)
    size = encoder.config.camera.image_size
    encoder.encode(np.zeros((size, size, 3), np.uint8))
    return encoder


def main() -> None:
    run(EncoderNode)


if __name__ == "__main__":
    main()
