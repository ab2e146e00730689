"""Tells pictures of the kind that the controllable latent was learned from: such as show the arm as it was seen.

A Gaussian is fitted to the encoder's features of training pictures, and a picture's distance from it is measured
(Mahalanobis; Lee et al. 2018, arXiv 1807.03888). Clutter moves the features little, since the encoder has learned to
leave it out; a picture without the arm, upside down or of something else has points where no training picture has them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.inference.keypoint_architecture import FEATURES

USUAL = 0.99
"""Share of the training pictures that is no further away than what is called usual"""
LEAST = 1e-5
"""Directions with less variance than this share of the largest count as having it"""


class Familiarity(nn.Module):
    """The Gaussian of the features."""

    mean: Tensor
    whitening: Tensor
    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("whitening", torch.eye(FEATURES))
        self.register_buffer("usual", torch.ones(()))

    def fit(self, features: Tensor) -> None:
        """Fit the Gaussian to the features of training pictures: float32 [N, F]."""
        known = features.numpy().astype(np.float64)
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(known, rowvar=False)))
        least = max(LEAST * float(variances.max()), 1e-6)
        self.mean.copy_(torch.from_numpy(known.mean(axis=0)))
        self.whitening.copy_(torch.from_numpy(axes / np.sqrt(FEATURES * variances.clip(min=least))))
        self.usual.fill_(1.0)
        self.usual.copy_(torch.quantile(self(features), USUAL).clamp(min=1e-3))

    def forward(self, features: Tensor) -> Tensor:
        """Return how far features [B, F] are from those of training, as multiples of what is usual: [B]."""
        return ((features - self.mean) @ self.whitening).norm(dim=1) / self.usual
