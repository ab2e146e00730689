"""Changes the scene around the arm: a box that moves, other colours in each episode, or a shifted view."""

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
"""Area of the table where the distractor may be: half its sides [2] (m), about the centre. Both cameras see it."""
BLUE: Vector = np.array([0.08, 0.20, 0.85, 1.0])
TOOL_HUE, APART = 0.37, 0.12
"""No colour is drawn whose hue is this close to the tool's: a green table would hide it."""

TURN = np.radians(5.0)
"""Angle (rad) by which the shifted scene's cameras look lower. Turned sideways, they would lose the tool."""
SHIFTED_TABLE: Vector = np.array([0.45, 0.55, 0.85, 1.0])
DIMMED = 0.65
"""Share of the light that is left in the shifted scene."""


class Look(NamedTuple):
    """What can change about the scene at one moment."""

    table: Vector
    """RGBA [4] in [0, 1]"""
    distractor: Vector
    """RGBA [4] in [0, 1]; alpha 0: there is no distractor, and none is drawn"""
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
    """return the look at a time (s) of the episode"""
    goal: Look
    """the look of goal pictures, which are taken at another time"""


def look_of(model: mujoco.MjModel) -> Look:
    """Return the present look of a model; a model as loaded has the plain scene's."""
    return Look(
        model.material("table").rgba.astype(float),
        model.material("distractor").rgba.astype(float),
        model.body("distractor").pos[:2].copy(),
        model.light("lamp").diffuse.astype(float),
        model.light("lamp").dir.copy(),
        model.vis.headlight.ambient.astype(float),
        np.array([model.camera(name).quat for name in VIEWS.values()]),
    )


def apply_look(model: mujoco.MjModel, look: Look) -> None:
    """Give the model a look. Distractor and cameras move when positions are next computed (`mj_kinematics`,
    `mj_camlight`)."""
    model.material("table").rgba = look.table
    model.material("distractor").rgba = look.distractor
    model.body("distractor").pos[:2] = look.place
    model.light("lamp").diffuse = look.lamp
    model.light("lamp").dir = look.direction / np.linalg.norm(look.direction)
    model.vis.headlight.ambient = look.ambient
    for name, quaternion in zip(VIEWS.values(), look.cameras, strict=True):
        model.camera(name).quat = quaternion


def apply_still_scene(model: mujoco.MjModel, name: StillName) -> None:
    """Give a model as loaded the look of a scene in which nothing changes."""
    if name == "shifted":  # a model as loaded is plain
        apply_look(model, _shift(look_of(model)))


def draw(name: SceneName, plain: Look, rng: np.random.Generator) -> Scene:
    """Draw the named scene of one episode; `plain` is the look of a model as loaded."""
    if name == "cluttered":
        return Scene(_clutter(plain, rng), _clutter(plain, rng)(0.0))
    looks = {"plain": lambda: plain, "shifted": lambda: _shift(plain), "colours": lambda: _coloured(plain, rng)}
    look = looks[name]()
    return Scene(lambda time: look, look)


def _shift(plain: Look) -> Look:
    """Return the look of the shifted scene: cameras turned, another table, less light."""
    turn, cameras = np.array([np.cos(TURN / 2), -np.sin(TURN / 2), 0.0, 0.0]), np.empty_like(plain.cameras)
    for turned, quaternion in zip(cameras, plain.cameras, strict=True):
        mujoco.mju_mulQuat(turned, quaternion, turn)
    return plain._replace(
        table=SHIFTED_TABLE, lamp=DIMMED * plain.lamp, ambient=DIMMED * plain.ambient, cameras=cameras
    )


def _clutter(plain: Look, rng: np.random.Generator) -> Callable[[float], Look]:
    """Return a look over time (s): a box that wanders over the table, and a light that changes slowly."""
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
    """Return an endless smooth random motion [size] in [-1, 1] over time: three sines for each number, of random phase
    and of periods (s) drawn between two bounds."""
    phase, rate = rng.uniform(0, 2 * np.pi, (3, size)), 2 * np.pi / rng.uniform(*periods, (3, size))
    weight = np.array([0.6, 0.25, 0.15])
    return lambda time: weight @ np.sin(phase + rate * time)


def _coloured(plain: Look, rng: np.random.Generator) -> Look:
    """Return a look with a table of any pale colour and, somewhere on it, a distractor of any strong colour."""
    return plain._replace(
        table=_colour(rng, (0.25, 0.55), (0.55, 0.90)),
        distractor=_colour(rng, (0.80, 1.00), (0.60, 0.95)),
        place=DISTRACTOR_CENTRE + DISTRACTOR_REACH * rng.uniform(-1, 1, 2),
    )


def _colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Vector:
    """Return an RGBA [4] of any hue but the tool's, with saturation and value drawn between two bounds each."""
    hue = (TOOL_HUE + rng.uniform(APART, 1 - APART)) % 1
    return np.array([*colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), rng.uniform(*value)), 1.0])
