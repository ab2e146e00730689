"""Defines the result of one check of `rig doctor`: what was found, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 22
"""Width of the report's column of names [characters]."""


class Level(enum.StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "WARN"
    FAIL = "FAIL"


_COLOURS = {Level.OK: 32, Level.WARN: 33, Level.FAIL: 31}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was checked.
        level: Whether it is as it should be.
        found: The finding in words, with its figures.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    level: Level
    found: str
    advice: str = ""

    def line(self, colour: bool) -> str:
        """Return the report's line, and the advice below it."""
        mark = f"{self.level:<4}"
        if colour:
            mark = f"\033[{_COLOURS[self.level]}m{mark}\033[0m"
        advice = f"\n{'':{5 + WIDTH}}-> {self.advice}" if self.advice and self.level is not Level.OK else ""
        return f"{mark} {self.name:<{WIDTH}}{self.found}{advice}"

    def values(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return asdict(self)


def ok(name: str, found: str) -> Finding:
    return Finding(name, Level.OK, found)


def warn(name: str, found: str, advice: str) -> Finding:
    return Finding(name, Level.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Finding:
    return Finding(name, Level.FAIL, found, advice)
