"""Holds what the page works with: what was heard, who has control, the pictures, and the robot that takes orders."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rig_robot.checkpoints.config import CheckpointConfig
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

        A split VAE's latent is measured in actions, so that the way from the tool is known along the policy's axes.
        """
        return self._place(self.heard.goal_latent, 0)

    def thing(self) -> np.ndarray | None:
        """Return where the policy sees the object that it pushes [3] m, base frame; None where that is not known."""
        return self._place(self.heard.latent, 1) if self.config is not None and self.config.vae.objects else None

    def thing_radius(self) -> float:
        """Return how near the tool's middle came to the object's in training [m], for want of the object's size."""
        places = self.config.places if self.config is not None else None
        return self.config.action.scale_m * places.apart if self.config is not None and places is not None else 0.04

    def thing_target(self) -> np.ndarray | None:
        """Return where the goal has that object [3] m, base frame; None where that is not known."""
        return self._place(self.heard.goal_latent, 1) if self.config is not None and self.config.vae.objects else None

    def _place(self, wanted: np.ndarray | None, index: int) -> np.ndarray | None:
        """Return where a latent has the tool (index 0) or an object (1, after it in the latent) [3] m, base frame."""
        config, tool, latent = self.config, self.heard.tool, self.heard.latent
        if config is None or not config.vae.scene_size or tool is None or latent is None or wanted is None:
            return None
        axes = ["xyz".index(axis) for axis in config.action.axes]
        part = slice(index * len(axes), (index + 1) * len(axes))
        if latent.shape != wanted.shape or len(latent) < part.stop:
            return None
        place = tool.copy()
        place[axes] += config.action.scale_m * (wanted[part] - latent[: len(axes)])
        for axis, fixed in config.action.fixed.items():
            place["xyz".index(axis)] = fixed
        return place
