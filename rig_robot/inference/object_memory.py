"""Remembers where an object was while the arm hides it."""

from __future__ import annotations

import numpy as np

from rig_robot.inference.vae_architecture import LOG_VARIANCE_RANGE

UNSURE = LOG_VARIANCE_RANGE[1]
"""Log-variance of a latent's numbers for an object's place, of a picture that does not show the object clearly"""


def is_sure(log_variance: np.ndarray, axes: int) -> bool:
    """Return whether a picture shows the object clearly.

    Args:
        log_variance: Of its latent [L].
        axes: A: the first A numbers are the tool's.
    """
    return bool((log_variance[axes:] < UNSURE).all())


class ObjectMemory:
    """Fills in where the object was last seen: nobody but the tool moves it, and the tool that hides it is beside it.

    Args:
        axes: A: the first A numbers of a latent are the tool's.
    """

    def __init__(self, axes: int) -> None:
        self._axes = axes
        self._last: np.ndarray | None = None

    def fill(self, mean: np.ndarray, sure: bool) -> np.ndarray:
        """Return a latent [L] with the object where it was last seen, if this picture does not show it clearly."""
        if sure:
            self._last = mean[self._axes :].copy()
        if sure or self._last is None:
            return mean
        return np.concatenate((mean[: self._axes], self._last))

    def forget(self) -> None:
        """Forget where the object was: it was put elsewhere."""
        self._last = None
