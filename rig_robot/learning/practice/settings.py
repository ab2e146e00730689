"""Settings of learning on the robot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How to learn. How the networks are made and trained is the checkpoint's to say, in its `training`."""

    exploration_steps: int = 1_500
    """Random steps before anything is learned, where there is no trained checkpoint."""
    updates: int = 4
    """Updates of policy and critics for each recorded step."""
    fine_tune_every: int = 5
    """Episodes between two fine-tunings of the VAE."""
    tune_updates: int = 400
    """VAE updates per fine-tuning at most: it ends when held-out images gain no more."""
    refit_updates: int = 600
    """Updates of policy and critics on the latents of the fine-tuned VAE, before the pair is judged."""
    relearn_steps: int = 850
    """Random steps in a view that the trained VAE does not know, before it learns to see again."""
    relearn_updates: int = 2_000
    """VAE updates of that."""
    capacity: int = 100_000
    """Frames to remember."""
    environment: str = ""
    """Gymnasium environment to judge a pair in by reaching (module:name); empty: by held-out frames."""
    scene: str = "plain"
    """Scene of that environment."""
    judge_goals: int = 30
    """Goals of that."""
