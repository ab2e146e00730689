"""What the page works with: what was heard, who has control, the pictures, and the robot that takes orders."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rig_robot.checkpoints.checkpoint import CheckpointConfig
from rig_robot.page.arm_model import ArmModel
from rig_robot.page.control import Control
from rig_robot.page.episodes import Episodes
from rig_robot.page.gallery import Gallery
from rig_robot.page.goal_pictures import GoalPictures
from rig_robot.page.heard import Heard


class Outcome(NamedTuple):
    """The robot's answer to an order: whether it was carried out, and the node's own words."""

    done: bool
    text: str


class Robot(Protocol):
    """The running system, as far as it takes orders. Its methods may be called in any thread."""

    def tell(self, command: str) -> Future[Outcome]:
        """Give an order in the words of `rig tell`: a service's, or a mode of the policy."""

    def send_goal(self, data: bytes) -> Future[Outcome]:
        """Send a picture, the bytes of a PNG or JPEG file, to the goal node, and return its answer."""

    def switch(self, checkpoint: str) -> Future[Outcome]:
        """Make another checkpoint of the root current, in the running system, too."""


@dataclass
class Desk:
    """All that the pages share.

    Attributes:
        heard: What is known of the system.
        control: Which page has control.
        gallery: The newest pictures.
        pictures: Pictures that may become the goal.
        episodes: Recorded episodes.
        robot: Takes orders.
        config: The running checkpoint's; None until it is loaded.
        checkpoints: Root of several checkpoints; None where there is but one, or on another computer.
        arm_model: The arm to draw; None until it is known.
        arm_trouble: Why it cannot be drawn.
        scene: The newest observation, uint8 [S, S, 3] RGB.
    """

    heard: Heard
    control: Control
    gallery: Gallery
    pictures: GoalPictures
    episodes: Episodes
    robot: Robot
    config: CheckpointConfig | None = None
    checkpoints: Path | None = None
    arm_model: ArmModel | None = None
    arm_trouble: str = "the arm node has not been heard yet"
    scene: np.ndarray | None = field(default=None, repr=False)

    def target(self) -> np.ndarray | None:
        """Return where the goal has the tool [3] m, base frame; None where that is not known.

        A split VAE's latent is measured in actions, so that the way to the goal is known along the policy's axes.
        """
        heard, config = self.heard, self.config
        if config is None or not config.vae.scene_size or heard.tool is None:
            return None
        latent, goal = heard.latent, heard.goal_latent
        axes = ["xyz".index(axis) for axis in config.action.axes]
        if latent is None or goal is None or latent.shape != goal.shape or len(latent) < len(axes):
            return None
        target = heard.tool.copy()
        target[axes] += config.action.scale_m * (goal - latent)[: len(axes)]
        for axis, place in config.action.fixed.items():
            target["xyz".index(axis)] = place
        return target
