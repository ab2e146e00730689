"""Acceptance criteria: whether a newly trained pair of VAE and policy, a candidate, may replace the present pair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae, to_pixels

LOSS_MARGIN = 1.02
"""A candidate's held-out loss may be so many times the present one: a smaller difference is chance"""
REACH_MARGIN, REACH_CHANCE_MM = 1.15, 1.0
"""A mean final distance may be so many times the present one, or so much above: a few dozen goals tell no more"""
ALIKE = 0.25
"""Two policies act alike if their actions, in [-1, 1], differ by less than this on average"""
ANGLE_MARGIN_DEG = 3.0
"""A policy points to the goal as well as another if its mean angle to the goal is at most so much larger"""
PAIRS = 500
"""Pairs of frame and goal on which policies are compared"""
NEAR_M, MANY = 0.02, 30
"""A goal nearer than this has no clear direction [m]; with so many pairs of measured places, angles are compared"""


@dataclass(frozen=True)
class Decision:
    """Whether a candidate is accepted."""

    accepted: bool
    reason: str
    """in words, with the figures that it rests on"""
    figures: dict[str, Any] = field(default_factory=dict)


class VaeFigures(NamedTuple):
    """How good a VAE is on held-out frames."""

    loss: float
    active_units: int
    """numbers of the latent that vary"""


def check_vae(present: VaeFigures | None, candidate: VaeFigures, frames: int, least_units: int) -> Decision:
    """Accept a VAE that has not collapsed and whose loss on held-out images is no worse than the present one's.

    Args:
        present: None where nothing was learned before.
        candidate: The newly trained one.
        frames: Number of held-out frames.
        least_units: Active latent units that are needed: one for each axis that the arm moves along.
    """
    found, units = candidate
    figures = {"held_out_loss": round(found, 2), "active_units": units}
    if not np.isfinite(found):
        return Decision(False, f"the loss on {frames} held-out images is {found}", figures)
    if units < least_units:
        reason = f"the VAE has collapsed: {units} active latent units, and the arm moves along {least_units} axes"
        return Decision(False, reason, figures)
    seen = f"loss on {frames} held-out images {found:.1f}, {units} active latent units"
    if present is None:
        return Decision(True, seen, figures)
    before = present.loss
    figures["held_out_loss_before"] = round(before, 2)
    return Decision(found <= LOSS_MARGIN * before, f"{seen}; of the present VAE: {before:.1f}", figures)


def check_reaching(present: Mapping[str, Any] | None, candidate: Mapping[str, Any]) -> Decision:
    """Accept a pair that reaches goals in simulation no worse than the best so far.

    Args:
        present: Figures of the best pair so far, from `evaluate.figures`; None where nothing was learned before.
        candidate: Figures of the new pair on the same goals.
    """
    mean, figures = candidate["mean_mm"], dict(candidate)
    reached = f"{candidate['goals']} goals: final distance mean {mean:.1f} mm, median {candidate['median_mm']:.1f} mm"
    if present is None:
        return Decision(True, reached, figures)
    before = present["mean_mm"]
    accepted = mean <= max(REACH_MARGIN * before, before + REACH_CHANCE_MM)
    return Decision(accepted, f"{reached}; the best so far: mean {before:.1f} mm", figures)


@torch.inference_mode()
def check_actions(
    present: tuple[Vae | SplitVae, Actor],
    candidate: tuple[Vae | SplitVae, Actor],
    images: np.ndarray,
    positions: np.ndarray,
    axes: tuple[int, ...],
) -> Decision:
    """Accept a pair whose actions on held-out frames point to the goal no worse than the present pair's.

    Where too few tool positions were measured to tell, accept a pair that acts like the present one.

    Args:
        present: VAE and actor of the present checkpoint.
        candidate: The newly trained ones.
        images: Held out: uint8 [N, S, S, 3].
        positions: Measured tool positions: float [N, 3] m, NaN where there is none.
        axes: Axes of the base frame, in the order of the actions.
    """
    if len(images) < 2:
        return Decision(True, "no image is held out yet")
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
        return Decision(found <= before + ANGLE_MARGIN_DEG, reason, figures)
    reason = f"actions differ by {difference:.2f} from the present pair's on held-out frames, alike is below {ALIKE}"
    return Decision(difference < ALIKE, reason, figures)


def _missed_deg(actions: np.ndarray, way: np.ndarray) -> float:
    """Return the mean angle between actions and the way to the goal, [N, A] each."""
    lengths = np.linalg.norm(actions, axis=1) * np.linalg.norm(way, axis=1)
    cosine = (actions * way).sum(axis=1) / np.maximum(lengths, 1e-9)
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())
