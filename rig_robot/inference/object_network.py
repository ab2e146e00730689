"""Finds the object in an image, in numpy: `learning/representations/objects.py` as trained with torch."""

from __future__ import annotations

import numpy as np

from rig_robot.checkpoints.checkpoint import Tensors
from rig_robot.inference.convolutions import Array, Shapes
from rig_robot.inference.keypoint_architecture import quadratic, template_side
from rig_robot.inference.keypoint_network import KeypointMaps, map_shapes

PREFIX = "object."
AROUND = 0.26
"""What lies so far around a map's highest place, in the map's coordinates from -1 to 1, belongs to it"""
SURE, SECOND = 0.75, 1.05
"""An object is clearly seen where its map is at least so much as high as usual: below, the arm hides it, and the map
is anywhere. There is a second object where the map is elsewhere more than so many times as high as usual"""
OUTSIDE = 1.5
"""How far outside its places an object is still taken for one within [actions]: places are read with errors"""


class ObjectNetwork:
    """From an image to the place of the object, and from a place to its picture."""

    def __init__(self, tensors: Tensors, image_size: int) -> None:
        self._maps = KeypointMaps(tensors, PREFIX, image_size)
        self._to_places, self._to_points = (tensors[f"{PREFIX}{name}"] for name in ("to_places", "to_points"))
        self._usual = tensors[f"{PREFIX}usual"]
        # [p, p] and [p, p, 3]
        self._opacity = 1 / (1 + np.exp(-tensors[f"{PREFIX}opacity"][0, 0]))
        self._colour = 1 / (1 + np.exp(-tensors[f"{PREFIX}colour"][0].transpose(1, 2, 0)))
        self._light = tensors[f"{PREFIX}light.weight"], tensors[f"{PREFIX}light.bias"]

    def __call__(self, pixels: Array) -> tuple[Array, bool]:
        """Return the place of the object in an image, float32 [S, S, 3] in [0, 1], and whether it is clearly seen.

        The place is float32 [A].
        """
        heights = self._maps.heights(pixels)
        point = self._maps.soft_maximum(heights) @ self._maps.places
        return (quadratic(point) @ self._to_places)[0], bool(is_clear(heights, self._usual)[0])

    def doubt(self, pixels: Array, low: Array, high: Array) -> str:
        """Return why an image, float32 [S, S, 3], does not show one object in its places; empty where it does.

        low, high: Corners of the places [A].
        """
        heights = self._maps.heights(pixels)
        first, second = clearness(heights, self._maps.places)[0] / self._usual
        if first < SURE:
            return (
                f"no object is clearly to be seen (its map is {first:.2f} times as high as usual, known: from {SURE:g})"
            )
        if second > SECOND:
            return (
                "more than one object is to be seen "
                f"(beside the first, the map is {second:.2f} times as high as usual, known: up to {SECOND:g})"
            )
        place, _ = self(pixels)
        if (place < low - OUTSIDE).any() or (place > high + OUTSIDE).any():
            return (
                f"the object is at {np.round(place, 1).tolist()}, outside of where it was seen in training, "
                f"{np.round(low, 1).tolist()} to {np.round(high, 1).tolist()} "
                "[actions from the middle of the tool's box]"
            )
        return ""

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


def clearness(heights: Array, places: Array) -> Array:
    """Return how high maps stand above their median, at the highest place and elsewhere: float64 [N, 2].

    Args:
        heights: Maps before their soft maximum [N, pixels].
        places: Of the maps' pixels [pixels, 2], from -1 to 1.
    """
    above = heights - np.median(heights, axis=1, keepdims=True)
    highest = above.argmax(axis=1)
    elsewhere = np.linalg.norm(places[None] - places[highest][:, None], axis=2) > AROUND
    return np.stack((above.max(axis=1), np.where(elsewhere, above, 0.0).max(axis=1)), axis=1)


def is_clear(heights: Array, usual: Array) -> np.ndarray:
    """Return whether maps before their soft maximum, [N, pixels], show the object clearly: bool [N].

    usual: What `clearness` usually is [2].
    """
    return heights.max(axis=1) - np.median(heights, axis=1) >= SURE * usual[0]


def object_shapes(image_size: int, scene_size: int, axes: int) -> Shapes:
    """Return name and shape of every tensor of `ObjectNetwork`."""
    side = template_side(image_size)
    shapes: Shapes = map_shapes(1, mixed=True)
    shapes |= {"to_places": (6, axes), "to_points": (6, 2), "opacity": (1, 1, side, side), "colour": (1, 3, side, side)}
    shapes |= {"light.weight": (3, scene_size), "light.bias": (3,), "usual": (2,)}
    return {PREFIX + name: shape for name, shape in shapes.items()}
