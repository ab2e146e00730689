"""The state of learning to push on a robot, on disk: networks, recorded frames, and how far learning is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.planning.push_learner import PushLearner
from rig_robot.learning.practice.frame_store import FrameStore
from rig_robot.learning.practice.phases import Notes, Phase
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.practice.state import resume
from rig_robot.learning.representations.object_choice import RADIUS
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.replay_buffer import Frames
from rig_robot.learning.training.training_state import fill_replay, load_state, replay_arrays, save_state

POSITION = 3
"""Numbers of a measured tool position"""


class PushState:
    """Networks, recorded frames and notes.

    A checkpoint holds neither the model of what actions do nor what was recorded. From one that pushes, the robot
    explores and acts; the networks that learn are new.

    Args:
        work: Directory of the state. A state that cannot be read is set aside, and all begins anew.
        root: Directory of checkpoints, with a link `current` to the one to begin with.
        settings: How to learn.

    Raises:
        CheckpointError: If there is no usable current checkpoint.
    """

    def __init__(self, work: Path, root: Path, settings: Settings) -> None:
        self.work, self._root, self._settings = work, root, settings
        self.trouble = resume(work, self._resume, self._begin)
        """why a former state was set aside"""

    def _begin(self) -> None:
        """Begin from the current checkpoint, with no frames yet."""
        directory = checkpoint.resolve(self._root)
        config = checkpoint.read_config(directory)
        self.notes = Notes(
            phase=Phase.GATHER,
            present=directory.name,
            training={name: value for name, value in config.training.items() if name != "out"},
            wanted=self._settings.exploration_steps,
            seen=1 if config.trained else 0,  # its encoder finds the object: contact is sought from the beginning
            figures=dict(config.figures),
        )
        self._build(config)
        self.save()

    def _resume(self, notes: Notes) -> None:
        """Restore the saved state."""
        self.notes = notes
        self._build(checkpoint.read_config(self._root))
        load_state(self.work, self.learner)

    def _build(self, config: CheckpointConfig) -> None:
        """Make new networks and empty room for frames; the caller fills both."""
        self.config = config
        notes = self.notes
        args = restore.push_arguments(dataclasses.replace(config, training=notes.training), self.work, notes.present)
        self.args = dataclasses.replace(args, seed=args.seed + notes.attempts)
        size = args.image_size
        self.experience = FrameStore(
            self.work, "frames", notes.generations[0], (self._settings.capacity, size, size, 3)
        )
        box = ActionBox.of_entries(config.action, config.workspace)
        self.learner = PushLearner(self.args, box, 1, 1, self.experience.images, POSITION, RADIUS)
        self.experience.hold(self.learner.replay)
        assert isinstance(self.learner.representation, ObjectLatent)  # `restore.push_arguments` has seen to it
        self.representation = self.learner.representation

    def save(self) -> None:
        """Replace the state on disk."""
        self.notes.generations = [self.experience.generation, 0]
        save_state(self.work, self.learner, self.notes.to_json())
        self.experience.remove_old_files()

    def start_over(self) -> None:
        """Make new networks and keep all frames."""
        frames, explored = replay_arrays(self.learner.replay, "replay"), self.learner.explored
        self.notes.attempts += 1
        self._build(self.config)
        fill_replay(self.learner.replay, "replay", frames)
        self.learner.explored = explored

    def encode(self, frames: slice) -> None:
        """Encode the frames of whole episodes; what the whole of each tells of its moments counts."""
        replay = self.learner.replay
        for first in replay.first[(replay.first >= frames.start) & (replay.first < frames.stop)]:
            episode = slice(int(first), int(replay.last(np.array([first]))[0]) + 1)
            seen = Frames(replay.images[episode], replay.states[episode], replay.images[episode])
            replay.latents[episode] = self.representation.settled(*self.representation.look(seen))
