"""The learning curve: what the trainer loses, and how far from their goals its checkpoints end, over time."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.learning_curve import CURVES
from rig_robot.page.panels.learning import Learning

MM, COLOURS = "#12805c", ("#8a3ffc", "#b56a00")


class Curve:
    """The learning curve, where something is learned.

    Args:
        desk: What all pages share.
        learning: Looks which checkpoints there are.
    """

    def __init__(self, desk: Desk, learning: Learning) -> None:
        self._desk, self._learning = desk, learning
        with ui.element("div").classes("rig-card rig-part-9") as self._card:
            ui.label("Learning curve").classes("rig-title")
            self._chart = ui.echart(_options()).classes("rig-chart rig-learning-curve")
        self._card.set_visibility(False)

    def refresh(self) -> None:
        """Draw the curve anew where there is a new point."""
        curves = self._desk.heard.learning.curves
        found = [
            [[1000 * at, value] for at, value in points]
            for points in (self._learning.judged, *(curves[name] for name in CURVES))
        ]
        self._card.set_visibility(any(curves.values()))
        series = self._chart.options["series"]
        if [line["data"] for line in series] != found:
            for line, data in zip(series, found, strict=True):
                line["data"] = data
            self._chart.update()


def _options() -> dict[str, Any]:
    """Return what the learning curve looks like: the checkpoints' millimetres to the left, losses to the right."""
    small = {"fontSize": 10}

    def line(name: str, colour: str, index: int) -> dict[str, Any]:
        return {
            "name": name, "type": "line", "data": [], "yAxisIndex": index, "color": colour,
            "symbolSize": 2 if index else 7, "lineStyle": {"width": 2 - 0.5 * index},
        }  # fmt: skip

    losses = [line(text, colour, 1) for text, colour in zip(CURVES.values(), COLOURS, strict=True)]
    return {
        "animation": False,
        "legend": {"top": 0, "itemWidth": 14, "textStyle": small},
        "tooltip": {"trigger": "item"},
        "grid": {"left": 40, "right": 40, "top": 26, "bottom": 20},
        "xAxis": {"type": "time", "axisLabel": small | {"hideOverlap": True}},
        "yAxis": [
            {"type": "value", "min": 0, "axisLabel": small | {"color": MM}},
            {"type": "log", "axisLabel": small, "splitLine": {"show": False}},
        ],
        "series": [line("checkpoints: mean distance [mm]", MM, 0), *losses],
    }
