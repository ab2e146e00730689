"""Runs the encoder of the controllable latent in numpy: `learning/vae/keypoints.py` as trained with torch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.convolutions import Array, Convolution, Shapes
from rig_robot.inference.keypoint_architecture import (
    CONTRAST_FLOOR,
    DILATIONS,
    FEATURES,
    HIDDEN,
    KERNELS,
    LEAST_VARIANCE,
    MAPS,
    STRIDES,
    grid,
    paddings,
    smoothing,
)

PREFIX = "controllable."


class KeypointNetwork:
    """From an image to the controllable latent."""

    def __init__(self, tensors: Tensors, image_size: int) -> None:
        self._maps = KeypointMaps(tensors, PREFIX, image_size)
        self._head = [(tensors[f"{PREFIX}head.{i}.weight"].T, tensors[f"{PREFIX}head.{i}.bias"]) for i in (0, 2)]
        self._spread = tensors[f"{PREFIX}spread"]
        self._mean, self._whitening, self._usual = (
            tensors[f"familiarity.{name}"] for name in ("mean", "whitening", "usual")
        )

    def __call__(self, pixels: Array) -> Array:
        """Return the latent, float32 [A], of an image, float32 [S, S, 3] in [0, 1]."""
        (first, first_bias), (second, second_bias) = self._head
        hidden = np.maximum((self._maps(pixels) @ self._maps.places).reshape(-1) @ first + first_bias, 0)
        return (hidden @ second + second_bias) * self._spread

    def unfamiliarity(self, pixels: Array) -> float:
        """Return how far an image's features are from those of training, as a multiple of what is usual."""
        weights = self._maps(pixels)
        points = weights @ self._maps.places
        variance = weights @ np.square(self._maps.places).sum(axis=1) - np.square(points).sum(axis=1)
        features = np.concatenate((points.reshape(-1), 0.5 * np.log(np.maximum(variance, LEAST_VARIANCE))))
        return float(np.linalg.norm((features - self._mean) @ self._whitening) / self._usual)


class KeypointMaps:
    """From an image to the soft maxima of maps, in each of which a point is brightest."""

    def __init__(self, tensors: Tensors, prefix: str, image_size: int) -> None:
        """prefix: of the names of the tensors of convolutions and sharpness; a last convolution of one pixel may follow
        those of the architecture."""
        layers = list(zip(STRIDES, paddings(), DILATIONS, strict=True))
        names = [f"{prefix}convolutions.{2 * i}" for i in range(len(layers) + 1)]
        if f"{names[-1]}.weight" in tensors:
            layers.append((1, 0, 1))
        self._convolutions = [Convolution(tensors, name, *layer) for name, layer in zip(names, layers, strict=False)]
        self._sharpness = np.exp(tensors[f"{prefix}sharpness"])[:, None]
        self._smoothing = smoothing(image_size)
        self.places = grid(image_size)
        """of the maps' pixels, [pixels, 2]"""

    def __call__(self, pixels: Array) -> Array:
        """Return the soft maximum of each map, float32 [maps, pixels], of an image, float32 [S, S, 3] in [0, 1]."""
        weights = self.heights(pixels)
        np.exp(weights - weights.max(axis=1, keepdims=True), out=weights)
        return weights / weights.sum(axis=1, keepdims=True)

    def heights(self, pixels: Array) -> Array:
        """Return the maps before their soft maximum, float32 [maps, pixels], of an image, float32 [S, S, 3]."""
        centred = pixels - pixels.mean(axis=(0, 1))
        x = centred / (np.sqrt(np.square(centred).mean()) + np.float32(CONTRAST_FLOOR))
        for convolution in self._convolutions[:-1]:
            x = np.maximum(convolution(x), 0)
        maps = self._smoothing @ self._convolutions[-1](x).transpose(2, 0, 1) @ self._smoothing.T
        return maps.reshape(len(self._sharpness), -1) * self._sharpness


def keypoint_shapes(outputs: int) -> Shapes:
    """Return name and shape of every tensor of `keypoints.KeypointEncoder` and `familiarity.Familiarity`."""
    shapes = map_shapes() | {"spread": (outputs,)}
    shapes |= {"head.0.weight": (HIDDEN, 2 * MAPS), "head.0.bias": (HIDDEN,)}
    shapes |= {"head.2.weight": (outputs, HIDDEN), "head.2.bias": (outputs,)}
    familiarity: Shapes = {"mean": (FEATURES,), "whitening": (FEATURES, FEATURES), "usual": ()}
    named = {PREFIX + name: shape for name, shape in shapes.items()}
    return named | {f"familiarity.{name}": shape for name, shape in familiarity.items()}


def map_shapes(maps: int = MAPS, mixed: bool = False) -> Shapes:
    """Return name and shape of the tensors of `KeypointMaps`; mixed: a last convolution of one pixel makes the maps."""
    shapes: Shapes = {"sharpness": (maps,)}
    kernels = (*KERNELS, 1) if mixed else KERNELS
    widths = (3, *[MAPS] * (len(kernels) - 1), maps)
    for i, ((planes, outputs), kernel) in enumerate(zip(pairwise(widths), kernels, strict=True)):
        shapes[f"convolutions.{2 * i}.weight"] = (outputs, planes, kernel, kernel)
        shapes[f"convolutions.{2 * i}.bias"] = (outputs,)
    return shapes
