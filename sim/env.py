"""The Sawyer before a camera as a gymnasium goal environment with images: what all tasks share, and reaching.

Modelled on multiworld's SawyerReachXY: actions in [-1, 1] times 2 cm, 0.1 s a step.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import gymnasium
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rig_robot.arm.commands import Vector
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.common.scene_names import SCENES, SceneName
from rig_robot.vision.observation import CENTRE_SQUARE, Crop, Image
from rig_sim.scenes import Look, apply_look, draw, look_of
from rig_sim.world import (
    CAMERA_SIZE,
    FIXED_HEIGHT,
    HOME,
    WHOLE,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
    Camera,
    World,
    kinematics,
    view,
)

Observation = dict[str, NDArray[Any]]

# Least size of the render that an observation is averaged from, and least number of its pixels for one of the
# observation's, along each axis. With less, the observation would differ from the camera node's by more than a 2 mm
# move of the tool changes (test_render_path.py).
RENDERED = {"xy": 240, "xyz": 288}
SUPERSAMPLING = 4


class SawyerEnv(gymnasium.Env[Any, NDArray[np.float32]], ABC):
    """The tool, pointing down, is moved so that the camera sees what a goal image shows.

    Observations are a dictionary: `image` uint8 [S, S, 3], what the camera node would make of the camera's frame; and
    `observation`, `achieved_goal`, `desired_goal`, float64, true positions (m, base frame).

    An action moves the set point of the tool by up to `action_scale` along each axis, evenly over `period`, inside the
    box; the arm's servos follow.

    Args:
        world: physics of the task.
        camera: name of the camera that watches it.
        axes: along which the tool moves.
        box: the two corners [3] of where the tool moves (m, base frame); along other axes they are the same.
        rendered: least size of the render that an observation is averaged from (pixels).
        image_size: S, width and height of the observation (pixels).
        action_delay: shortest and longest time (s) that passes between an observation and the motion that rests on it,
            drawn anew each step: on a robot, images and commands take their time. Until then the last motion goes on.
        scene: "plain", nothing changes but the arm; "cluttered", a box wanders over the table and the light changes,
            between episodes and slowly within; "colours", each episode has a table and a box, standing somewhere, of
            other colours; "lab", all that happens in a lab (`lab.py`); "shifted", in all episodes the camera is turned
            by 5 degrees, the table of another colour and the light dimmed. What is added touches nothing. For one seed,
            starts, goals, delays are the same in all scenes.
        render_mode: "rgb_array" for pictures of the whole robot, for people.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (gymnasium's own type)
        "render_modes": ["rgb_array"],
        "render_fps": 10,
    }

    action_scale = 0.02
    """How far (m) an action of 1 moves the tool."""
    period = 0.1
    """Time (s) of a step."""
    start_margin = 0.02
    """How far (m) inside the box an episode starts."""
    crop: Crop = CENTRE_SQUARE
    """Part of the camera's frame that is observed; the checkpoint takes it to the camera node."""
    camera_size = CAMERA_SIZE
    tool_orientation = TOOL_DOWN

    def __init__(
        self,
        world: World,
        camera: str,
        axes: str,
        box: tuple[Vector, Vector],
        rendered: int,
        image_size: int = 48,
        action_delay: tuple[float, float] = (0.0, 0.0),
        scene: SceneName = "plain",
        render_mode: str | None = None,
    ) -> None:
        if not 0 <= action_delay[0] <= action_delay[1] < self.period:
            raise ValueError(f"action_delay must be rising and in [0, {self.period}) s, not {action_delay}")
        if scene not in SCENES:
            raise ValueError(f"scene must be one of {', '.join(SCENES)}, not {scene!r}")
        self.axes = tuple(axes)
        self.image_size = image_size
        self.action_delay = action_delay
        self.scene = scene
        self.render_mode = render_mode
        self.workspace_low, self.workspace_high = (corner.copy() for corner in box)
        self._moving = self.workspace_high > self.workspace_low

        self.world = world
        self.kinematics = kinematics()
        # A direct render at the observation's size is point-sampled and differs from the area-averaged camera frame by
        # as much as a move of 1 cm changes. At the frame's own height there is no difference.
        self.rendered_size = min(CAMERA_SIZE[1], image_size * max(SUPERSAMPLING, math.ceil(rendered / image_size)))
        self._view = camera
        # The centre square is rendered alone; any other crop is cut from the whole frame, as the camera node does.
        whole = self.crop != CENTRE_SQUARE
        size = self.camera_size if whole else (self.rendered_size, self.rendered_size)
        self._eye = Camera(self.world.model, *size, self._view, crop=self.crop if whole else WHOLE)
        self._frame_camera: Camera | None = None
        self._overview: Camera | None = None
        self._target = (self.workspace_low + self.workspace_high) / 2
        self._q = self._q_target = HOME
        self._plain = self._look = look_of(self.world.model)
        self._begin_scene()
        self._place(self._target)

        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(self.axes),), np.float32)
        # The tool may overshoot the box a little; only goals must lie inside.
        low, high = self._goal_bounds()
        positions = gymnasium.spaces.Box(low - 0.1, high + 0.1, dtype=np.float64)
        self.observation_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {
                "image": gymnasium.spaces.Box(0, 255, (image_size, image_size, 3), np.uint8),
                "observation": positions,
                "achieved_goal": positions,
                "desired_goal": positions,
            }
        )
        self._goal: Vector = (low + high) / 2

    @abstractmethod
    def _goal_bounds(self) -> tuple[Vector, Vector]:
        """Return the least and the greatest goal [G] (m)."""

    @abstractmethod
    def _achieved(self) -> Vector:
        """Return what the present state would be as a goal [G] (m)."""

    @abstractmethod
    def _info(self) -> dict[str, Any]:
        """Return how far the goal is."""

    @abstractmethod
    def compute_reward(self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any) -> Any:
        """Return minus the distances (m) [...] between achieved and desired goals, [..., G] each."""

    @abstractmethod
    def _at_rest(self, goal: ArrayLike) -> mujoco.MjData:
        """Return a state for rendering in which a goal is achieved."""

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Do one step of `period`; action float32 [2] or [3] in [-1, 1]."""
        move = np.zeros(3)
        move[: len(self.axes)] = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0) * self.action_scale
        if not np.isfinite(move).all():
            raise ValueError(f"an action must be finite, not {action!r}")
        ticks = round(self.period / self.world.timestep)
        delay = round(self.np_random.uniform(*self.action_delay) / self.world.timestep)
        self._run(delay)
        self._target = np.clip(self._target + move, self.workspace_low, self.workspace_high)
        # One step of inverse kinematics misses the end of a 2 cm move by 0.4 mm; the next step corrects that.
        self._q_target = self.kinematics.step(self._q_target, self._target, self.tool_orientation, self.period)
        self._speed = (self._q_target - self._q) / self.period
        self._left = ticks
        self._show_scene_at(self._time + self.period)
        self._run(ticks - delay)
        observation, info = self._observe(), self._info()
        # Call `compute_reward`, as users do: two ways to compute a norm differ in the last bit.
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info))
        return observation, reward, False, False, info

    def render_goal(self, goal: ArrayLike) -> Image:
        """Return uint8 [S, S, 3]: what the camera would see where a goal [G] is achieved; positions in m.

        The picture shows the scene of this episode at another time, since goal pictures are taken earlier. In a
        cluttered scene the box is elsewhere and the light is different, in the same way in all goal pictures of an
        episode. The physics does not change.
        """
        self._apply(self._scene.goal)
        image = self._image(self._at_rest(goal))
        self._apply(self._scene.at(self._time))
        return image

    def render_frame(self) -> Image:
        """Return uint8 [480, 640, 3]: the camera's whole frame."""
        if self._frame_camera is None:
            self._frame_camera = Camera(self.world.model, *self.camera_size, self._view)
        return self._frame_camera.render(self.world.data, self._look.sensor)

    def render(self) -> Image | None:  # type: ignore[override]
        """Return uint8 [480, 640, 3]: robot and table, for people; with `render_mode="rgb_array"`."""
        if self.render_mode != "rgb_array":
            return None
        if self._overview is None:
            self._overview = Camera(self.world.model, *self.camera_size, name="overview")
        return self._overview.render(self.world.data)

    def close(self) -> None:
        for camera in (self._eye, self._frame_camera, self._overview):
            if camera is not None:
                camera.close()

    def _begin_scene(self, held_out: bool = False) -> None:
        """Draw the scene of a new episode, from a generator of its own: all else stays the same in every scene."""
        self._scene = draw(self.scene, self._plain, self.np_random.spawn(1)[0], held_out)
        self._show_scene_at(0.0)

    def _show_scene_at(self, time: float) -> None:
        """Give the scene its look at a time (s) of the episode; the next physics step or `_place` shows it."""
        self._time = time
        self._apply(self._scene.at(time))

    def _apply(self, look: Look) -> None:
        """Give the model a look, unless it has it already."""
        if look is self._look:
            return
        self._look = look
        if apply_look(self.world.model, look):
            for camera in (self._eye, self._frame_camera, self._overview):
                if camera is not None:
                    camera.upload_textures()

    def _place(self, position: Vector) -> None:
        """Put the arm at rest with the tool at position [3]; the posture does not depend on the one before."""
        self._target = position
        self._q = self._q_target = self._solve(HOME, position)
        self._speed = np.zeros_like(self._q)
        self._left = 0
        self.world.place(self._q)

    def _run(self, ticks: int) -> None:
        """Run physics for so many steps, the servos' set point moving evenly to where the last action put it."""
        moving = min(ticks, self._left)
        self._left -= moving
        way = self._speed * self.world.timestep
        for _ in range(moving):
            self._q = self._q + way
            self.world.advance(self._q, self._speed)
        for _ in range(ticks - moving):
            self.world.advance(self._q, _STILL)

    def _solve(self, q: Vector, position: Vector) -> Vector:
        return self.kinematics.solve(q, position, self.tool_orientation)

    def _position(self, position: ArrayLike) -> Vector:
        """Return a position [3] (m), with the fixed height added where it was left out."""
        given = np.asarray(position, dtype=np.float64)
        if given.shape not in ((3,), (len(self.axes),)) or not np.isfinite(given).all():
            raise ValueError(f"a position must be {len(self.axes)} or 3 finite numbers in metres, not {position!r}")
        return np.append(given, self.workspace_low[2:])[:3] if len(given) == 2 else given

    def _image(self, data: mujoco.MjData) -> Image:
        return self._eye.observe(data, self.image_size, self._look.sensor)

    def _observe(self) -> Observation:
        achieved = self._achieved()
        return {
            "image": self._image(self.world.data),
            "observation": achieved,
            "achieved_goal": achieved.copy(),
            "desired_goal": self._goal.copy(),
        }


