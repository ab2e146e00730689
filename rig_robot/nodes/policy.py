"""Policy node: latents and a goal latent in, twists out.

Driven by arriving latents, never by a timer that would let them age. It acts in mode `reach` only, and every start is
in mode `idle`: a goal that is still there from before must not move a robot that was just restarted.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from rig_robot import latent, ros
from rig_robot.freshness import Arrival
from rig_robot.latent import Latent
from rig_robot.learning.inference import Policy
from rig_robot.pacing import Pacer
from rig_robot.refusals import Refusals
from rig_robot.resources import locate

MODES = ("idle", "reach")

EPISODES = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Deeper than other latched topics: the end of one episode and the start of the next come back to back."""


class PolicyNode(ros.RigNode):
    """`rig/latent`, `rig/goal/latent` -> `rig/policy/twist`, `rig/episode`."""

    def __init__(self) -> None:
        super().__init__("policy")
        checkpoint = self.declare("checkpoint", Parameter.Type.STRING, "Checkpoint directory: its policy acts.")
        self._base_frame = self.declare("base_frame", "base", "Frame of the twists: the base of the arm.")
        self._max_age = self.declare(
            "max_age", 0.3, "A latent whose frame is older than this is not acted on [s].", low=0.01, high=10.0
        )
        asked = self.declare("mode", "idle", "What it does: idle or reach.", check=_check_mode, read_only=False)
        if asked != "idle":
            self.get_logger().warning(f"mode is idle after every start; set it to {asked} once the node runs")
            self.set_parameters([Parameter("mode", value="idle")])

        self._policy = Policy(locate(checkpoint))
        config = self._policy.config
        self._vae_id = config.policy.vae_sha256[:8]
        self._latent_size = config.vae.latent_size
        self._axes = config.action.axes
        self._speed = config.action.scale_m / config.action.period_s  # m/s of an action of 1
        nowhere = np.zeros(self._latent_size, np.float32)
        self._policy.act(nowhere, nowhere)  # the first call takes many times longer than the rest
        self._pacer = Pacer(config.action.period_s)
        self._refusals = Refusals(self.get_logger())
        self._mode = "idle"
        self._goal: Latent | None = None
        self._goal_stamp = 0
        self._episode: str | None = None
        self._episode_steps = 0
        self._actions = 0
        self._age = float("nan")

        self._twists = self.publisher(TwistStamped, "rig/policy/twist", ros.COMMAND)
        self._episodes = self.publisher(DiagnosticStatus, "rig/episode", EPISODES)
        self.subscribe(Image, "rig/goal/latent", self._on_goal, ros.LATCHED)
        self.subscribe(Image, "rig/latent", self._on_latent, ros.OBSERVATION)
        self.add_post_set_parameters_callback(self._on_parameters)

    def _on_latent(self, message: Image) -> None:
        stamp = ros.stamp_s(message.header.stamp)
        due = self._pacer.due(stamp)
        if not due or self._episode is None or self._goal is None:
            return
        try:
            self._age = Arrival.of(stamp, self.now()).age
            if self._age > self._max_age:
                raise ValueError(f"its frame is older than {self._max_age:g} s (max_age)")
            action = self._policy.act(self._read(message).mean, self._goal.mean)
        except ValueError as error:
            self._refusals.refuse(f"rig/latent: not acted on: {error}")
            return
        twist = TwistStamped()
        twist.header.stamp = message.header.stamp
        twist.header.frame_id = self._base_frame
        for axis, value in zip(self._axes, action.tolist(), strict=True):
            setattr(twist.twist.linear, axis, value * self._speed)
        self._twists.publish(twist)
        self._pacer.acted(stamp)
        self._refusals.accept()
        self._actions += 1
        self._episode_steps += 1

    def _on_goal(self, message: Image) -> None:
        try:
            goal = self._read(message) if message.width else None
        except ValueError as error:
            self._end_episode("the goal cannot be used")
            self._goal = None
            self._refusals.refuse(f"rig/goal/latent: the goal is refused: {error}")
            return
        self._end_episode("new goal" if goal else "goal cleared")
        self._goal, self._goal_stamp = goal, ros.stamp_ns(message.header.stamp)
        self._refusals.accept()
        self._start_episode()

    def _read(self, message: Image) -> Latent:
        """The latent in a message, if this policy was trained on the VAE that it comes from; else ValueError."""
        found = latent.from_message(message)
        if found.vae_id != self._vae_id:
            raise ValueError(
                f"it comes from VAE {found.vae_id}, the policy was trained on {self._vae_id}: "
                "start encoder and policy with the same checkpoint"
            )
        if found.mean.size != self._latent_size:
            raise ValueError(f"it has {found.mean.size} numbers, the policy takes {self._latent_size}")
        return found

    def _on_parameters(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "mode" and parameter.value != self._mode:
                self._end_episode(f"mode {parameter.value}")
                self._mode = parameter.value
                self.get_logger().info(f"mode {self._mode}")
                self._start_episode()

    def _start_episode(self) -> None:
        """Begin to act, where there is a goal and leave to reach it."""
        if self._mode != "reach" or self._goal is None:
            return
        self._episode = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._episode_steps = 0
        self._tell_episode("start", "")

    def _end_episode(self, why: str) -> None:
        if self._episode is not None:
            self._tell_episode("end", why)
            self._episode = None

    def _tell_episode(self, event: str, why: str) -> None:
        values = {
            "id": self._episode,
            "event": event,
            "mode": self._mode,
            "goal": self._goal_stamp,
            "steps": self._episode_steps,
            "why": why,
        }
        self._episodes.publish(ros.diagnostic("episode", ros.OK, event, values))

    def stop(self) -> None:
        """Close the episode: what was recorded of it is whole."""
        self._end_episode("the policy node stops")

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Say what it is doing, and why not where it should but cannot."""
        values = {
            "mode": self._mode,
            "goal": self._goal_stamp if self._goal else "none",
            "actions": self._actions,
            "refused": self._refusals.count,
            "age of the last frame at arrival [s]": f"{self._age:.4f}",
            "vae": self._vae_id,
        }
        if self._refusals.reason:
            return ros.WARN, self._refusals.reason, values
        if self._mode == "reach" and self._goal is None:
            return ros.OK, "reach: waits for a goal", values
        return ros.OK, self._mode, values


def _check_mode(mode: str) -> str | None:
    if mode in ("explore", "practice"):
        return f"mode {mode} is not there yet; one of {', '.join(MODES)} is"
    return None if mode in MODES else f"must be one of {', '.join(MODES)}"


def main() -> None:
    ros.run(PolicyNode)


if __name__ == "__main__":
    main()
