"""The state of a practice on disk: what is learned, what it is learned from, and how far it is.

Images are written to mapped files as they come (`experience.py`); all else is one file that is replaced by rename
(`run_state.py`). What is killed goes on from there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import safetensors
import torch

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.checkpoint import CheckpointConfig
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.practice.frame_store import Shelf
from rig_robot.learning.practice.phases import GATHER, PRACTISE, Notes
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
"""The networks from before the present attempt at something better, to go back to"""
HELD_OUT_EVERY = 10
"""One of so many episodes is held out."""
ENCODE_BATCH = 500
"""frames at once"""
PLANNED_STEPS = 3_500
"""Steps of practice over which the learning rates fall."""


class State:
    """Networks, recorded frames and notes.

    Args:
        work: Directory of the state. One that cannot be read is set aside, and all begins anew.
        root: Of checkpoints, with a link `current` to the one to begin with.
        settings: How to learn.

    Raises:
        CheckpointError: If there is no usable current checkpoint.
    """

    def __init__(self, work: Path, root: Path, settings: Settings) -> None:
        self.work, self._root, self._settings = work, root, settings
        self.trouble = ""
        """why a former state was set aside"""
        self.best: dict[str, np.ndarray] = {}
        """weights of the VAE at the best held-out loss of the present fine-tuning"""
        work.mkdir(parents=True, exist_ok=True)
        try:
            self._resume()
        except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            broken = work / f"{STATE_FILE}.broken"
            (work / STATE_FILE).replace(broken)
            self.trouble = f"the training state cannot be read and is set aside as {broken.name} ({error})"
            self._begin()

    def _begin(self) -> None:
        """From the current checkpoint, with nothing seen yet."""
        directory = checkpoint.resolve(self._root)
        config = checkpoint.read_config(directory)
        self.notes = Notes(
            phase=PRACTISE if config.trained else GATHER,
            present=directory.name,
            training={name: value for name, value in config.training.items() if name != "out"},
            wanted=self._settings.exploration_steps,
        )
        self._make(config)
        restore.load(directory, config, self.rig)
        self.save()

    def _resume(self) -> None:
        """From the saved state; from the beginning where there is none."""
        notes = load_notes(self.work)
        if notes is None:
            self._begin()
            return
        self.notes = Notes(**notes)
        self._make(checkpoint.read_config(self._root))
        saved = load_state(self.work, self.rig)
        fill_replay(self.held_out.replay, "held_out", saved)
        self.best = {name.removeprefix("best."): saved[name] for name in saved if name.startswith("best.")}

    def _make(self, config: CheckpointConfig) -> None:
        """Networks and room for what is recorded; what fills them comes next."""
        self.config = config
        settings, notes = self._settings, self.notes
        args = restore.arguments(dataclasses.replace(config, training=notes.training), self.work)
        # Schedules are for a run of known length. Goals that were practised are not kept: their share, usually none,
        # goes to frames from everywhere.
        self.args = dataclasses.replace(
            args,
            updates=settings.updates,
            online_steps=PLANNED_STEPS,
            keep_exploration=True,
            warm_up=0,
            replayed=1 - args.future - args.imagined,
            seed=args.seed + notes.attempts,
        )
        actions, size = len(config.action.axes), args.image_size
        shape = (settings.capacity, size, size, 3)
        held_out_shape = (max(shape[0] // HELD_OUT_EVERY, 1), *shape[1:])
        generation, held_out_generation = notes.generations
        self.experience = Shelf(self.work, "frames", generation, shape)
        self.held_out = Shelf(self.work, "held_out", held_out_generation, held_out_shape)
        self.rig = Rig(self.args, actions, 1, self.experience.images)
        self.experience.hold(self.rig.replay)
        self.held_out.hold(ReplayBuffer(held_out_shape[0], args.latent_size, actions, self.held_out.images))
        assert isinstance(self.rig.representation, Latent)  # `restore.arguments` has seen to it
        self.vae = self.rig.representation
        self.best = {}

    def save(self) -> None:
        """Replace the state on disk by this one."""
        self.notes.generations = [self.experience.generation, self.held_out.generation]
        more = replay_arrays(self.held_out.replay, "held_out")
        more |= {f"best.{name}": array for name, array in self.best.items()}
        save_state(self.work, self.rig, dataclasses.asdict(self.notes), more)
        self.experience.sweep()
        self.held_out.sweep()

    def set_mark(self) -> None:
        """Keep the networks as they are, to go back to."""
        save_state(self.work, self.rig, dataclasses.asdict(self.notes), name=BEFORE_FILE)

    def go_back(self) -> None:
        """To the networks as they were at the mark; every latent is then still another VAE's."""
        load_learnt(self.work / BEFORE_FILE, self.rig)
        self.best = {}

    def follow(self, name: str) -> None:
        """To the networks of a checkpoint; every latent is then still another VAE's."""
        directory = self._root / name
        restore.load(directory, checkpoint.read_config(directory), self.rig)
        self.best = {}

    def start_over(self) -> None:
        """To new networks, with all that was seen."""
        rig = self.rig
        seen, held_out = replay_arrays(rig.replay, "replay"), replay_arrays(self.held_out.replay, "held_out")
        self.notes.attempts += 1
        self.notes.updates = 0
        self._make(self.config)
        fill_replay(self.rig.replay, "replay", seen)
        fill_replay(self.held_out.replay, "held_out", held_out)
        self.rig.explored, self.rig.episodes = rig.explored, rig.episodes

    def keep_best(self, loss: float) -> None:
        """The VAE is the best of the present fine-tuning so far."""
        self.best = {name: tensor.numpy().copy() for name, tensor in self.vae.state_dict().items()}
        self.notes.best_loss, self.notes.best_step = loss, self.notes.step

    def take_best(self) -> None:
        """Go back to the best VAE of the present fine-tuning."""
        with torch.no_grad():
            for name, tensor in self.vae.state_dict().items():
                tensor.copy_(torch.from_numpy(self.best[name]))
        self.best = {}

    def encode(self, frames: slice) -> None:
        """Give frames the latents that the VAE of now makes of them."""
        replay, indices = self.rig.replay, np.arange(frames.start, frames.stop)
        parts = np.array_split(indices, -(-len(indices) // ENCODE_BATCH))
        replay.latents[frames] = np.concatenate([self.vae.encode(replay.frames(part)) for part in parts])
