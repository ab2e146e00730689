"""Trains the split VAE: the controllable latent by the robot's own actions, the exogenous one by redrawing pictures."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.learning.vae.augmentation import augment
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels
from rig_robot.learning.vae.vae_trainer import PIXEL_PRECISION, in_memory_order, kl_divergence, reparametrise

Anchor = Literal["actions", "proprioception"]
SOFT = 1e-4
"""Added under the root of the squared error, so that its gradient is finite at 0"""


class Path(NamedTuple):
    """What the robot did between the two frames of B pairs, each pair from one episode; float32."""

    actions: Tensor
    """[B, T, A], the actions from the first frame on; 0 from the second on"""
    steps: Tensor
    """int64 [B], how many actions lie between: 0 to T"""
    before: Tensor
    """[B, A], the action before the first frame; its late share takes effect after that frame"""


class SetPoint(nn.Module):
    """Predicts where the tool will be by the set point, which each action moves and which stops at the box's walls.

    At the walls an arm does not move as it is told; a robot that knows its box knows that, too. The walls also fix the
    latent's zero: they are the same places in every episode. An action moves the latent by one unit along its axis, so
    there is no scale to learn, and nothing can collapse.
    """

    def __init__(self, reach: Tensor) -> None:
        """reach: half the sides of the box in actions [A]."""
        super().__init__()
        self.reach = reach
        self.late = nn.Parameter(torch.zeros(()))
        """the share of an action that takes effect after the next frame, as a logit"""

    def forward(self, first: Tensor, path: Path) -> Tensor:
        """Return the predicted latent of the second frame, [B, A], from that of the first, [B, A]."""
        late = torch.sigmoid(self.late)
        target = self._inside(first + late * path.before)
        last = self._inside(target - path.before)
        for step in range(path.actions.shape[1]):
            going = (step < path.steps)[:, None]
            moved = self._inside(target + path.actions[:, step])
            last, target = torch.where(going, target, last), torch.where(going, moved, target)
        return target - late * (target - last)

    def _inside(self, target: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(target, -self.reach), self.reach)


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean distance of points [B, A]; unlike its square, it lets few outliers be outliers."""
    return ((first - second).square().sum(dim=1) + SOFT).sqrt().mean()


def redraw_loss(
    vae: SplitVae, pixels: Tensor, controllable: Tensor, context: Tensor, noise: Tensor, beta: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the negative evidence lower bound of pictures redrawn from c and the u of another frame.

    Args:
        vae: Whose decoder redraws.
        pixels: float32 [B, 3, S, S] in [0, 1].
        controllable: Their c, [B, A].
        context: Another frame of the episode of each, as pixels.
        noise: Standard normal [B, U].
        beta: Weight of the KL term of u. c has no such term: the actions fix its scale.
    """
    mean, log_variance = vae.encode_scene(context)
    redrawn = vae.decode_in(controllable, reparametrise(mean, log_variance, noise))
    found, wanted = in_memory_order(redrawn), in_memory_order(pixels)
    squared_error = functional.mse_loss(found, wanted, reduction="sum") / len(pixels)
    divergence = kl_divergence(mean, log_variance).mean()
    log = {"vae/squared_error": squared_error.detach(), "vae/kl": divergence.detach()}
    return PIXEL_PRECISION * squared_error + beta * divergence, log


class SplitVaeTrainer:
    """A split VAE, its model of the set point, and the optimiser of both."""

    def __init__(self, vae: SplitVae, set_point: SetPoint, beta: float, weight: float, anchor: Anchor) -> None:
        """weight: of the controllable latent's loss, beside that of the pictures."""
        self.vae, self.set_point, self.beta, self.weight, self.anchor = vae, set_point, beta, weight, anchor
        self.calibrating = True
        """whether `late` is trained, too, or stays fixed while the latents follow it"""
        groups = [{"params": vae.parameters()}, {"params": self.set_point.parameters()}]
        self.optimiser = torch.optim.AdamW(groups, fused=True)

    def update(
        self,
        images: np.ndarray,
        contexts: np.ndarray,
        path: Path,
        learning_rate: float,
        rng: np.random.Generator,
        strength: float = 1.0,
        elsewhere: np.ndarray | None = None,
        places: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        """Take one gradient step on pairs of frames, and return what to log.

        Args:
            images: uint8 [2 B, S, S, 3], the first frames and then the second ones.
            contexts: uint8 [B, S, S, 3], another frame of the episode of each pair.
            path: The actions between.
            learning_rate: Of the VAE.
            rng: Of augmentation and samples.
            strength: Of the augmentation, 0 to 1.
            elsewhere: uint8 [N, S, S, 3], pictures to cut patches from beside the pair's own.
            places: float32 [2 B, A], measured places of the tool in the box, NaN where unknown; for proprioception.
        """
        for group, factor in zip(self.optimiser.param_groups, (1, 10 * self.calibrating), strict=True):
            group["lr"] = factor * learning_rate
        vae, half = self.vae, len(path.steps)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pixels = to_pixels(images)
        others = pixels if elsewhere is None or not len(elsewhere) else torch.cat((pixels, to_pixels(elsewhere)))
        latents = vae.controllable(augment(pixels, others, strength, generator))
        first, second = latents[:half], latents[half:]
        if self.anchor == "proprioception" and places is not None:
            known = torch.from_numpy(np.isfinite(places).all(axis=1))
            missed = distance(latents[known], torch.from_numpy(places)[known]) if known.any() else latents.sum() * 0
        else:
            missed = distance(second, self.set_point(first, path))
        noise = torch.empty(half, vae.scene_size).normal_(generator=generator)
        redrawn, log = redraw_loss(vae, pixels[:half], first.detach(), to_pixels(contexts), noise, self.beta)
        self.optimiser.zero_grad()
        (self.weight * missed + redrawn).backward()
        self.optimiser.step()
        return log | {"vae/calibration": missed.detach()}
