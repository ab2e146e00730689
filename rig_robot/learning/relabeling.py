"""Goals for transitions after the fact: what was reached later, what is imagined, what was seen elsewhere."""

from dataclasses import dataclass

import numpy as np

from rig_robot.learning.replay_buffer import ReplayBuffer, Transitions


@dataclass(frozen=True)
class Prior:
    """p(z): a Gaussian fitted to encoder means, the source of imagined goals."""

    mean: np.ndarray
    """float64 [L]"""
    covariance: np.ndarray
    """float64 [L, L]"""

    @classmethod
    def fit(cls, latents: np.ndarray) -> "Prior":
        """latents: float32 [N, L]."""
        latents = latents.astype(np.float64)
        return cls(latents.mean(axis=0), np.atleast_2d(np.cov(latents, rowvar=False)))

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` imagined goals, z ~ p(z): float32 [count, L]."""
        # By eigenvectors, not Cholesky: a latent that the VAE does not use has next to no variance.
        return rng.multivariate_normal(self.mean, self.covariance, size=count, method="eigh").astype(np.float32)


def relabel(
    rng: np.random.Generator,
    replay: ReplayBuffer,
    transitions: Transitions,
    prior: Prior,
    future: float,
    imagined: float,
) -> np.ndarray:
    """New goals for `transitions` (RIG, Algorithm 1, line 12, and section 4.3): float32 [B, L].

    A share `future` gets the latent of a later frame of its own episode (s' at the earliest), `imagined` a sample of
    the prior, the rest a latent from anywhere in the replay buffer. Transitions come in random order, so the shares are
    simply slices.
    """
    count = len(transitions.frames)
    first, second = round(count * future), round(count * (future + imagined))
    own = transitions.frames[:first]
    later = rng.integers(own + 1, replay.last(own) + 1)
    anywhere = rng.integers(replay.size, size=count - second)
    goals = (replay.latents[later], prior.sample(rng, second - first), replay.latents[anywhere])
    return np.concatenate(goals)
