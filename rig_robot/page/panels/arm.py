"""The buttons that arm, park and reset, the policy's modes, and jogging by keys or gamepad."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.operator import Operator, switch_class

MODES = {"idle": "Idle", "reach": "Reach the goal", "explore": "Explore", "practice": "Practise"}
ARMED = ("waiting", "moving", "parking")
JOGS = {
    "↑ W  away": "1,0,0",
    "← A  left": "0,1,0",
    "R  up": "0,0,1",
    "↓ S  near": "-1,0,0",
    "→ D  right": "0,-1,0",
    "F  down": "0,0,-1",
}
"""Buttons that move the tool while they are held, with the velocity that each asks for."""


class Arm:
    """The arm's and the policy's buttons."""

    def __init__(self, desk: Desk, operator: Operator) -> None:
        self._desk, self._operator = desk, operator
        self._jogging = False
        with ui.element("div").classes("rig-card rig-part-2"):
            ui.label("Arm").classes("rig-title")
            with ui.element("div").classes("rig-row"):
                self._arm = self._button("Arm", "arm", "positive")
                self._disarm = self._button("Disarm", "disarm", "primary")
                self._park = self._button("Park", "park", "primary")
                self._reset = self._button("Reset the stop", "reset", "warning")
            ui.label("Policy").classes("rig-title")
            with ui.element("div").classes("rig-row"):
                self._modes = {mode: self._button(text, mode, "grey-8") for mode, text in MODES.items()}
            with ui.element("div").classes("rig-row"):
                self._switch = ui.switch("Jog by keys or gamepad, while held", on_change=self._set_jogging).props(
                    "dense"
                )
            with ui.element("div").classes("rig-jogs") as self._keys:
                for text, move in JOGS.items():
                    with ui.element("button").props(f'data-jog="{move}" type=button'):
                        ui.label(text)
                ui.element("div").classes("rig-pad rig-soft")  # page.js writes here

    def _button(self, text: str, command: str, colour: str) -> Any:
        button = ui.button(text, on_click=lambda: self._operator.tell(command), color=colour)
        return button.classes(f"rig-do-{command}").props("unelevated no-caps")

    async def _set_jogging(self, event: Any) -> None:
        """Let the keys move the tool, once the policy is idle; two that steer in turn would disarm the arm."""
        if event.value == self._jogging:
            return
        allowed = event.value and await self._operator.tell("idle")
        self._show_jogging(bool(allowed))
        self._desk.control.allow_jogging(self._operator.page, bool(allowed))

    def _show_jogging(self, on: bool) -> None:
        self._jogging = on
        self._switch.set_value(on)
        self._operator.run_script(f"rig.jogs = {'true' if on else 'false'}")

    def refresh(self) -> None:
        """Enable what can be done now, and show the policy's mode."""
        arm, mode = self._desk.heard.arm, self._desk.heard.mode()
        state = "" if arm.silent else arm.state
        self._arm.set_enabled(state == "disarmed")
        self._disarm.set_enabled(state not in ("disarmed", "estopped"))  # also while the arm is not heard for a moment
        self._park.set_enabled(state in ARMED)
        self._reset.set_enabled(state == "estopped")
        for name, button in self._modes.items():
            if (name == mode) != ("rig-on" in button.classes):
                switch_class(button, "rig-on", name == mode)
                button.props(f"color={'primary' if name == mode else 'grey-8'}")
        if self._jogging and not (self._operator.in_control and self._desk.control.jogs and mode in ("idle", "")):
            self._desk.control.allow_jogging(self._operator.page, False)
            self._show_jogging(False)
        self._keys.set_visibility(self._jogging)
