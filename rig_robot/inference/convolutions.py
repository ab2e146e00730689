"""Runs convolutional networks in numpy, one image at a time: `vae.halves` as trained with torch.

Images are [row, column, channel], so that a convolution is one matrix product; torch has the channels first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.vae_architecture import KERNELS, STRIDES, sides

Array = NDArray[np.float32]
Shapes = dict[str, tuple[int, ...]]


class ConvolutionalEncoder:
    """From an image [S, S, 3] to numbers."""

    def __init__(self, tensors: Tensors, image_size: int, channels: tuple[int, ...]) -> None:
        names = [f"encoder.{2 * i}" for i in range(len(KERNELS))]
        self._down = [Convolution(tensors, name, stride) for name, stride in zip(names, STRIDES, strict=True)]
        last, side = f"encoder.{2 * len(KERNELS) + 1}", sides(image_size)[-1]
        weight = tensors[f"{last}.weight"].reshape(-1, channels[-1], side, side)
        self._head, self._head_bias = rows_by_channel(weight.transpose(2, 3, 1, 0)), tensors[f"{last}.bias"]

    def __call__(self, x: Array) -> Array:
        """Return the numbers [N] of an image without the mean image, float32 [S, S, 3]."""
        for convolution in self._down:
            x = np.maximum(convolution(x), 0)
        return x.reshape(-1) @ self._head + self._head_bias


class ConvolutionalDecoder:
    """From numbers to an image [S, S, 3]."""

    def __init__(self, tensors: Tensors, image_size: int, channels: tuple[int, ...]) -> None:
        self._sides = sides(image_size)
        flat = (channels[-1], self._sides[-1], self._sides[-1])
        weight = tensors["decoder.0.weight"].reshape(*flat, -1)
        self._tail = np.ascontiguousarray(weight.transpose(1, 2, 0, 3))
        self._tail_bias = tensors["decoder.0.bias"].reshape(flat).transpose(1, 2, 0)
        names = [f"decoder.{3 + 2 * i}" for i in range(len(KERNELS))]
        self._up = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]

    def __call__(self, numbers: Array) -> Array:
        """Return the image, float32 [S, S, 3], without the mean image, of numbers [N]."""
        x = self._tail @ numbers + self._tail_bias
        layers = zip(self._up, KERNELS[::-1], STRIDES[::-1], pairwise(self._sides[::-1]), strict=True)
        for (weight, bias), kernel, stride, (side, next_side) in layers:
            spread = np.einsum("rci,iokl->klrco", np.maximum(x, 0), weight, optimize=True)
            x = np.tile(bias, (next_side, next_side, 1))
            for row, column in np.ndindex(kernel, kernel):
                x[row : row + stride * side : stride, column : column + stride * side : stride] += spread[row, column]
        return x


class Convolution:
    """A convolution, with zeros around the image where it is padded."""

    def __init__(self, tensors: Tensors, name: str, stride: int, padding: int = 0, dilation: int = 1) -> None:
        weight = tensors[f"{name}.weight"]
        self._kernel, self._stride, self._padding, self._dilation = weight.shape[2], stride, padding, dilation
        self._weight, self._bias = rows_by_channel(weight.transpose(2, 3, 1, 0)), tensors[f"{name}.bias"]

    def __call__(self, x: Array) -> Array:
        """Return [T, T, outputs] of [S, S, C], contiguous."""
        if self._padding:
            around = (self._padding, self._padding)
            x = np.pad(x, (around, around, (0, 0)))
        return _patches(x, self._kernel, self._stride, self._dilation) @ self._weight + self._bias


def half_shapes(image_size: int, channels: tuple[int, ...], encoded: int, decoded: int) -> Shapes:
    """Return name and shape of every tensor of `vae.halves`."""
    planes, count = (3, *channels), len(KERNELS)
    features = channels[-1] * sides(image_size)[-1] ** 2
    shapes: Shapes = {
        f"encoder.{2 * count + 1}.weight": (encoded, features),
        f"encoder.{2 * count + 1}.bias": (encoded,),
        "decoder.0.weight": (features, decoded),
        "decoder.0.bias": (features,),
    }
    for i, ((outer, inner), kernel) in enumerate(zip(pairwise(planes), KERNELS, strict=True)):
        up = 3 + 2 * (count - 1 - i)
        shapes[f"encoder.{2 * i}.weight"] = shapes[f"decoder.{up}.weight"] = (inner, outer, kernel, kernel)
        shapes[f"encoder.{2 * i}.bias"], shapes[f"decoder.{up}.bias"] = (inner,), (outer,)
    return shapes


def _patches(x: Array, kernel: int, stride: int, dilation: int) -> Array:
    """Return all patches that a convolution covers: [S, S, C], contiguous -> [T, T, kernel * kernel * C]."""
    side, channels = (x.shape[0] - dilation * (kernel - 1) - 1) // stride + 1, x.shape[2]
    row, column, channel = x.strides
    windows = (side, side, kernel, kernel, channels)
    strides = (row * stride, column * stride, row * dilation, column * dilation, channel)
    return as_strided(x, windows, strides).reshape(side, side, -1)


def rows_by_channel(weight: Array) -> Array:
    """Reshape [..., outputs] to [inputs, outputs]."""
    return np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]))
