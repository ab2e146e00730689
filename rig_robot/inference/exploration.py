"""Random motion that covers the workspace, for a robot that knows nothing yet (RIG, Algorithm 1, line 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import ActionEntry, WorkspaceEntry

DRAWS = 20
"""Directions that are drawn at most until one is good."""
BEYOND = 0.04
"""How far [m] outside the box a direction may end; it is then shortened. At 0 the arm hardly ever sees the edges."""


class Explorer:
    """Sticky random actions: a direction is held for some steps, since white noise covers half as much.

    .. note:: In training, every episode starts at another place. A robot goes on where it is, and a plain random walk
       would stick to the walls. So, where the place is known, a direction that would end far outside the box is drawn
       again, and one that would end a little outside ends at the wall: the edges are seen as often as all else.
    """

    def __init__(self, action: ActionEntry, workspace: WorkspaceEntry, sticky: int, rng: np.random.Generator) -> None:
        self._axes = ["xyz".index(axis) for axis in action.axes]
        self._scale = action.scale_m
        self._low, self._high = (np.array(bound)[self._axes] for bound in (workspace.low, workspace.high))
        self._sticky, self._rng = sticky, rng
        self._action = np.zeros(len(self._axes), np.float32)
        self._left = 0

    def act(self, place: NDArray[np.float64] | None) -> NDArray[np.float32]:
        """place: where the tool is, base frame [3] m, or None -> action [A] in [-1, 1]."""
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
