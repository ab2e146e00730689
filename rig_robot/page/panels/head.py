"""The head of the page: the arm's state in large words and colour, its reason, and which page has control."""

from __future__ import annotations

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.operator import Operator, set_text

WORDS = {
    "disarmed": "DISARMED",
    "waiting": "ARMED, WAITING",
    "moving": "MOVING",
    "parking": "PARKING",
    "estopped": "STOPPED",
}
"""What the arm's states are called."""
SILENT = "NO ARM"


class Head:
    """The head of the page."""

    def __init__(self, desk: Desk, operator: Operator) -> None:
        self._desk, self._operator = desk, operator
        self._shown = ""
        with ui.element("header").classes("rig-head") as self._head:
            self._state = ui.label("").classes("rig-state")
            self._reason = ui.label("").classes("rig-reason")
            self._control = ui.label("").classes("rig-control")
            self._take = ui.button("Take control", on_click=operator.take_control).classes("rig-take")

    def refresh(self) -> None:
        """Show the present state."""
        arm, control = self._desk.heard.arm, self._desk.control
        kind = "silent" if arm.silent else arm.state
        if kind != self._shown:
            self._head.classes(add=kind, remove=self._shown or None)
            self._shown = kind
        set_text(self._state, SILENT if arm.silent else WORDS.get(arm.state, arm.state.upper()))
        reason = "nothing is heard of the arm node: is the system running?" if arm.silent else arm.reason
        if kind == "estopped":
            reason = f"an emergency stop ({reason}): reset it, then arm"
        set_text(self._reason, reason)
        pages = f"{control.open} pages open" if control.open > 1 else ""
        if not self._operator.page:
            who = "connecting"
        elif self._operator.in_control:
            who = "You have control"
        elif control.free:
            who = "Nobody has control"
        else:
            who = "Another page has control"
        set_text(self._control, f"{who}{', ' if pages else ''}{pages}")
        self._take.set_visibility(bool(self._operator.page) and not self._operator.in_control)