class SawyerReachEnv(SawyerEnv):
    """The tool is moved to a goal position [3] (m, base frame); the reward is minus the distance to it (m).

    Args:
        axes: along which the tool moves. Each task has a camera of its own.
        image_size, action_delay, scene, render_mode: see `SawyerEnv`.
    """

    success_distance = 0.06
    """Distance (m) that counts as reached, as in multiworld."""

    def __init__(
        self,
        axes: Literal["xy", "xyz"] = "xy",
        image_size: int = 48,
        action_delay: tuple[float, float] = (0.0, 0.0),
        scene: SceneName = "plain",
        render_mode: str | None = None,
    ) -> None:
        if axes not in ("xy", "xyz"):
            raise ValueError(f"axes must be 'xy' or 'xyz', not {axes!r}")
        low, high = WORKSPACE_LOW.copy(), WORKSPACE_HIGH.copy()
        if axes == "xy":
            low[2] = high[2] = FIXED_HEIGHT
        given = (image_size, action_delay, scene, render_mode)
        super().__init__(World(), view(axes), axes, (low, high), RENDERED[axes], *given)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        options: `start` and `goal` position ([2] or [3], m); `held_out`, whether the lab is of the kinds that training
        never shows (see `lab.py`).
        """
        super().reset(seed=seed)
        margin = np.where(self._moving, self.start_margin, 0.0)
        start = self.np_random.uniform(self.workspace_low + margin, self.workspace_high - margin)
        goal = self.np_random.uniform(self.workspace_low, self.workspace_high)
        given = options or {}
        start = self._position(given["start"]) if "start" in given else start
        self._goal = self._position(given["goal"]) if "goal" in given else goal
        self._begin_scene(bool(given.get("held_out", False)))
        self._place(start)
        return self._observe(), self._info()

    def compute_reward(self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any) -> Any:
        """Return minus the distances (m) [...] between achieved and desired goals, [..., 3] each."""
        return -np.linalg.norm(np.asarray(achieved_goal) - np.asarray(desired_goal), axis=-1)

    def _goal_bounds(self) -> tuple[Vector, Vector]:
        return self.workspace_low, self.workspace_high

    def _achieved(self) -> Vector:
        return self.world.tool_position

    def _at_rest(self, goal: ArrayLike) -> mujoco.MjData:
        return self.world.at_rest(self._solve(HOME, self._position(goal)))

    def _info(self) -> dict[str, Any]:
        distance = float(np.linalg.norm(self.world.tool_position - self._goal))
        return {"distance": distance, "is_success": distance <= self.success_distance}


_STILL = np.zeros(7)
