"""A latent with the name of the VAE that made it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Latent(NamedTuple):
    """A point in the latent space of one VAE."""

    vae_id: str
    """first 8 hex digits of the sha256 of the VAE"""
    mean: NDArray[np.float32]
    """[L]; [0] for a goal that was cleared"""
    log_variance: NDArray[np.float32]
    """[L]"""
    imagined: bool = False
    """whether it is a goal that was drawn from the prior, not shown as a picture"""


def none_of(vae_id: str) -> Latent:
    """Return the latent that means that there is no goal."""
    return Latent(vae_id, np.empty(0, np.float32), np.empty(0, np.float32))
