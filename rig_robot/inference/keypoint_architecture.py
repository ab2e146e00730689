"""Defines the architecture of the controllable latent's encoder, for training (torch) and inference (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KERNELS = (5, 3, 3)
STRIDES = (2, 1, 1)
"""Of the convolutions, each padded by half its kernel: half the picture's resolution is kept."""
MAPS = 16
"""Channels of each convolution; each of the last is the map of one point."""
HIDDEN = 64
"""Width of the hidden layer between the points and the latent."""
CONTRAST_FLOOR = 0.05
"""Added to a picture's contrast, values in [0, 1], so that noise of a dark picture is not taken for content."""
SPREAD = 0.5
"""A unit of the last layer is this share of half the tool's box."""

FEATURES = 3 * MAPS
"""Numbers by which familiar pictures are told: each point's place and how sharp it is."""
LEAST_VARIANCE = 1e-6
"""Of a point; sharper ones count as this sharp."""


def side(image_size: int) -> int:
    """Return the side of the maps [pixels]."""
    return (image_size + 1) // 2


def grid(image_size: int) -> NDArray[np.float32]:
    """Return the places of a map's pixels, row by row: [side * side, 2], right and down in [-1, 1]."""
    along = np.linspace(-1, 1, side(image_size), dtype=np.float32)
    down, right = np.meshgrid(along, along, indexing="ij")
    return np.stack((right.ravel(), down.ravel()), axis=1)
