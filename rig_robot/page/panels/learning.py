"""Recording and learning: episodes, disk, the trainer's progress, and the checkpoints."""

from __future__ import annotations

import asyncio
import shutil
import time
from html import escape
from pathlib import Path
from typing import Any

from nicegui import ui

from rig_robot.checkpoints.checkpoint import CURRENT
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.checkpoints.listing import find
from rig_robot.page.desk import Desk
from rig_robot.page.heard import SILENT
from rig_robot.page.learning_curve import judged
from rig_robot.page.operator import Operator, set_text

LOOK = 5.0
"""Time between two looks at the disk: episodes, checkpoints, space left [s]."""
LOSSES = ("vae", "critic", "actor", "distance")


class Recording:
    """What is recorded, how much room is left, and the newest episodes to download."""

    def __init__(self, desk: Desk, operator: Operator) -> None:
        self._desk = desk
        self._looked, self._names = 0.0, [""]
        with ui.element("div").classes("rig-card rig-part-7"):
            with ui.element("div").classes("rig-row"):
                ui.label("Recording").classes("rig-title")
                with ui.element("div").classes("rig-buttons") as self._buttons:
                    for text, command in (("Record", "recorder resume"), ("Pause", "recorder pause")):
                        button = ui.button(
                            text, on_click=lambda _, command=command: operator.tell(command), color="grey-8"
                        )
                        button.classes(f"rig-do-{command.replace(' ', '-')}").props("unelevated no-caps")
            self._text = ui.label("").classes("rig-soft")
            self._episodes = ui.element("div").classes("rig-row")

    def refresh(self) -> None:
        """Show what the recorder says; look at the disk now and then."""
        report = self._desk.heard.health.get("recorder")
        self._buttons.set_visibility(report is not None and report.silence < SILENT)
        if report is None or report.silence > SILENT:
            set_text(self._text, "there is no recorder: start with --record FOLDER or --practice")
            return
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        folder = Path(report.values.get("directory", "/nowhere"))
        left = f"; {shutil.disk_usage(folder).free / 2**30:.0f} GiB of disk left" if folder.is_dir() else ""
        set_text(self._text, f"{report.text}{left}")
        names = self._desk.episodes.names(3)
        if names != self._names:
            self._names = names
            self._episodes.clear()
            with self._episodes:
                for name in names:
                    ui.link(f"{name}.tar", f"/episodes/{name}.tar").classes("rig-episode").props("download")


class Learning:
    """The trainer's progress, and the checkpoints."""

    def __init__(self, desk: Desk, operator: Operator) -> None:
        self._desk, self._operator = desk, operator
        self.judged: list[tuple[float, float]] = []
        """when each checkpoint was made [s, since 1970], and how far from its goals the tool ended [mm]"""
        self._seen: list[str] = []  # names in the root, and which one is current: checkpoints never change
        with ui.element("div").classes("rig-card rig-part-8"):
            with ui.element("div").classes("rig-row"):
                ui.label("Learning").classes("rig-title")
                with ui.element("div").classes("rig-buttons") as self._buttons:
                    for text, command in (
                        ("Go on", "trainer resume"),
                        ("Pause", "trainer pause"),
                        ("Fine-tune", "trainer fine-tune"),
                    ):
                        button = ui.button(
                            text, on_click=lambda _, command=command: operator.tell(command), color="grey-8"
                        )
                        button.props("unelevated no-caps")
            self._text = ui.label("").classes("rig-soft")
            self._bar = ui.linear_progress(0.0, show_value=False, size="6px").props("instant-feedback")
            with ui.element("div").classes("rig-row") as self._choice:
                self._select = ui.select([], label="checkpoint").props("dense options-dense").style("min-width: 190px")
                ui.button("Switch to it", on_click=self._switch, color="grey-8").props("unelevated no-caps")
            self._list = ui.html("", sanitize=False).classes("rig-checkpoints")

    async def _switch(self) -> None:
        if self._select.value and self._operator.may():
            await self._operator.answered(
                self._desk.robot.switch(self._select.value), f"switch to {self._select.value}"
            )

    def refresh(self) -> None:
        """Show what the trainer does."""
        self._choice.set_visibility(self._desk.checkpoints is not None)
        self._show_progress()

    async def look(self) -> None:
        """Look which checkpoints there are, and which one is current."""
        root = self._desk.checkpoints
        if root is None:
            return
        current = (root / CURRENT).resolve().name
        seen = [current, *sorted(place.name for place in root.iterdir() if not place.name.startswith("."))]
        if seen == self._seen:
            return
        self._seen = seen
        try:
            good, broken = await asyncio.to_thread(find, root)
        except (CheckpointError, OSError) as error:
            good, broken = [], [str(error)]
        self.judged = judged([config for _, config in good])
        rows = [_line(name, config, name == current) for name, config in reversed(good)]
        rows += [f"<div>cannot be used: {escape(why)}</div>" for why in broken]
        self._list.set_content("".join(rows))
        self._select.set_options([name for name, _ in reversed(good)])

    def _show_progress(self) -> None:
        said, report = self._desk.heard.trainer, self._desk.heard.health.get("trainer")
        here = bool(said) and report is not None and report.silence < SILENT
        for part in (self._bar, self._buttons):
            part.set_visibility(here)
        if not here:
            set_text(self._text, "there is no trainer: start with --practice")
            return
        step, of, eta = (_number(said, key) for key in ("step", "of", "eta_s"))
        left = f", about {eta / 60:.0f} min left" if eta >= 90 else f", about {eta:.0f} s left" if eta > 0 else ""
        losses = [f"{key} {value}" for key, value in said.items() if any(part in key for part in LOSSES)]
        figures = f"; {', '.join(losses)}" if losses else ""
        doing = ": ".join(filter(None, (said.get("phase"), self._desk.heard.trainer_text)))
        set_text(self._text, f"{doing}{left}{figures}")
        self._bar.set_value(min(step / of, 1.0) if of > 0 else 0.0)


def _number(said: Any, key: str) -> float:
    try:
        value = float(said.get(key, "nan"))
    except ValueError:
        return 0.0
    return value if value == value else 0.0


def _line(name: str, config: Any, current: bool) -> str:
    """Return a checkpoint's line: its parent, and its distances."""
    figures = ", ".join(
        f"{key} {value:.3g}"
        for key, value in sorted(config.figures.items())
        if isinstance(value, float) and key.endswith("_mm")
    )
    parent = f" from {config.parent}" if config.parent else ""
    made = config.created[5:16].replace("T", " ")
    text = escape(f"{name}{parent}, {made}{', ' if figures else ''}{figures}")
    return f"<div>{'<b>' + text + ' (current)</b>' if current else text}</div>"
