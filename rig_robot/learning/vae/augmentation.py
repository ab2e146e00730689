"""Changes pictures as a lab would: light, colours of the room, things in it, noise; never where the arm is.

The two frames of a pair are changed each on its own, and their latents must still differ by the actions between them:
so the latent learns to leave out all that changes here. There are no shifts and no flips: a pixel is a centimetre.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GAIN = (-0.7, 0.35)
"""Range of the logarithm of the light"""
TINT, CONTRAST = 0.15, 0.3
"""Range of the logarithm, either way: of each colour's gain, and of the contrast about the mean"""
RAMP = 0.3
"""How much brighter or darker a side of the picture can be, along each axis"""
TEXTURE, TEXTURED = 0.25, 0.5
"""Amplitude of a coarse texture, values in [0, 1], and the share of pictures that have one"""
COARSE = (3, 12)
"""Cells of the texture along a side, at least and at most"""
PATCHES, PATCHED = 3, 0.6
"""Most patches in a picture, and the probability of each; the last is cut from another picture, the others are plain"""
PATCH = (4, 12)
"""Sides of a patch [pixels of 48]"""
NOISE = 0.06
"""Largest standard deviation of the noise"""


def augment(pixels: Tensor, elsewhere: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Return pictures changed at random, each in its own way.

    Args:
        pixels: float32 [B, 3, S, S] in [0, 1].
        elsewhere: float32 [N, 3, S, S], pictures of which patches are cut.
        strength: 0 (no change) to 1.
        generator: Of the randomness.
    """
    # One memory order throughout: an operation on two orders takes several times as long.
    pixels, elsewhere = pixels.contiguous(), elsewhere.contiguous()
    draw = _Draw(len(pixels), pixels.shape[-1], generator)
    changed = _patch(pixels, elsewhere, strength, draw)
    changed += strength * _texture(draw)
    mean = changed.mean(dim=(2, 3), keepdim=True)
    contrast = (strength * draw.uniform(-CONTRAST, CONTRAST)).exp()
    changed.sub_(mean).mul_(contrast).add_(mean)
    light = strength * (draw.uniform(*GAIN) + draw.uniform(-TINT, TINT, channels=3))
    changed.mul_(light.exp()).mul_(1 + strength * RAMP * draw.ramp())
    noise = torch.empty_like(changed).normal_(generator=generator)
    changed.addcmul_(noise, strength * draw.uniform(0, NOISE))
    return changed.clamp_(0, 1).contiguous(memory_format=torch.channels_last)


class _Draw:
    """Draws numbers for a batch of pictures."""

    def __init__(self, count: int, side: int, generator: torch.Generator) -> None:
        self.count, self.side, self.generator = count, side, generator
        along = torch.linspace(-1, 1, side)
        self.right, self.down = along[None, None, None, :], along[None, None, :, None]

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        """Return numbers for each picture: [B, channels, 1, 1]."""
        return low + (high - low) * torch.rand(self.count, channels, 1, 1, generator=self.generator)

    def chance(self, probability: float) -> Tensor:
        """Return for each picture whether something happens: [B, 1, 1, 1]."""
        return self.uniform(0, 1) < probability

    def ramp(self) -> Tensor:
        """Return a plane across each picture: [B, 1, S, S] in [-1, 1] along each axis."""
        return self.uniform(-1, 1) * self.right + self.uniform(-1, 1) * self.down


def _texture(draw: _Draw) -> Tensor:
    """Return a coarse coloured texture for some pictures, smooth or in cells, 0 for the others: [B, 3, S, S]."""
    cells = int(torch.randint(COARSE[0], COARSE[1] + 1, (), generator=draw.generator))
    coarse = 2 * torch.rand(draw.count, 3, cells, cells, generator=draw.generator) - 1
    size = (draw.side, draw.side)
    if torch.rand((), generator=draw.generator) < 0.5:
        fine = functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
    else:
        fine = functional.interpolate(coarse, size, mode="nearest")
    return fine * (TEXTURE * draw.uniform(0, 1) * draw.chance(TEXTURED))


def _patch(pixels: Tensor, elsewhere: Tensor, strength: float, draw: _Draw) -> Tensor:
    """Return pictures with patches of plain colour and of another picture."""
    scale = draw.side / 48
    for number in range(PATCHES):
        wide, high = (draw.uniform(*PATCH) * scale for _ in range(2))
        left, top = (draw.uniform(0, 1) * draw.side - side / 2 for side in (wide, high))
        columns = (draw.right + 1) / 2 * (draw.side - 1)
        rows = (draw.down + 1) / 2 * (draw.side - 1)
        inside = (columns >= left) & (columns < left + wide) & (rows >= top) & (rows < top + high)
        inside = inside & draw.chance(PATCHED * strength)
        if number == PATCHES - 1:
            chosen = torch.randint(len(elsewhere), (draw.count,), generator=draw.generator)
            pixels = torch.where(inside, elsewhere[chosen], pixels)
        else:
            pixels = torch.where(inside, draw.uniform(0, 1, channels=3), pixels)
    return pixels


def strength(progress: float) -> float:
    """Return how strongly to augment: from 0 up to 1 over the first 30 % of training; at once, latents would fold."""
    return min(1.0, progress / 0.3)
