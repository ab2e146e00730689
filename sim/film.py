"""Keeps a short film of a run: the camera's view beside the goal, as an animated GIF."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rig_robot.vision.observation import Image as Picture

SIZE = (320, 240)
"""Width and height of each of the two pictures [pixels]"""
PERIOD = 0.25
"""Between two frames of the film [s]"""
MOST = 240
"""Frames: a minute"""
COLOURS = 64


class Film:
    """Frames of a run, the first minute of it."""

    def __init__(self) -> None:
        self._frames: list[Image.Image] = []
        self._next = 0.0

    def add(self, now: float, view: Picture, goal: Picture) -> None:
        """Add a frame, unless the last one is too recent or the film is full.

        Args:
            now: Time [s].
            view: What the camera sees, uint8 [H, W, 3].
            goal: The goal picture, uint8 [H, W, 3].
        """
        if now < self._next or len(self._frames) >= MOST:
            return
        self._next = now + PERIOD
        both = [cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA) for picture in (view, goal)]
        gap = np.full((SIZE[1], 4, 3), 255, np.uint8)
        row = Image.fromarray(np.hstack((both[0], gap, both[1])))
        self._frames.append(row.quantize(COLOURS, dither=Image.Dither.NONE))

    def save(self, file: Path) -> bool:
        """Write the film; return whether there was anything to write.

        Raises:
            OSError: If the file cannot be written.
        """
        if not self._frames:
            return False
        first, *rest = self._frames
        first.save(file, save_all=True, append_images=rest, duration=round(1000 * PERIOD), loop=0)
        return True
