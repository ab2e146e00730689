"""Encoder node: the one owner of the VAE. Observations and goal images become latents, named after the VAE.

The goal's picture is kept, not only its latent: a latent means nothing to another VAE.
"""

from typing import Any

import numpy as np
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rig_robot import latent, ros
from rig_robot.latent import Latent
from rig_robot.learning.inference import Encoder
from rig_robot.pictures import from_raw
from rig_robot.refusals import Refusals
from rig_robot.resources import locate


class EncoderNode(ros.RigNode):
    """`rig/observation/image` -> `rig/latent`; `rig/goal/image` -> `rig/goal/latent`, `rig/goal/reconstruction`."""

    def __init__(self) -> None:
        super().__init__("encoder")
        checkpoint = self.declare("checkpoint", Parameter.Type.STRING, "Checkpoint directory: its VAE encodes.")
        self._encoder = Encoder(locate(checkpoint))
        size = self._encoder.config.camera.image_size
        self._encoder.encode(
            np.zeros((size, size, 3), np.uint8)
        )  # the first call takes many times longer than the rest
        self._rng = np.random.default_rng()
        self._refusals = Refusals(self.get_logger())
        self._encoded = 0
        self._encoded_before = 0
        self._goal = "none"
        self._latents = self.publisher(Image, "rig/latent", ros.OBSERVATION)
        self._goal_latents = self.publisher(Image, "rig/goal/latent", ros.LATCHED)
        self._reconstructions = self.publisher(Image, "rig/goal/reconstruction", ros.LATCHED)
        self.subscribe(Image, "rig/observation/image", self._on_observation, ros.OBSERVATION)
        self.subscribe(Image, "rig/goal/image", self._on_goal, ros.LATCHED)
        self.create_service(Trigger, "~/imagine_goal", self._imagine_goal)

    def _on_observation(self, message: Image) -> None:
        try:
            encoded = self._encode(from_raw(message))
        except ValueError as error:
            self._refusals.refuse(f"rig/observation/image: not encoded: {error}")
            return
        self._latents.publish(latent.to_message(encoded, message.header.stamp))
        self._refusals.accept()
        self._encoded += 1

    def _on_goal(self, message: Image) -> None:
        stamp = message.header.stamp
        if message.width == 0 and message.height == 0:
            self._goal = "none"
            self._goal_latents.publish(latent.to_message(latent.none_of(self._encoder.vae_id), stamp))
            self._reconstructions.publish(ros.rgb_to_image(np.empty((0, 0, 3), np.uint8), stamp, "goal"))
            return
        try:
            goal = self._encode(from_raw(message))
        except ValueError as error:
            self._refusals.refuse(f"rig/goal/image: not encoded, the old goal stays: {error}")
            return
        self._goal = f"picture of {ros.stamp_s(stamp):.3f} s"
        self._publish_goal(goal, self._encoder.decode(goal.mean), stamp)

    def _imagine_goal(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """A goal that nobody has shown: a sample of the latent prior (RIG, Algorithm 1, line 4)."""
        imagined = self._encoder.imagine(self._rng)
        picture = self._encoder.decode(imagined)
        stamp = self.get_clock().now().to_msg()
        self._goal = f"imagined at {ros.stamp_s(stamp):.3f} s"
        self._publish_goal(self._encode(picture)._replace(mean=imagined), picture, stamp)
        response.success, response.message = True, self._goal
        return response

    def _encode(self, picture: np.ndarray) -> Latent:
        """picture: uint8 [S, S, 3] RGB."""
        return Latent(self._encoder.vae_id, *self._encoder.encode(picture))

    def _publish_goal(self, goal: Latent, reconstruction: np.ndarray, stamp: Any) -> None:
        """reconstruction: uint8 [S, S, 3] RGB, what the VAE makes of the goal: what the policy can know of it."""
        self._goal_latents.publish(latent.to_message(goal, stamp))
        self._reconstructions.publish(ros.rgb_to_image(reconstruction, stamp, "goal"))

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say whether images come and are encoded."""
        rate, self._encoded_before = self._encoded - self._encoded_before, self._encoded
        values = {
            "rate [Hz]": rate,
            "images encoded": self._encoded,
            "images refused": self._refusals.count,
            "goal": self._goal,
            "vae": self._encoder.vae_id,
        }
        if self._refusals.reason:
            return ros.WARN, self._refusals.reason, values
        if rate == 0:
            return ros.WARN, "no images on rig/observation/image: is the camera node running?", values
        return ros.OK, "images are encoded", values


def main() -> None:
    ros.run(EncoderNode)


if __name__ == "__main__":
    main()
