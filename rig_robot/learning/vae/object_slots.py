"""Finds things in pictures that the arm's latent does not explain: each slot looks for one thing of one look.

A slot is a map of where its thing is, and a small template of how it looks, which is drawn over the split VAE's picture
of arm and room wherever the map says; map and template learn by redrawing pictures. It is convolutional sparse coding
(Zeiler et al. 2010, doi 10.1109/CVPR.2010.5539957) with one place for each thing; drawn at the mean of the map instead
of all over it, as keypoints are (Jakab et al. 2018, arXiv 1806.07823), templates found nothing: far from the thing, no
gradient leads to it. In the first half of training, the maps are also taught where their templates explain the picture
best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.inference.keypoint_architecture import MAPS, grid, smoothing, template_side
from rig_robot.learning.vae.augmentation import augment
from rig_robot.learning.vae.keypoints import convolutions, normalise
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels
from rig_robot.learning.vae.vae_trainer import kl_divergence, reparametrise

SHARPNESS = 2.5
"""Logarithm of the inverse temperature of the maps at first"""
ROUND = 4.0
"""How sharply a template's opacity, a disc at first, falls at its edge"""
PRECISION = 4.0
"""Weight of a pixel's squared error against the KL term of u and the maps' entropy"""
GUIDANCE = 3.0
"""Greatest weight of the maps' cross-entropy to the places where their templates explain pictures best, per nat"""
ARM = 0.15
"""A pixel that differs by so much from the room, values in [0, 1], is the arm's"""
COLOUR_ROUNDS, COLOUR_STARTS, COLOUR_PIXELS = 50, 5, 4_000
"""of k-means over the colours that arm and room do not explain"""
DARKEST, BRIGHTEST = 0.02, 0.98
"""Of a template's colour"""


