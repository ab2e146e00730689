"""Checks names of ROS that people type."""

from __future__ import annotations

import re


def check_namespace(namespace: str) -> None:
    """Check that a text is a ROS namespace; empty: none.

    Raises:
        ValueError: If it is none; the text says what would be right.
    """
    if not re.fullmatch(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?", namespace, re.ASCII):
        raise ValueError(f"namespace is {namespace!r}: must be names of letters, digits and _, with / between them")
