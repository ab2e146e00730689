"""Tests whether a window can be opened, in a separate process: OpenCV aborts its process where no display answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

_TRY = "import cv2; cv2.namedWindow('rig_robot'); cv2.waitKey(1)"
PATIENCE = 20.0
"""Time within which a window must open [s]."""


def missing(given: Mapping[str, str] | None = None) -> str:
    """Return why no window can be opened in an environment (this process's by default); empty where one can."""
    given = os.environ if given is None else given
    names = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if given.get(name)]
    if not names:
        return "there is no display: DISPLAY is not set"
    where = " and ".join(f"{name} is {given[name]}" for name in names)
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _TRY], env=dict(given), capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return f"no window opened within {PATIENCE:g} s: {where}"
    if tried.returncode == 0:
        return ""
    if "not implemented" in tried.stderr:
        return "this OpenCV cannot open windows: install opencv-python in place of opencv-python-headless"
    return f"no display answers: {where}"
