"""Simulates the Sawyer-reach world: an arm that follows joint positions by its servos, and its cameras."""

import os
from collections.abc import Collection
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import Kinematics
from rig_robot.vision.observation import Crop, Image, prepare
from rig_sim.sensor import Sensor

ASSETS = Path(__file__).parent / "assets"
ROBOT = ASSETS / "sawyer.xml"
SCENE = ASSETS / "scene.xml"

JOINTS = tuple(f"right_j{i}" for i in range(7))
SPEED_LIMITS: Vector = np.array([1.74, 1.328, 1.957, 1.957, 3.485, 3.485, 4.545])
"""The arm's own joint speed limits [7] (rad/s)."""
HOME: Vector = np.array([0.0, -1.18, 0.0, 2.18, 0.0, 0.57, 3.3161])
"""The arm's rest posture [7] (rad)."""

WORKSPACE_LOW: Vector = np.array([0.45, -0.20, 0.12])
WORKSPACE_HIGH: Vector = np.array([0.75, 0.20, 0.37])
"""The box in which the tool moves: two corners [3] (m, base frame)."""
FIXED_HEIGHT = 0.15
"""Height of the tool (m) where a task keeps to the plane."""

CAMERA_SIZE = (640, 480)
"""Width and height of a camera frame (pixels)."""
VIEWS = {"xy": "camera", "xyz": "camera_xyz"}
"""The camera that watches a task: in the plane or in space."""
PUSH_VIEW = "camera_push"
"""The camera that watches a task in which things are pushed."""
WHOLE = Crop(0.0, 0.0, 1.0, 1.0)


def view(axes: Collection[str]) -> str:
    """Return the name of the camera that watches a task whose tool moves along these axes."""
    return VIEWS["xyz" if "z" in axes else "xy"]


def kinematics() -> Kinematics:
    """Return the Sawyer's own kinematics, from the file that the world is built on."""
    return Kinematics(ROBOT, JOINTS, "tool", rest=HOME)


def optical_pose(model: mujoco.MjModel, name: str) -> tuple[Vector, Vector]:
    """Return where a fixed camera's optical frame is (z into the picture, x to its right, y down).

    Returns:
        position [3] m and quaternion [4] w x y z, base frame.
    """
    turn = np.empty(4)
    # MuJoCo's cameras look along -z, with y up.
    mujoco.mju_mulQuat(turn, model.camera(name).quat, np.array([0.0, 1.0, 0.0, 0.0]))
    return model.camera(name).pos.copy(), turn


class CannotDraw(OSError):
    """OpenGL does not work in this environment; the text says with what it was tried, and what to do."""


class Camera:
    """Renders one of the scene's cameras. Belongs to the thread that made it, as its OpenGL context does.

    Args:
        model: the scene.
        width, height: of the pictures (pixels). A camera's field of view is vertical, so a square picture is exactly
            the centre square of the frame.
        name: one of `VIEWS`, the robot's, or "overview", for people.
        crop: the part of the pictures that `observe` averages down.

    Raises:
        CannotDraw: If OpenGL does not work here.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, name: str = "camera", crop: Crop = WHOLE
    ) -> None:
        size = model.vis.global_  # of the buffer that is rendered into
        size.offwidth, size.offheight = max(size.offwidth, width), max(size.offheight, height)
        try:
            self._renderer = mujoco.Renderer(model, height=height, width=width)
        except Exception as error:  # of MuJoCo, GLFW or PyOpenGL, as the case may be
            raise CannotDraw(
                f"MuJoCo cannot draw with {os.environ.get('MUJOCO_GL') or 'its default'} "
                f"({' '.join(str(error).split())}): unset MUJOCO_GL and PYOPENGL_PLATFORM, and see what `rig doctor "
                "--sim` says of rendering"
            ) from error
        # On a CPU, shadows cost ten times everything else.
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_HAZE):
            self._renderer.scene.flags[flag] = False
        self._name, self._crop = name, crop
        self._option = mujoco.MjvOption()
        # Do not draw geometry that this camera never sees (group 1 in the assets): it would cost a tenth of the time.
        self._option.geomgroup[1] = name != "camera"
        self._pixels = np.empty((height, width, 3), np.uint8)

    def render(self, data: mujoco.MjData, sensor: Sensor | None = None) -> Image:
        """Return uint8 [height, width, 3] RGB of the state in data, through a sensor; a new array each time."""
        self._draw(data)
        picture = np.ascontiguousarray(self._pixels[::-1])
        return picture if sensor is None else sensor.develop(picture)

    def observe(self, data: mujoco.MjData, size: int, sensor: Sensor | None = None) -> Image:
        """Return uint8 [size, size, 3] RGB: the crop of the picture of the state in data, averaged down."""
        if sensor is not None:
            return prepare(self.render(data, sensor), self._crop, size)
        self._draw(data)
        if self._crop == WHOLE:  # turned over when it is small
            return np.ascontiguousarray(prepare(self._pixels, WHOLE, size)[::-1])
        return prepare(np.ascontiguousarray(self._pixels[::-1]), self._crop, size)

    def upload_textures(self) -> None:
        """Show the model's textures as they are now."""
        self._renderer._gl_context.make_current()
        for texture in range(self._renderer.model.ntex):
            mujoco.mjr_uploadTexture(self._renderer.model, self._renderer._mjr_context, texture)

    def close(self) -> None:
        """Free the renderer; no more pictures can be drawn."""
        self._renderer.close()

    def _draw(self, data: mujoco.MjData) -> None:
        """Render into the pixels, bottom row first as OpenGL has it.

        Call the renderer's parts, since its `render` copies the picture three times: a tenth of a small one's time.
        """
        of = self._renderer
        of.update_scene(data, camera=self._name, scene_option=self._option)
        of._gl_context.make_current()
        mujoco.mjr_render(of._rect, of.scene, of._mjr_context)
        mujoco.mjr_readPixels(self._pixels, None, of._rect, of._mjr_context)


