"""Settings of learning on the robot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How to learn. How networks are made and trained stands in the checkpoint's `training`, and begins from there."""

    exploration_steps: int = 1_500
    """Random steps before anything is learned, where there is no trained checkpoint."""
    updates: int = 4
    """Updates of policy and critics for each recorded step."""
    fine_tune_every: int = 5
    """Episodes between two fine-tunings of the VAE; 0: only on request."""
    tune_updates: int = 400
    """VAE updates per fine-tuning at most: it ends when held-out images gain no more."""
    refit_updates: int = 600
    """Updates of policy and critics on the latents of the fine-tuned VAE, before the pair is evaluated."""
    relearn_steps: int = 850
    """Random steps in a view that the trained VAE does not know, before the VAE is trained on it."""
    relearn_updates: int = 2_000
    """VAE updates of that training."""
    capacity: int = 100_000
    """Frames to remember."""
    environment: str = ""
    """Gymnasium environment (module:name) in which candidates are evaluated; empty: on held-out frames."""
    scene: str = "plain"
    """Scene of that environment."""
    judge_goals: int = 30
    """Number of goals used to evaluate a candidate in simulation."""
