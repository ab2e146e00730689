"""Defines the architecture of the controllable latent's encoder, for training (torch) and inference (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KERNELS = (5, 3, 3, 3)
STRIDES = (2, 1, 1, 1)
"""Of the convolutions, each padded to keep half the picture's resolution."""
DILATIONS = (1, 1, 2, 4)
"""Pixels between the places that a kernel reads. Each place of a map sees 33 x 33 pixels of the picture: a good part of
an arm of which a tool is the end. With 13 x 13, the latent folds where rooms change and frames are few."""
MAPS = 16
"""Channels of each convolution; each of the last is the map of one point."""
HIDDEN = 64
"""Width of the hidden layer between the points and the latent."""
CONTRAST_FLOOR = 0.05
"""Added to a picture's contrast, values in [0, 1], so that noise of a dark picture is not taken for content."""
SPREAD = 0.5
"""A unit of the last layer is this share of half the tool's box."""

SMOOTHING = 4
"""Binomial filters, 1 2 1, each along rows and columns, on the maps before the soft maximum. Without, points snap to
the maps' pixels, which are twice the picture's, and an arm trembles at its goal."""

FEATURES = 3 * MAPS
"""Numbers by which familiar pictures are told: each point's place and how sharp it is."""
LEAST_VARIANCE = 1e-6
"""Of a point; sharper ones count as this sharp."""

TEMPLATE = 4
"""The side of the template of an object's look is this part of the picture's."""

UNFAMILIAR = 2.0
"""A picture is unknown where its features are more than so many times as far off as is usual."""


def paddings() -> tuple[int, ...]:
    """Return how many pixels of zeros each convolution has around its input."""
    return tuple(dilation * (kernel // 2) for kernel, dilation in zip(KERNELS, DILATIONS, strict=True))


def side(image_size: int) -> int:
    """Return the side of the maps [pixels]."""
    return (image_size + 1) // 2


def grid(image_size: int) -> NDArray[np.float32]:
    """Return the places of a map's pixels, row by row: [side * side, 2], right and down in [-1, 1]."""
    along = np.linspace(-1, 1, side(image_size), dtype=np.float32)
    down, right = np.meshgrid(along, along, indexing="ij")
    return np.stack((right.ravel(), down.ravel()), axis=1)


def smoothing(image_size: int) -> NDArray[np.float32]:
    """Return S [side, side]: S @ map @ S.T is a map [side, side] smoothed; its edge counts on beyond it."""
    count = side(image_size)
    padded = np.pad(np.eye(count), ((1, 1), (0, 0)), mode="edge")
    once = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return np.linalg.matrix_power(once, SMOOTHING).astype(np.float32)


def template_side(image_size: int) -> int:
    """Return the side of the template of an object's look [pixels]; it is even."""
    return 2 * round(image_size / TEMPLATE / 2)


def quadratic(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return 1, x, y, x^2, xy, y^2 of points [N, 2]: [N, 6]. A camera's perspective across a table is nearly that."""
    x, y = points.T
    return np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), axis=1)
