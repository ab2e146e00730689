"""Finds recorded episodes, earlier data and pictures on disk, and gives them to the trainer node's learner."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from rclpy.parameter import Parameter

from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.modes import Mode
from rig_robot.common.one_line import one_line
from rig_robot.learning.practice.frame_store import is_buffer, read_buffer
from rig_robot.learning.practice.practice_base import Practice
from rig_robot.recording.bag_images import read_pictures
from rig_robot.recording.bag_reader import BagError
from rig_robot.recording.episode_reader import EpisodeError, EpisodeInfo, find, settled
from rig_robot.recording.transitions import read_segments
from rig_robot.ros.node import RigNode
from rig_robot.vision.observation import Crop

LOOK_S = 1.0
"""Time between two looks for new episodes [s]."""
PICTURE_EVERY_S = 0.5
"""Time between two pictures that are taken from a bag without actions [s]."""
MOST_PICTURES = 20_000


class EpisodeSource:
    """Reads episodes from the directories that the trainer node's parameters name.

    It is used by the learner's thread only, but for its construction.
    """

    def __init__(self, node: RigNode) -> None:
        episodes = node.declare("episodes", Parameter.Type.STRING_ARRAY, "Directories where episodes appear.")
        old = node.declare("old", [""], "Directories of earlier episodes, or buffers of `rig explore`.")
        bags = node.declare("pictures", [""], "Bags of pictures without actions that the VAE shall see as well.")
        self._topic = node.declare("pictures_topic", "camera/image_raw", "Topic of the pictures in those bags.")
        self._episodes, self._old, self._bags = (_paths(given) for given in (episodes, old, bags))
        self._log = node.get_logger()
        self._new: list[EpisodeInfo] = []
        self._looked = 0.0
        self._missing: set[Path] = set()

    def give_next(self, learner: Practice, config: CheckpointConfig) -> bool:
        """Give the learner the oldest new episode; return whether there was one. The disk is read once a second.

        Args:
            learner: It takes the episode, or notes why it cannot be used.
            config: Configuration of the running checkpoint; episodes of another robot are rejected.
        """
        now = time.monotonic()
        if not self._new and now - self._looked > LOOK_S:
            self._looked = now
            self._new = [info for root in self._episodes for info in self._find(learner, config, root)]
            self._new.sort(key=lambda info: info.start_ns)
        if not self._new:
            return False
        info = self._new.pop(0)
        try:
            segments = read_segments(info, self._warn)
        except EpisodeError as error:
            learner.refuse(info.id, str(error))
        else:
            learner.take(info.id, segments, info.mode == Mode.EXPLORE)
        return True

    def give_earlier(self, learner: Practice, config: CheckpointConfig) -> None:
        """Give a learner that has just started the data of earlier trainings, and pictures without actions."""
        size, axes = config.camera.image_size, len(config.action.axes)
        for path in self._old:
            if is_buffer(path):
                if path.name not in learner.taken:
                    self._give_buffer(learner, path, size, axes)
                continue
            for info in self._find(learner, config, path, growing=False):
                try:
                    learner.recall(info.id, read_segments(info, self._warn))
                except EpisodeError as error:
                    learner.refuse(info.id, str(error))
        learner.others = self._pictures(Crop(*config.camera.crop), size)

    def _give_buffer(self, learner: Practice, path: Path, size: int, axes: int) -> None:
        """Give the learner a buffer of `rig explore`; one that cannot be used is named and passed over."""
        try:
            segments = read_buffer(path, size, axes)
        except (ValueError, OSError) as error:
            learner.refuse(path.name, str(error))
        else:
            learner.recall(path.name, segments)

    def _pictures(self, crop: Crop, size: int) -> np.ndarray | None:
        """Return the pictures of the bags as observations, uint8 [N, size, size, 3] RGB; None where there are none."""
        pictures: list[np.ndarray] = []
        for bag in self._bags:
            before = len(pictures)
            try:
                for picture in read_pictures(bag, self._topic, crop, size, PICTURE_EVERY_S, self._warn):
                    if len(pictures) < MOST_PICTURES:
                        pictures.append(picture)
            except BagError as error:
                self._warn(f"{error}; no picture of it is used")
            else:
                self._log.info(f"{bag}: {len(pictures) - before} pictures")
        return np.stack(pictures) if pictures else None

    def _find(self, learner: Practice, config: CheckpointConfig, root: Path, growing: bool = True) -> list[EpisodeInfo]:
        """Return the new episodes in a directory, and have the learner note once which cannot be used and why.

        Args:
            learner: It knows which episodes it has taken.
            config: Configuration of the running checkpoint.
            root: The directory.
            growing: Whether episodes may still be on their way into it from another computer, not whole yet: then one
                is rejected only when nothing changes in it any more.
        """
        try:
            good, refused = find(root, config, learner.taken)
        except EpisodeError as error:  # the recorder makes the directory with the first episode
            if root not in self._missing:
                self._warn(str(error))
            self._missing.add(root)
            return []
        for directory, why in refused:
            if settled(directory) or not growing:
                learner.refuse(directory.name, why)
        return good

    def _warn(self, text: str) -> None:
        self._log.warning(one_line(text))


def _paths(given: list[str]) -> list[Path]:
    return [Path(path).expanduser() for path in given if path]