class World:
    """Physics of the scene. The arm's servos follow a joint position and speed, as a real controller's do.

    Attributes:
        model, data: MuJoCo's.
        timestep: of the physics (s).
    """

    def __init__(self, model: mujoco.MjModel | None = None) -> None:
        """model: a scene whose first joints and actuators are the arm's; None: the reaching scene."""
        self.model = mujoco.MjModel.from_xml_path(str(SCENE)) if model is None else model
        self.data = mujoco.MjData(self.model)
        self._shown = mujoco.MjData(self.model)
        self.timestep = float(self.model.opt.timestep)
        self._tool = self.model.site("tool").id
        self._gain = self.model.actuator_gainprm[:, 0]
        # A servo brakes in proportion to the joint's speed. Shifting its set point by this factor times the commanded
        # speed compensates for that (velocity feed-forward); without it the arm would lag by 0.1 s.
        self._lead = -self.model.actuator_biasprm[:, 2] / self._gain
        self._acceleration, self._force = np.zeros((2, self.model.nv))
        self.place(HOME)

    def place(self, q: ArrayLike) -> None:
        """Put the arm at rest at joint position q [7] (rad), at once."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[: len(JOINTS)] = q
        self.data.ctrl[:] = q
        mujoco.mj_forward(self.model, self.data)

    def at_rest(self, q: ArrayLike) -> mujoco.MjData:
        """Return a state for rendering, with the arm at joint position q [7] (rad); the physics does not change."""
        self._shown.qpos[: len(JOINTS)] = q
        mujoco.mj_kinematics(self.model, self._shown)
        mujoco.mj_camlight(self.model, self._shown)
        return self._shown

    def advance(self, q: Vector, velocity: Vector, acceleration: Vector | None = None) -> None:
        """Do one step of physics with the servos at joint position q [7] (rad), moving at velocity [7] (rad/s).

        With the set point's acceleration [7] (rad/s^2), what it takes of force is fed forward, by the arm's inertia, as
        the default mode of Rethink's joint trajectory action server does; otherwise the arm answers it late, by its
        springs alone, and rests some 0.25 s after its set point instead of 0.13.
        """
        self.data.ctrl[:] = q + self._lead * velocity
        if acceleration is not None:
            self._acceleration[: len(JOINTS)] = acceleration
            mujoco.mj_mulM(self.model, self.data, self._force, self._acceleration)
            self.data.ctrl[:] += self._force[: len(JOINTS)] / self._gain
        # mj_step would leave the poses of tool and shapes one step behind the joints; in this order they agree.
        mujoco.mj_step2(self.model, self.data)
        mujoco.mj_step1(self.model, self.data)

    @property
    def joint_positions(self) -> Vector:
        """Joint positions [7] (rad)."""
        return self.data.qpos[: len(JOINTS)].copy()

    @property
    def joint_velocities(self) -> Vector:
        """Joint velocities [7] (rad/s)."""
        return self.data.qvel[: len(JOINTS)].copy()

    @property
    def tool_position(self) -> Vector:
        """True tool position [3] (m, base frame)."""
        return self.data.site_xpos[self._tool].copy()

    @property
    def tool_quaternion(self) -> Vector:
        """True tool orientation [4] (w x y z, base frame)."""
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, self.data.site_xmat[self._tool])
        return quaternion
