"""Runs the encoder of the controllable latent in numpy: `learning/vae/keypoints.py` as trained with torch."""

from __future__ import annotations

import numpy as np

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.convolutions import Array, Convolution, Shapes
from rig_robot.inference.keypoint_architecture import CONTRAST_FLOOR, HIDDEN, KERNELS, MAPS, STRIDES, grid

PREFIX = "controllable."


class KeypointNetwork:
    """From an image to the controllable latent."""

    def __init__(self, tensors: Tensors, image_size: int) -> None:
        self._convolutions = [
            Convolution(tensors, f"{PREFIX}convolutions.{2 * i}", stride, kernel // 2)
            for i, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True))
        ]
        self._sharpness = np.exp(tensors[f"{PREFIX}sharpness"])
        self._head = [(tensors[f"{PREFIX}head.{i}.weight"].T, tensors[f"{PREFIX}head.{i}.bias"]) for i in (0, 2)]
        self._spread = tensors[f"{PREFIX}spread"]
        self._places = grid(image_size)

    def __call__(self, pixels: Array) -> Array:
        """Return the latent, float32 [A], of an image, float32 [S, S, 3] in [0, 1]."""
        centred = pixels - pixels.mean(axis=(0, 1))
        x = centred / (np.sqrt(np.square(centred).mean()) + np.float32(CONTRAST_FLOOR))
        for convolution in self._convolutions[:-1]:
            x = np.maximum(convolution(x), 0)
        maps = self._convolutions[-1](x).reshape(-1, MAPS) * self._sharpness
        weights = np.exp(maps - maps.max(axis=0))
        points = (weights.T @ self._places) / weights.sum(axis=0)[:, None]
        (first, first_bias), (second, second_bias) = self._head
        hidden = np.maximum(points.reshape(-1) @ first + first_bias, 0)
        return (hidden @ second + second_bias) * self._spread


def keypoint_shapes(outputs: int) -> Shapes:
    """Return name and shape of every tensor of `keypoints.KeypointEncoder`."""
    shapes: Shapes = {"sharpness": (MAPS,), "spread": (outputs,)}
    planes = 3
    for i, kernel in enumerate(KERNELS):
        shapes |= {
            f"convolutions.{2 * i}.weight": (MAPS, planes, kernel, kernel),
            f"convolutions.{2 * i}.bias": (MAPS,),
        }
        planes = MAPS
    shapes |= {"head.0.weight": (HIDDEN, 2 * MAPS), "head.0.bias": (HIDDEN,)}
    shapes |= {"head.2.weight": (outputs, HIDDEN), "head.2.bias": (outputs,)}
    return {PREFIX + name: shape for name, shape in shapes.items()}
