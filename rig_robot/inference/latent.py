"""Defines a latent that carries the id of the VAE that encoded it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Latent(NamedTuple):
    """A point in the latent space of one VAE."""

    vae_id: str
    """first 8 hex digits of the sha256 of the VAE"""
    mean: NDArray[np.float32]
    """[L]; shape [0] for a cleared goal"""
    log_variance: NDArray[np.float32]
    """[L]"""
    imagined: bool = False
    """whether it is a goal drawn from the prior instead of shown as a picture"""


def no_goal(vae_id: str) -> Latent:
    """Return the latent that says that there is no goal."""
    return Latent(vae_id, np.empty(0, np.float32), np.empty(0, np.float32))
