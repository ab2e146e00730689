"""Random motion that covers the workspace, for a robot that knows nothing yet (RIG, Algorithm 1, line 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import ActionEntry, WorkspaceEntry

DRAWS = 20
"""Most directions that are drawn until one ends near enough to the box"""
BEYOND = 0.04
"""How far outside the box a direction may end [m]; it is then shortened. At 0 the arm hardly ever reaches the edges."""


class Explorer:
    """Sticky random actions: a direction is held for some steps, since white noise covers half as much of the box.

    .. note:: In training, every episode starts at another place. A robot goes on from where it is, and a plain random
       walk would stick to the walls. So, where the place is known, a direction that would end far outside the box is
       drawn again, and a direction that would end a little outside ends at the wall: the edges are visited as often as
       all other places.
    """

    def __init__(self, action: ActionEntry, workspace: WorkspaceEntry, sticky: int, rng: np.random.Generator) -> None:
        self._axes = ["xyz".index(axis) for axis in action.axes]
        self._scale = action.scale_m
        self._low, self._high = (np.array(bound)[self._axes] for bound in (workspace.low, workspace.high))
        self._sticky, self._rng = sticky, rng
        self._action = np.zeros(len(self._axes), np.float32)
        self._left = 0

    def act(self, place: NDArray[np.float64] | None) -> NDArray[np.float32]:
        """Return an action, float32 [A] in [-1, 1]; place: of the tool in the base frame, [3] m, None if not known."""
        if not self._left:
            self._action, self._left = self._draw(place), self._sticky
        self._left -= 1
        return self._action

    def _draw(self, place: NDArray[np.float64] | None) -> NDArray[np.float32]:
        way = self._sticky * self._scale
        for _ in range(DRAWS):
            action = self._rng.uniform(-1, 1, len(self._axes)).astype(np.float32)
            if place is None:
                return action
            here = place[self._axes]
            end = here + way * action
            if ((end >= self._low - BEYOND) & (end <= self._high + BEYOND)).all():
                break
        return ((end.clip(self._low, self._high) - here) / way).clip(-1, 1).astype(np.float32)
