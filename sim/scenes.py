"""Changes what the camera sees beside the arm: a box that moves, other colours in each episode, or a shifted view."""

import colorsys
from collections.abc import Callable
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from rig_robot.common.scene_names import SceneName, StillName
from rig_sim.world import VIEWS

Vector = NDArray[np.float64]

DISTRACTOR_CENTRE: Vector = np.array([0.68, 0.0])
DISTRACTOR_REACH: Vector = np.array([0.20, 0.32])
"""Where on the table the distractor may be: so far to each side of the centre [2] (m). Both cameras see all of it."""
BLUE: Vector = np.array([0.08, 0.20, 0.85, 1.0])
TOOL_HUE, APART = 0.37, 0.12
"""No colour is drawn whose hue is this close to the tool's: a green table would hide it."""

TURN = np.radians(5.0)
"""How far (rad) the shifted scene's cameras look lower. To a side, the tool would leave the picture."""
SHIFTED_TABLE: Vector = np.array([0.45, 0.55, 0.85, 1.0])
DIMMED = 0.65
"""What is left of the light."""


class Look(NamedTuple):
    """What can change about the scene at one moment."""

    table: Vector
    """RGBA [4] in [0, 1]"""
    distractor: Vector
    """RGBA [4] in [0, 1]; alpha 0: there is none, and none is drawn"""
    place: Vector
    """of the distractor on the table [2] (m, base frame)"""
    lamp: Vector
    """RGB [3] of the directed light"""
    direction: Vector
    """in which it shines [3]"""
    ambient: Vector
    """RGB [3] of the light from everywhere"""
    cameras: Vector
    """how the robot's cameras (`VIEWS`) are turned, quaternions w x y z [2, 4]"""


class Scene(NamedTuple):
    """How the scene looks in one episode."""

    at: Callable[[float], Look]
    """the look at a time (s) of the episode"""
    goal: Look
    """the look of goal pictures; they are taken at another time"""


def look_of(model: mujoco.MjModel) -> Look:
    """Return the look that a model has now; as loaded, that is the plain scene."""
    return Look(
        model.material("table").rgba.astype(float),
        model.material("distractor").rgba.astype(float),
        model.body("distractor").pos[:2].copy(),
        model.light("lamp").diffuse.astype(float),
        model.light("lamp").dir.copy(),
        model.vis.headlight.ambient.astype(float),
        np.array([model.camera(name).quat for name in VIEWS.values()]),
    )


def dress(model: mujoco.MjModel, look: Look) -> None:
    """Give the model a look. Distractor and cameras are there once positions are computed anew (`mj_kinematics`,
    `mj_camlight`)."""
    model.material("table").rgba = look.table
    model.material("distractor").rgba = look.distractor
    model.body("distractor").pos[:2] = look.place
    model.light("lamp").diffuse = look.lamp
    model.light("lamp").dir = look.direction / np.linalg.norm(look.direction)
    model.vis.headlight.ambient = look.ambient
    for name, quaternion in zip(VIEWS.values(), look.cameras, strict=True):
        model.camera(name).quat = quaternion


def dress_as(model: mujoco.MjModel, name: StillName) -> None:
    """Give a model as loaded the look of a scene in which nothing changes."""
    if name == "shifted":  # plain it is already
        dress(model, _shift(look_of(model)))


def draw(name: SceneName, plain: Look, rng: np.random.Generator) -> Scene:
    """Return how the named scene looks in one episode; plain: what it looks like where nothing changes."""
    if name == "cluttered":
        return Scene(_clutter(plain, rng), _clutter(plain, rng)(0.0))
    looks = {"plain": lambda: plain, "shifted": lambda: _shift(plain), "colours": lambda: _coloured(plain, rng)}
    look = looks[name]()
    return Scene(lambda time: look, look)


def _shift(plain: Look) -> Look:
    """The camera was knocked, the table has another cloth, a lamp has failed; and so it stays."""
    turn, cameras = np.array([np.cos(TURN / 2), -np.sin(TURN / 2), 0.0, 0.0]), np.empty_like(plain.cameras)
    for turned, quaternion in zip(cameras, plain.cameras, strict=True):
        mujoco.mju_mulQuat(turned, quaternion, turn)
    return plain._replace(
        table=SHIFTED_TABLE, lamp=DIMMED * plain.lamp, ambient=DIMMED * plain.ambient, cameras=cameras
    )


def _clutter(plain: Look, rng: np.random.Generator) -> Callable[[float], Look]:
    """Return box that wanders over the table, and a lamp of another strength, tint and direction that change slowly."""
    walk, drift = _wander(rng, 2, (5.0, 12.0)), _wander(rng, 3, (10.0, 30.0))
    strength, tint = rng.uniform(0.45, 1.0), rng.uniform(0.88, 1.12, 3)
    tilt = rng.uniform(-0.5, 0.5, 2)
    ambient = plain.ambient * rng.uniform(0.8, 1.1)

    def at(time: float) -> Look:
        change = drift(time)
        return plain._replace(
            distractor=BLUE,
            place=DISTRACTOR_CENTRE + DISTRACTOR_REACH * walk(time),
            lamp=plain.lamp * tint * (strength + 0.15 * change[0]),
            direction=plain.direction + np.append(tilt + 0.2 * change[1:], 0.0),
            ambient=ambient,
        )

    return at


def _wander(rng: np.random.Generator, size: int, periods: tuple[float, float]) -> Callable[[float], Vector]:
    """Return an endless smooth random walk in [-1, 1], [size]: three sines each, of random phase, of periods (s) drawn
    between two."""
    phase, rate = rng.uniform(0, 2 * np.pi, (3, size)), 2 * np.pi / rng.uniform(*periods, (3, size))
    weight = np.array([0.6, 0.25, 0.15])
    return lambda time: weight @ np.sin(phase + rate * time)


def _coloured(plain: Look, rng: np.random.Generator) -> Look:
    """Return a table of any pale colour and a distractor of any strong one, somewhere on it."""
    return plain._replace(
        table=_colour(rng, (0.25, 0.55), (0.55, 0.90)),
        distractor=_colour(rng, (0.80, 1.00), (0.60, 0.95)),
        place=DISTRACTOR_CENTRE + DISTRACTOR_REACH * rng.uniform(-1, 1, 2),
    )


def _colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Vector:
    """Return the RGBA [4] of any hue but the tool's, of a saturation and value between two."""
    hue = (TOOL_HUE + rng.uniform(APART, 1 - APART)) % 1
    return np.array([*colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), rng.uniform(*value)), 1.0])
