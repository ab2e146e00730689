"""One open page and the person before it: which page it is, whether it has control, and what it tells the robot."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Any, Literal

from nicegui import ui

from rig_robot.page.desk import Desk, Outcome

FREE_TO_ALL = ("disarm",)
"""Orders that a page without control may give, beside the stop."""
IDENTIFY = 10.0
"""Time after which a browser is asked again which page it is [s]."""


class Operator:
    """The person before one page. Made while the page is built.

    Args:
        desk: What all pages share.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._client = ui.context.client
        self.page = ""

    async def identify(self) -> None:
        """Ask the browser for the page's name, until it answers."""
        while not self.page:
            with contextlib.suppress(TimeoutError):
                self.page = str(await self._client.run_javascript("rig.page", timeout=IDENTIFY))

    def run_script(self, script: str) -> None:
        """Run JavaScript in the browser."""
        self._client.run_javascript(script)

    def say(self, text: str, kind: Literal["positive", "negative", "warning"]) -> None:
        """Show a line for some seconds. Works also where the button that was pressed has gone."""
        with self._client:
            ui.notify(
                text, type=kind, multi_line=True, position="bottom-left", timeout=4000 if kind == "positive" else 9000
            )

    @property
    def in_control(self) -> bool:
        """Whether this page has control."""
        return self._desk.control.has_control(self.page)

    def take_control(self) -> None:
        """Give this page the control."""
        self._desk.control.take(self.page)

    def may(self) -> bool:
        """Return whether this page may give orders; say so where it may not."""
        if not self.in_control:
            self.say("another page has control: take it over first", "warning")
        return self.in_control

    async def tell(self, command: str) -> bool:
        """Give an order, show the answer, and return whether it was carried out."""
        if command not in FREE_TO_ALL and not self.may():
            return False
        return await self.answered(self._desk.robot.tell(command), command)

    async def answered(self, future: Future[Outcome], what: str) -> bool:
        """Wait for the robot's answer, show it, and return whether the order was carried out."""
        outcome = await asyncio.wrap_future(future)
        self.say(f"{what}: {outcome.text}", "positive" if outcome.done else "negative")
        return outcome.done


def set_text(label: Any, text: str) -> None:
    """Set a label's text where it has changed."""
    if label.text != text:
        label.text = text


def switch_class(element: Any, name: str, on: bool) -> None:
    """Give an element a CSS class, or take it away."""
    if on != (name in element.classes):
        element.classes(add=name if on else None, remove=None if on else name)
