"""The state of learning on a robot, on disk: networks, recorded frames, and how far learning is.

Images are written to mapped files as they come (`frame_store.py`); all else is one file that is replaced by rename
(`training_state.py`). A killed process goes on from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.practice.frame_store import FrameStore
from rig_robot.learning.practice.phases import Notes, Phase
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.training.training_state import (
    STATE_FILE,
    fill_replay,
    load_learnt,
    load_notes,
    load_state,
    replay_arrays,
    save_state,
)

BEFORE_FILE = "before.safetensors"
"""The networks from before the present attempt, to roll back to"""
HELD_OUT_EVERY = 10
"""One of so many episodes is held out"""
ENCODE_BATCH = 500
"""frames at once"""
PLANNED_STEPS = 3_500
"""Steps of practice over which the learning rates fall"""


def resume(work: Path, restore_state: Callable[[Notes], None], begin: Callable[[], None]) -> str:
    """Restore the state saved in a directory, or begin where there is none or none that can be read.

    Args:
        work: The directory.
        restore_state: Called with the saved notes.
        begin: Called where there is nothing to restore.

    Returns:
        Why a saved state was set aside; empty where none was.
    """
    work.mkdir(parents=True, exist_ok=True)
    try:
        notes = load_notes(work)
        if notes is not None:
            restore_state(Notes.from_json(notes))
            return ""
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        broken = work / f"{STATE_FILE}.broken"
        (work / STATE_FILE).replace(broken)
        begin()
        return f"the training state cannot be read and is set aside as {broken.name} ({error})"
    begin()
    return ""


class State:
    """Networks, recorded frames and notes.

    Args:
        work: Directory of the state. A state that cannot be read is set aside, and all begins anew.
        root: Directory of checkpoints, with a link `current` to the one to begin with.
        settings: How to learn.

    Raises:
        CheckpointError: If there is no usable current checkpoint.
    """

    def __init__(self, work: Path, root: Path, settings: Settings) -> None:
        self.work, self._root, self._settings = work, root, settings
        self.best: dict[str, np.ndarray] = {}
        """weights of the VAE at the best held-out loss of the present fine-tuning"""
        self.trouble = resume(work, self._resume, self._begin)
        """why a former state was set aside"""

    def _begin(self) -> None:
        """Begin from the current checkpoint, with no frames yet."""
        directory = checkpoint.resolve(self._root)
        config = checkpoint.read_config(directory)
        self.notes = Notes(
            phase=Phase.PRACTISE if config.trained else Phase.GATHER,
            present=directory.name,
            training={name: value for name, value in config.training.items() if name != "out"},
            wanted=self._settings.exploration_steps,
        )
        self._build(config)
        restore.load(directory, config, self.rig)
        self.save()

    def _resume(self, notes: Notes) -> None:
        """Restore the saved state."""
        self.notes = notes
        self._build(checkpoint.read_config(self._root))
        saved = load_state(self.work, self.rig)
        fill_replay(self.held_out.replay, "held_out", saved)
        self.best = {name.removeprefix("best."): saved[name] for name in saved if name.startswith("best.")}

    def _build(self, config: CheckpointConfig) -> None:
        """Make new networks and empty room for frames; the caller fills both."""
        self.config = config
        settings, notes = self._settings, self.notes
        args = restore.arguments(dataclasses.replace(config, training=notes.training), self.work, notes.present)
        # Schedules are for a run of known length. The goals of practice episodes are not kept: their share of the
        # relabelling, usually none, goes to frames from everywhere.
        self.args = dataclasses.replace(
            args,
            updates=settings.updates,
            online_steps=PLANNED_STEPS,
            keep_exploration=True,
            warm_up=0,
            replayed=1 - args.future - args.imagined,
            seed=args.seed + notes.attempts,
        )
        box, size = ActionBox.of_entries(config.action, config.workspace), args.image_size
        shape = (settings.capacity, size, size, 3)
        held_out_shape = (max(shape[0] // HELD_OUT_EVERY, 1), *shape[1:])
        generation, held_out_generation = notes.generations
        self.experience = FrameStore(self.work, "frames", generation, shape)
        self.held_out = FrameStore(self.work, "held_out", held_out_generation, held_out_shape)
        self.rig = Rig(self.args, box, 1, self.experience.images)
        self.experience.hold(self.rig.replay)
        assert isinstance(self.rig.representation, Latent)  # `restore.arguments` has seen to it
        self.vae = self.rig.representation
        self.held_out.hold(ReplayBuffer(held_out_shape[0], self.vae.size, box.size, self.held_out.images))
        self.best = {}

    def save(self) -> None:
        """Replace the state on disk."""
        self.notes.generations = [self.experience.generation, self.held_out.generation]
        more = replay_arrays(self.held_out.replay, "held_out")
        more |= {f"best.{name}": array for name, array in self.best.items()}
        save_state(self.work, self.rig, self.notes.to_json(), more)
        self.experience.remove_old_files()
        self.held_out.remove_old_files()

    def save_fallback(self) -> None:
        """Keep the networks as they are, to roll back to."""
        save_state(self.work, self.rig, self.notes.to_json(), name=BEFORE_FILE)

    def restore_fallback(self) -> None:
        """Restore the networks of the last `save_fallback`; the frames' latents are still those of another VAE."""
        load_learnt(self.work / BEFORE_FILE, self.rig)
        self.best = {}

    def load_checkpoint(self, name: str) -> None:
        """Load the networks of a checkpoint; the frames' latents are still those of another VAE."""
        directory = self._root / name
        restore.load(directory, checkpoint.read_config(directory), self.rig)
        self.best = {}

    def start_over(self) -> None:
        """Make new networks and keep all frames."""
        rig = self.rig
        seen, held_out = replay_arrays(rig.replay, "replay"), replay_arrays(self.held_out.replay, "held_out")
        self.notes.attempts += 1
        self.notes.updates = 0
        self._build(self.config)
        fill_replay(self.rig.replay, "replay", seen)
        fill_replay(self.held_out.replay, "held_out", held_out)
        self.rig.explored, self.rig.episodes = rig.explored, rig.episodes

    def keep_best(self, loss: float) -> None:
        """Keep the VAE's weights as the best of the present fine-tuning so far; loss: on held-out images."""
        self.best = {name: tensor.numpy().copy() for name, tensor in self.vae.state_dict().items()}
        self.notes.best_loss, self.notes.best_step = loss, self.notes.step

    def restore_best(self) -> None:
        """Restore the VAE's best weights of the present fine-tuning."""
        with torch.no_grad():
            for name, tensor in self.vae.state_dict().items():
                tensor.copy_(torch.from_numpy(self.best[name]))
        self.best = {}

    def encode(self, frames: slice) -> None:
        """Encode frames with the present VAE."""
        replay, indices = self.rig.replay, np.arange(frames.start, frames.stop)
        parts = np.array_split(indices, -(-len(indices) // ENCODE_BATCH))
        replay.latents[frames] = np.concatenate([self.vae.encode(replay.frames(part)) for part in parts])
