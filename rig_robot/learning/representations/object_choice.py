"""Tells which of the things in a picture is the object that can be pushed, and where in the tool's box a thing is.

Nobody labels anything. The arm's own keypoints are the ruler: the one from which the tool's place is read best is near
the tool's tip, just above the table, and the map from its points to the tool's places is that of the table. The object
is what moves where the tool pushes it and stands still elsewhere: a hand or a box that moves by itself does so wherever
the tool is, and a thing that nobody can push stays where the tool goes through.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rig_robot.inference.keypoint_architecture import quadratic
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

FILTER = 2
"""Frames before and after over which a point's median is taken: a thing that is hidden for a moment has not moved"""
SPAN = 5
"""Frames over which motion is looked for"""
MOVED = 1.0
"""A thing has moved that is so far from where it was `SPAN` frames ago [actions]"""
BUSIEST = 0.5
"""A thing that moves in a larger share of the frames is a part of the arm, or moves by itself"""
SELDOM = 0.002
"""A thing that moves in a smaller share of the frames was not pushed"""
RADIUS = 3.25
"""Distance of the middles of tool and object when they touch [actions], about: 6.5 cm. It only serves to tell objects
from other things; the model of the dynamics learns what it really is."""
INDIFFERENT = 0.92
"""Share of unexplained motion from which on a thing does not care for the tool: pucks were seen at 0.63 to 0.87, other
things at 0.94 and more"""
ELSEWHERE = 3.0
"""A thing that moves further in a step was put elsewhere [actions]"""


def table_map(points: np.ndarray, tool: np.ndarray) -> NDArray[np.float32]:
    """Return the map from points of the picture to places on the table: float32 [6, A], on `quadratic` of a point.

    Args:
        points: Of the arm's keypoints, float32 [N, K, 2], right and down in [-1, 1].
        tool: Where the tool is, float32 [N, A], in actions from the middle of its box.
    """
    found: list[tuple[float, NDArray[np.float32]]] = []
    for keypoint in points.transpose(1, 0, 2):
        features = quadratic(keypoint).astype(np.float64)
        matrix = np.linalg.lstsq(features, tool.astype(np.float64), rcond=None)[0]
        error = float(np.median(np.linalg.norm(features @ matrix - tool, axis=1)))
        found.append((error, matrix.astype(np.float32)))
    return min(found, key=lambda entry: entry[0])[1]


def unexplained(places: np.ndarray, tool: np.ndarray, replay: ReplayBuffer) -> float | None:
    """Return how badly contact explains the motion of a thing: None where it moves too seldom or too often to be told.

    That is the motion which is not that of a disc that the tool pushes out of its way, as a share of the motion that
    there was and of that which there should have been: about 0.2 for a puck whose place is known exactly, 1 for a thing
    that does not care for the tool.

    Args:
        places: Of the thing in each frame of the buffer, float32 [size, A].
        tool: Of the tool, float32 [size, A].
        replay: Gives the episodes.
    """
    calm, frames = smooth(places), np.arange(replay.size)
    within = frames[replay.last(frames) - frames > SPAN]
    share = float((np.linalg.norm(calm[within + SPAN] - calm[within], axis=1) > MOVED).mean())
    if not SELDOM <= share <= BUSIEST:
        return None
    before = frames[replay.last(frames) > frames]
    away = calm[before] - tool[before + 1]
    gaps = np.linalg.norm(away, axis=1, keepdims=True)
    expected = np.maximum(0, RADIUS - gaps) * away / (gaps + 1e-6)
    seen = calm[before + 1] - calm[before]
    kept = np.linalg.norm(seen, axis=1) < ELSEWHERE
    wrong, moved, should = (np.linalg.norm(part[kept], axis=1).sum() for part in (seen - expected, seen, expected))
    return float(wrong / (moved + should + 1e-9))


def smooth(points: np.ndarray) -> np.ndarray:
    """Return the median of each point and its neighbours in time: [N, D]."""
    padded = np.pad(points, ((FILTER, FILTER), (0, 0)), mode="edge")
    return np.median([padded[n : n + len(points)] for n in range(2 * FILTER + 1)], axis=0)
