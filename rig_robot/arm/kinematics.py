"""Forward and differential inverse kinematics of an arm, by MuJoCo and mink.

Positions and turns are in the base frame, a link of the description that the arm does not move. Where it stands in the
description (on a stand, on a mobile base, in a scene) makes no difference.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.base_frame import BaseFrame
from rig_robot.arm.commands import Vector
from rig_robot.arm.description import Description, read_description

TOOL_DOWN: Vector = np.array([0.0, 1.0, 0.0, 0.0])
"""Orientation (quaternion w x y z) of a tool that points down, its x axis along the base's."""

LIMIT_GAIN = 0.95
"""Share of the way to a joint limit that one step may take."""


HORIZON = 0.1
"""Links that are further than this from where they may not be [m] are not looked after."""


SLACK = 1e-3
"""How far before a margin links are stopped [m]: the steps of a moving arm are not endlessly small."""


RECENT = 8
"""Joint positions whose pose, condition number and distances are remembered: the safety filter asks for those of a few
places in turn, several times each."""


class NotReached(Exception):
    """No joint position puts the tool at the pose asked for."""


@dataclass(frozen=True)
class Margin:
    """What the links keep free around them.

    Attributes:
        distance: Kept between links that are not neighbours, and between links and the table [m].
        table: Height of the table's top in the base frame [m].
        approach_rate: Speed at which two may close in for each metre beyond that distance [1/s].
    """

    distance: float
    table: float
    approach_rate: float

    def part(self, dt: float) -> float:
        """Return the part of what is left before the margin that two may close in by in a step of dt [s]."""
        return min(self.approach_rate * dt, 1.0)


