"""Tells from the distances to a goal, one after the other, whether the robot is going, has reached it or is stuck."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np

from rig_robot.checkpoints.config import CheckpointConfig

SETTLE = 0.5
"""Time for which the goal must be near before it is reached [s]"""
AWAY = 2.0
"""A reached goal is left where the distance is more than so many times what counts as near"""
GAIN = 0.25
"""A distance that falls by less than this share of what counts as near is no progress"""


class Phase(StrEnum):
    """What there is to say about a goal."""

    WAITING = "waiting"
    """there is no goal, or the policy is not in mode reach"""
    GOING = "going"
    REACHED = "reached"
    STALLED = "stalled"
    """not reached, and no nearer for a while"""
    BLIND = "blind"
    """no pictures arrive"""


class GoalProgress:
    """Follows the distance to one goal.

    Args:
        near: Distance at which the goal is reached; any unit.
        patience: Time without getting nearer after which the robot is stalled [s].
    """

    def __init__(self, near: float, patience: float) -> None:
        self._near, self._patience = near, patience
        self.phase = Phase.GOING
        self._least = math.inf
        self._gained = self._near_since = math.nan  # times [s]

    def update(self, now: float, distance: float) -> Phase:
        """Take the distance at a time [s], and return the phase."""
        if distance < self._least - GAIN * self._near or math.isnan(self._gained):
            self._least, self._gained = distance, now
        if distance > self._near * (AWAY if self.phase is Phase.REACHED else 1.0):
            self._near_since = math.nan
        elif math.isnan(self._near_since):
            self._near_since = now
        if now - self._near_since >= SETTLE:  # false for NaN
            self.phase = Phase.REACHED
        elif self.phase is Phase.REACHED:  # it was left: count from here
            self._least, self._gained, self.phase = distance, now, Phase.GOING
        else:
            stuck = now - self._gained > self._patience and math.isnan(self._near_since)
            self.phase = Phase.STALLED if stuck else Phase.GOING
        return self.phase


class Ruler:
    """Measures the distance between two latents of a checkpoint in millimetres.

    Latents of a split VAE are in actions, so that millimetres are known. Others have any unit: the spread of the prior
    is then taken for that of places in the workspace, which is right to within a factor, not more.
    """

    def __init__(self, config: CheckpointConfig) -> None:
        self._axes = len(config.action.axes)
        self.has_object = config.vae.objects > 0
        self.exact = config.vae.scene_size > 0
        """whether millimetres are known, not estimated"""
        self._mm = 1000.0 * config.action.scale_m
        if not self.exact:
            sides = np.subtract(config.workspace.high, config.workspace.low)
            spread = math.sqrt(max(float(np.trace(np.array(config.latent_prior.covariance))), 1e-12))
            self._mm = 1000.0 * math.sqrt(float((sides**2).sum()) / 12) / spread

    def tool_mm(self, latent: np.ndarray, goal: np.ndarray) -> float:
        """Return how far the tool is from where the goal has it; latents [L] of the checkpoint's VAE."""
        count = self._axes if self.has_object else len(latent)
        return self._mm * float(np.linalg.norm((latent - goal)[:count]))

    def object_mm(self, latent: np.ndarray, goal: np.ndarray) -> float:
        """Return how far the object is from where the goal has it; latents [L] of a VAE that knows one."""
        return self._mm * float(np.linalg.norm((latent - goal)[self._axes :]))
