"""A latent with the name of the VAE that it is of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Latent(NamedTuple):
    """A point in the latent space of one VAE."""

    vae_id: str
    """first 8 hex digits of the sha256 of the VAE that it comes from"""
    mean: NDArray[np.float32]
    """[L]; [0] where there is none (a cleared goal)"""
    log_variance: NDArray[np.float32]
    """[L]"""
    imagined: bool = False
    """of a goal that nobody has shown"""


def none_of(vae_id: str) -> Latent:
    """The latent that says: no goal."""
    return Latent(vae_id, np.empty(0, np.float32), np.empty(0, np.float32))
