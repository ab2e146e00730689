"""Answers of a node to an announced checkpoint: ready, active or refused."""

from __future__ import annotations

from typing import Any, NamedTuple

from rig_robot.messages.diagnostics import ERROR, OK, diagnostic


class Outcome(NamedTuple):
    """What came of an announcement."""

    accepted: bool
    text: str


def answer(node: str, state: str, name: str, vae_id: str, text: str) -> Any:
    """Make the message with which a node answers an announcement; state: ready, active or refused."""
    level = ERROR if state == "refused" else OK
    return diagnostic(node, level, text, {"checkpoint": name, "vae": vae_id, "state": state})
