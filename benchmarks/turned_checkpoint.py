"""A checkpoint that acts as another one does, with other latents: whoever mixes up the two is found out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.checkpoint import read_config, read_tensors, save
from rig_robot.checkpoints.config import PriorEntry


def turn(source: Path, target: Path, seed: int) -> None:
    """Save a checkpoint with other latents, z' = A z + b, that acts as another one does: A is turned and stretched."""
    rng = np.random.default_rng(seed)
    config = read_config(source)
    size = config.vae.latent_size
    orthogonal, _ = np.linalg.qr(rng.normal(size=(size, size)))
    a = orthogonal @ np.diag(rng.uniform(0.7, 1.4, size))
    b = rng.normal(size=size)
    back = np.linalg.inv(a)

    vae = {name: value.astype(np.float64) for name, value in read_tensors(source, config.vae).items()}
    head = max((name for name in vae if name.startswith("encoder.") and name.endswith(".weight")), key=_layer)
    bias = head.replace("weight", "bias")
    vae[head][:size], vae[bias][:size] = a @ vae[head][:size], a @ vae[bias][:size] + b  # the rest: log-variance
    vae["decoder.0.bias"] -= vae["decoder.0.weight"] @ back @ b
    vae["decoder.0.weight"] = vae["decoder.0.weight"] @ back

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


def _layer(name: str) -> int:
    return int(name.split(".")[1])
