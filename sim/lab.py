"""Draws the lab: cloths and carpets, things on the table, somebody who reaches across, light and a real camera.

Training and held-out episodes differ in kind: other photographs and patterns, other shapes, a person's arm where
training has a box on a stick, a worse camera.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rig_sim.scenes import DISTRACTOR_CENTRE, DISTRACTOR_REACH, Look, Scene, Thing, Vector, wander
from rig_sim.sensor import Sensor, Shadow
from rig_sim.textures import draw_texture

TABLE_TOP = -0.01
"""Height of the table (m, base frame)."""
EPISODE = 5.0
"""Duration of an episode (s)."""
REACH_ACROSS = 0.5
"""Probability that somebody reaches across during an episode."""
CLOTH, CARPET, GRIPPER = 0.8, 0.6, 0.5
"""Probability of each in an episode."""
TOOL_GREEN = 0.37
"""Hue of the disc; one thing in four has about this hue."""


class _Camera(NamedTuple):
    """How bad a camera can be: upper bounds."""

    noise: float
    drift: float
    blur: float
    jpeg: tuple[int, int]


TRAINING_CAMERA = _Camera(noise=12.0, drift=0.08, blur=12.0, jpeg=(45, 95))
HELD_OUT_CAMERA = _Camera(noise=20.0, drift=0.12, blur=16.0, jpeg=(25, 60))


def draw_lab(plain: Look, rng: np.random.Generator, held_out: bool) -> Scene:
    """Draw the lab of one episode; see `scenes.draw`. The goal picture shows the same room at another time."""
    room = _Room(plain, rng, held_out)
    return Scene(room.moment(rng), room.moment(rng)(0.0))


class _Room:
    """What stays the same during an episode and in its goal pictures."""

    def __init__(self, plain: Look, rng: np.random.Generator, held_out: bool) -> None:
        self._held_out = held_out
        self._look = plain._replace(
            table=_any_colour(rng),
            cloth=draw_texture(rng, held_out) if rng.random() < CLOTH else None,
            carpet=draw_texture(rng, held_out) if rng.random() < CARPET else None,
            gripper=bool(rng.random() < GRIPPER),
            lamp=plain.lamp * rng.uniform(0.85, 1.15, 3),
            ambient=plain.ambient * rng.uniform(0.6, 1.15),
        )
        self._standing = [_thing(rng, held_out) for _ in range(rng.integers(1, 4))]
        self._moving = [_thing(rng, held_out) for _ in range(rng.integers(1, 3))]
        self._sleeve = _any_colour(rng), np.array([*_skin(rng), 1.0])
        camera = HELD_OUT_CAMERA if held_out else TRAINING_CAMERA
        self._camera = camera
        self._noise, self._blur = rng.uniform(0, camera.noise), rng.uniform(0, camera.blur)
        self._jpeg = int(rng.integers(*camera.jpeg))
        self._balance = rng.uniform(-camera.drift, camera.drift, 3)

    def moment(self, rng: np.random.Generator) -> Callable[[float], Look]:
        """Return the look over time (s), from some moment of the day on."""
        strength, tilt = rng.uniform(0.4, 1.15), rng.uniform(-0.5, 0.5, 2)
        drift, shadow = wander(rng, 6, (8.0, 30.0)), wander(rng, 2, (4.0, 12.0))
        ways = [wander(rng, 2, (5.0, 12.0)) for _ in self._moving]
        visitor = _Visitor(rng) if rng.random() < REACH_ACROSS else None
        shadows = [(rng.uniform(0.15, 0.45), rng.uniform(0.1, 0.45)) for _ in range(rng.integers(0, 3))]
        angle, seed = rng.uniform(0, np.pi), int(rng.integers(2**31))
        look = self._look

        def at(time: float) -> Look:
            change = drift(time)
            things = [*self._standing]
            for thing, way in zip(self._moving, ways, strict=True):
                place = DISTRACTOR_CENTRE + DISTRACTOR_REACH * way(time)
                things.append(thing._replace(place=np.append(place, thing.place[2])))
            if visitor is not None:
                things += visitor.at(time, self._held_out, *self._sleeve)
            there = shadow(time)
            sensor = Sensor(
                seed=seed + round(1000 * time),
                balance=tuple((1 + self._balance + 0.3 * self._camera.drift * change[3:6]).tolist()),
                shadows=tuple(
                    Shadow((0.5 + 0.45 * sign * there[0], 0.5 + 0.45 * sign * there[1]), radius, depth)
                    for sign, (radius, depth) in zip((1, -1), shadows, strict=False)
                ),
                blur=self._blur * abs(change[2]),
                blur_angle=angle,
                noise=self._noise,
                jpeg=self._jpeg,
            )
            return look._replace(
                things=tuple(things),
                lamp=look.lamp * (strength + 0.15 * change[0]),
                direction=look.direction + np.append(tilt + 0.2 * change[1:3], 0.0),
                sensor=sensor,
            )

        return at


class _Visitor:
    """Somebody or something that reaches across the table and withdraws."""

    def __init__(self, rng: np.random.Generator) -> None:
        side = rng.choice((-1.0, 1.0))
        self._from = np.array([rng.uniform(0.5, 1.1), side * 0.75, rng.uniform(0.30, 0.45)])
        target = DISTRACTOR_CENTRE + DISTRACTOR_REACH * rng.uniform(-1, 1, 2)
        self._to = np.append(target, rng.uniform(0.22, 0.35))
        self._middle, self._half = rng.uniform(0, EPISODE), rng.uniform(0.8, 2.0)

    def at(self, time: float, held_out: bool, sleeve: Vector, skin: Vector) -> list[Thing]:
        """Return what is to be seen of it at a time (s); time goes round, so that it comes again."""
        off = (time - self._middle + EPISODE) % (2 * EPISODE) - EPISODE
        if abs(off) >= self._half:
            return []
        near = np.cos(np.pi / 2 * off / self._half) ** 2
        hand = self._from + near * (self._to - self._from)
        way = (self._to - self._from) / np.linalg.norm(self._to - self._from)
        turn = _along(way)
        if not held_out:
            rod = Thing("cylinder", (0.015, 0.4, 0.0), sleeve, hand - 0.4 * way, turn)
            return [Thing("box", (0.05, 0.05, 0.08), skin, hand, turn), rod]
        arm = Thing("capsule", (0.05, 0.3, 0.0), sleeve, hand - 0.38 * way, turn)
        wrist = Thing("capsule", (0.033, 0.06, 0.0), skin, hand - 0.06 * way, turn)
        return [Thing("ellipsoid", (0.05, 0.035, 0.085), skin, hand + 0.03 * way, turn), wrist, arm]


def _thing(rng: np.random.Generator, held_out: bool) -> Thing:
    """Return something that stands on the table, of any colour."""
    wide, high = rng.uniform(0.025, 0.06), rng.uniform(0.015, 0.05)
    place = DISTRACTOR_CENTRE + 1.2 * DISTRACTOR_REACH * rng.uniform(-1, 1, 2)
    angle = rng.uniform(0, np.pi)
    turn = (float(np.cos(angle / 2)), 0.0, 0.0, float(np.sin(angle / 2)))
    colour = _any_colour(rng)
    if not held_out:
        if rng.random() < 0.5:
            return Thing("cylinder", (wide, high, 0.0), colour, np.append(place, TABLE_TOP + high), turn)
        sides = (wide, rng.uniform(0.025, 0.06), high)
        return Thing("box", sides, colour, np.append(place, TABLE_TOP + high), turn)
    if rng.random() < 0.5:
        return Thing("ellipsoid", (wide, 0.6 * wide, high), colour, np.append(place, TABLE_TOP + high), turn)
    lying = _along(np.array([np.cos(angle), np.sin(angle), 0.0]))
    return Thing("capsule", (0.5 * wide, wide, 0.0), colour, np.append(place, TABLE_TOP + 0.5 * wide), lying)


def _any_colour(rng: np.random.Generator) -> Vector:
    """Return an RGBA [4] of any hue, grey and black too; one in four is about as green as the tool."""
    hue = TOOL_GREEN + rng.uniform(-0.05, 0.05) if rng.random() < 0.25 else rng.random()
    return np.array([*colorsys.hsv_to_rgb(hue % 1, rng.uniform(0, 1), rng.uniform(0.1, 0.95)), 1.0])


def _skin(rng: np.random.Generator) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb(rng.uniform(0.02, 0.09), rng.uniform(0.25, 0.6), rng.uniform(0.3, 0.95))


def _along(way: Vector) -> tuple[float, float, float, float]:
    """Return the quaternion w x y z that turns the z axis to a direction [3] of length 1."""
    w = 1 + way[2]
    quaternion = np.array([w, -way[1], way[0], 0.0]) if w > 1e-6 else np.array([0.0, 1.0, 0.0, 0.0])
    w, x, y, z = (quaternion / np.linalg.norm(quaternion)).tolist()
    return w, x, y, z
