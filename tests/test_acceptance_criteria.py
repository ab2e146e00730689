"""Acceptance criteria: a policy that reaches worse, or points elsewhere than the present one, is refused."""

from typing import Any

import numpy as np
import pytest
import torch

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.learning.practice import acceptance_criteria as criteria
from rig_robot.learning.vae.vae import Vae


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3), dtype=np.uint8)


def test_a_pair_that_reaches_worse_is_refused() -> None:
    good = {"goals": 30, "mean_mm": 4.0, "median_mm": 3.0}
    assert (
        criteria.check_reaching(None, good).accepted and criteria.check_reaching(good, good | {"mean_mm": 4.9}).accepted
    )
    assert not criteria.check_reaching(good, good | {"mean_mm": 9.0}).accepted


def test_on_a_robot_a_policy_that_points_elsewhere_is_refused(seen: np.ndarray) -> None:
    class TowardsGoal(torch.nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            self.sign = sign

        def forward(self, latent: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
            return torch.clamp(self.sign * (goal - latent), -1, 1)

    class PositionVae(Vae):
        """An encoder whose latent is the tool's position."""

        def encode(self, pixels: torch.Tensor, context: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
            place = pixels[:, :2, 0, 0]
            return place, place

    positions = np.concatenate((seen[:, 0, 0, :2] / 255, np.zeros((20, 1))), axis=1)
    vae = PositionVae(48, 2, (4, 8, 8))
    there, away = (vae, TowardsGoal(1.0)), (vae, TowardsGoal(-1.0))
    assert criteria.check_actions(there, there, seen, positions, (0, 1)).accepted
    assert criteria.check_actions(away, there, seen, positions, (0, 1)).accepted, (
        "better than the present one is not alike"
    )
    refused = criteria.check_actions(there, away, seen, positions, (0, 1))
    assert not refused.accepted and refused.figures["angle_deg"] > 170
    unknown = np.full_like(positions, np.nan)
    assert not criteria.check_actions(there, away, seen, unknown, (0, 1)).accepted, "without poses: not alike"
    assert criteria.check_actions(there, there, seen, unknown, (0, 1)).accepted
