"""A checkpoint that acts as another one does, with other latents: whoever mixes up the two is found out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.checkpoint import read_config, read_tensors, save
from rig_robot.checkpoints.config import PriorEntry


def turn(source: Path, target: Path, seed: int) -> None:
    """Save a checkpoint with other latents, z' = A z + b, that acts as another one does: A is turned and stretched.

    Args:
        source: A checkpoint with a split VAE and without objects.
        target: Where the other one goes.
        seed: Seed of A and b.

    Raises:
        ValueError: If the checkpoint is of another kind.
    """
    rng = np.random.default_rng(seed)
    config = read_config(source)
    if not config.vae.scene_size or config.vae.objects:
        raise ValueError(f"{source}: expected a checkpoint with a split VAE and without objects")
    size = config.vae.latent_size
    orthogonal, _ = np.linalg.qr(rng.normal(size=(size, size)))
    a = orthogonal @ np.diag(rng.uniform(0.7, 1.4, size))
    b = rng.normal(size=size)
    back = np.linalg.inv(a)

    vae = {name: value.astype(np.float64) for name, value in read_tensors(source, config.vae).items()}
    # z = spread (W h + w), of the hidden layer h; decoded from z / reach, beside the scene's numbers.
    head, bias, spread = (vae[f"controllable.{name}"] for name in ("head.2.weight", "head.2.bias", "spread"))
    vae["controllable.head.2.weight"] = a @ (spread[:, None] * head) / spread[:, None]
    vae["controllable.head.2.bias"] = (a @ (spread * bias) + b) / spread
    first, reach = vae["decoder.0.weight"], vae["reach"]
    vae["decoder.0.bias"] -= first[:, :size] / reach @ back @ b
    first[:, :size] = first[:, :size] / reach @ back * reach

    policy = {
        name: value.astype(np.float64)
        for name, value in read_tensors(source, config.policy).items()
        if name.startswith("actor.")
    }
    first = policy["actor.layers.0.weight"]  # of z, and of g - z
    policy["actor.layers.0.bias"] -= first[:, :size] @ back @ b
    policy["actor.layers.0.weight"] = np.hstack((first[:, :size] @ back, first[:, size:] @ back))

    mean, covariance = (np.array(value) for value in (config.latent_prior.mean, config.latent_prior.covariance))
    prior = PriorEntry(tuple((a @ mean + b).tolist()), tuple(tuple(row) for row in (a @ covariance @ a.T).tolist()))
    scene = None if config.scene is None else read_tensors(source, config.scene)
    save(
        target,
        dataclasses.replace(config, latent_prior=prior, parent=source.name),
        *({name: value.astype(np.float32) for name, value in tensors.items()} for tensors in (vae, policy)),
        scene,
    )