class Kinematics:
    """The kinematic chain from an arm's base to its tool.

    Args:
        description: an MJCF or URDF of the robot: a file, or its text. Bodies, joints and sites are read and, with a
            `margin`, collision shapes that are no meshes: meshes may be missing.
        joints: the arm's joints, in the order that all joint vectors here have. All other joints stay at zero.
        tool: the site (MJCF) or, where there is no such site, the link (URDF) that is the tool.
        rest: joint position [n] (rad) that a redundant arm leans to; the middle of the joint ranges by default.
        tool_offset: where the tool is in that site's or link's frame [3] (m).
        posture_speed: how fast a joint leans to its rest position (rad/s).
        margin: what the links keep free; None where nobody needs to know.
        base_frame: the link (URDF) or body (MJCF) in whose frame all positions and turns are, and the table lies. It
            may be left out where it makes no difference: where the link that carries the arm stands at the
            description's origin.

    Raises:
        ValueError: The description cannot be used (`BadDescription`), lacks what is named, or the base frame moves
            against the link that carries the arm.
        OSError: The description's file is missing or cannot be read.
    """

    def __init__(
        self,
        description: Path | str,
        joints: Sequence[str],
        tool: str,
        rest: ArrayLike | None = None,
        tool_offset: ArrayLike = (0.0, 0.0, 0.0),
        posture_speed: float = np.inf,
        margin: Margin | None = None,
        base_frame: str | None = None,
    ) -> None:
        robot = read_description(description)
        spec = robot.spec
        robot.check_joints(joints)
        base = BaseFrame(spec, robot.named, joints, tool, base_frame)
        robot.reduce(joints, with_shapes=margin is not None)
        self._frame, self._kind = _add_tool(spec, tool, np.asarray(tool_offset, dtype=np.float64))
        self.base_frame = base.link
        self._base = _place(robot, base.link)
        if base_frame is None and self._base != mink.SE3.identity():
            raise base.must_be_given()
        self._to_base = self._base.inverse()
        if margin is not None:
            top = self._base @ mink.SE3.from_translation(np.array([0.0, 0.0, margin.table]))
            plane = mujoco.mjtGeom.mjGEOM_PLANE
            spec.worldbody.add_geom(type=plane, size=[0, 0, 1], pos=top.translation(), quat=top.rotation().wxyz)
        self._model = model = robot.compile()
        self.joints = tuple(joints)
        self._index = np.array([model.joint(name).qposadr[0] for name in joints])
        limits = model.jnt_range[[model.joint(name).id for name in joints]]
        self.lower: Vector = limits[:, 0].copy()
        self.upper: Vector = limits[:, 1].copy()
        self._configuration = mink.Configuration(model)
        self._place = mink.FrameTask(self._frame, self._kind, position_cost=1.0, orientation_cost=0.3)
        # The rest posture settles what the tool's pose leaves free. At this cost it moves the tool by some micrometres.
        self._posture = mink.PostureTask(model, cost=1e-3)
        self._rest = (self.lower + self.upper) / 2 if rest is None else np.asarray(rest, dtype=np.float64)
        if not np.isfinite(self._rest).all():
            raise ValueError(f"rest = {self._rest.tolist()}: must be finite numbers in rad")
        if self._rest.shape != self.lower.shape:
            raise ValueError(f"rest = {self._rest.tolist()}: must have one number for each of the {len(joints)} joints")
        self._posture_speed = posture_speed
        self._limits: list[mink.Limit] = [mink.ConfigurationLimit(model, gain=LIMIT_GAIN)]
        self.margin = margin
        self._pairs: list[tuple[int, int]] = []
        if margin is not None:
            self._configuration.update(self._full(self._rest))
            self._pairs = _pairs(model, self._configuration.data, margin.distance)
            self._apart = mink.CollisionAvoidanceLimit(
                model,
                [([one], [other]) for one, other in self._pairs],
                minimum_distance_from_collisions=margin.distance + SLACK,
                collision_detection_distance=margin.distance + HORIZON,
            )
            self._limits.append(self._apart)
        remember = functools.lru_cache(RECENT)
        self._pose_at, self._condition_at = remember(self._find_pose), remember(self._find_condition)
        self._distances_at = remember(self._find_distances)

    def pose(self, q: ArrayLike) -> tuple[Vector, Vector]:
        """Return tool pose at joint position q [n] (rad) in the base frame: position [3] m, quaternion [4] w x y z."""
        place, turn = self._pose_at(_key(q))
        return place.copy(), turn.copy()

    def _find_pose(self, q: bytes) -> tuple[Vector, Vector]:
        self._be_at(q)
        transform = self._to_base @ self._configuration.get_transform_frame_to_world(self._frame, self._kind)
        return transform.translation(), transform.rotation().wxyz

    def forward(self, q: ArrayLike) -> Vector:
        """Return the tool position [3] (m) in the base frame at joint position q [n] (rad)."""
        return self.pose(q)[0]

    @property
    def has_shapes(self) -> bool:
        """Whether the links have shapes that the margin can be kept between."""
        return bool(self._pairs)

    def condition(self, q: ArrayLike) -> float:
        """Return condition number of the tool's Jacobian (m and rad, as MoveIt Servo's) at q [n] (rad): large near a
        singularity, where some tool motion takes boundless joint motion."""
        return self._condition_at(_key(q))

    def _find_condition(self, q: bytes) -> float:
        self._be_at(q)
        jacobian = self._configuration.get_frame_jacobian(self._frame, self._kind)
        singular = np.linalg.svd(jacobian, compute_uv=False)
        return float(singular[0] / max(singular[min(len(self.joints), 6) - 1], 1e-12))

    def clearance(self, q: ArrayLike) -> float:
        """Return smallest distance (m) at q [n] (rad) between links that are not neighbours, or a link and the table.

        No more than the margin and `HORIZON`; infinite without a margin. Negative where shapes meet.
        """
        if self.margin is None:
            return np.inf
        return float(self._distances_at(_key(q)).min(initial=self.margin.distance + HORIZON))

    def _find_distances(self, q: bytes) -> Vector:
        """Return the distance (m) of each pair of shapes that must stay apart; what is far is as far as one looks."""
        assert self.margin is not None
        self._be_at(q)
        data, far = self._configuration.data, self.margin.distance + HORIZON
        return np.array([mujoco.mj_geomDistance(self._model, data, *pair, far, None) for pair in self._pairs])

    def _share(self, start: Vector, end: Vector, dt: float) -> float:
        """Return share (0 to 1) of a move from start to end (rad) in dt (s) that brings no shapes together too fast."""
        if self.margin is None:
            return 1.0
        before = self._distances_at(_key(start))
        closing = before - self._distances_at(_key(end))
        part = self.margin.part(dt)
        allowed = part * np.maximum(before - self.margin.distance - SLACK, 0.0) + 1e-9
        return float((allowed / np.maximum(closing, allowed)).min(initial=1.0))

    def step(self, q: ArrayLike, position: ArrayLike, quaternion: ArrayLike, dt: float) -> Vector:
        """Do one step of differential inverse kinematics.

        Args:
            q: joint position [n] (rad), brought inside the joint ranges first.
            position: where the tool shall be [3] (m).
            quaternion: how it shall be turned [4] (w x y z).
            dt: time that the step takes (s).

        Returns:
            the joint position [n] (rad) after the step; inside the joint ranges.

        Raises:
            NotReached: the limits leave no motion at all.
        """
        start = np.clip(np.asarray(q, dtype=np.float64), self.lower, self.upper)
        self._configuration.update(self._full(start))
        goal = mink.SE3.from_rotation_and_translation(
            mink.SO3(np.asarray(quaternion, float)), np.asarray(position, float)
        )
        self._place.set_target(self._base @ goal)
        lean = self._posture_speed * dt
        away = self._rest - start
        # Shortened, not clipped: the direction decides where the arm comes to rest.
        self._posture.set_target(self._full(start + away * min(1.0, lean / max(float(np.abs(away).max()), 1e-12))))
        tasks = [self._place, self._posture]
        problem = mink.build_ik(self._configuration, tasks, dt, damping=1e-8, limits=[])
        move = np.linalg.solve(problem.P, -problem.q)[self._index]
        # Away from limits this is the answer. Near them, other joints must make up for what may not move.
        limited = (move > LIMIT_GAIN * (self.upper - start)).any() or (move < LIMIT_GAIN * (self.lower - start)).any()
        if limited or self._share(start, start + move, dt) < 1.0:
            self._be_at(_key(start))
            if self.margin is not None:
                # mink's bound is a speed where its unknown is a displacement (as `ConfigurationLimit`'s): times dt.
                self._apart.gain = self.margin.part(dt) * dt
            try:
                velocity = mink.solve_ik(
                    self._configuration, tasks, dt, solver="daqp", damping=1e-8, limits=self._limits
                )
            except mink.NoSolutionFound:
                raise NotReached(f"no joint motion brings the tool towards {_text(np.asarray(position))} m") from None
            move = velocity[self._index] * dt
            # The solver sees one point of each pair; an edge that tilts towards the table is another.
            move = self._share(start, start + move, dt) * move
        return np.clip(start + move, self.lower, self.upper)

    def solve(
        self,
        q: ArrayLike,
        position: ArrayLike,
        quaternion: ArrayLike,
        tolerance: float = 1e-4,
        angle_tolerance: float = 1e-3,
        iterations: int = 100,
    ) -> Vector:
        """Return the joint position [n] rad that puts the tool at a pose: steps from q until it is there and still.

        Args:
            tolerance: distance from the position that counts as there (m).
            angle_tolerance: the same for the orientation, and for the arm's last step (rad).

        Raises:
            NotReached: the tool is still further away after so many iterations.
        """
        q = np.asarray(q, dtype=np.float64)
        target = np.asarray(position, dtype=np.float64)
        for _ in range(iterations):
            before, q = q, self.step(q, target, quaternion, dt=1.0)
            if np.abs(q - before).max() > max(angle_tolerance, 1e-9):
                continue
            if self._misses(q, target, quaternion, tolerance, angle_tolerance) is None:
                return q
        miss = self._misses(q, target, quaternion, tolerance, angle_tolerance)
        if miss is None:
            return q
        raise NotReached(f"the tool cannot reach {_text(target)} m: {miss} after {iterations} iterations")

    def _misses(
        self, q: Vector, position: Vector, quaternion: ArrayLike, tolerance: float, angle_tolerance: float
    ) -> str | None:
        """Return what keeps the tool at q from being at the pose, in words; None when it is there."""
        at, turned = self.pose(q)
        distance = float(np.linalg.norm(at - position))
        angle = 2 * float(np.arccos(np.clip(abs(turned @ np.asarray(quaternion, float)), 0, 1)))
        if distance <= tolerance and angle <= angle_tolerance:
            return None
        return (
            f"{1000 * distance:.2f} mm ({1000 * tolerance:g} allowed) and {angle:.4f} rad ({angle_tolerance:g}) short"
        )

    def _be_at(self, q: bytes) -> None:
        """Bring the model to an arm's joint position."""
        self._configuration.update(self._full(np.frombuffer(q)))

    def _full(self, q: ArrayLike) -> Vector:
        """Return the model's own joint vector of an arm's joint vector."""
        full = np.zeros(len(self.joints))
        full[self._index] = q
        return full


