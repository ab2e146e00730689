"""Reads an arm's shapes from its description, and says where its links are at given joint positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np

from rig_robot.arm.base_frame import BaseFrame
from rig_robot.arm.description import read_description

KINDS = {
    int(mujoco.mjtGeom.mjGEOM_BOX): "box",
    int(mujoco.mjtGeom.mjGEOM_SPHERE): "sphere",
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): "sphere",
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): "capsule",
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
}
"""Shapes that are drawn. Meshes are not: their files may be missing."""
VISIBLE = 0.5
"""Opacity below which a shape is not drawn."""


class Shape(NamedTuple):
    """A shape of a link.

    `size` is MuJoCo's [3] m: half sides of a box; radius of a sphere; radius and half length of a capsule or cylinder.
    """

    link: int
    kind: str
    size: np.ndarray
    place: np.ndarray
    """where its middle is in the link's frame [3] m"""
    turn: np.ndarray
    """rotation matrix [3, 3] to the link's frame; capsules and cylinders lie along z"""
    colour: str
    """#rrggbb"""


class ArmModel:
    """An arm to be drawn.

    Args:
        description: Its MJCF or URDF: a file, or its text.
        joints: Names of the arm's joints.
        tool: Its tool's site or link.
        base_frame: The link in whose frame everything is drawn.

    Raises:
        ValueError: If the description cannot be used.
        OSError: If the file cannot be read.
    """

    def __init__(self, description: Path | str, joints: Sequence[str], tool: str, base_frame: str) -> None:
        robot = read_description(description)
        robot.check_joints(joints)
        base = BaseFrame(robot.spec, robot.named, joints, tool, base_frame).link
        _choose_shapes(robot.spec)
        robot.reduce(joints, with_shapes=True)
        self._model = robot.compile()
        self._data = mujoco.MjData(self._model)
        self._joints = {name: int(self._model.joint(name).qposadr[0]) for name in joints}
        self._base = int(self._model.body(base).id)
        self.shapes = [shape for index in range(self._model.ngeom) if (shape := self._shape(index)) is not None]
        self.links = sorted({shape.link for shape in self.shapes})
        """links that have shapes"""

    def _shape(self, index: int) -> Shape | None:
        model = self._model
        kind = KINDS.get(int(model.geom_type[index]))
        if kind is None:
            return None
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[index])
        red, green, blue = (round(255 * float(part)) for part in model.geom_rgba[index][:3])
        return Shape(
            int(model.geom_bodyid[index]),
            kind,
            model.geom_size[index].copy(),
            model.geom_pos[index].copy(),
            turn.reshape(3, 3),
            f"#{red:02x}{green:02x}{blue:02x}",
        )

    def poses(self, joints: Mapping[str, float]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return place [3] m and rotation [3, 3] of each link in the base frame, at joint positions by name [rad]."""
        data = self._data
        for name, index in self._joints.items():
            data.qpos[index] = joints.get(name, 0.0)
        mujoco.mj_kinematics(self._model, data)
        origin, turn = data.xpos[self._base], data.xmat[self._base].reshape(3, 3)
        return {
            link: (turn.T @ (data.xpos[link] - origin), turn.T @ data.xmat[link].reshape(3, 3)) for link in self.links
        }


def _choose_shapes(spec: mujoco.MjSpec) -> None:
    """Let only those shapes collide that are to be drawn, since `Description.reduce` leaves these.

    Shapes that only show what the arm looks like, where it has such, or else those that collide.
    """
    colours = {material.name: np.array(material.rgba) for material in spec.materials}
    for geom in spec.geoms:
        if geom.material in colours:
            geom.rgba = colours[geom.material]
    drawable = [geom for geom in spec.geoms if int(geom.type) in KINDS and not geom.meshname]
    looks = [geom for geom in drawable if not (geom.contype or geom.conaffinity) and geom.rgba[3] >= VISIBLE]
    if looks:
        for geom in spec.geoms:
            geom.contype = geom.conaffinity = 0
        for geom in looks:
            geom.contype = 1
