"""Reads stamps and key-value pairs of messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def stamp_ns(stamp: Any) -> int:
    """Return a `builtin_interfaces/Time` in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamp_s(stamp: Any) -> float:
    """Return a `builtin_interfaces/Time` in seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


def header_ns(message: Any) -> int:
    """Return the stamp in a message's header [ns]."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def values(status: Any) -> dict[str, str]:
    """Return the values of a `diagnostic_msgs/DiagnosticStatus`."""
    return {entry.key: entry.value for entry in status.values}


def number(said: Mapping[str, str], name: str) -> float:
    """Return one of a status's values as a finite number; else NaN, since anybody may publish."""
    try:
        value = float(said.get(name, "nan"))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
