"""Runs convolutional networks in numpy, one image at a time: `vae.halves` as trained with torch.

Images are [row, column, channel], so that a convolution is one matrix product; torch has the channels first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.vae_architecture import (
    DECODER_HIDDEN,
    DECODER_KERNELS,
    DECODER_PADDINGS,
    DECODER_STRIDES,
    KERNELS,
    STRIDES,
    first_side,
    sides,
)

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
        sizes = self._sides[-2::-1]
        self._up = [TransposedConvolution(tensors, *layer) for layer in zip(names, STRIDES[::-1], sizes, strict=True)]

    def __call__(self, numbers: Array) -> Array:
        """Return the image, float32 [S, S, 3], without the mean image, of numbers [N]."""
        x = self._tail @ numbers + self._tail_bias
        for convolution in self._up:
            x = convolution(np.maximum(x, 0))
        return x


class SplitDecoder:
    """From numbers to an image [S, S, 3]: the decoder of a split VAE, `split_vae.split_decoder`."""

    def __init__(self, tensors: Tensors, image_size: int, channels: tuple[int, ...]) -> None:
        self._image_size = image_size
        self._layers = [(tensors[f"decoder.{i}.weight"], tensors[f"decoder.{i}.bias"]) for i in (0, 2)]
        side = first_side(image_size)
        self._first = (channels[-1], side, side)
        self._up = []
        for i, (stride, padding) in enumerate(zip(DECODER_STRIDES, DECODER_PADDINGS, strict=True)):
            side *= stride
            self._up.append(TransposedConvolution(tensors, f"decoder.{5 + 2 * i}", stride, side, padding))

    def __call__(self, numbers: Array) -> Array:
        """Return the image, float32 [S, S, 3], without the mean image, of numbers [N]."""
        (first, first_bias), (second, second_bias) = self._layers
        x = second @ np.maximum(first @ numbers + first_bias, 0) + second_bias
        x = x.reshape(self._first).transpose(1, 2, 0)
        for convolution in self._up:
            x = convolution(np.maximum(x, 0))
        return x[: self._image_size, : self._image_size]


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


class TransposedConvolution:
    """A transposed convolution, to a picture of a given side; what is beyond that is cut off all around."""

    def __init__(self, tensors: Tensors, name: str, stride: int, side: int, padding: int = 0) -> None:
        self._weight, self._bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        self._stride, self._side, self._padding = stride, side, padding

    def __call__(self, x: Array) -> Array:
        """Return [side, side, outputs] of [S, S, C]."""
        kernel, span = self._weight.shape[2], self._stride * len(x)
        spread = np.einsum("rci,iokl->klrco", x, self._weight, optimize=True)
        whole = self._side + 2 * self._padding
        drawn = np.tile(self._bias, (whole, whole, 1))
        for row, column in np.ndindex(kernel, kernel):
            drawn[row : row + span : self._stride, column : column + span : self._stride] += spread[row, column]
        inside = slice(self._padding, self._padding + self._side)
        return drawn[inside, inside]


def split_decoder_shapes(image_size: int, channels: tuple[int, ...], numbers: int) -> Shapes:
    """Return name and shape of every tensor of `split_vae.split_decoder`."""
    features = channels[-1] * first_side(image_size) ** 2
    shapes: Shapes = {
        "decoder.0.weight": (DECODER_HIDDEN, numbers),
        "decoder.0.bias": (DECODER_HIDDEN,),
        "decoder.2.weight": (features, DECODER_HIDDEN),
        "decoder.2.bias": (features,),
    }
    return shapes | _transposed_shapes(channels, DECODER_KERNELS, 5)


def _transposed_shapes(channels: tuple[int, ...], kernels: tuple[int, ...], first: int) -> Shapes:
    """Return name and shape of the transposed convolutions of a decoder, of which the first has this number."""
    shapes: Shapes = {}
    for i, ((inner, outer), kernel) in enumerate(zip(pairwise((*reversed(channels), 3)), kernels, strict=True)):
        name = f"decoder.{first + 2 * i}"
        shapes |= {f"{name}.weight": (inner, outer, kernel, kernel), f"{name}.bias": (outer,)}
    return shapes


def encoder_shapes(image_size: int, channels: tuple[int, ...], numbers: int) -> Shapes:
    """Return name and shape of every tensor of the encoder of `vae.halves`."""
    features, last = channels[-1] * sides(image_size)[-1] ** 2, f"encoder.{2 * len(KERNELS) + 1}"
    shapes: Shapes = {f"{last}.weight": (numbers, features), f"{last}.bias": (numbers,)}
    for i, ((outer, inner), kernel) in enumerate(zip(pairwise((3, *channels)), KERNELS, strict=True)):
        name = f"encoder.{2 * i}"
        shapes |= {f"{name}.weight": (inner, outer, kernel, kernel), f"{name}.bias": (inner,)}
    return shapes


def decoder_shapes(image_size: int, channels: tuple[int, ...], numbers: int) -> Shapes:
    """Return name and shape of every tensor of the decoder of `vae.halves`."""
    features = channels[-1] * sides(image_size)[-1] ** 2
    shapes: Shapes = {"decoder.0.weight": (features, numbers), "decoder.0.bias": (features,)}
    return shapes | _transposed_shapes(channels, KERNELS[::-1], 3)


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
