"""The arm in 3D: its shapes, the box that its tool stays in, the tool's path and, where known, the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from nicegui import ui

from rig_robot.page.arm_model import ArmModel, Shape
from rig_robot.page.desk import Desk
from rig_robot.page.operator import set_text

BOX, TARGET, TOOL, THING = "#1f5fbf", "#c4122f", "#12805c", "#8a3ffc"
ORANGE = [0.88, 0.54, 0.0]
ALONG_Z = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Turns a cylinder of three.js, which lies along y, to lie along z as MuJoCo's do."""
DISC_HEIGHT = 0.02
"""Height of the disc that stands for an object [m]."""
MOVED = 5e-4
"""Distance [m], or change of a rotation matrix, from which a link is drawn anew."""


class ArmScene:
    """The 3D view."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawn: ArmModel | None = None
        self._links: dict[int, Any] = {}
        self._poses: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._path_length = -1
        self._radius = 0.0
        with ui.element("div").classes("rig-card rig-fill rig-part-4"):
            with ui.element("div").classes("rig-row"):
                ui.label("Arm").classes("rig-title")
                self._text = ui.label("").classes("rig-soft rig-tool")
            with ui.element("div").classes("rig-scene"):
                camera = ui.scene.perspective_camera(fov=42)
                self._scene = ui.scene(400, 300, grid=(2, 20), camera=camera, background_color="#eef1f5", fps=8)

    def refresh(self) -> None:
        """Draw the arm once it is known, and then what has moved."""
        model = self._desk.arm_model
        if model is None:
            set_text(self._text, self._desk.arm_trouble)
            return
        if model is not self._drawn or self._radius != self._desk.thing_radius():
            self._draw(model)
        self._move_links(model)
        self._move_marks()

    def _draw(self, model: ArmModel) -> None:
        self._drawn, self._links, self._poses, self._path_length = model, {}, {}, -1
        heard, scene = self._desk.heard, self._scene
        scene.clear()
        for link in model.links:
            with scene.group() as group:
                for shape in model.shapes:
                    if shape.link == link:
                        _draw_shape(scene, shape)
            self._links[link] = group
        low, high = (np.array(heard.parameter("arm", f"workspace_{end}"), float) for end in ("low", "high"))
        middle, size = (low + high) / 2, high - low
        width, depth, height = size.tolist()
        scene.box(width, depth, height, wireframe=True).material(BOX).move(*middle.tolist())
        # The box's corners are always among the points: three.js decides by the first ones whether they are in sight.
        self._corners = [low.tolist(), high.tolist()]
        self._path = scene.point_cloud(self._corners, 2 * [ORANGE], point_size=0.012)
        self._target = scene.sphere(0.02).material(TARGET, 0.7).visible(False)
        self._tool = scene.sphere(0.012).material(TOOL).visible(False)
        self._radius = self._desk.thing_radius()
        self._thing = self._disc(THING, 0.9)
        self._thing_target = self._disc(TARGET, 0.5)
        far = 1.5 * float(np.linalg.norm(high))
        eye = middle + np.array([0.55, -0.95, 0.75]) * far
        x, y, z = (middle * np.array([0.6, 1.0, 1.0])).tolist()
        scene.move_camera(*eye.tolist(), look_at_x=x, look_at_y=y, look_at_z=z, duration=0)  # type: ignore[misc]

    def _disc(self, colour: str, opacity: float) -> Any:
        """Draw a flat disc in place of the object that is pushed, hidden until it is known where that is."""
        disc = self._scene.cylinder(self._radius, self._radius, DISC_HEIGHT, 32).material(colour, opacity)
        return disc.rotate_R(ALONG_Z.tolist()).visible(False)

    def _move_links(self, model: ArmModel) -> None:
        joints = self._desk.heard.joints
        for link, (place, turn) in model.poses(joints).items():
            before = self._poses.get(link)
            if before is not None and max(np.abs(place - before[0]).max(), np.abs(turn - before[1]).max()) < MOVED:
                continue
            self._poses[link] = (place, turn)
            self._links[link].move(*place.tolist()).rotate_R(turn.tolist())

    def _move_marks(self) -> None:
        heard, target = self._desk.heard, self._desk.target()
        if heard.tool is not None:
            self._tool.visible(True).move(*heard.tool.round(4).tolist())
        for mark, spot in (
            (self._target, target),
            (self._thing, self._desk.thing()),
            (self._thing_target, self._desk.thing_target()),
        ):
            mark.visible(spot is not None)
            if spot is not None:
                mark.move(*spot.round(3).tolist())
        path = heard.recent_path()
        if len(path) != self._path_length:
            self._path_length = len(path)
            points = self._corners + path
            self._path.set_points(points, [ORANGE] * len(points))
        place = "" if heard.tool is None else " ".join(f"{1000 * part:.0f}" for part in heard.tool)
        far = "" if target is None else f", target {' '.join(f'{1000 * part:.0f}' for part in target)}"
        set_text(self._text, f"tool at {place} mm{far}" if place else "where the tool is has not been heard yet")


def _draw_shape(scene: Any, shape: Shape) -> None:
    """Draw a shape into the present group."""
    radius, half = float(shape.size[0]), float(shape.size[1])
    if shape.kind == "box":
        drawn = [(scene.box(*(2 * shape.size).tolist()), shape.place, shape.turn)]
    elif shape.kind == "sphere":
        drawn = [(scene.sphere(radius, 16, 10), shape.place, shape.turn)]
    else:
        drawn = [(scene.cylinder(radius, radius, 2 * half, 20), shape.place, shape.turn @ ALONG_Z)]
        if shape.kind == "capsule":
            ends = (shape.place + sign * half * shape.turn[:, 2] for sign in (-1, 1))
            drawn += [(scene.sphere(radius, 16, 10), end, shape.turn) for end in ends]
    for thing, place, turn in drawn:
        thing.material(shape.colour).move(*place.tolist()).rotate_R(turn.tolist())
