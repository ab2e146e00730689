"""Trains the beta-VAE: first on the images of exploration, then, to fine-tune it, also on the robot's newer images."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.learning.vae.vae import Vae, to_pixels

PIXEL_PRECISION = 50.0
"""Weight of the squared error: 1 / (2 sigma^2) of pixels with sigma 0.1, values in [0, 1]."""


def one_cycle(progress: float) -> float:
    """Return a factor on the peak rate: a cosine up from 4 % for the first 30 % of progress, then down to 0."""
    if progress < 0.3:
        return 0.52 - 0.48 * math.cos(math.pi * progress / 0.3)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.3) / 0.7)


def loss(
    vae: Vae, pixels: Tensor, noise: Tensor, beta: float, context: Tensor | None = None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the negative evidence lower bound with the KL term weighted by beta, mean over the batch.

    RIG's equation (2) with the sign changed: beta D_KL(q(z|s) || p(z)) - E_q(z|s) log p(s|z).

    pixels: float32 [B, 3, S, S] in [0, 1]; noise: standard normal [B, L]; context: as pixels, of a conditional VAE.
    Also returns the encoder's means [B, L], and the parts for the log.
    """
    mean, log_variance = vae.encode(pixels, context)
    reconstruction = vae.decode(reparametrise(mean, log_variance, noise), context)
    found, wanted = in_memory_order(reconstruction), in_memory_order(pixels)
    squared_error = functional.mse_loss(found, wanted, reduction="sum") / len(pixels)
    if vae.likelihood == "bernoulli":
        misfit = functional.binary_cross_entropy(reconstruction, pixels, reduction="sum") / len(pixels)
    else:
        misfit = PIXEL_PRECISION * squared_error
    divergence = kl_divergence(mean, log_variance).mean()
    log = {"vae/squared_error": squared_error.detach(), "vae/kl": divergence.detach()}
    return misfit + beta * divergence, mean, log


def in_memory_order(pixels: Tensor) -> Tensor:
    """Return a view [B, S, S, 3] of pixels [B, 3, S, S], so that `mse_loss` lays out its gradient channels-last."""
    return pixels.permute(0, 2, 3, 1)


def reparametrise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return z = mean + sigma * noise, a sample of q(z|x) through which gradients flow; all [B, L]."""
    return mean + noise * torch.exp(0.5 * log_variance)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q(z|x) || N(0, I)) for mean and log-variance [B, L]: [B]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


class Moves(NamedTuple):
    """The actions between the two frames of B pairs, each pair from one episode; float32."""

    total: Tensor
    """[B, A], sum of the actions from the first frame to the second"""
    before_first: Tensor
    """[B, A], the action before the first frame; its late share takes effect between the two frames"""
    before_second: Tensor
    """[B, A], the action before the second frame; its late share takes effect after it"""


class Calibration(nn.Module):
    """Calibrates latents by the robot's own actions: an action moves the latent by one vector, wherever the arm is.

    A VAE alone keeps pictures apart but not in proportion: latents fold and stretch, and -||z' - z_g|| with them. The
    robot knows its actions between two frames. The loss asks that latents move by a matrix times the sum of the
    actions; latents then are, up to that matrix, the plane (or space) that the tool moves in. No position and no label
    is needed.

    .. note:: The loss is the norm of the error, not its square: at the edge of the workspace the arm does not move as
       it is told, and those pairs must not distort the rest. It is relative to the length of the asked motion:
       otherwise latents that shrink, or that only encode which episode it is, would have a low loss, too.
    """

    def __init__(self, latent_size: int, action_size: int) -> None:
        super().__init__()
        self.moves = nn.Parameter(0.05 * torch.randn(latent_size, action_size))
        """[L, A], how far a latent moves per action"""
        self.late = nn.Parameter(torch.zeros(()))
        """the share of an action that takes effect after the next frame, as a logit"""

    def forward(self, first: Tensor, second: Tensor, moves: Moves) -> Tensor:
        """Return the mean relative error of the motion of latents from `first` to `second` ([B, L] each)."""
        done = moves.total + torch.sigmoid(self.late) * (moves.before_first - moves.before_second)
        asked = done @ self.moves.T
        missed = (second - first - asked).square().sum(dim=1)
        return (missed / asked.square().sum(dim=1).mean().clamp(min=1e-8) + 1e-4).sqrt().mean()


class VaeTrainer:
    """A VAE, its calibration if it has one, and the optimiser of both."""

    def __init__(self, vae: Vae, beta: float, calibration: Calibration | None = None, weight: float = 0.0) -> None:
        """weight: of the calibration's loss, beside the VAE's loss of whole images."""
        self.vae, self.beta, self.calibration, self.weight = vae, beta, calibration, weight
        self.calibrating = True
        """whether the calibration itself is trained, too, or stays fixed while the latents follow it"""
        groups = [{"params": module.parameters()} for module in (vae, calibration) if module is not None]
        self.optimiser = torch.optim.Adam(groups, fused=True)

    def update(
        self,
        images: np.ndarray,
        learning_rate: float,
        rng: np.random.Generator,
        moves: Moves | None = None,
        contexts: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        """Take one gradient step on images, uint8 [B, S, S, 3], and return what to log.

        Args:
            images: The first N and the N that follow are the two frames of `moves`; images after those have no moves.
            learning_rate: Of the VAE.
            rng: Randomness of the latents' samples.
            moves: Of N pairs, to calibrate by.
            contexts: As images, for a conditional VAE.
        """
        # The calibration has few numbers and a high learning rate: the latents then follow it.
        for group, factor in zip(self.optimiser.param_groups, (1, 10 * self.calibrating), strict=False):
            group["lr"] = factor * learning_rate
        noise = torch.from_numpy(rng.standard_normal((len(images), self.vae.latent_size), dtype=np.float32))
        context = None if contexts is None else to_pixels(contexts)
        total, means, log = loss(self.vae, to_pixels(images), noise, self.beta, context)
        if self.calibration is not None and moves is not None:
            first, second, *_ = means.split(len(moves.total))
            missed = self.calibration(first, second, moves)
            total = total + self.weight * missed
            log["vae/calibration"] = missed.detach()
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        return log
