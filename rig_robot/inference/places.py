"""Defines where tool and objects can be; goals and starts are imagined there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rig_robot.checkpoints.config import PlacesEntry

OUTLIERS = 0.5
"""Per cent of the places, at either end, that are taken for errors of measurement"""
ATTEMPTS = 100
"""of finding free places"""


@dataclass(frozen=True)
class Places:
    """The places that tool and objects were seen at, as boxes, and how near they come to each other.

    Goals are imagined evenly over them, which is where Pong et al. 2019
    (Skew-Fit, arXiv 1903.03698) skew RIG's prior to: a Gaussian has most of its goals in the middle of the table.
    """

    low: np.ndarray
    """float32 [L], in actions from the middle of the tool's box"""
    high: np.ndarray
    """float32 [L]"""
    apart: float
    """least distance between tool and an object [actions]; 0 without objects"""
    axes: int
    """A: the first A numbers are the tool's"""

    @classmethod
    def fit(cls, latents: np.ndarray, reach: np.ndarray, room: float = 0.0) -> Places:
        """Return the places of latents.

        Args:
            latents: float32 [N, L].
            reach: Half the sides of the tool's box, in actions [A].
            room: Objects nearer to a wall of the box than this [actions] are left out, since the tool cannot get behind
                them; for a table from which nobody takes them at once.
        """
        axes = len(reach)
        low, high = np.percentile(latents, (OUTLIERS, 100 - OUTLIERS), axis=0).astype(np.float32)
        low[:axes], high[:axes] = -reach, reach
        if room:
            farthest = np.tile(np.maximum(reach - room, 0.0), latents.shape[1] // axes - 1).astype(np.float32)
            low[axes:], high[axes:] = np.clip((low[axes:], high[axes:]), -farthest, farthest)
        apart = float(np.percentile(_gaps(latents, axes), OUTLIERS)) if latents.shape[1] > axes else 0.0
        return cls(low, high, apart, axes)

    @classmethod
    def of(cls, entry: PlacesEntry, axes: int) -> Places:
        """Return the places that a checkpoint holds; axes: numbers of a place."""
        low, high = (np.array(corner, np.float32) for corner in (entry.low, entry.high))
        return cls(low, high, entry.apart, axes)

    def entry(self) -> PlacesEntry:
        """Return the places as a checkpoint holds them."""
        return PlacesEntry(tuple(map(float, self.low)), tuple(map(float, self.high)), self.apart)

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return places of tool and objects, none in another: float32 [count, L].

        Where there is no room for them, the last ones are too near to each other.
        """
        found = np.empty((0, len(self.low)), np.float32)
        for attempt in range(ATTEMPTS):
            drawn = rng.uniform(self.low, self.high, (2 * count, len(self.low))).astype(np.float32)
            free = _gaps(drawn, self.axes) >= self.apart
            found = np.concatenate((found, drawn if attempt + 1 == ATTEMPTS else drawn[free]))
            if len(found) >= count:
                break
        return found[:count]

    def beside(self, rng: np.random.Generator, latents: np.ndarray, most: float) -> np.ndarray:
        """Return latents [N, L] with the tool beside its first object, on any side, at most so far from contact."""
        angle = rng.uniform(0, 2 * np.pi, len(latents))
        distance = self.apart + rng.uniform(0, most, len(latents))
        direction = np.zeros((len(latents), self.axes))
        direction[:, 0], direction[:, 1] = np.cos(angle), np.sin(angle)
        moved = latents.copy()
        tool = latents[:, self.axes : 2 * self.axes] + direction * distance[:, None]
        moved[:, : self.axes] = np.clip(tool, self.low[: self.axes], self.high[: self.axes])
        return moved


def _gaps(latents: np.ndarray, axes: int) -> np.ndarray:
    """Return the least distance between any two things, float64 [N]; infinity where there is one thing only."""
    things = latents.reshape(len(latents), -1, axes)
    gaps = np.full(len(latents), np.inf)
    for first in range(things.shape[1]):
        for second in range(first):
            gaps = np.minimum(gaps, np.linalg.norm(things[:, first] - things[:, second], axis=1))
    return gaps
