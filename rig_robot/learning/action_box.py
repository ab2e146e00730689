"""Defines the box that the tool moves in, measured in actions: what a robot knows of where its actions can lead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.config import ActionEntry, WorkspaceEntry


class ActionBox(NamedTuple):
    """The box along the axes that the actions move along, in their order."""

    low: NDArray[np.float64]
    """[A] m, base frame"""
    high: NDArray[np.float64]
    """[A] m"""
    action_m: float
    """how far an action of 1 moves the set point [m]"""
    axes: tuple[int, ...]
    """A numbers of 0 to 2: the base frame's axis that each action moves along"""

    @classmethod
    def of(cls, axes: Sequence[str], low: Sequence[float], high: Sequence[float], action_m: float) -> ActionBox:
        """Return the box of a workspace.

        Args:
            axes: Names of the axes, of x, y, z.
            low: Corner of the workspace [3] m.
            high: Opposite corner [3] m.
            action_m: How far an action of 1 moves the set point [m].
        """
        chosen = tuple("xyz".index(axis) for axis in axes)
        low_along, high_along = (np.asarray(corner, np.float64)[list(chosen)] for corner in (low, high))
        return cls(low_along, high_along, float(action_m), chosen)

    @classmethod
    def of_entries(cls, action: ActionEntry, workspace: WorkspaceEntry) -> ActionBox:
        """Return the box of a checkpoint."""
        return cls.of(action.axes, workspace.low, workspace.high, action.scale_m)

    @classmethod
    def of_environment(cls, world: Any) -> ActionBox:
        """Return the box of an environment (`gymnasium.Env.unwrapped`) with axes, workspace and action scale."""
        return cls.of(world.axes, world.workspace_low, world.workspace_high, world.action_scale)

    @property
    def size(self) -> int:
        """A, the number of axes."""
        return len(self.axes)

    @property
    def reach(self) -> NDArray[np.float32]:
        """Half the box's sides [A], in actions: as coordinates, its walls are at -reach and +reach."""
        return ((self.high - self.low) / 2 / self.action_m).astype(np.float32)

    def coordinates(self, positions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return tool positions, [N, 3] m, as coordinates in the box, [N, A] in actions from its centre."""
        along = positions[:, list(self.axes)]
        return ((along - (self.low + self.high) / 2) / self.action_m).astype(np.float32)