class ObjectSlots(nn.Module):
    """Maps and templates of K slots."""

    places: Tensor
    smoothing: Tensor

    def __init__(self, image_size: int, slots: int, scene_size: int) -> None:
        """scene_size: numbers of the split VAE's u, by which the light on the templates follows that of the room."""
        super().__init__()
        self.image_size, self.slots = image_size, slots
        # With the dilated convolution as the last, a map has side lobes at its kernel's places.
        self.convolutions = convolutions().extend((nn.ReLU(inplace=True), nn.Conv2d(MAPS, slots, 1)))
        self.sharpness = nn.Parameter(torch.full((slots,), SHARPNESS))
        side = template_side(image_size)
        away = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2))
        disc = torch.from_numpy((ROUND / 2 - ROUND * away / (side / 2)).astype(np.float32))
        self.opacity = nn.Parameter(disc.expand(slots, 1, side, side).clone())
        self.colour = nn.Parameter(torch.zeros(slots, 3, side, side))
        self.light = nn.Linear(scene_size, 3)
        nn.init.zeros_(self.light.weight)
        nn.init.zeros_(self.light.bias)
        self.register_buffer("places", torch.from_numpy(grid(image_size)), persistent=False)
        self.register_buffer("smoothing", torch.from_numpy(smoothing(image_size)), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return where each slot's thing is, float32 [B, K, 2], right and down in [-1, 1]; pixels: [B, 3, S, S]."""
        return self.maps(pixels).flatten(2) @ self.places

    def maps(self, pixels: Tensor) -> Tensor:
        """Return the soft maximum of each slot's map: float32 [B, K, side, side], each map's sum 1."""
        heights = self.heights(pixels)
        return heights.flatten(2).softmax(dim=2).unflatten(2, heights.shape[2:])

    def heights(self, pixels: Tensor) -> Tensor:
        """Return each slot's map before its soft maximum: float32 [B, K, side, side]."""
        return (
            self.smoothing
            @ self.convolutions(normalise(pixels))
            @ self.smoothing.T
            * self.sharpness.exp()[:, None, None]
        )

    def draw(self, background: Tensor, maps: Tensor, scene: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return pictures with the things drawn over them: float32 [B, 3, S, S].

        Args:
            background: The split VAE's pictures, [B, 3, S, S].
            maps: As `maps` gives them.
            scene: The u of each picture [B, U].
            hidden: How far each pixel hides things, [B, 1, S, S] in [0, 1], as an arm in front of them does.
        """
        opacity = torch.sigmoid(self.opacity)
        templates = torch.cat((torch.sigmoid(self.colour) * opacity, opacity), dim=1)
        padding = templates.shape[-1] // 2 - 1
        drawn = functional.conv_transpose2d(maps, templates, stride=2, padding=padding)
        drawn = drawn[..., : self.image_size, : self.image_size]
        covered = drawn[:, 3:].clamp(min=1)  # where templates lie over each other
        drawn = drawn if hidden is None else drawn * (1 - hidden)
        light = self.light(scene).exp()[:, :, None, None]
        return background * (1 - drawn[:, 3:] / covered) + drawn[:, :3] / covered * light

    def gains(self, pixels: Tensor, background: Tensor, scene: Tensor) -> Tensor:
        """Return by how much the squared error falls where a template alone is drawn: float32 [B, K, side, side].

        That is |x - b|^2 - |x - b - o (l c - b)|^2, summed over a template of opacity o and colour c in the light l,
        multiplied out into correlations with the template.

        Args:
            pixels: What is to be drawn, x [B, 3, S, S].
            background: See `draw`.
            scene: See `draw`.
        """
        opacity, light = torch.sigmoid(self.opacity), self.light(scene).exp()[:, :, None, None]
        colour, squared, missed = torch.sigmoid(self.colour), opacity.square(), pixels - background
        beyond = 2 * self.smoothing.shape[0] - self.image_size

        def over(picture: Tensor, template: Tensor) -> Tensor:
            """Correlate with templates, the transpose of drawing them; of one channel: summed over the picture's."""
            summed = picture if template.shape[1] == 3 else picture.sum(dim=1, keepdim=True)
            padded = functional.pad(summed, (0, beyond, 0, beyond))
            return functional.conv2d(padded, template, stride=2, padding=template.shape[-1] // 2 - 1)

        return (
            over(2 * missed * light, opacity * colour)
            - over(2 * missed * background, opacity)
            - over(light.square().expand_as(pixels), squared * colour.square())
            + over(2 * background * light, squared * colour)
            - over(background.square(), squared)
        )


class SlotTrainer:
    """Trains slots, and the split VAE's picture of the room behind them; its controllable latent stays as it is."""

    def __init__(self, slots: ObjectSlots, vae: SplitVae) -> None:
        self.slots, self.vae = slots, vae
        behind = [*vae.encoder.parameters(), *vae.decoder.parameters()]
        groups: list[dict[str, Any]] = [{"params": slots.parameters()}, {"params": behind}]
        self.optimiser = torch.optim.AdamW(groups, fused=True)

    @torch.no_grad()
    def begin(self, images: np.ndarray, contexts: np.ndarray, rng: np.random.Generator) -> None:
        """Give each slot one of the colours that arm and room do not explain: uint8 [N, S, S, 3] each.

        From colours at random, slots often find nothing.
        """
        vae, pixels = self.vae, to_pixels(images)
        background = vae.decode(vae.controllable(pixels), to_pixels(contexts))
        missed = functional.avg_pool2d((pixels - background).square().sum(dim=1, keepdim=True), 3, 1, 1)
        weights = missed.flatten().double().numpy()
        colours = pixels.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
        chosen = colours[rng.choice(len(colours), COLOUR_PIXELS, p=weights / weights.sum())]
        found = torch.from_numpy(k_means(chosen, self.slots.slots, rng)).clamp(DARKEST, BRIGHTEST)
        self.slots.colour.copy_(torch.logit(found)[:, :, None, None].expand_as(self.slots.colour))

    def update(
        self,
        images: np.ndarray,
        contexts: np.ndarray,
        rate: float,
        strength: float,
        entropy_weight: float,
        guidance: float,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """Take one gradient step, and return what to log.

        Args:
            images: uint8 [B, S, S, 3].
            contexts: uint8 [B, S, S, 3], another frame of the episode of each.
            rate: Learning rate.
            strength: Of the augmentation, 0 to 1.
            entropy_weight: Of the maps' entropy: things are at one place, but not before they are found.
            guidance: 0 to 1, how much the maps are taught the places where their templates explain the picture best, as
                the E step of expectation maximisation has them. By redrawing alone, a small thing beside larger ones
                that move is seldom found.
            rng: Of augmentation and samples.
        """
        for group, factor in zip(self.optimiser.param_groups, (1.0, 0.5), strict=True):
            group["lr"] = factor * rate
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pixels = to_pixels(images)
        with torch.no_grad():
            controllable = self.vae.controllable(pixels)
        mean, log_variance = self.vae.encode_scene(to_pixels(contexts))
        scene = reparametrise(mean, log_variance, torch.empty_like(mean).normal_(generator=generator))
        background = self.vae.decode_in(controllable, scene)
        arm = self.arm(background.detach(), controllable, scene.detach())
        # In half of the pictures the arm of another one hides what it hides, which is to be found all the same.
        hides = arm.roll(1, dims=0) * (torch.rand(len(arm), 1, 1, 1, generator=generator) < 0.5)
        seen = pixels * (1 - hides) + pixels.roll(1, dims=0) * hides
        maps = self.slots.maps(augment(seen, pixels, strength, generator))
        # A thing may stand before the arm or behind it: of each picture, the order that fits counts.
        orders = [self.slots.draw(background, maps, scene, hidden) for hidden in (None, arm)]
        errors = torch.stack([(redrawn - pixels).square().sum(dim=(1, 2, 3)) for redrawn in orders])
        squared_error = errors.amin(dim=0).mean()
        entropy = -(maps * (maps + 1e-8).log()).sum(dim=(2, 3)).mean()
        divergence = kl_divergence(mean, log_variance).mean()
        loss = PRECISION * squared_error + divergence + entropy_weight * entropy
        if guidance:
            with torch.no_grad():
                gains = ahead(self.slots.gains(pixels, background, scene))
                likely = (PRECISION * gains).flatten(2).softmax(dim=2).unflatten(2, gains.shape[2:])
            loss = loss - GUIDANCE * guidance * (likely * (maps + 1e-8).log()).sum(dim=(1, 2, 3)).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"slots/squared_error": squared_error.detach(), "slots/entropy": entropy.detach()}

    @torch.no_grad()
    def arm(self, drawn: Tensor, controllable: Tensor, scene: Tensor) -> Tensor:
        """Return which pixels the arm covers, float32 [B, 1, S, S] in [0, 1]: those that the same room with the arm
        elsewhere has otherwise.

        Args:
            drawn: The split VAE's pictures, [B, 3, S, S].
            controllable: The c of each [B, A].
            scene: The u of each [B, U].
        """
        elsewhere = [self.vae.decode_in(controllable.roll(number, dims=0), scene) for number in range(1, 4)]
        room = torch.stack(elsewhere).median(dim=0).values
        return ((drawn - room).abs().amax(dim=1, keepdim=True) / ARM).clamp(0, 1)


def ahead(gains: Tensor) -> Tensor:
    """Return how far each slot's gain is ahead of the greatest of the others', or of 0: [B, K, side, side]."""
    first, second = functional.pad(gains, (0, 0, 0, 0, 0, 2)).topk(2, dim=1).values.split(1, dim=1)
    return gains - torch.where(gains == first, second, first).clamp(min=0)


def k_means(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` centres of points [N, D], the best of a few starts: float32 [count, D]."""
    best, least = points[:count], np.inf
    for _ in range(COLOUR_STARTS):
        centres = points[rng.choice(len(points), count, replace=False)]
        for _ in range(COLOUR_ROUNDS):
            distances = ((points[:, None] - centres) ** 2).sum(axis=2)
            nearest = distances.argmin(axis=1)
            members = [points[nearest == number] for number in range(count)]
            centres = np.array([own.mean(axis=0) if len(own) else points[rng.integers(len(points))] for own in members])
        if (error := distances.min(axis=1).mean()) < least:
            best, least = centres, error
    return best.astype(np.float32)
