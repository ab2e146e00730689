"""Pixels as a representation, to compare with: principal axes of the picture itself."""

import numpy as np
import torch
from torch import Tensor

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations.base import Log, Representation
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer


class Pixels(Representation):
    """The picture itself, rotated so that its first `size` axes hold most of the variance between pictures.

    A rotation changes no distance, so rewards are the L2 distances of the images (the lecture's bad baseline), but for
    the variance along the axes that are left out (the log has the share that is kept: `pixels/kept`). Networks on all
    pixels would cost a hundredfold.
    """

    mean: Tensor
    axes: Tensor
    scale: Tensor

    def __init__(self, args: TrainArgs, box: ActionBox) -> None:
        super().__init__(args, box)
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
