"""Runs a checkpoint's networks on a robot: image to latent, latent and goal to action; one image at a time, in numpy.

The networks are those of `vae.py` and `actor_critic.py`; `tests/test_inference.py` compares the two implementations.
This one exists because a node that wakes 30 times a second finds its caches cold, and torch's many layers of code then
cost more than the arithmetic (docs/nodes.md has the times). Nodes also start sooner: importing torch takes seconds.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    Tensors,
    read_config,
    read_tensors,
    resolve,
)
from rig_robot.inference.vae_architecture import KERNELS, LOG_VARIANCE_RANGE, STRIDES, sides

Array = NDArray[np.float32]


class Encoder:
    """The VAE of a checkpoint: encodes images, decodes and imagines latents."""

    def __init__(self, directory: Path | str) -> None:
        directory = resolve(directory)
        self.config: CheckpointConfig = read_config(directory)
        self.vae_id = self.config.vae_id
        entry, size = self.config.vae, self.config.camera.image_size
        tensors = read_tensors(directory, entry)
        if len(entry.channels) != len(KERNELS) or sides(size)[-1] < 1:
            raise CheckpointError(
                f"{directory}: vae.channels is {entry.channels} and camera.image_size {size}, expected {len(KERNELS)} "
                "channels, and a size of which the convolutions leave something"
            )
        _check_shapes(tensors, _vae_shapes(size, entry.latent_size, entry.channels), directory / entry.file)

        # Images are [row, column, channel], so that a convolution is one matrix product; torch has the channels first.
        self.mean_image = np.ascontiguousarray(tensors["mean_image"].transpose(1, 2, 0))
        names = [f"encoder.{2 * i}" for i in range(len(KERNELS))]
        self._down = [
            (_rows_by_channel(tensors[f"{name}.weight"].transpose(2, 3, 1, 0)), tensors[f"{name}.bias"])
            for name in names
        ]
        self._sides, channels = sides(size), entry.channels[-1]
        last = f"encoder.{2 * len(KERNELS) + 1}"
        flat = (-1, channels, self._sides[-1], self._sides[-1])
        self._head = _rows_by_channel(tensors[f"{last}.weight"].reshape(flat).transpose(2, 3, 1, 0))
        self._head_bias = tensors[f"{last}.bias"]

        self._tail = np.ascontiguousarray(tensors["decoder.0.weight"].reshape(*flat[1:], -1).transpose(1, 2, 0, 3))
        self._tail_bias = tensors["decoder.0.bias"].reshape(flat[1:]).transpose(1, 2, 0)
        self._up = [
            (tensors[f"decoder.{3 + 2 * i}.weight"], tensors[f"decoder.{3 + 2 * i}.bias"]) for i in range(len(KERNELS))
        ]
        self._image_shape = (size, size, 3)
        self._prior_mean = np.array(self.config.latent_prior.mean)
        self._prior_covariance = np.array(self.config.latent_prior.covariance)

    def encode(self, image: np.ndarray) -> tuple[Array, Array]:
        """Encode an image, uint8 [S, S, 3] RGB, to mean and log-variance, float32 [L] each."""
        if image.shape != self._image_shape or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {self._image_shape}")
        x = image * np.float32(1 / 255)
        x -= self.mean_image
        for (weight, bias), kernel, stride in zip(self._down, KERNELS, STRIDES, strict=True):
            x = np.maximum(_patches(x, kernel, stride) @ weight + bias, 0)
        mean, log_variance = np.split(x.reshape(-1) @ self._head + self._head_bias, 2)
        return mean, np.clip(log_variance, *LOG_VARIANCE_RANGE)

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Decode a latent, float32 [L], to an image, uint8 [S, S, 3] RGB."""
        _check_latent("latent", latent, self.config.vae.latent_size)
        x = self._tail @ latent.astype(np.float32) + self._tail_bias
        layers = zip(self._up, KERNELS[::-1], STRIDES[::-1], pairwise(self._sides[::-1]), strict=True)
        for (weight, bias), kernel, stride, (side, next_side) in layers:
            spread = np.einsum("rci,iokl->klrco", np.maximum(x, 0), weight, optimize=True)
            x = np.tile(bias, (next_side, next_side, 1))
            for row, column in np.ndindex(kernel, kernel):
                x[row : row + stride * side : stride, column : column + stride * side : stride] += spread[row, column]
        x = 1 / (1 + np.exp(-x)) if self.config.vae.likelihood == "bernoulli" else x + self.mean_image
        return (x.clip(0, 1) * 255).round().astype(np.uint8)

    def imagine(self, rng: np.random.Generator) -> Array:
        """Return an imagined goal, z ~ p(z) (RIG, Algorithm 1, line 4): float32 [L]."""
        return rng.multivariate_normal(self._prior_mean, self._prior_covariance).astype(np.float32)


