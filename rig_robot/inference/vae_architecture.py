"""Defines the part of the VAE's architecture that `config.json` does not give, for training (torch) and inference."""

from math import prod

KERNELS = (5, 3, 3)
STRIDES = (3, 2, 2)
DECODER_KERNELS, DECODER_STRIDES, DECODER_PADDINGS = (4, 4, 7), (2, 2, 3), (1, 1, 2)
"""Of a split VAE's decoder: each pixel gets as much from a transposed convolution as its neighbours. With kernels that
their strides do not divide, and 3 at the end, pictures had a chequered pattern."""
DECODER_HIDDEN = 256
"""Width of a split VAE's decoder before its transposed convolutions"""
LOG_VARIANCE_RANGE = (-8.0, 4.0)
"""Bounds that keep exp(log-variance) finite for any image; latents of training images stay well inside."""


def sides(image_size: int) -> list[int]:
    """Return the side of the square [pixels] before the first convolution and after each."""
    found = [image_size]
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        found.append((found[-1] - kernel) // stride + 1)
    return found


def first_side(image_size: int) -> int:
    """Return the side of the square [pixels] that a split VAE's decoder begins with, at least a twelfth of a picture's.

    Its last pictures are as large or larger; they are cut on the right and below.
    """
    return -(-image_size // prod(DECODER_STRIDES))
