"""RIG's representation: the latent of a VAE, calibrated by the robot's own actions."""

import numpy as np
import torch
from torch import Tensor

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations.base import Log, Representation
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.rl.td3 import falling
from rig_robot.learning.vae.vae import Vae, to_images, to_pixels
from rig_robot.learning.vae.vae_trainer import Calibration, Moves, VaeTrainer, one_cycle

UNIT = 25
"""VAE updates in a unit of work"""
SPAN = 10
"""Most steps between the two frames of a pair. Over fewer, noise and delay count for more; over more, the edges."""
OTHERS = 4
"""A batch has one picture of elsewhere for so many frames of the robot's own."""


class Latent(Representation):
    """The mean of a VAE's encoder."""

    deployable = True

    def __init__(self, args: TrainArgs, action_size: int) -> None:
        super().__init__(args, action_size)
        self.args, self.size, self.units = args, args.latent_size, max(1, args.vae_updates // UNIT)
        self.vae = vae = self.make_vae(args)
        self.calibration = Calibration(args.latent_size, action_size) if args.calibration else None
        self.trainer = VaeTrainer(vae, args.beta, self.calibration, args.calibration)

    def make_vae(self, args: TrainArgs) -> Vae:
        """Return a new VAE."""
        return Vae(args.image_size, args.latent_size, args.channels, args.likelihood)

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator, others: np.ndarray | None = None) -> Log:
        """Do one unit of learning on everything in the buffer; others: see `update`."""
        if unit == 0 and self.args.likelihood == "gaussian":
            mean = replay.images[: replay.size].mean(axis=0, dtype=np.float64) / 255
            self.vae.mean_image.copy_(torch.from_numpy(mean).permute(2, 0, 1))
        for number in range(UNIT):
            rate = one_cycle((unit + number / UNIT) / self.units) if self.args.one_cycle else 1.0
            frames = pairs(replay, 0, replay.size, self.args.vae_batch, rng)
            log = self.update(replay, frames, self.args.vae_learning_rate * rate, rng, others)
        return log

    def fine_tune(
        self,
        replay: ReplayBuffer,
        explored: int,
        progress: float,
        rng: np.random.Generator,
        updates: int,
        others: np.ndarray | None = None,
    ) -> Log:
        """Fine-tune on a mixture of D, the first `explored` frames, and R, the rest (RIG, Algorithm 1, line 16).

        Where only one of the two exists, fine-tune on that one. others: see `update`.
        """
        parts = [(start, end) for start, end in ((0, explored), (explored, replay.size)) if end > start]
        for _ in range(updates):
            share = self.args.vae_batch // len(parts)
            frames = np.concatenate([pairs(replay, start, end, share, rng) for start, end in parts], axis=1)
            rate = self.args.fine_tune_learning_rate * falling(progress)
            log = self.update(replay, frames, rate, rng, others)
        return log

    def update(
        self,
        replay: ReplayBuffer,
        frames: np.ndarray,
        rate: float,
        rng: np.random.Generator,
        others: np.ndarray | None = None,
    ) -> Log:
        """Take one gradient step on pairs of frames, int64 [2, B / 2].

        others: uint8 [N, S, S, 3], pictures without actions: the VAE is trained on B / 4 of them as well; the
        calibration is not.
        """
        first, second = frames
        actions = replay.actions
        steps = first[:, None] + np.arange(SPAN)
        taken = actions[np.minimum(steps, replay.size - 1)]
        total = (taken * (steps < second[:, None])[:, :, None]).sum(axis=1)
        moves = Moves(*map(torch.from_numpy, (total, actions[first - 1], actions[second - 1])))
        seen = replay.frames(frames.reshape(-1))
        contexts = seen.contexts if self.vae.conditional else None
        images = seen.images
        if others is not None and len(others):
            chosen = others[np.sort(rng.integers(len(others), size=len(images) // OTHERS))]
            images = np.concatenate((images, chosen))
        log = self.trainer.update(images, rate, rng, moves, contexts)
        return {name: float(value) for name, value in log.items()}

    def forward(self, frames: Frames) -> Tensor:
        context = to_pixels(frames.contexts) if self.vae.conditional else None
        return self.vae.encode(to_pixels(frames.images), context)[0]

    @torch.inference_mode()
    def decode(self, latents: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Return the pictures, uint8 [B, S, S, 3], of latents [B, L]; contexts: the first images of their episodes."""
        context = to_pixels(contexts) if self.vae.conditional else None
        return to_images(self.vae.decode(torch.from_numpy(latents), context))


def pairs(replay: ReplayBuffer, start: int, end: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` frames of [start, end) in pairs of an episode, at most `SPAN` steps apart: int64 [2, count // 2]."""
    first = rng.integers(start, end, size=count // 2)
    second = np.minimum(first + rng.integers(1, SPAN + 1, size=len(first)), replay.last(first))
    return np.stack((first, second))
