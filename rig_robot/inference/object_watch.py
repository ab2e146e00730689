"""Tells from latents alone that an object has left the area where it can be pushed, and that it is back."""

from __future__ import annotations

from itertools import product

import numpy as np

from rig_robot.inference.object_memory import is_sure
from rig_robot.inference.places import Places

MARGIN = 1.0
"""An object is outside that is so much further out than where objects were seen [actions]"""
CLEAR = 6.0
"""The arm hides an object that is nearer to the tool [actions]; twice as far as where they touch"""
OUTSIDE_S = 1.0
"""Time for which an object must be seen outside until it counts as gone [s]"""
UNSEEN_S = 3.0
"""Time for which an object must not be seen, though the arm is not before it, until it counts as gone [s]"""
AROUND = 4.0
"""It must not be seen from tool places that lie so far apart whichever way one looks [actions]: a tool that stands
between camera and object hides it from afar, and is narrower than that"""
BACK_S = 1.0
"""Time for which it must be seen inside until it counts as back [s]"""
LONGEST_STEP_S = 0.5
"""A longer time between two latents counts as so long: what was not seen tells nothing [s]"""


class ObjectWatch:
    """Follows the object from one latent to the next.

    It is gone when it is clearly seen outside the places where it was seen in training, or when it is not clearly seen
    while the tool moves about and is not near the place where it was last seen. Errors of single pictures count for
    nothing.
    """

    def __init__(self, places: Places) -> None:
        self._axes = places.axes
        at = slice(places.axes, 2 * places.axes)
        self._low, self._high = places.low[at] - MARGIN, places.high[at] + MARGIN
        ways = np.array([way for way in product((-2, -1, 0, 1, 2), repeat=places.axes) if any(way)], np.float64)
        self._ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
        self._nowhere = np.full(len(ways), -np.inf)
        self._unseen, self._farthest = 0.0, self._nowhere  # farthest: of the tool's places, each way, while unseen
        self._last: np.ndarray | None = None
        self._stamp: float | None = None
        self._outside = self._inside = 0.0
        self.gone = ""
        """why the object counts as gone; empty: it does not"""

    def see(self, stamp: float, mean: np.ndarray, log_variance: np.ndarray) -> None:
        """Take the next latent: stamp [s], mean and log-variance [L] of what the encoder sees, without a memory."""
        passed = 0.0 if self._stamp is None else float(np.clip(stamp - self._stamp, 0.0, LONGEST_STEP_S))
        self._stamp = stamp
        tool, place = mean[: self._axes], mean[self._axes : 2 * self._axes]
        sure = is_sure(log_variance, self._axes)
        inside = sure and bool((place >= self._low).all() and (place <= self._high).all())
        if sure:
            self._last, self._unseen, self._farthest = place.copy(), 0.0, self._nowhere
            self._outside = 0.0 if inside else self._outside + passed
        elif self._last is None or np.linalg.norm(tool - self._last) > CLEAR:
            self._unseen += passed
            self._farthest = np.maximum(self._farthest, self._ways @ tool)
        self._inside = self._inside + passed if inside else 0.0
        if self._outside >= OUTSIDE_S:
            self.gone = "it is outside of where it can be pushed"
        elif self._unseen >= UNSEEN_S and self._from_around():
            self.gone = "the camera does not see it"
        elif self.gone and self._inside >= BACK_S:
            self.gone = ""

    def _from_around(self) -> bool:
        """Return whether the tool was at places that lie apart whichever way one looks."""
        return bool((self._farthest + self._farthest[::-1]).min() >= AROUND)  # in reverse order: the opposite ways