class Policy:
    """The actor of a checkpoint."""

    def __init__(self, directory: Path | str) -> None:
        directory = resolve(directory)
        self.config: CheckpointConfig = read_config(directory)
        self.vae_id = self.config.vae_id
        entry = self.config.policy
        self._latent_size = self.config.vae.latent_size
        tensors = read_tensors(directory, entry)
        widths = (2 * self._latent_size, *entry.hidden, len(self.config.action.axes))
        shapes: dict[str, tuple[int, ...]] = {}
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            shapes[f"actor.layers.{2 * index}.weight"] = (outputs, inputs)
            shapes[f"actor.layers.{2 * index}.bias"] = (outputs,)
        actor = {name: value for name, value in tensors.items() if name.startswith("actor.")}
        _check_shapes(actor, shapes, directory / entry.file)
        values = [actor[name] for name in shapes]
        self._layers = [
            (np.ascontiguousarray(weight.T), bias) for weight, bias in zip(values[::2], values[1::2], strict=True)
        ]

    def act(self, latent: np.ndarray, goal: np.ndarray) -> Array:
        """Return the action, float32 [A] in [-1, 1], for latent and goal, float32 [L], means of the VAE `vae_id`.

        One action is `action.scale_m` metres along each of `action.axes` in `action.period_s` seconds.
        """
        _check_latent("latent", latent, self._latent_size)
        _check_latent("goal", goal, self._latent_size)
        x = np.concatenate((latent, goal - latent)).astype(np.float32)  # as `Actor.forward` does
        for weight, bias in self._layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self._layers[-1]
        return np.tanh(x @ weight + bias)


def _patches(x: Array, kernel: int, stride: int) -> Array:
    """Return all patches that a convolution covers: [S, S, C], contiguous -> [T, T, kernel * kernel * C]."""
    side, channels = (x.shape[0] - kernel) // stride + 1, x.shape[2]
    row, column, channel = x.strides
    windows = (side, side, kernel, kernel, channels)
    return as_strided(x, windows, (row * stride, column * stride, row, column, channel)).reshape(side, side, -1)


def _rows_by_channel(weight: Array) -> Array:
    """Reshape [..., outputs] to [inputs, outputs]."""
    return np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]))


def _vae_shapes(image_size: int, latent_size: int, channels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of `vae.Vae`."""
    planes, count = (3, *channels), len(KERNELS)
    features = channels[-1] * sides(image_size)[-1] ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "mean_image": (3, image_size, image_size),
        f"encoder.{2 * count + 1}.weight": (2 * latent_size, features),
        f"encoder.{2 * count + 1}.bias": (2 * latent_size,),
        "decoder.0.weight": (features, latent_size),
        "decoder.0.bias": (features,),
    }
    for i, ((outer, inner), kernel) in enumerate(zip(pairwise(planes), KERNELS, strict=True)):
        up = 3 + 2 * (count - 1 - i)
        shapes[f"encoder.{2 * i}.weight"] = shapes[f"decoder.{up}.weight"] = (inner, outer, kernel, kernel)
        shapes[f"encoder.{2 * i}.bias"], shapes[f"decoder.{up}.bias"] = (inner,), (outer,)
    return shapes


def _check_shapes(tensors: Tensors, expected: dict[str, tuple[int, ...]], where: Path) -> None:
    for name in sorted(tensors.keys() | expected.keys()):
        found = f"{tensors[name].dtype} {tensors[name].shape}" if name in tensors else "missing"
        wanted = f"float32 {expected[name]}" if name in expected else "nothing of that name"
        if found != wanted:
            raise CheckpointError(
                f"{where} does not fit the architecture in config.json: {name} is {found}, expected {wanted}"
            )


def _check_latent(name: str, value: np.ndarray, size: int) -> None:
    if value.shape != (size,) or not np.isfinite(value).all():
        raise ValueError(f"{name} is {value}, expected {size} finite numbers")
