"""Names the scenes of the simulation, for options and training; `sim/scenes.py` says what they look like."""

from __future__ import annotations

from typing import Literal, get_args

StillName = Literal["plain", "shifted"]
"""Scenes in which only the arm moves; the whole system can run in these."""
SceneName = Literal[StillName, "cluttered", "colours", "lab"]
STILL: tuple[StillName, ...] = get_args(StillName)
SCENES: tuple[SceneName, ...] = get_args(SceneName)
