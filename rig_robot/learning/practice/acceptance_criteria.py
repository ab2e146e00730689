"""Whether a newly trained pair of VAE and policy may replace the present one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.vae.vae import Vae, to_pixels
from rig_robot.learning.vae.vae_trainer import loss

ACTIVE_VARIANCE = 0.01
"""A latent unit is active if the encoder's mean varies by more than this over the data (Burda et al. 2016)."""
LOSS_MARGIN = 1.02
"""A held-out loss may be so many times the present one: within that it is chance."""
REACH_MARGIN, REACH_CHANCE_MM = 1.15, 1.0
"""A mean final distance may be so many times the present one, or so much above: a few dozen goals say no more."""
ALIKE = 0.25
"""Two policies act alike if their actions, in [-1, 1], differ by less than this on average."""
ANGLE_MARGIN_DEG = 3.0
"""A policy points as near to the goal as another if it misses its direction by no more than this in addition."""
IMAGINED = 300
"""pictures that a VAE imagines, to say how far apart those are that it knows"""
PAIRS = 500
"""pairs of frame and goal that policies are compared on"""
NEAR_M, MANY = 0.02, 30
"""a goal nearer than this has no clear direction; pairs of measured places that say enough"""


@dataclass(frozen=True)
class Verdict:
    """Whether a pair may be published."""

    accepted: bool
    reason: str
    """in words, with the figures that it rests on"""
    figures: dict[str, Any] = field(default_factory=dict)


@torch.inference_mode()
def held_out_loss(vae: Vae, images: np.ndarray, beta: float) -> float:
    """Negative evidence lower bound with the KL term weighted by beta, mean over images: uint8 [N, S, S, 3]."""
    noise = np.random.default_rng(0).standard_normal((len(images), vae.latent_size), dtype=np.float32)
    return float(loss(vae, to_pixels(np.ascontiguousarray(images)), torch.from_numpy(noise), beta)[0])


@torch.inference_mode()
def active_units(vae: Vae, images: np.ndarray) -> int:
    """How many numbers of the latent say anything about images: uint8 [N, S, S, 3]."""
    means, _ = vae.encode(to_pixels(np.ascontiguousarray(images)))
    return int((means.var(dim=0) > ACTIVE_VARIANCE).sum())


@torch.inference_mode()
def knows(vae: Vae, prior: Prior, images: np.ndarray) -> bool:
    """Whether a VAE has learnt to see what images (uint8 [N, S, S, 3]) show, and not another view.

    If so, it is nearer to them with what it makes of them than the pictures that it can imagine are to their mean. By
    those, and not by how far apart the images are: an arm may hold still.
    """
    pixels = to_pixels(np.ascontiguousarray(images))
    missed = (vae.decode(vae.encode(pixels)[0]) - pixels).square().mean()
    imagined = vae.decode(torch.from_numpy(prior.sample(np.random.default_rng(0), IMAGINED)))
    return bool(missed < (imagined - imagined.mean(dim=0)).square().mean())


def seeing(present: Vae | None, candidate: Vae, images: np.ndarray, beta: float, least_units: int) -> Verdict:
    """Whether the VAE has not collapsed and sees held-out images (uint8 [N, S, S, 3]) no worse than the present one.

    present: None where nothing was learned before. least_units: as many active latent units as the arm has axes.
    """
    if len(images) < 2:
        return Verdict(True, "no image is held out yet")
    units = active_units(candidate, images)
    found = held_out_loss(candidate, images, beta)
    figures = {"held_out_loss": round(found, 2), "active_units": units}
    if not np.isfinite(found):
        return Verdict(False, f"the loss on {len(images)} held-out images is {found}", figures)
    if units < least_units:
        reason = f"the VAE has collapsed: {units} active latent units, and the arm moves along {least_units} axes"
        return Verdict(False, reason, figures)
    seen = f"loss on {len(images)} held-out images {found:.1f}, {units} active latent units"
    if present is None:
        return Verdict(True, seen, figures)
    before = held_out_loss(present, images, beta)
    figures["held_out_loss_before"] = round(before, 2)
    return Verdict(found <= LOSS_MARGIN * before, f"{seen}; of the present VAE: {before:.1f}", figures)


def reaching(present: Mapping[str, Any] | None, candidate: Mapping[str, Any]) -> Verdict:
    """Whether a pair reaches no worse: figures as `evaluate.figures` gives them, on the same goals.

    present: the best so far; None where nothing was learned before.
    """
    mean, figures = candidate["mean_mm"], dict(candidate)
    reached = f"{candidate['goals']} goals: final distance mean {mean:.1f} mm, median {candidate['median_mm']:.1f} mm"
    if present is None:
        return Verdict(True, reached, figures)
    before = present["mean_mm"]
    accepted = mean <= max(REACH_MARGIN * before, before + REACH_CHANCE_MM)
    return Verdict(accepted, f"{reached}; the best so far: mean {before:.1f} mm", figures)


@torch.inference_mode()
def acting(
    present: tuple[Vae, Actor],
    candidate: tuple[Vae, Actor],
    images: np.ndarray,
    positions: np.ndarray,
    axes: tuple[int, ...],
) -> Verdict:
    """Whether a pair acts like the present one on held-out frames, or points nearer to the goal, if it can be told.

    images: uint8 [N, S, S, 3]; positions: float [N, 3], measured tool positions [m], NaN where there is none;
    axes: of the base frame, in the order of the actions.
    """
    if len(images) < 2:
        return Verdict(True, "no image is held out yet")
    rng = np.random.default_rng(0)
    here, there = rng.integers(len(images), size=(2, PAIRS))
    pixels = to_pixels(np.ascontiguousarray(images))
    actions = []
    for vae, actor in (present, candidate):
        latents = vae.encode(pixels)[0]
        actions.append(actor(latents[here], latents[there]).numpy())
    difference = float(np.linalg.norm(actions[1] - actions[0], axis=1).mean() / np.sqrt(len(axes)))
    figures: dict[str, Any] = {"action_difference": round(difference, 3)}
    way = (positions[there] - positions[here])[:, list(axes)]
    length = np.linalg.norm(way, axis=1)
    known = np.isfinite(length) & (length > NEAR_M)
    if known.sum() >= MANY:
        before, found = (_missed_deg(action[known], way[known]) for action in actions)
        figures |= {"angle_deg": round(found, 1), "angle_before_deg": round(before, 1)}
        reason = f"actions miss the way to the goal by {found:.0f} degrees, those of the present pair by {before:.0f}"
        return Verdict(found <= before + ANGLE_MARGIN_DEG, reason, figures)
    reason = f"actions differ by {difference:.2f} from the present pair's on held-out frames, alike is below {ALIKE}"
    return Verdict(difference < ALIKE, reason, figures)


def _missed_deg(actions: np.ndarray, way: np.ndarray) -> float:
    """Mean angle between actions and the way to the goal, [N, A] each."""
    lengths = np.linalg.norm(actions, axis=1) * np.linalg.norm(way, axis=1)
    cosine = (actions * way).sum(axis=1) / np.maximum(lengths, 1e-9)
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())
