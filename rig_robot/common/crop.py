"""Validates a crop of camera frames, for the checkpoint's config, the camera node's parameter and the observation."""

from __future__ import annotations

from collections.abc import Sequence


def wrong_crop(crop: Sequence[float]) -> str | None:
    """Return what four numbers must be to be a crop (left, top, width, height as fractions); None if they are one."""
    left, top, width, height = crop if len(crop) == 4 else (-1.0,) * 4
    inside = min(left, top) >= 0 and min(width, height) > 0 and max(left + width, top + height) <= 1 + 1e-9
    return None if inside else "must be left, top, width, height as fractions of the frame, inside it"
