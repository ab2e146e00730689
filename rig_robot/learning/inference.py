"""What a node needs of the networks: image to latent, latent and goal to action. One image at a time, numpy in and out.

Plain eager modules under `inference_mode`: at this size a frozen torchscript graph was measured slower (0.16 against
0.13 ms). The caller chooses the number of torch threads; one is best for single small images.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from rig_robot.learning.checkpoint import CheckpointConfig, CheckpointError, Tensors, read_config, read_tensors, resolve
from rig_robot.learning.networks import Actor
from rig_robot.learning.vae import Vae, to_images, to_pixels


class Encoder:
    """The VAE of a checkpoint."""

    def __init__(self, directory: Path | str) -> None:
        directory = resolve(directory)
        self.config: CheckpointConfig = read_config(directory)
        self.vae_id = self.config.vae_id
        entry, size = self.config.vae, self.config.camera.image_size
        self._vae = Vae(size, entry.latent_size, entry.channels).eval()
        load(self._vae, read_tensors(directory, entry), directory / entry.file)
        self._image_shape = (size, size, 3)
        self._prior_mean = np.array(self.config.latent_prior.mean)
        self._prior_covariance = np.array(self.config.latent_prior.covariance)

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """image: uint8 [S, S, 3] RGB -> (mean, log-variance), float32 [L] each."""
        if image.shape != self._image_shape or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {self._image_shape}")
        mean, log_variance = self._vae.encode(to_pixels(np.array(image)[None]))
        return mean[0].numpy(), log_variance[0].numpy()

    @torch.inference_mode()
    def decode(self, latent: np.ndarray) -> np.ndarray:
        """latent: float32 [L] -> uint8 [S, S, 3] RGB."""
        _check_latent("latent", latent, self.config.vae.latent_size)
        return to_images(self._vae.decode(torch.from_numpy(latent.astype(np.float32))[None]))[0]

    def imagine(self, rng: np.random.Generator) -> np.ndarray:
        """An imagined goal, z ~ p(z) (RIG, Algorithm 1, line 4): float32 [L]."""
        return rng.multivariate_normal(self._prior_mean, self._prior_covariance).astype(np.float32)


class Policy:
    """The actor of a checkpoint."""

    def __init__(self, directory: Path | str) -> None:
        directory = resolve(directory)
        self.config: CheckpointConfig = read_config(directory)
        self.vae_id = self.config.vae_id
        entry = self.config.policy
        self._latent_size = self.config.vae.latent_size
        self._actor = Actor(self._latent_size, len(self.config.action.axes), entry.hidden).eval()
        tensors = read_tensors(directory, entry)
        actor = {name.removeprefix("actor."): value for name, value in tensors.items() if name.startswith("actor.")}
        load(self._actor, actor, directory / entry.file)

    @torch.inference_mode()
    def act(self, latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """latent, goal: float32 [L], encoder means of the VAE `vae_id` -> action float32 [A] in [-1, 1].

        One action is `action.scale_m` metres along each of `action.axes` in `action.period_s` seconds.
        """
        _check_latent("latent", latent, self._latent_size)
        _check_latent("goal", goal, self._latent_size)
        pair = torch.from_numpy(np.stack((latent, goal)).astype(np.float32))
        return self._actor(pair[:1], pair[1:])[0].numpy()


def load(module: nn.Module, tensors: Tensors, where: Path) -> None:
    """Fill `module` with `tensors`; names and shapes must match exactly, else CheckpointError."""
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{where} does not fit the architecture in config.json: {error}") from error


def _check_latent(name: str, value: np.ndarray, size: int) -> None:
    if value.shape != (size,) or not np.isfinite(value).all():
        raise ValueError(f"{name} is {value}, expected {size} finite numbers")
