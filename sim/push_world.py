"""Simulates the pushing world: a peg as the tool, and a puck on the table that it touches."""

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import Vector
from rig_sim.world import ASSETS, JOINTS, World

PUSH_SCENE = ASSETS / "push.xml"
PEG_RADIUS, PUCK_RADIUS = 0.025, 0.04
"""of the cylinders in `sawyer.xml` and `push.xml` (m)"""
APART = PEG_RADIUS + PUCK_RADIUS + 0.01
"""Least distance (m) between tool and puck where they are put, or shown in a goal"""
PUCK_HEIGHT = 0.0101
"""of the puck's middle where it stands on the table (m)"""

TOOL_LOW: Vector = np.array([0.42, -0.24, 0.22])
TOOL_HIGH: Vector = np.array([0.78, 0.24, 0.22])
"""The box in which the tool moves: two corners [3] (m, base frame). The peg ends 1 cm above the table, and the hand is
so high that it never hides the puck whole from the camera."""


class Area(NamedTuple):
    """A rectangle of the table."""

    low: Vector
    """corner [2] (m, base frame)"""
    high: Vector

    def has(self, place: ArrayLike) -> bool:
        """Return whether a place [2] (m) is in it."""
        return bool((np.asarray(place) >= self.low).all() and (np.asarray(place) <= self.high).all())


PUCK_AREA = Area(np.array([0.49, -0.17]), np.array([0.71, 0.17]))
"""Where the puck may be: the peg can get behind it from all sides."""


def beside(rng: np.random.Generator, other: Vector, low: Vector, high: Vector) -> Vector:
    """Return a random place (m) between two corners, of as many numbers as they have, `APART` from another [2]."""
    while True:
        place = rng.uniform(low, high)
        if np.linalg.norm(place[:2] - other) >= APART:
            return place


def random_goal(rng: np.random.Generator, low: Vector, high: Vector) -> Vector:
    """Return a goal [4] (m): x and y of the tool, between two corners, and of the puck, anywhere in its area."""
    puck = rng.uniform(*PUCK_AREA)
    return np.concatenate((beside(rng, puck, low, high)[:2], puck))


class PushWorld(World):
    """Physics of the arm with a peg, and of a puck."""

    def __init__(self) -> None:
        spec = mujoco.MjSpec.from_file(str(PUSH_SCENE))
        peg = spec.geom("peg")  # in other scenes it touches nothing
        peg.contype, peg.conaffinity = 1, 2
        super().__init__(spec.compile())
        self.model.material("peg").rgba[3] = 1.0
        self.model.material("tool").rgba[3] = 0.0
        joint = self.model.joint("puck")
        self._at, self._moves = int(joint.qposadr[0]), int(joint.dofadr[0])

    @property
    def puck_position(self) -> Vector:
        """Where the middle of the puck is on the table [2] (m, base frame)."""
        return self.data.qpos[self._at : self._at + 2].copy()

    def put(self, place: ArrayLike) -> None:
        """Put the puck at rest at a place [2] (m), at once."""
        self._stand(self.data, place)
        self.data.qvel[self._moves : self._moves + 6] = 0
        mujoco.mj_forward(self.model, self.data)

    def with_puck_at_rest(self, q: ArrayLike, place: ArrayLike) -> mujoco.MjData:
        """Return a state for rendering: the arm at joint position q [7] (rad), the puck at a place [2] (m)."""
        self._stand(self._shown, place)
        return self.at_rest(q)

    def place(self, q: ArrayLike) -> None:
        """Put the arm at rest at joint position q [7] (rad), at once; the puck stays where it is."""
        stands = self.data.qpos[len(JOINTS) :].copy()
        super().place(q)
        self.data.qpos[len(JOINTS) :] = stands
        mujoco.mj_forward(self.model, self.data)

    def _stand(self, data: mujoco.MjData, place: ArrayLike) -> None:
        data.qpos[self._at : self._at + 7] = (*np.asarray(place, dtype=float), PUCK_HEIGHT, 1.0, 0.0, 0.0, 0.0)
