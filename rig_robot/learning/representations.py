"""What the algorithm calls a state and a goal: the tool's position, the picture itself, or a latent of it.

One interface, so that nothing that learns to act knows which it is. Distances in a representation are the reward.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.rl.td3 import falling
from rig_robot.learning.vae.conditional_vae import ConditionalVae
from rig_robot.learning.vae.vae import Vae, to_images, to_pixels
from rig_robot.learning.vae.vae_trainer import Calibration, Moves, VaeTrainer, one_cycle

UNIT = 25
"""VAE updates in a unit of work"""
SPAN = 10
"""Steps between the two frames of a pair, at most. Over few, noise and delay count for more; over many, the edges."""
OTHERS = 4
"""For so many frames of the robot's own, a batch has one picture of elsewhere."""

Log = dict[str, float]


class Representation(nn.Module, ABC):
    """e(s): what was seen, as a vector. Made with `units` units of work on D, the explored frames."""

    size: int
    """L, numbers in the vector"""
    units: int
    """units of work that it takes to learn"""
    deployable = False
    """whether a robot's encoder node can do the same"""

    @abstractmethod
    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        """One unit of learning on all that is in the buffer."""

    @abstractmethod
    def forward(self, frames: Frames) -> Tensor:
        """frames -> float32 [B, L]."""

    @torch.inference_mode()
    def encode(self, frames: Frames) -> np.ndarray:
        """frames -> float32 [B, L]."""
        return self(frames).numpy()

    def encode_all(self, replay: ReplayBuffer, batch: int = 500) -> np.ndarray:
        """Every frame of the buffer: float32 [size, L]."""
        chunks = np.array_split(np.arange(replay.size), -(-replay.size // batch))
        return np.concatenate([self.encode(replay.frames(chunk)) for chunk in chunks])


class State(Representation):
    """The oracle: the tool's true position along the axes that it moves along, in units of how far it comes about."""

    centre: Tensor
    scale: Tensor

    def __init__(self, args: TrainArgs, action_size: int) -> None:
        super().__init__()
        self.size, self.units = action_size, 1
        self.register_buffer("centre", torch.zeros(action_size))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        positions = torch.from_numpy(replay.states[: replay.size, : self.size])
        self.centre.copy_(positions.mean(dim=0))
        self.scale.copy_(positions.var(dim=0).mean().sqrt())
        return {}

    def forward(self, frames: Frames) -> Tensor:
        return (torch.from_numpy(frames.states[:, : self.size]) - self.centre) / self.scale


class Pixels(Representation):
    """The picture itself, turned so that its first `size` axes hold most of what differs between pictures.

    A rotation changes no distance, so rewards are the L2 distances of the images (the lecture's bad baseline), but for
    what the axes left out hold (the log says how much: `pixels/kept`). Networks on all pixels would cost a hundredfold.
    """

    mean: Tensor
    axes: Tensor
    scale: Tensor

    def __init__(self, args: TrainArgs, action_size: int) -> None:
        super().__init__()
        self.size, self.units = args.latent_size, 1
        pixels = 3 * args.image_size**2
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("axes", torch.zeros(pixels, self.size))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        chosen = np.sort(rng.choice(replay.size, size=min(replay.size, 2000), replace=False))
        if len(chosen) <= self.size:
            raise ValueError(
                f"{len(chosen)} images for {self.size} axes: explore for longer, or take fewer (latent_size)"
            )
        images = torch.from_numpy(replay.images[chosen]).flatten(1).float() / 255
        self.mean.copy_(images.mean(dim=0))
        images = images - self.mean
        variances, vectors = torch.linalg.eigh(images @ images.T)  # fewer images than pixels: the small side
        variances, vectors = variances[-self.size :], vectors[:, -self.size :]
        self.axes.copy_(images.T @ vectors / variances.sqrt())
        self.scale.copy_((variances.sum() / len(images) / self.size).sqrt())
        return {"pixels/kept": float(variances.sum() / images.square().sum())}

    def forward(self, frames: Frames) -> Tensor:
        images = torch.from_numpy(frames.images).flatten(1).float() / 255
        return (images - self.mean) @ self.axes / self.scale


class Latent(Representation):
    """The mean of a VAE's encoder."""

    def __init__(self, vae: Vae, args: TrainArgs, action_size: int) -> None:
        super().__init__()
        self.args, self.size, self.units = args, args.latent_size, max(1, args.vae_updates // UNIT)
        self.vae, self.deployable = vae, not vae.conditional
        self.calibration = Calibration(args.latent_size, action_size) if args.calibration else None
        self.trainer = VaeTrainer(vae, args.beta, self.calibration, args.calibration)

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator, others: np.ndarray | None = None) -> Log:
        """One unit of learning on all that is in the buffer; others: see `update`."""
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

        Where there is but one of the two, on that. others: see `update`.
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
        """One gradient step on pairs of frames, int64 [2, B / 2].

        others: uint8 [N, S, S, 3], pictures without actions: B / 4 of them are seen as well, but calibrate nothing.
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
        """latents [B, L], in scenes whose first images were `contexts` -> pictures uint8 [B, S, S, 3]."""
        context = to_pixels(contexts) if self.vae.conditional else None
        return to_images(self.vae.decode(torch.from_numpy(latents), context))


def pairs(replay: ReplayBuffer, start: int, end: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` frames of [start, end) in pairs from one episode, at most `SPAN` steps apart: int64 [2, count // 2]."""
    first = rng.integers(start, end, size=count // 2)
    second = np.minimum(first + rng.integers(1, SPAN + 1, size=len(first)), replay.last(first))
    return np.stack((first, second))


def make(args: TrainArgs, action_size: int) -> Representation:
    """The representation that the arguments name."""
    if args.representation == "state":
        return State(args, action_size)
    if args.representation == "pixels":
        return Pixels(args, action_size)
    if args.representation == "conditional":
        return Latent(ConditionalVae(args.image_size, args.latent_size, args.channels), args, action_size)
    vae = Vae(args.image_size, args.latent_size, args.channels, args.likelihood)
    return Latent(vae, args, action_size)
