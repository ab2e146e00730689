"""Draws where the camera's view differs from the checkpoint's, for people, and writes that picture."""

from __future__ import annotations

import textwrap
from pathlib import Path

import cv2
import numpy as np

from rig_robot.vision.observation import Image
from rig_robot.vision.view_check import Reference, ViewChange


def write_picture(path: Path, drawn: Image) -> None:
    """Write a picture, uint8 [H, W, 3] RGB.

    Raises:
        ValueError: If its name ends as no picture's does, or the disk does not take it.
    """
    try:
        written = cv2.imwrite(str(path), drawn[..., ::-1])
    except cv2.error:  # of an ending that is none of a picture
        written = False
    if not written:
        raise ValueError(f"picture is {path}, which cannot be written: name a .png or .jpg on a disk with room")


def picture(reference: Reference, observations: Image, change: ViewChange) -> Image:
    """Draw reference, today's view and their difference side by side, for people.

    Args:
        reference: The static scene.
        observations: [S, S, 3] or several [N, S, S, 3], of which the last is shown.
        change: What `compare` found.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    today = observations if observations.ndim == 3 else observations[-1]
    side, gap, top = 384, 16, 36
    off = np.abs(today.astype(np.int16) - reference.median).max(axis=-1)
    lines = [line for text in change.problems or ("the view is as it was",) for line in textwrap.wrap(text, 88)]
    if change.blind:
        lines.append(f"(a shift {' or '.join(change.blind)} could not be seen: no edge in sight shows it)")
    canvas = np.full((top + side + 12 + 28 * len(lines), 3 * side + 4 * gap + 64, 3), 255, np.uint8)
    panels = (
        ("reference: without the arm", reference.median),
        ("today", today),
        ("difference, the arm included", _heat(off)),
    )
    for index, (title, panel) in enumerate(panels):
        left = gap + index * (side + gap)
        canvas[top : top + side, left : left + side] = cv2.resize(panel, (side, side), interpolation=cv2.INTER_NEAREST)
        _write(canvas, title, left, top - 11)
    left = 3 * (side + gap) + gap
    canvas[top : top + side, left : left + 14] = _heat(np.linspace(_SCALE, 0, side)[:, None])
    for level in (0, _SCALE // 2, _SCALE):
        _write(canvas, str(level), left + 18, top + 8 + round((side - 8) * (1 - level / _SCALE)), 0.45)
    for index, line in enumerate(lines):
        _write(canvas, line, gap, top + side + 28 * (index + 1))
    return canvas


_SCALE = 64
"""Difference that is drawn in the brightest colour [grey levels]."""


def _heat(levels: np.ndarray) -> np.ndarray:
    """Return the colours [..., 3] RGB for differences [H, W] in grey levels."""
    shades = np.asarray(255 * np.minimum(levels / _SCALE, 1), np.uint8)
    return cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO)[..., ::-1]


def _write(canvas: Image, text: str, left: int, baseline: int, size: float = 0.6) -> None:
    cv2.putText(canvas, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
