"""The health of every node in a sentence, and the loop's rate, latency and losses."""

from __future__ import annotations

from html import escape

from nicegui import ui

from rig_robot.page.desk import Desk
from rig_robot.page.heard import SILENT, Health
from rig_robot.page.operator import set_text

LEVELS = ("good", "warn", "bad")
FIGURES = (
    ("camera", "rate [Hz]", "camera {} Hz", 1.0),
    ("encoder", "rate [Hz]", "encoder {} Hz", 1.0),
    ("policy", "age of the last frame at arrival [s]", "frame to policy {} ms", 1000.0),
    ("camera", "frames dropped", "{} frames dropped", 1.0),
    ("recorder", "messages dropped", "{} messages not recorded", 1.0),
)
"""Node, key of its report, text and factor of each figure of the loop."""


class NodeHealth:
    """The list of nodes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with ui.element("div").classes("rig-card rig-fill rig-part-6"):
            ui.label("Nodes").classes("rig-title")
            self._loop = ui.label("").classes("rig-soft")
            self._list = ui.html("", sanitize=False).style("width: 100%")

    def refresh(self) -> None:
        """Show each node's last sentence."""
        heard = self._desk.heard
        figures = [_figure(heard.health.get(node), key, text, factor) for node, key, text, factor in FIGURES]
        set_text(self._loop, ", ".join(filter(None, figures)) or "nothing is heard on /diagnostics")
        rows = "".join(_row(name, report) for name, report in heard.nodes())
        if rows != self._list.content:
            self._list.set_content(rows)


def _figure(report: Health | None, key: str, text: str, factor: float) -> str:
    if report is None or report.silence > SILENT or key not in report.values:
        return ""
    try:
        value = factor * float(report.values[key])
    except ValueError:
        return ""
    return text.format(f"{value:.0f}") if value == value else ""


def _row(name: str, report: Health) -> str:
    """Return a node's line. What nodes say is not ours: it is escaped."""
    silence = report.silence
    level, text = LEVELS[min(report.level, 2)], report.text
    if silence > SILENT:
        level, text = "bad", "silent for more than a minute" if silence > 60 else f"silent for {silence:.0f} s"
    return (
        f'<div class="rig-node {level}"><i class="rig-dot"></i><b>{escape(name)}</b><span>{escape(text)}</span></div>'
    )
