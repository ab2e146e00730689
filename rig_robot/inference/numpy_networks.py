"""Runs a checkpoint's networks on a robot: image to latent, latent and goal to action; one image at a time, in numpy.

The networks are those of `vae.py` and `actor_critic.py`; `tests/test_inference.py` compares the two implementations.
This one exists because a node that wakes 30 times a second finds its caches cold, and torch's many layers of code then
cost more than the arithmetic (docs/nodes.md has the times). Nodes also start sooner: importing torch takes seconds.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.checkpoint import Tensors, read_config, read_tensors, resolve
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError
from rig_robot.inference.convolutions import (
    Array,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    Shapes,
    SplitDecoder,
    decoder_shapes,
    encoder_shapes,
    split_decoder_shapes,
)
from rig_robot.inference.keypoint_network import KeypointNetwork, keypoint_shapes
from rig_robot.inference.object_memory import UNSURE
from rig_robot.inference.object_network import ObjectNetwork, object_shapes
from rig_robot.inference.places import Places
from rig_robot.inference.vae_architecture import KERNELS, LOG_VARIANCE_RANGE, sides


class Encoder:
    """The VAE of a checkpoint: encodes images, decodes and imagines latents.

    A split VAE's latent is the controllable one; its decoder redraws it in the scene of another image.
    """

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
        shapes: Shapes = {"mean_image": (3, size, size)}
        controllable = entry.latent_size // (1 + entry.objects)
        if entry.scene_size:
            decoded = controllable + entry.scene_size
            shapes |= encoder_shapes(size, entry.channels, 2 * entry.scene_size)
            shapes |= split_decoder_shapes(size, entry.channels, decoded)
            shapes |= keypoint_shapes(controllable) | {"reach": (controllable,)}
            shapes |= object_shapes(size, entry.scene_size, controllable) if entry.objects else {}
        else:
            shapes |= encoder_shapes(size, entry.channels, 2 * entry.latent_size)
            shapes |= decoder_shapes(size, entry.channels, entry.latent_size)
        _check_shapes(tensors, shapes, directory / entry.file)

        self.mean_image = np.ascontiguousarray(tensors["mean_image"].transpose(1, 2, 0))
        self._encoder = ConvolutionalEncoder(tensors, size, entry.channels)
        decoder = SplitDecoder if entry.scene_size else ConvolutionalDecoder
        self._decoder = decoder(tensors, size, entry.channels)
        self._keypoints = KeypointNetwork(tensors, size) if entry.scene_size else None
        self._object = ObjectNetwork(tensors, size) if entry.objects else None
        self._reach = tensors.get("reach", np.ones(entry.latent_size, np.float32))  # only a split VAE has it
        self._image_shape = (size, size, 3)
        places = self.config.places
        self._places = None if places is None else Places.of(places, controllable)
        self._prior_mean = np.array(self.config.latent_prior.mean)
        self._prior_covariance = np.array(self.config.latent_prior.covariance)

    def encode(self, image: np.ndarray) -> tuple[Array, Array]:
        """Encode an image, uint8 [S, S, 3] RGB, to mean and log-variance, float32 [L] each.

        Where an object is not clearly seen, the log-variance of its numbers is `UNSURE` (see `ObjectMemory`).
        """
        pixels = self._pixels(image)
        if self._keypoints is not None:
            mean = self._keypoints(pixels)
            log_variance = np.full_like(mean, LOG_VARIANCE_RANGE[0])
            if self._object is not None:
                place, sure = self._object(pixels)
                mean = np.concatenate((mean, place))
                of_object = np.full_like(place, LOG_VARIANCE_RANGE[0] if sure else UNSURE)
                log_variance = np.concatenate((log_variance, of_object))
            return mean, log_variance
        return self._distribution(pixels)

    def decode(self, latent: np.ndarray, context: np.ndarray | None = None) -> np.ndarray:
        """Decode a latent, float32 [L], to an image, uint8 [S, S, 3] RGB.

        context: Image of the scene to draw it in, uint8 [S, S, 3] RGB, for a split VAE; None: the average scene.
        """
        entry = self.config.vae
        _check_latent("latent", latent, entry.latent_size)
        numbers = latent.astype(np.float32)
        scene = np.zeros(entry.scene_size, np.float32)
        if entry.scene_size:
            if context is not None:
                scene = self._distribution(self._pixels(context))[0]
            numbers = np.concatenate((numbers[: len(self._reach)] / self._reach, scene))
        x = self._decoder(numbers)
        pixels = 1 / (1 + np.exp(-x)) if entry.likelihood == "bernoulli" else x + self.mean_image
        if self._object is not None:
            pixels = self._object.draw(pixels.astype(np.float32), latent[len(self._reach) :], scene)
        return (pixels.clip(0, 1) * 255).round().astype(np.uint8)

    def unfamiliarity(self, image: np.ndarray) -> float | None:
        """Return how far an image is from those of training, as a multiple of what is usual; None for a plain VAE."""
        return None if self._keypoints is None else self._keypoints.unfamiliarity(self._pixels(image))

    def object_doubt(self, image: np.ndarray) -> str:
        """Return why an image, uint8 [S, S, 3], does not show one object where it was seen in training, or nothing."""
        if self._object is None or self._places is None:
            return ""
        first = len(self._reach)
        return self._object.doubt(self._pixels(image), self._places.low[first:], self._places.high[first:])

    def redraw(self, image: np.ndarray) -> np.ndarray:
        """Encode an image and decode it again, uint8 [S, S, 3] RGB each: all that the networks know of it."""
        return self.decode(self.encode(image)[0], image)

    def _pixels(self, image: np.ndarray) -> Array:
        """Return an image as float32 in [0, 1]."""
        if image.shape != self._image_shape or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {self._image_shape}")
        return image * np.float32(1 / 255)

    def _distribution(self, pixels: Array) -> tuple[Array, Array]:
        """Return mean and log-variance of the convolutional encoder's latent: a split VAE's u, else z."""
        mean, log_variance = np.split(self._encoder(pixels - self.mean_image), 2)
        return mean, np.clip(log_variance, *LOG_VARIANCE_RANGE)

    def imagine(self, rng: np.random.Generator) -> Array:
        """Return an imagined goal, z ~ p(z) (RIG, Algorithm 1, line 4), or evenly where objects can be: float32 [L]."""
        if self._places is not None:
            return self._places.sample(rng, 1)[0]
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
        shapes: Shapes = {}
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
        # As `Actor.forward` does: a row for the goal and, where the policy rests at it, one for being there.
        ways = (goal - latent, np.zeros_like(latent)) if self.config.policy.rest_at_goal else (goal - latent,)
        x = np.array([np.concatenate((latent, way)) for way in ways], np.float32)
        for weight, bias in self._layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self._layers[-1]
        wish = x @ weight + bias
        return np.tanh(wish[0] - wish[1] if len(wish) > 1 else wish[0])


def _check_shapes(tensors: Tensors, expected: Shapes, where: Path) -> None:
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
