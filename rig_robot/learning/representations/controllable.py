"""RIG's representation in a room that changes: the latent of what the robot's actions control, and of nothing else."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.checkpoints.config import VaeEntry
from rig_robot.inference.keypoint_architecture import UNFAMILIAR
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.latent import Latent, actions_between
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.vae.augmentation import strength
from rig_robot.learning.vae.measures import motion_error, redraw_error
from rig_robot.learning.vae.split_trainer import Path, SetPoint, SplitVaeTrainer
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels

APART = 5
"""Steps between the two frames of a pair on which a VAE is measured"""
NEARLY_ALL = 0.9
"""Share of an episode's frames that must be familiar. Of pictures all over the box, a quarter to a half is not where
the camera was turned, and none where only the room changes."""
FAMILIAR = 1_000
"""Most frames from which it is noted what familiar pictures look like"""


class ControllableLatent(Latent):
    """c of a split VAE: as many numbers as actions, each in actions from the middle of the tool's box."""

    nearest = 0  # a pair can be one frame, augmented twice
    vae: SplitVae
    calibration: SetPoint
    trainer: SplitVaeTrainer

    def build(self) -> None:
        args = self.args
        self.vae = SplitVae(args.image_size, self.box.reach.tolist(), args.scene_size, args.channels)
        self.calibration = SetPoint(self.vae.reach)
        self.reset_optimiser()

    def reset_optimiser(self) -> None:
        args = self.args
        self.trainer = SplitVaeTrainer(self.vae, self.calibration, args.beta, args.calibration, args.anchor)

    def update(
        self,
        replay: ReplayBuffer,
        frames: np.ndarray,
        rate: float,
        rng: np.random.Generator,
        others: np.ndarray | None = None,
        progress: float = 1.0,
    ) -> Log:
        """See `Latent.update`; others: pictures that the augmentation cuts patches from."""
        first, second = frames
        path = path_between(replay, first, second)
        contexts = rng.integers(replay.first[replay.episode[first]], replay.last(first) + 1)
        every = frames.reshape(-1)
        log = self.trainer.update(
            replay.images[every],
            replay.images[contexts],
            path,
            rate,
            rng,
            self.args.augmentation * strength(progress),
            others if others is None else others[np.sort(rng.integers(len(others), size=min(len(others), 32)))],
            self.box.coordinates(replay.states[every]) if self.args.anchor == "proprioception" else None,
        )
        return {name: float(value) for name, value in log.items()}

    def entry(self) -> VaeEntry:
        """Return the VAE's entry of a checkpoint."""
        return VaeEntry(self.size, self.args.channels, scene_size=self.args.scene_size)

    def held_out_loss(self, vae: nn.Module, replay: ReplayBuffer, frames: range) -> float:
        """Return the loss of a split VAE on frames that it was not trained on, without augmentation."""
        assert isinstance(vae, SplitVae)
        pair = _all_pairs(replay, frames)
        first, second = replay.images[pair[0]], replay.images[pair[1]]
        redrawn = redraw_error(vae, first, second, self.args.beta)
        return redrawn + self.args.calibration * self._motion_error(vae, replay, pair)

    @torch.inference_mode()
    def finish(self, replay: ReplayBuffer) -> None:
        """Note what pictures of this arm look like, by which others are told from them."""
        frames = np.linspace(0, replay.size - 1, min(replay.size, FAMILIAR)).astype(int)
        self.vae.familiarity.fit(self.vae.controllable.features(to_pixels(replay.images[frames])))

    @torch.inference_mode()
    def knows_view(self, prior: Prior, replay: ReplayBuffer, frames: range) -> bool:
        """Return whether nearly all of these frames show the arm as those of training do."""
        features = self.vae.controllable.features(to_pixels(replay.images[frames.start : frames.stop]))
        return bool(self.vae.familiarity(features).quantile(NEARLY_ALL) <= UNFAMILIAR)

    def _motion_error(self, vae: SplitVae, replay: ReplayBuffer, pair: np.ndarray) -> float:
        return motion_error(vae, self.calibration, replay.images[pair.reshape(-1)], path_between(replay, *pair))

    def forward(self, frames: Frames) -> Tensor:
        return self.vae.encode(to_pixels(frames.images))[0]


def path_between(replay: ReplayBuffer, first: np.ndarray, second: np.ndarray) -> Path:
    """Return what was done between the frames of pairs: int64 [B] each, numbers of frames."""
    taken, steps = actions_between(replay, first, second)
    return Path(*map(torch.from_numpy, (taken, steps, replay.actions[first - 1])))


def _all_pairs(replay: ReplayBuffer, frames: range) -> np.ndarray:
    """Return all pairs among frames that are `APART` steps apart, nearer at the end of an episode: int64 [2, N]."""
    first = np.arange(frames.start, frames.stop)
    second = np.minimum(np.minimum(first + APART, replay.last(first)), frames.stop - 1)
    return np.stack((first, second))