def _place(robot: Description, base: str) -> mink.SE3:
    """Return where a body stands in the description that the arm does not move."""
    model = robot.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    place, turn = data.body(base).xpos.copy(), data.body(base).xquat.copy()
    if np.abs(place).max() < 1e-9 and np.abs(turn[1:]).max() < 1e-9:
        return mink.SE3.identity()
    return mink.SE3.from_rotation_and_translation(mink.SO3(turn), place)


def _add_tool(spec: mujoco.MjSpec, tool: str, offset: Vector) -> tuple[str, str]:
    """Return name and kind (site or body) of the tool, adding a site where it is off the one that is named."""
    site = next((site for site in spec.sites if site.name == tool), None)
    body = spec.body(tool) if site is None else site.parent
    assert body is not None  # `BaseFrame` has looked
    if offset.shape != (3,) or not np.isfinite(offset).all():
        raise ValueError(f"tool_offset = {offset.tolist()}: must be three finite numbers in m")
    if not offset.any():
        return (tool, "body") if site is None else (tool, "site")
    place, turn = (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])) if site is None else (site.pos, site.quat)
    moved = np.empty(3)
    mujoco.mju_rotVecQuat(moved, offset, turn / np.linalg.norm(turn))
    name = f"{tool} with offset"
    body.add_site(name=name, pos=place + moved, quat=turn)
    return name, "site"


def _pairs(model: mujoco.MjModel, data: mujoco.MjData, distance: float) -> list[tuple[int, int]]:
    """Return the shapes that must stay apart: of links that are not neighbours, and of links and the table.

    Links that are nearer to each other than the distance in the rest posture (`data`) always are, or their shapes are
    too thick: they are left out. The table is not: a rest posture in it is for the user to mend.
    """
    chosen = []
    for one, other in itertools.combinations(range(model.ngeom), 2):
        first, second = (model.body_weldid[model.geom_bodyid[geom]] for geom in (one, other))
        above_first, above_second = (model.body_weldid[model.body_parentid[link]] for link in (first, second))
        if first in (second, above_second) or second == above_first:
            continue
        is_table = mujoco.mjtGeom.mjGEOM_PLANE in (model.geom_type[one], model.geom_type[other])
        if is_table or mujoco.mj_geomDistance(model, data, one, other, 2 * distance, None) > distance:
            chosen.append((one, other))
    return chosen


def _key(q: ArrayLike) -> bytes:
    """Return a joint position as what is remembered is looked up by."""
    return np.asarray(q, dtype=np.float64).tobytes()


def _text(vector: Vector) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in vector) + ")"
