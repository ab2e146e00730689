"""Builds the operator's page for each browser that opens it."""

from __future__ import annotations

import json

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.front import LARGEST_UPLOAD
from rig_robot.page.gallery import NAMES
from rig_robot.page.operator import Operator
from rig_robot.page.panels.arm import Arm
from rig_robot.page.panels.camera import Camera
from rig_robot.page.panels.curve import Curve
from rig_robot.page.panels.distance import DistanceToGoal
from rig_robot.page.panels.goal import Goal
from rig_robot.page.panels.head import Head
from rig_robot.page.panels.health import NodeHealth
from rig_robot.page.panels.learning import Learning, Recording
from rig_robot.page.panels.scene import ArmScene

REFRESH = 0.2
"""Time between two looks at what has changed [s]."""
LOOK = 5.0
"""Time between two looks at the checkpoints on disk [s]."""
TITLE = "rig_robot"
SCRIPTS = """
<link rel="stylesheet" href="/assets/page.css">
<script>window.rigConfig = {config};</script>
<script src="/assets/page.js"></script>
"""
BODY = """
<button type="button" class="rig-stop" aria-label="Stop the arm">STOP<small>or the space bar</small></button>
<div class="rig-note rig-note-cut">No connection to the robot: a stop may not reach it. Use the hardware's own.</div>
<div class="rig-note rig-note-failed">The stop did not reach the robot. Use the hardware's own.</div>
"""
"""Not NiceGUI's: there from the first moment, whatever becomes of the rest of the page."""


def register(desk: Desk) -> None:
    """Let NiceGUI serve the page at /."""
    config = json.dumps({"names": NAMES, "largest": LARGEST_UPLOAD})

    @ui.page("/", title=TITLE, response_timeout=20.0)
    async def page() -> None:
        ui.add_head_html(SCRIPTS.replace("{config}", config))
        ui.add_body_html(BODY)
        _build(desk)


def _build(desk: Desk) -> None:
    operator = Operator(desk)
    head = Head(desk, operator)
    with ui.element("main").classes("rig-grid"):
        with ui.element("div").classes("rig-column"):
            camera, goal = Camera(desk), Goal(desk, operator)
        with ui.element("div").classes("rig-column"):
            scene, distance = ArmScene(desk), DistanceToGoal(desk)
            place_of_curve = ui.element("div").classes("rig-place")
        with ui.element("div").classes("rig-column"):
            arm, health = Arm(desk, operator), NodeHealth(desk)
            recording, learning = Recording(desk, operator), Learning(desk, operator)
        with place_of_curve:
            curve = Curve(desk, learning)

    def refresh() -> None:
        for part in (head, camera, goal, distance, arm, health, recording, learning, scene):
            part.refresh()

    refresh()  # what is known is there from the first moment
    ui.timer(REFRESH, refresh)
    ui.timer(LOOK, learning.look)
    ui.timer(LOOK, curve.refresh)
    ui.timer(0.0, operator.identify, once=True)
