"""Chooses the policy node's actions: the policy's own, noisy ones in practice, random ones in exploration.

Where there is an object to push, exploration is by straight motions, and by motions at the object once it is seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped

from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.message_fields import stamp_s
from rig_robot.common.modes import Mode
from rig_robot.inference.contact_seeking import ContactSeeking
from rig_robot.inference.exploration import Explorer
from rig_robot.inference.latent import Latent
from rig_robot.inference.places import Places
from rig_robot.inference.policy_pairs import Pair, Pairs
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import STATE

STICKY = 10
"""Steps for which a random direction is held, as `rig train` does by default."""
AIMED = 0.5
"""Share of the motions of exploration that are aimed at an object that is seen, as in `rig train --task push`."""
POSE_AGE = 0.5
"""A tool pose older than this is taken as unknown [s]."""


class ActionChooser:
    """Chooses an action for a latent, by the mode of the episode.

    Args:
        node: The policy node.
        config: Configuration of the checkpoint; its action and workspace stay while the node runs.
        pairs: The policies that the node holds, each with its goal.
    """

    def __init__(self, node: RigNode, config: CheckpointConfig, pairs: Pairs) -> None:
        self._node, self._pairs = node, pairs
        self._noise = node.declare(
            "noise",
            0.2,
            "Standard deviation of the noise on actions in practice; 1 is full speed.",
            low=0,
            high=2,
        )
        text = "Share of random actions in practice; pushing: probability to begin a motion at the object."
        self._epsilon = node.declare("epsilon", 0.2, text, low=0, high=1)
        self._axes = len(config.action.axes)
        self._rng = np.random.default_rng()
        self._config = config
        self._seeking: tuple[Pair, ContactSeeking] | None = None
        """the pair by which the object is seen, and its straight motions"""
        self._explorer = Explorer(config.action, config.workspace, STICKY, self._rng)
        self._subscription: Any = None
        self._pose: tuple[float, np.ndarray] | None = None
        """ROS time of the newest tool pose [s], and the tool's position [3] m"""

    def choose(self, found: Latent, mode: Mode) -> np.ndarray | None:
        """Return an action [A] in [-1, 1]; None while this VAE's latent of the goal has not arrived.

        Raises:
            ValueError: If no policy here was trained on the latent's VAE.
        """
        if mode is Mode.EXPLORE:
            return self._straight(found) if self._config.vae.objects else self._explorer.act(self._tool_position())
        pair = self._pairs.of(found)
        if pair.goal is None:
            return None
        if mode is Mode.PRACTICE and (aside := self._aside(pair, found)) is not None:
            return aside
        action = pair.policy.act(found.mean, pair.goal.mean)
        if mode is Mode.PRACTICE:
            action = np.clip(action + self._rng.normal(0, self._noise, len(action)), -1, 1)
        return action

    def _aside(self, pair: Pair, found: Latent) -> np.ndarray | None:
        """Return an action of practice that is not the policy's; None where the policy's turn is."""
        if not pair.policy.config.vae.objects:
            random = self._rng.random() < self._epsilon
            return self._rng.uniform(-1, 1, self._axes).astype(np.float32) if random else None
        seeking = self._motions(pair)
        if not seeking.left and self._rng.random() < self._epsilon:
            seeking.begin(found.mean, self._rng, aimed=True)
        return seeking.action(found.mean, self._rng) if seeking.left else None

    def _straight(self, found: Latent) -> np.ndarray:
        """Return an action of a straight motion over the table; of one at the object, if that is seen."""
        pair = self._pairs.present
        if pair.policy.config.trained and found.vae_id == pair.policy.vae_id:
            self._pairs.of(found)  # raises for a latent of another size
            return self._motions(pair).action(found.mean, self._rng)
        return self._motions(pair).action(self._measured(), self._rng)

    def _motions(self, pair: Pair) -> ContactSeeking:
        """Return the straight motions over the places that a pair knows; at the object only where it was learned."""
        if self._seeking is None or self._seeking[0] is not pair:
            config = pair.policy.config
            assert config.places is not None  # checkpoints with objects have them
            aimed = AIMED if config.trained else 0.0
            self._seeking = pair, ContactSeeking(Places.of(config.places, self._axes), aimed)
        return self._seeking[1]

    def _measured(self) -> np.ndarray:
        """Return a latent [L] with only the tool's measured place right; the middle of the box where none is known."""
        latent, position = np.zeros(self._config.vae.latent_size, np.float32), self._tool_position()
        if position is not None:
            low, high = np.array(self._config.workspace.low), np.array(self._config.workspace.high)
            along = ["xyz".index(axis) for axis in self._config.action.axes]
            latent[: self._axes] = ((position - (low + high) / 2) / self._config.action.scale_m)[along]
        return latent

    def listen_to_pose(self, wanted: bool) -> None:
        """Subscribe to the tool's pose for exploration, and not otherwise: it comes a hundred times a second."""
        if wanted and self._subscription is None:
            self._subscription = self._node.subscribe(PoseStamped, "rig/ee_pose", self._on_pose, STATE)
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._pose = None

    def _on_pose(self, message: PoseStamped) -> None:
        position = message.pose.position
        self._pose = stamp_s(message.header.stamp), np.array([position.x, position.y, position.z])

    def _tool_position(self) -> np.ndarray | None:
        """Return the tool's position [3] m; None where it is not known."""
        if self._pose is None:
            return None
        stamp, position = self._pose
        return position if self._node.now() - stamp < POSE_AGE else None
