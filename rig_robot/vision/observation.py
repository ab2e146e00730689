"""Makes an observation of a camera frame: a square crop, area-averaged to the encoder's size.

Camera node, goal node and training all call this module, so that all three see the same.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.common.crop import wrong_crop

Image = NDArray[np.uint8]

ASPECT_TOLERANCE = 0.01
"""A picture whose aspect is this close to the camera's is treated as one of its frames."""


class Crop(NamedTuple):
    """The part of a frame that is observed, in fractions of the frame's width and height."""

    left: float
    top: float
    width: float
    height: float


CENTRE_SQUARE = Crop(0.125, 0.0, 0.75, 1.0)
"""The centre square of a 4:3 frame."""


def prepare(frame: Image, crop: Crop, size: int) -> Image:
    """Return the observation in a frame: uint8 [H, W, 3] RGB to uint8 [size, size, 3] RGB.

    Raises:
        ValueError: the frame is no uint8 [H, W, 3] array, or the crop does not lie inside it.
    """
    _check(frame)
    left, top, right, bottom = _bounds(crop, frame.shape[1], frame.shape[0])
    return _resize(frame[top:bottom, left:right], size, size)


def prepare_goal(picture: Image, crop: Crop, size: int, camera_aspect: float) -> tuple[Image, str | None]:
    """Return the goal observation in a picture that a person or a program sent.

    A picture of observation size is returned unchanged; a picture of the camera's aspect (width / height) is cropped
    like the camera's frames; any other is fitted whole into the square, with black bars.

    Returns:
        uint8 [size, size, 3] RGB, and a warning where the picture had to be fitted.
    """
    _check(picture)
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return np.ascontiguousarray(picture), None
    if abs(width / height / camera_aspect - 1) <= ASPECT_TOLERANCE:
        return prepare(picture, crop, size), None
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - rows) // 2, (size - columns) // 2
    fitted = np.zeros((size, size, 3), np.uint8)
    fitted[top : top + rows, left : left + columns] = _resize(picture, columns, rows)
    return fitted, (
        f"the goal is {width}x{height}, neither {size}x{size} nor of the camera's aspect {camera_aspect:.3f}: "
        "fitted into the square with black bars, which the encoder has never seen"
    )


def _check(image: Image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(f"an image must be an array of uint8, not {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image must be [height, width, 3], not {list(image.shape)}")


def _bounds(crop: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the crop's left, top, right and bottom edge in pixels."""
    if (wrong := wrong_crop(crop)) is not None:
        raise ValueError(f"crop is {tuple(crop)}: {wrong}")
    left, right = round(crop.left * width), round((crop.left + crop.width) * width)
    top, bottom = round(crop.top * height), round((crop.top + crop.height) * height)
    if right <= left or bottom <= top:
        raise ValueError(f"the crop {tuple(crop)} leaves nothing of a {width}x{height} frame")
    return left, top, right, bottom


def _resize(image: Image, width: int, height: int) -> Image:
    """Resize, area-averaging where it shrinks: every pixel counts, so a tool smaller than one output pixel shows."""
    if width < 1 or height < 1:
        raise ValueError(f"an observation must have at least one pixel, not {width}x{height}")
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
