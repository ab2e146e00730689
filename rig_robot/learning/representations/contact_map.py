"""Tells by contact which of the things in a picture is the object, and where in the tool's box it is.

Nobody labels anything: an object is what moves where the tool pushes it and stands still elsewhere. A lamp, a hand or a
box that moves by itself does so wherever the tool is; a thing that nobody can push stays where the tool goes through.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig_robot.inference.keypoint_architecture import quadratic
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

FILTER = 2
"""Frames before and after over which a point's median is taken: a thing that is hidden for a moment has not moved"""
SPAN = 5
"""Frames over which motion is looked for"""
MOVED, FARTHEST = 0.08, 0.2
"""A point has moved that is so far from where it was `SPAN` frames ago, and it was pushed if no step was as far as that
[picture from -1 to 1]: what goes further was put elsewhere"""
STRAIGHT = 0.7
"""Least share of a point's way that is progress: trembling is none"""
TOOL_MOVED = 1.5
"""Least way of the tool meanwhile [actions]"""
RADIUS = 3.25
"""Distance of the middles of tool and object when they touch [actions], about: 6.5 cm. The policy's model learns what
it really is; an error here makes the object's places larger or smaller by a share."""
AHEAD = 0.8
"""At first, an object is taken to be so many radii ahead of the tool that pushes it"""
ROUNDS, STRAIGHT_ROUNDS = 12, 4
"""of fitting the map; in the first ones the object is ahead of the tool, then where the map before says"""
KEPT = 70
"""Per cent of the contacts that a round is fitted to, the best ones"""
FEWEST = 20
"""Contacts without which no map is fitted"""
BUSIEST = 0.4
"""A thing that moves in a larger share of the frames is a part of the arm, or moves by itself"""


class ContactMap(NamedTuple):
    """A map from points of the picture to places in the tool's box, and how well contact explains what is there."""

    matrix: NDArray[np.float32]
    """[6, A], on `quadratic` of a point"""
    contacts: int
    """how many it rests on"""
    unexplained: float
    """Motion that contact does not explain, as a share of the motion there was and of that which there should have
    been: 0.2 for a puck whose place is known exactly, 1 for a thing that does not care"""

    def places(self, points: np.ndarray) -> np.ndarray:
        """Return the places of points [N, 2] of the picture: float32 [N, A], in actions from the box's middle."""
        return quadratic(points).astype(np.float32) @ self.matrix


def fit(points: np.ndarray, tool: np.ndarray, replay: ReplayBuffer) -> ContactMap | None:
    """Fit the map of one thing; None where it moves too seldom, or so often that it is no object.

    Args:
        points: Where it is in each frame of the buffer: float32 [size, 2], in [-1, 1].
        tool: Where the tool is, float32 [size, A], in actions from the box's middle.
        replay: Gives the episodes.
    """
    calm = smooth(points)
    within = np.flatnonzero(replay.last(np.arange(replay.size)) - np.arange(replay.size) > SPAN + FILTER)
    within = within[within - replay.first[replay.episode[within]] >= FILTER]
    ways = calm[within + SPAN] - calm[within]
    way = np.linalg.norm(ways, axis=1)
    steps = np.stack([np.linalg.norm(calm[within + n + 1] - calm[within + n], axis=1) for n in range(SPAN)])
    if (way > MOVED).mean() > BUSIEST:
        return None
    pushed = (way > MOVED) & (steps.max(axis=0) < FARTHEST) & (way > STRAIGHT * steps.sum(axis=0))
    tool_way = tool[within + SPAN] - tool[within]
    pushed &= np.linalg.norm(tool_way, axis=1) > TOOL_MOVED
    if pushed.sum() < FEWEST:
        return None
    middle = within[pushed] + SPAN // 2
    matrix = _fit_contacts(quadratic(calm[middle]), tool[middle], _unit(tool_way[pushed]))
    found = ContactMap(matrix.astype(np.float32), int(pushed.sum()), 1.0)
    return found._replace(unexplained=_unexplained(found.places(points), tool, replay))


def smooth(points: np.ndarray) -> np.ndarray:
    """Return the median of each point and its neighbours in time: [N, 2]."""
    padded = np.pad(points, ((FILTER, FILTER), (0, 0)), mode="edge")
    return np.median([padded[n : n + len(points)] for n in range(2 * FILTER + 1)], axis=0)


def _fit_contacts(features: np.ndarray, tool: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Return the map [6, A] that puts each object at one radius from the tool that pushes it.

    Args:
        features: Of the points, [N, 6].
        tool: Where the tool is, [N, A].
        ahead: The directions that it goes in, [N, A].
    """
    matrix = np.zeros((features.shape[1], tool.shape[1]))
    weights = np.ones(len(tool))
    for number in range(ROUNDS):
        linear = 3 if number < STRAIGHT_ROUNDS else features.shape[1]
        target = tool + RADIUS * (AHEAD * ahead if number < STRAIGHT_ROUNDS else _unit(features @ matrix - tool))
        used = features[:, :linear] * weights[:, None]
        matrix[:] = 0.0
        matrix[:linear] = np.linalg.lstsq(used, target * weights[:, None], rcond=None)[0]
        errors = np.linalg.norm(features @ matrix - target, axis=1)
        weights = (errors <= np.percentile(errors, KEPT)).astype(float)
    return matrix


def _unexplained(places: np.ndarray, tool: np.ndarray, replay: ReplayBuffer) -> float:
    """Return the share of motion that is not that of a disc which the tool pushes out of its way."""
    frames = np.flatnonzero(replay.last(np.arange(replay.size)) > np.arange(replay.size))
    away = places[frames] - tool[frames + 1]
    overlap = np.maximum(0, RADIUS - np.linalg.norm(away, axis=1, keepdims=True))
    expected, seen = overlap * _unit(away), places[frames + 1] - places[frames]
    pushed = np.linalg.norm(seen, axis=1) < RADIUS  # else put elsewhere
    wrong, moved, should = (np.linalg.norm(part[pushed], axis=1).sum() for part in (seen - expected, seen, expected))
    return float(wrong / (moved + should + 1e-9))


def _unit(ways: np.ndarray) -> np.ndarray:
    return ways / (np.linalg.norm(ways, axis=1, keepdims=True) + 1e-6)
