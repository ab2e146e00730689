"""Chooses the goal: a picture, the present view, an imagined one, or one of before; each is seen before it is sent."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.gallery import encode
from rig_robot.page.goal_pictures import Candidate, NotReady
from rig_robot.page.operator import Operator, set_text


class Goal:
    """The goal's buttons, the goals of before, and the dialog that shows a picture before it is sent."""

    def __init__(self, desk: Desk, operator: Operator) -> None:
        self._desk, self._operator = desk, operator
        self._numbers: list[int] = []
        with ui.element("div").classes("rig-card rig-part-3") as self._card:
            ui.label("Goal").classes("rig-title")
            with ui.element("div").classes("rig-row"):
                ui.html(
                    '<label class="rig-choose">Choose or drop a picture'
                    '<input class="rig-file" type="file" accept="image/png,image/jpeg"></label>',
                    sanitize=False,
                )
                for text, do in (
                    ("Imagine one", self._imagine),
                    ("Take the present view", lambda: operator.tell("capture")),
                    ("None", lambda: operator.tell("clear")),
                ):
                    button = ui.button(text, on_click=do, color="grey-8").props("unelevated no-caps")
                    button.classes(f"rig-goal-{text.split()[0].lower()}")
            self._answer = ui.label("").classes("rig-soft")
            self._recent = ui.element("div").classes("rig-recent")
        ui.on("candidate", lambda event: self._offer_number(int(_argument(event))))
        ui.on("refused", lambda event: operator.say(str(_argument(event)), "negative"))

    def refresh(self) -> None:
        """Show the goal node's last answer, and the goals of before."""
        _, text = self._desk.heard.goal_answer
        set_text(self._answer, text)
        recent = self._desk.pictures.recent()
        numbers = [number for number, _ in recent]
        if numbers == self._numbers:
            return
        self._numbers = numbers
        self._recent.clear()
        with self._recent:
            for number, picture in recent:
                image = ui.element("img").props(f'src="{data_url(picture)}" alt="an earlier goal"')
                image.on("click", lambda _, number=number: self._again(number))

    async def _imagine(self) -> None:
        self._offer(lambda: self._desk.pictures.imagine(self._desk.scene))

    def _again(self, number: int) -> None:
        self._offer(lambda: self._desk.pictures.again(number))

    def _offer_number(self, number: int) -> None:
        self._offer(lambda: self._desk.pictures.candidate(number))

    def _offer(self, find: Any) -> None:
        """Show a picture that may become the goal, with what speaks against it."""
        try:
            candidate: Candidate = find()
        except NotReady as error:
            self._operator.say(str(error), "negative")
            return
        with self._card, ui.dialog() as dialog, ui.card().classes("rig-dialog"):
            ui.label(f"{candidate.origin[0].upper()}{candidate.origin[1:]}").classes("rig-big")
            with ui.element("div").classes("rig-preview"):
                for picture, text in ((candidate.picture, "the goal"), (candidate.redrawn, "what the VAE knows of it")):
                    if picture is not None:
                        with ui.element("figure"):
                            ui.element("img").props(f'src="{data_url(picture)}"')
                            ui.label(text).classes("rig-soft")
            if candidate.doubts:
                ui.label(f"Careful: {candidate.doubts}").classes("rig-doubt")
            moves = self._desk.heard.mode() == "reach"  # then a new goal is gone to at once
            choices = [("Go there", "go", True)] + ([] if moves else [("Only make it the goal", "set", False)])
            with ui.row():
                for text, name, go in choices:
                    button = ui.button(text, on_click=lambda _, go=go: self._send(dialog, candidate, go))
                    button.classes(f"rig-send-{name}").props("unelevated no-caps")
                ui.button("Cancel", on_click=dialog.close, color="grey-8").props("unelevated no-caps")
        dialog.on("hide", dialog.delete)
        dialog.open()

    async def _send(self, dialog: Any, candidate: Candidate, go: bool) -> None:
        if not self._operator.may():
            return
        dialog.close()
        done = await self._operator.answered(self._desk.robot.send_goal(candidate.data), "goal")
        if done and go and self._desk.heard.mode() != "reach":
            await self._operator.tell("reach")


def data_url(picture: np.ndarray) -> str:
    """Return a picture, uint8 [H, W, 3] RGB, as an address that holds it whole."""
    return f"data:image/jpeg;base64,{base64.b64encode(encode(picture)).decode()}"


def _argument(event: Any) -> Any:
    """Return what a page's script has sent with an event."""
    return event.args[0] if isinstance(event.args, list) else event.args
