"""Explores by straight motions, many of them at an object: random ones touch it in one step of twenty."""

from __future__ import annotations

import numpy as np

from rig_robot.inference.places import Places

ASIDE = 1.0
"""Standard deviation of where a motion passes the object's middle [actions]: pushes turn it aside, too"""
THROUGH = (1, 8)
"""Steps for which a motion goes on behind the object, at least and less than"""
LONGEST = 25
"""Steps of a motion"""
FOLLOWED = 4.0
"""How far a push may take the object [actions]: motions that could push it out of its places are not aimed"""
BEHIND = 4.5
"""How far behind an object the tool goes where a push from this side could lose it [actions]"""
TREMBLE = 0.1
"""Standard deviation of the noise on each action"""


class ContactSeeking:
    """One motion after the other, from wherever the tool is."""

    def __init__(self, places: Places, aimed: float) -> None:
        """aimed: share of the motions that go through an object."""
        self._places, self._aimed = places, aimed
        self.left = 0
        """steps that are left of the present motion"""
        self._direction = np.zeros(places.axes)

    def action(self, latent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the next action, float32 [A], of the present motion or of a new one, from a latent [L]."""
        if self.left == 0:
            self.begin(latent, rng, rng.random() < self._aimed)
        self.left -= 1
        return np.clip(self._direction + rng.normal(0, TREMBLE, len(self._direction)), -1, 1).astype(np.float32)

    def begin(self, latent: np.ndarray, rng: np.random.Generator, aimed: bool) -> None:
        """Begin a motion: through an object if `aimed` and if it stays in its places, or else to any place."""
        axes = self._places.axes
        things = latent.reshape(-1, axes)
        tool, beyond = things[0], 0
        way = self._places.sample(rng, 1)[0, :axes] - tool
        if aimed and len(things) > 1:
            chosen = rng.integers(1, len(things))
            object_, at = things[chosen], slice(chosen * axes, (chosen + 1) * axes)
            low, high = self._places.low[at], self._places.high[at]
            aim = object_ + rng.normal(0, ASIDE, axes) - tool
            pushed = object_ + FOLLOWED * _direction(aim)
            if (pushed >= low).all() and (pushed <= high).all():
                way, beyond = aim, int(rng.integers(*THROUGH))
            else:  # get behind it first, so that the next push brings it back to the middle
                way = object_ + BEHIND * _direction(object_ - (low + high) / 2) - tool
        farthest = max(float(np.abs(way).max()), 1e-6)
        self._direction = way / farthest * rng.uniform(0.6, 1.0)
        self.left = max(1, min(LONGEST, int(np.ceil(farthest)) + beyond))


def _direction(way: np.ndarray) -> np.ndarray:
    return way / max(float(np.linalg.norm(way)), 1e-6)
