"""The live camera, and what the VAE makes of view and goal."""

from __future__ import annotations

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.operator import set_text

LATE = 1.0
"""Age from which a picture is called late [s]."""
FOUR = {"view": "view", "view_redrawn": "what the VAE sees", "goal": "goal", "goal_redrawn": "goal, as the VAE sees it"}


class Camera:
    """The live camera above the four small pictures."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with ui.element("div").classes("rig-card rig-part-1"):
            with ui.element("div").classes("rig-camera"):
                ui.element("img").classes("rig-picture-camera").props('alt="live camera"')
                self._late = ui.label("").classes("rig-late")
            with ui.element("div").classes("rig-four"):
                for name, text in FOUR.items():
                    with ui.element("figure"):
                        with ui.element("div").classes("rig-frame"):
                            ui.element("img").classes(f"rig-picture-{name}").props(f'alt="{text}"')
                        with ui.element("figcaption"):
                            ui.label(text)

    def refresh(self) -> None:
        """Say so where no pictures come."""
        age = self._desk.gallery.age("camera")
        self._late.set_visibility(age > LATE)
        if age > LATE:
            since = f" for {age:.0f} s" if age < 1e6 else ""
            set_text(self._late, f"no picture from the camera{since}")
