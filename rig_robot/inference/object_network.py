"""Finds the object in an image, in numpy: `learning/representations/objects.py` as trained with torch."""

from __future__ import annotations

import numpy as np

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.convolutions import Array, Shapes
from rig_robot.inference.keypoint_architecture import quadratic, template_side
from rig_robot.inference.keypoint_network import KeypointMaps, map_shapes

PREFIX = "object."


class ObjectNetwork:
    """From an image to the place of the object, and from a place to its picture."""

    def __init__(self, tensors: Tensors, image_size: int) -> None:
        self._maps = KeypointMaps(tensors, PREFIX, image_size)
        self._to_places, self._to_points = (tensors[f"{PREFIX}{name}"] for name in ("to_places", "to_points"))
        # [p, p] and [p, p, 3]
        self._opacity = 1 / (1 + np.exp(-tensors[f"{PREFIX}opacity"][0, 0]))
        self._colour = 1 / (1 + np.exp(-tensors[f"{PREFIX}colour"][0].transpose(1, 2, 0)))
        self._light = tensors[f"{PREFIX}light.weight"], tensors[f"{PREFIX}light.bias"]

    def __call__(self, pixels: Array) -> Array:
        """Return the place, float32 [A], of the object in an image, float32 [S, S, 3] in [0, 1]."""
        point = self._maps(pixels) @ self._maps.places
        return (quadratic(point) @ self._to_places)[0]

    def draw(self, pixels: Array, place: np.ndarray, scene: Array) -> Array:
        """Return a picture, float32 [S, S, 3], with the object drawn over it.

        Args:
            pixels: The picture, [S, S, 3] in [0, 1].
            place: Of the object [A]; out of the picture, it is not drawn.
            scene: u of the room, by which its light is known [U].
        """
        size, side = len(pixels), len(self._opacity)
        point = (quadratic(place[None].astype(np.float32)) @ self._to_points)[0]
        weight, bias = self._light
        colour = self._colour * np.exp(weight @ scene + bias)
        # A map's pixel is two of the picture's, and its template lies around their middle.
        corner = np.round((point + 1) / 2 * (size - 2) + 1 - side / 2).astype(int)
        left, top = np.maximum(corner, 0)
        right, bottom = np.minimum(corner + side, size)
        if left >= right or top >= bottom:
            return pixels
        part = slice(top - corner[1], bottom - corner[1]), slice(left - corner[0], right - corner[0])
        drawn, opacity = pixels.copy(), self._opacity[part][..., None]
        behind = drawn[top:bottom, left:right]
        drawn[top:bottom, left:right] = behind * (1 - opacity) + colour[part] * opacity
        return drawn


def object_shapes(image_size: int, scene_size: int, axes: int) -> Shapes:
    """Return name and shape of every tensor of `ObjectNetwork`."""
    side = template_side(image_size)
    shapes: Shapes = map_shapes(1, mixed=True)
    shapes |= {"to_places": (6, axes), "to_points": (6, 2), "opacity": (1, 1, side, side), "colour": (1, 3, side, side)}
    shapes |= {"light.weight": (3, scene_size), "light.bias": (3,)}
    return {PREFIX + name: shape for name, shape in shapes.items()}
