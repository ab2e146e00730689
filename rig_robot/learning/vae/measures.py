"""Measures how well VAEs know pictures that they were not trained on."""

from __future__ import annotations

import numpy as np
import torch

from rig_robot.learning.vae.split_trainer import Path, SetPoint, distance, redraw_loss
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae, to_pixels
from rig_robot.learning.vae.vae_trainer import loss

ACTIVE_VARIANCE = 0.01
"""A latent unit is active if the variance of the encoder's mean over the data is above this (Burda et al. 2016)"""


@torch.inference_mode()
def vae_loss(vae: Vae, images: np.ndarray, beta: float) -> float:
    """Return a plain VAE's loss (`vae_trainer.loss`), its mean over images: uint8 [N, S, S, 3]."""
    noise = np.random.default_rng(0).standard_normal((len(images), vae.latent_size), dtype=np.float32)
    return float(loss(vae, to_pixels(np.ascontiguousarray(images)), torch.from_numpy(noise), beta)[0])


@torch.inference_mode()
def redraw_error(vae: SplitVae, images: np.ndarray, contexts: np.ndarray, beta: float) -> float:
    """Return a split VAE's loss of pictures redrawn in the scene of others of the same episode.

    images, contexts: uint8 [N, S, S, 3].
    """
    noise = np.random.default_rng(0).standard_normal((len(images), vae.scene_size), dtype=np.float32)
    pixels, context = (to_pixels(np.ascontiguousarray(pictures)) for pictures in (images, contexts))
    return float(redraw_loss(vae, pixels, vae.controllable(pixels), context, torch.from_numpy(noise), beta)[0])


@torch.inference_mode()
def motion_error(vae: SplitVae, set_point: SetPoint, images: np.ndarray, path: Path) -> float:
    """Return how far latents are, on average, from where the actions lead [actions].

    images: uint8 [2 B, S, S, 3], the first frames of the pairs, then the second ones.
    """
    first, second = vae.controllable(to_pixels(np.ascontiguousarray(images))).chunk(2)
    return float(distance(second, set_point(first, path)))


@torch.inference_mode()
def active_units(vae: Vae | SplitVae, images: np.ndarray) -> int:
    """Return how many numbers of the latent vary with images: uint8 [N, S, S, 3]."""
    means, _ = vae.encode(to_pixels(np.ascontiguousarray(images)))
    return int((means.var(dim=0) > ACTIVE_VARIANCE).sum())


@torch.inference_mode()
def knows_view(vae: Vae, imagined: np.ndarray, images: np.ndarray) -> bool:
    """Return whether a plain VAE was trained on the view that images (uint8 [N, S, S, 3]) show.

    If so, its reconstructions are nearer to the images than the pictures that it imagines are to their own mean. The
    variance of the images themselves is no measure: the arm may hold still.

    imagined: samples of the prior, float32 [M, L].
    """
    pixels = to_pixels(np.ascontiguousarray(images))
    missed = (vae.decode(vae.encode(pixels)[0]) - pixels).square().mean()
    pictures = vae.decode(torch.from_numpy(imagined))
    return bool(missed < (pictures - pictures.mean(dim=0)).square().mean())
