"""Forward and differential inverse kinematics of an arm, by MuJoCo and mink.

The base frame is the world frame of the description: the arm's base stands at its origin in a robot MJCF or URDF.
"""

from collections.abc import Sequence
from pathlib import Path

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

TOOL_DOWN: Vector = np.array([0.0, 1.0, 0.0, 0.0])
"""Orientation (quaternion w x y z) of a tool that points down, its x axis along the base's."""

LIMIT_GAIN = 0.95
"""Share of the way to a joint limit that one step may take."""


class NotReached(Exception):
    """No joint position puts the tool at the pose asked for."""


class Kinematics:
    """The kinematic chain from an arm's base to its tool.

    Args:
        description: an MJCF or URDF file of the robot. Only bodies, joints and sites are read: meshes may be missing.
        joints: the arm's joints, in the order that all joint vectors here have. All other joints stay at zero.
        tool: the site (MJCF) or, where there is no such site, the link (URDF) that is the tool.
        rest: joint position [n] (rad) that a redundant arm leans to; the middle of the joint ranges by default.
    """

    def __init__(self, description: Path, joints: Sequence[str], tool: str, rest: ArrayLike | None = None) -> None:
        model = _chain(description, joints)
        self.joints = tuple(joints)
        self._index = np.array([model.joint(name).qposadr[0] for name in joints])
        limits = model.jnt_range[[model.joint(name).id for name in joints]]
        self.lower: Vector = limits[:, 0].copy()
        self.upper: Vector = limits[:, 1].copy()
        self._frame, self._kind = tool, _kind_of(model, tool)
        self._configuration = mink.Configuration(model)
        self._place = mink.FrameTask(tool, self._kind, position_cost=1.0, orientation_cost=0.3)
        # The rest posture settles what the tool's pose leaves free. At this cost it moves the tool by some micrometres.
        self._posture = mink.PostureTask(model, cost=1e-3)
        self._posture.set_target(self._full((self.lower + self.upper) / 2 if rest is None else rest))
        self._limits = [mink.ConfigurationLimit(model, gain=LIMIT_GAIN)]

    def pose(self, q: ArrayLike) -> tuple[Vector, Vector]:
        """Tool pose at joint position q [n] (rad): position [3] (m) and quaternion [4] (w x y z) in the base frame."""
        self._configuration.update(self._full(q))
        transform = self._configuration.get_transform_frame_to_world(self._frame, self._kind)
        return transform.translation().copy(), transform.rotation().wxyz.copy()

    def forward(self, q: ArrayLike) -> Vector:
        """Tool position [3] (m) in the base frame at joint position q [n] (rad)."""
        return self.pose(q)[0]

    def step(self, q: ArrayLike, position: ArrayLike, quaternion: ArrayLike, dt: float) -> Vector:
        """One step of differential inverse kinematics.

        Args:
            q: joint position [n] (rad), brought inside the joint ranges first.
            position: where the tool shall be [3] (m).
            quaternion: how it shall be turned [4] (w x y z).
            dt: time that the step takes (s).

        Returns:
            the joint position [n] (rad) after the step; inside the joint ranges.
        """
        start = np.clip(np.asarray(q, dtype=np.float64), self.lower, self.upper)
        self._configuration.update(self._full(start))
        goal = mink.SE3.from_rotation_and_translation(
            mink.SO3(np.asarray(quaternion, float)), np.asarray(position, float)
        )
        self._place.set_target(goal)
        tasks = [self._place, self._posture]
        problem = mink.build_ik(self._configuration, tasks, dt, damping=1e-8, limits=[])
        move = np.linalg.solve(problem.P, -problem.q)[self._index]
        # Away from joint limits this is the answer. Near them, other joints must make up for the one that stops.
        if (move > LIMIT_GAIN * (self.upper - start)).any() or (move < LIMIT_GAIN * (self.lower - start)).any():
            velocity = mink.solve_ik(self._configuration, tasks, dt, solver="daqp", damping=1e-8, limits=self._limits)
            move = velocity[self._index] * dt
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
        """Joint position [n] (rad) that puts the tool at a pose: steps from q until it is there and the arm still.

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
        """What keeps the tool at q from being at the pose, in words; None when it is there."""
        at, turned = self.pose(q)
        distance = float(np.linalg.norm(at - position))
        angle = 2 * float(np.arccos(np.clip(abs(turned @ np.asarray(quaternion, float)), 0, 1)))
        if distance <= tolerance and angle <= angle_tolerance:
            return None
        return (
            f"{1000 * distance:.2f} mm ({1000 * tolerance:g} allowed) and {angle:.4f} rad ({angle_tolerance:g}) short"
        )

    def _full(self, q: ArrayLike) -> Vector:
        """The model's own joint vector of an arm's joint vector."""
        full = np.zeros(len(self.joints))
        full[self._index] = q
        return full


def _chain(description: Path, joints: Sequence[str]) -> mujoco.MjModel:
    """The description as a model of nothing but the named joints."""
    if not Path(description).is_file():
        raise FileNotFoundError(f"robot description {description} does not exist")
    spec = mujoco.MjSpec.from_file(str(description))
    # Kinematics needs no shapes (their meshes may be missing), no motors and no other joints (a head, fingers).
    for unneeded in (*spec.geoms, *spec.actuators, *spec.sensors, *spec.keys, *spec.meshes):
        spec.delete(unneeded)
    names = [joint.name for joint in spec.joints]
    if missing := [name for name in joints if name not in names]:
        raise ValueError(f"{description} has no joint {', '.join(missing)}; it has {', '.join(names)}")
    for joint in spec.joints:
        if joint.name not in joints:
            spec.delete(joint)
    spec.compiler.fusestatic = False  # or the link that is the tool might be gone
    spec.compiler.boundmass = spec.compiler.boundinertia = 1e-3  # moving bodies must weigh something to compile
    return spec.compile()


def _kind_of(model: mujoco.MjModel, tool: str) -> str:
    """Whether the tool is a site or a body of the model."""
    for kind, of in (("site", mujoco.mjtObj.mjOBJ_SITE), ("body", mujoco.mjtObj.mjOBJ_BODY)):
        if mujoco.mj_name2id(model, of, tool) >= 0:
            return kind
    raise ValueError(f"the robot has no site or body {tool!r}")


def _text(vector: Vector) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in vector) + ")"
