"""Training of the beta-VAE: the first one on exploration images, and the fine-tuning on the robot's newer ones."""

import math

import numpy as np
import torch
from torch import Tensor

from rig_robot.learning.vae import Vae, to_pixels

PIXEL_PRECISION = 50.0
"""Weight of the squared error: 1 / (2 sigma^2) of pixels with sigma 0.1, values in [0, 1]."""


def one_cycle(progress: float) -> float:
    """Factor on the peak learning rate: a cosine up from 4 % for the first 30 %, then down to 0; progress in [0, 1]."""
    if progress < 0.3:
        return 0.52 - 0.48 * math.cos(math.pi * progress / 0.3)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.3) / 0.7)


def loss(vae: Vae, pixels: Tensor, noise: Tensor, beta: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative evidence lower bound with the KL term weighted by beta (RIG, equation 2), mean over the batch.

    pixels: float32 [B, 3, S, S] in [0, 1]; noise: standard normal [B, L]. Also returns its parts for the log.
    """
    mean, log_variance = vae.encode(pixels)
    reconstruction = vae.decode(mean + noise * torch.exp(0.5 * log_variance))
    squared_error = (reconstruction - pixels).square().sum() / len(pixels)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
    total = PIXEL_PRECISION * squared_error + beta * divergence
    return total, {"vae/squared_error": squared_error.detach(), "vae/kl": divergence.detach()}


class VaeTrainer:
    """A VAE with its optimiser."""

    def __init__(self, vae: Vae, beta: float) -> None:
        self.vae, self.beta = vae, beta
        self.optimiser = torch.optim.Adam(vae.parameters(), fused=True)

    def update(self, images: np.ndarray, learning_rate: float, rng: np.random.Generator) -> dict[str, Tensor]:
        """One gradient step on images: uint8 [B, S, S, 3]."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        noise = torch.from_numpy(rng.standard_normal((len(images), self.vae.latent_size), dtype=np.float32))
        total, log = loss(self.vae, to_pixels(images), noise, self.beta)
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        return log


@torch.inference_mode()
def encode_all(vae: Vae, images: np.ndarray, batch: int = 500) -> np.ndarray:
    """Encoder means of images: uint8 [N, S, S, 3] -> float32 [N, L]."""
    means = [vae.encode(to_pixels(images[start : start + batch]))[0] for start in range(0, len(images), batch)]
    return torch.cat(means).numpy()
