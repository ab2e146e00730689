"""The prior over goals, from which goals are imagined: a Gaussian fitted to latents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Prior:
    """p(z): a Gaussian fitted to encoder means."""

    mean: np.ndarray
    """float64 [L]"""
    covariance: np.ndarray
    """float64 [L, L]"""

    @classmethod
    def fit(cls, latents: np.ndarray) -> Prior:
        """Return the prior fitted to latents: float32 [N, L]."""
        latents = latents.astype(np.float64)
        return cls(latents.mean(axis=0), np.atleast_2d(np.cov(latents, rowvar=False)))

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return `count` imagined goals, z ~ p(z): float32 [count, L]."""
        return (self.mean + rng.standard_normal((count, len(self.mean))) @ self.root.T).astype(np.float32)

    @cached_property
    def root(self) -> np.ndarray:
        """A matrix R with R R^T = covariance: float64 [L, L]."""
        # By eigenvectors, not Cholesky: a number of the latent that the VAE does not use has hardly any variance.
        variances, axes = np.linalg.eigh(self.covariance)
        return axes * np.sqrt(variances.clip(min=0))
