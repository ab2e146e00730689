"""Changes the scene around the arm: a box that moves, other colours, a shifted view, or all that happens in a lab."""

import colorsys
from collections.abc import Callable
from typing import Literal, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from rig_robot.common.scene_names import STILL, SceneName
from rig_sim.sensor import Sensor
from rig_sim.textures import Texture
from rig_sim.world import PUSH_VIEW, VIEWS

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


CAMERAS = (*VIEWS.values(), PUSH_VIEW)
GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
MOST_THINGS = 9
"""As many as `assets/scene.xml` has."""
HIDDEN: Vector = np.array([0.0, 0.0, -3.0])
"""Where a thing is that a look does not have."""
UPRIGHT = (1.0, 0.0, 0.0, 0.0)
CHANGE = 60.0
"""Time (s) after which a running simulation draws a changing scene anew."""


class Thing(NamedTuple):
    """Something that lies on the table or passes above it; it touches nothing."""

    kind: Literal["box", "cylinder", "sphere", "capsule", "ellipsoid"]
    size: tuple[float, float, float]
    """as MuJoCo's `geom/size` of this kind (m)"""
    colour: Vector
    """RGBA [4] in [0, 1]"""
    place: Vector
    """of its middle [3] (m, base frame)"""
    turn: tuple[float, float, float, float] = UPRIGHT
    """quaternion w x y z"""


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
    """how the robot's cameras (`CAMERAS`) are turned, quaternions w x y z [3, 4]"""
    cloth: Texture | None = None
    """of the table; None: no cloth"""
    carpet: Texture | None = None
    """of the floor; None: no carpet"""
    gripper: bool = False
    """whether the tool is a grey gripper in place of the green disc"""
    things: tuple[Thing, ...] = ()
    """at most `MOST_THINGS`"""
    sensor: Sensor | None = None
    """what light and camera do to the picture; None: nothing"""


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
        np.array([model.camera(name).quat for name in CAMERAS]),
    )


def apply_look(model: mujoco.MjModel, look: Look) -> bool:
    """Give the model a look; return whether textures changed, which its cameras then have to upload.

    Things and cameras move when positions are next computed (`mj_kinematics`, `mj_camlight`). The look's sensor is the
    business of whoever renders.
    """
    model.material("table").rgba = look.table
    model.material("distractor").rgba = look.distractor
    model.body("distractor").pos[:2] = look.place
    model.light("lamp").diffuse = look.lamp
    model.light("lamp").dir = look.direction / np.linalg.norm(look.direction)
    model.vis.headlight.ambient = look.ambient
    for name, quaternion in zip(CAMERAS, look.cameras, strict=True):
        model.camera(name).quat = quaternion
    if not model.material("peg").rgba[3]:  # a peg is always the tool where things are pushed
        model.material("tool").rgba[3] = not look.gripper
        model.material("gripper").rgba[3] = look.gripper
    for number in range(MOST_THINGS):
        _apply_thing(model, f"thing{number}", look.things[number] if number < len(look.things) else None)
    uploads = [_apply_texture(model, name, getattr(look, name)) for name in TEXTURES]
    return any(uploads)


TEXTURES = ("cloth", "carpet")


def _apply_thing(model: mujoco.MjModel, name: str, thing: Thing | None) -> None:
    geom, body = model.geom(name), model.body(name)
    if thing is None:
        geom.rgba[3], body.pos[:] = 0.0, HIDDEN
        return
    geom.type[0], geom.size[:], geom.rgba[:] = GEOMS[thing.kind], thing.size, thing.colour
    body.pos[:], body.quat[:] = thing.place, thing.turn


def _apply_texture(model: mujoco.MjModel, name: str, texture: Texture | None) -> bool:
    """Show a texture; return whether it is another one than before."""
    model.material(name).rgba[3] = texture is not None
    if texture is None:
        return False
    at = model.tex_adr[model.texture(name).id]
    kept = model.tex_data[at : at + texture.size]
    if np.array_equal(kept, texture.ravel()):
        return False
    kept[:] = texture.ravel()
    return True


class Scenery:
    """The scene of a running simulation, by the clock, so that several processes show the same one.

    A changing scene is drawn anew every `CHANGE` seconds. A lab is held out: one that training never shows.
    """

    def __init__(self, model: mujoco.MjModel, name: SceneName, seed: int) -> None:
        """model: as loaded."""
        self._model, self._name, self._seed = model, name, seed
        self._plain = self._look = look_of(model)
        self._number = -1
        self._scene = Scene(lambda _: self._plain, self._plain)

    def show(self, now: float) -> tuple[Sensor | None, bool]:
        """Give the model the look of a time (s, ROS clock); return its sensor, and whether textures changed."""
        scene, since = self._at(now)
        return self._show(scene.at(since))

    def show_goal(self, now: float) -> tuple[Sensor | None, bool]:
        """Give the model the look of goal pictures in the scene of a time (s, ROS clock); return as `show`."""
        return self._show(self._at(now)[0].goal)

    def _at(self, now: float) -> tuple[Scene, float]:
        number = 0 if self._name in STILL else int(now // CHANGE)
        if number != self._number:
            self._number = number
            random = np.random.default_rng((self._seed, number))
            self._scene = draw(self._name, self._plain, random, held_out=True)
        return self._scene, now - number * CHANGE

    def _show(self, look: Look) -> tuple[Sensor | None, bool]:
        if look is self._look:
            return look.sensor, False
        self._look = look
        return look.sensor, apply_look(self._model, look)


def draw(name: SceneName, plain: Look, rng: np.random.Generator, held_out: bool = False) -> Scene:
    """Draw the named scene of one episode.

    Args:
        name: Of the scene.
        plain: The look of a model as loaded.
        rng: Randomness of the episode.
        held_out: Whether a lab has the textures, things and people that training never shows.
    """
    if name == "lab":
        from rig_sim.lab import draw_lab

        return draw_lab(plain, rng, held_out)
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
    walk, drift = wander(rng, 2, (5.0, 12.0)), wander(rng, 3, (10.0, 30.0))
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


def wander(rng: np.random.Generator, size: int, periods: tuple[float, float]) -> Callable[[float], Vector]:
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
