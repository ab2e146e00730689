"""The encoder of the controllable latent: finds points of the arm in the picture, and from them where the tool is.

Spatial soft-argmax (Levine et al. 2016, arXiv 1504.00702; Finn et al. 2016, 1509.06113) leaves of each map only where
it is brightest. A box beside the arm that moves no map's maximum changes nothing, whereas fully connected layers on
the same maps sum over all pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rig_robot.inference.keypoint_architecture import (
    CONTRAST_FLOOR,
    DILATIONS,
    HIDDEN,
    KERNELS,
    LEAST_VARIANCE,
    MAPS,
    SPREAD,
    STRIDES,
    grid,
    paddings,
    smoothing,
)

SHARPNESS = 3.5
"""Logarithm of the inverse temperature at first. At 0, all maxima begin in the middle of the picture, and in a lab the
latent often folds."""


class KeypointEncoder(nn.Module):
    """Convolutions at half resolution, the soft maximum of each of their maps, and a small network on its places."""

    places: Tensor
    smoothing: Tensor
    spread: Tensor

    def __init__(self, image_size: int, reach: Sequence[float]) -> None:
        """reach: half the sides of the tool's box, in actions; it sets the scale of the output."""
        super().__init__()
        self.convolutions = convolutions()
        self.sharpness = nn.Parameter(torch.full((MAPS,), SHARPNESS))
        """[maps], logarithm of the inverse temperature of each soft maximum"""
        self.head = nn.Sequential(nn.Linear(2 * MAPS, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, len(reach)))
        self.register_buffer("spread", SPREAD * torch.as_tensor(reach, dtype=torch.float32))
        self.register_buffer("places", torch.from_numpy(grid(image_size)), persistent=False)
        self.register_buffer("smoothing", torch.from_numpy(smoothing(image_size)), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the latents, float32 [B, A], of pixels, float32 [B, 3, S, S] in [0, 1]."""
        return self.head(self.points(pixels).flatten(1)) * self.spread

    def points(self, pixels: Tensor) -> Tensor:
        """Return where each map is brightest, float32 [B, maps, 2], right and down in [-1, 1]."""
        return self._weights(pixels) @ self.places

    def features(self, pixels: Tensor) -> Tensor:
        """Return where each map is brightest and how sharply, by which familiar pictures are told: float32 [B, F].

        First the points, right and down in [-1, 1] across the picture, then the logarithms of their spreads.
        """
        weights = self._weights(pixels)
        points = weights @ self.places
        variance = weights @ self.places.square().sum(dim=1) - points.square().sum(dim=2)
        return torch.cat((points.flatten(1), 0.5 * variance.clamp(min=LEAST_VARIANCE).log()), dim=1)

    def _weights(self, pixels: Tensor) -> Tensor:
        """Return the soft maximum of each map: float32 [B, maps, pixels], each map's sum 1."""
        maps = self.smoothing @ self.convolutions(normalise(pixels)) @ self.smoothing.T
        return (maps.flatten(2) * self.sharpness.exp()[:, None]).softmax(dim=2)


def convolutions() -> nn.Sequential:
    """Return the convolutions, [B, 3, S, S] to [B, MAPS, side, side]; what the last one gives are logits."""
    layers: list[nn.Module] = []
    shapes = zip(pairwise([3, *[MAPS] * len(KERNELS)]), KERNELS, STRIDES, paddings(), DILATIONS, strict=True)
    for planes, kernel, stride, padding, dilation in shapes:
        layers += [nn.Conv2d(*planes, kernel, stride, padding, dilation), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def normalise(pixels: Tensor) -> Tensor:
    """Return pixels [B, 3, S, S] without each channel's mean over the picture, divided by the picture's contrast."""
    centred = pixels - pixels.mean(dim=(2, 3), keepdim=True)
    contrast = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / (contrast + CONTRAST_FLOOR)
