"""Draws random motion that covers the workspace, for a robot without a trained policy (RIG, Algorithm 1, line 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.config import ActionEntry, WorkspaceEntry

DRAWS = 20
"""Largest number of directions that are drawn until one ends near enough to the box."""
BEYOND = 0.04
"""Distance outside the box at which a direction may end [m]; the action is then shortened to end at the wall. With 0,
the arm would hardly ever reach the edges."""


class Explorer:
    """Draws random actions and holds each for some steps: white noise would cover half as much of the box.

    .. note:: In training, every episode starts at another place. A robot continues from where it is, and a plain random
       walk would stay at the walls. So, where the tool's place is known, a direction that would end far outside the box
       is drawn again, and one that would end a little outside is shortened to end at the wall. The edges are then
       visited as often as all other places.
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
