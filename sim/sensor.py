"""Turns a rendered picture into what a real camera would deliver: shadows, white balance, blur, noise, JPEG."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.vision.observation import Image

FULL_HEIGHT = 480
"""Height of the frames that noise and blur are given for [pixels]; a smaller picture has as much less of both as it
averages over."""
_TILE = 256
"""Side of the noise that is drawn once and laid over pictures at random places [pixels]."""


class Shadow(NamedTuple):
    """A soft dark round place in the picture."""

    centre: tuple[float, float]
    """right and down, as shares of the picture's centre square"""
    radius: float
    """share of the picture's height"""
    depth: float
    """share of the light that is missing in its middle"""


class Sensor(NamedTuple):
    """What light and camera do to one picture."""

    seed: int
    """of the noise of this picture"""
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """gain of red, green, blue"""
    shadows: tuple[Shadow, ...] = ()
    blur: float = 0.0
    """length of the motion blur [pixels of a full frame], along `blur_angle`"""
    blur_angle: float = 0.0
    """[rad]"""
    noise: float = 0.0
    """standard deviation [grey levels of a full frame]"""
    jpeg: int = 0
    """quality of a JPEG compression; 0: none"""

    def develop(self, picture: Image) -> Image:
        """Return what the camera makes of a rendered picture, uint8 [H, W, 3] RGB."""
        height, width = picture.shape[:2]
        scale = height / FULL_HEIGHT
        gain = np.array(self.balance, np.float32)
        light = self._light(height, width)
        changed: NDArray[Any] = picture * (gain if light is None else gain * light)
        if self.blur * scale >= 1.5:
            changed = cv2.filter2D(changed, -1, _line(self.blur * scale, self.blur_angle))
        if self.noise:
            changed = changed + np.float32(self.noise * scale) * _noise(self.seed, height, width)
        developed = np.clip(changed, 0, 255).astype(np.uint8)
        if self.jpeg:
            _, data = cv2.imencode(".jpg", developed, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
            developed = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return developed

    def _light(self, height: int, width: int) -> NDArray[np.float32] | None:
        """Return the share of light at each pixel [H, W, 1]; None: all of it."""
        if not self.shadows:
            return None
        side = 32  # soft: drawn small and enlarged
        along = (np.arange(side) + 0.5) / side
        right, down = np.meshgrid(0.5 + (along - 0.5) * width / height, along)
        light = np.ones((side, side), np.float32)
        for shadow in self.shadows:
            distance = ((right - shadow.centre[0]) ** 2 + (down - shadow.centre[1]) ** 2) / shadow.radius**2
            light *= np.asarray(1 - shadow.depth * np.exp(-(distance**2)), np.float32)
        return np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)[..., None], np.float32)


def _line(length: float, angle: float) -> NDArray[np.float32]:
    """Return a blur along a line, as a kernel."""
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    way = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    start, end = (tuple(round(value) for value in half + sign * way) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1)
    return kernel / kernel.sum()


@cache
def _noise_bank(height: int, width: int) -> NDArray[np.float32]:
    """Return standard normal noise [_TILE + H, _TILE + W, 3], from which every picture takes another piece."""
    tile = np.random.default_rng(0).standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    return np.pad(tile, ((0, height), (0, width), (0, 0)), mode="wrap")


def _noise(seed: int, height: int, width: int) -> NDArray[np.float32]:
    """Return standard normal noise [H, W, 3]."""
    top, left = np.random.default_rng(seed).integers(0, _TILE, 2)
    return _noise_bank(height, width)[top : top + height, left : left + width]
