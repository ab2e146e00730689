"""How far the goal is: in words, and over the last minute in millimetres and in the VAE's own units."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.heard import HISTORY
from rig_robot.page.operator import set_text

MM, LATENT = "#12805c", "#8a3ffc"
EVERY = 0.5
"""Time between two drawings of the curve [s]."""
GAP = 1.0
"""Time without a word after which the curve is broken [s]."""


class DistanceToGoal:
    """The distance to the goal."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawn = 0.0
        with ui.element("div").classes("rig-card rig-part-5"):
            ui.label("Distance to the goal").classes("rig-title")
            self._text = ui.label("").classes("rig-big")
            self._chart = ui.echart(_options()).classes("rig-chart")

    def refresh(self) -> None:
        """Show the newest distance, and draw the curve twice a second."""
        set_text(self._text, self._desk.heard.progress or "nothing is heard of the policy")
        now = time.monotonic()
        if now - self._drawn < EVERY:
            return
        self._drawn = now
        distances = self._desk.heard.recent_distances()
        self._chart.set_visibility(bool(distances))
        series = self._chart.options["series"]
        before = [len(line["data"]) for line in series]
        counts = [d.tool_mm if d.object_mm != d.object_mm else d.object_mm for d in distances]
        times = [d.at - now for d in distances]
        series[0]["data"] = curve(times, counts, 1)
        series[1]["data"] = curve(times, [d.latent for d in distances], 3)
        if any(before) or distances:
            self._chart.update()


def curve(times: Sequence[float], values: Sequence[float], digits: int) -> list[list[float | None]]:
    """Return the points of a curve, broken where nothing was told for longer than `GAP`.

    Args:
        times: When each was told [s].
        values: As many; NaN where it is not known.
        digits: Of the values.
    """
    points: list[list[float | None]] = []
    for number, (at, value) in enumerate(zip(times, values, strict=True)):
        if number and at - times[number - 1] > GAP:
            points.append([round(at, 2), None])
        points.append([round(at, 2), None if math.isnan(value) else round(value, digits)])
    return points


def _options() -> dict[str, Any]:
    """Return what the curve looks like: millimetres to the left, latent units to the right."""

    def axis(name: str, colour: str, **further: Any) -> dict[str, Any]:
        text = {"color": colour, "fontSize": 10}
        along = {"type": "value", "name": name, "min": 0, "nameTextStyle": text, "axisLabel": text}
        return along | {"axisLine": {"show": True, "onZero": False}} | further

    def line(name: str, colour: str, index: int) -> dict[str, Any]:
        return {
            "name": name, "type": "line", "data": [], "yAxisIndex": index, "showSymbol": False, "color": colour,
            "lineStyle": {"width": 2 - 0.5 * index, "type": "solid" if index == 0 else "dotted"},
        }  # fmt: skip

    return {
        "animation": False,
        "grid": {"left": 40, "right": 40, "top": 26, "bottom": 22},
        "xAxis": {"type": "value", "min": -HISTORY, "max": 0, "axisLabel": {"formatter": "{value} s", "fontSize": 10}},
        "yAxis": [axis("mm", MM), axis("latent", LATENT, position="right", splitLine={"show": False})],
        "series": [line("mm", MM, 0), line("latent", LATENT, 1)],
    }
