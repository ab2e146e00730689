"""Tells which of the things in a picture is the object that can be pushed, and where in the tool's box a thing is.

Nobody labels anything. The arm's own keypoints are the ruler: the one from which the tool's place is read best is near
the tool's tip, just above the table, and the map from its points to the tool's places is that of the table. The object
is what moves where the tool pushes it and stands still elsewhere: a hand or a box that moves by itself does so wherever
the tool is, and a thing that nobody can push stays where the tool goes through.
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
MOVED = 1.0
"""A thing has moved that is so far from where it was `SPAN` frames ago [actions]"""
BUSIEST = 0.5
"""A thing that moves in a larger share of the frames is a part of the arm, or moves by itself"""
SELDOM = 0.002
"""A thing that moves in a smaller share of the frames was not pushed"""
RADIUS = 3.25
"""Distance of the middles of tool and object when they touch [actions], about: 6.5 cm. It only serves to tell objects
from other things; the model of the dynamics learns what it really is."""
INDIFFERENT = 0.88
"""Share of unexplained motion from which on a thing does not care for the tool: pucks were seen at 0.4 to 0.6, once,
after little contact, at 0.86; other things at 0.89 and more"""
WORSE = 3.0
"""Keypoints that tell the tool's place so many times worse than the best one do not serve as rulers"""
SHIFTS = 3.0
"""Largest shift that is tried to explain a thing's motion [actions]"""
FARTHEST_SHIFT, CLEAR = 1.6, 3.0
"""Largest shift that is looked for; tool and object are never nearer than the second [actions]: somewhat less than
`RADIUS`, since places are read with errors"""
ELSEWHERE = 3.0
"""A thing that moves further in a step was put elsewhere [actions]"""


def table_maps(points: np.ndarray, tool: np.ndarray) -> list[NDArray[np.float32]]:
    """Return maps from points of the picture to places on the table, float32 [6, A] each, on `quadratic` of a point.

    One for each of the arm's keypoints that tell the tool's place well, the best first; see `explain`.

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
    found.sort(key=lambda entry: entry[0])
    return [matrix for error, matrix in found if error <= WORSE * found[0][0]]


def explain(
    points: np.ndarray, maps: list[NDArray[np.float32]], tool: np.ndarray, replay: ReplayBuffer
) -> tuple[float, NDArray[np.float32]] | None:
    """Return how badly contact explains the motion of a thing at best, and the map to its places that it does so with.

    A keypoint high above the table would put a thing beside its place, and larger or smaller distances between things;
    contact tells which map is that of the table, and the constant shift that is left. None: the motion cannot be told.

    Args:
        points: Of the thing in each picture, float32 [N, 2].
        maps: Of `table_maps`.
        tool: Of the tool, float32 [N, A].
        replay: Gives the episodes.
    """
    along = np.arange(-SHIFTS, SHIFTS + 1)
    shifts = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    found: list[tuple[float, int, NDArray[np.float32]]] = []
    for number, matrix in enumerate(maps):
        motion = Motion.of(quadratic(points) @ matrix, tool, replay)
        if motion is None:
            continue
        for shift in shifts:
            moved = matrix.copy()
            moved[0] -= shift
            found.append((motion.unexplained(shift), number, moved))
    if not found:
        return None
    share, _, matrix = min(found, key=lambda entry: entry[:2])
    matrix[0] -= contact_shift(quadratic(points) @ matrix, tool)
    return share, matrix


def contact_shift(places: np.ndarray, tool: np.ndarray) -> NDArray[np.float32]:
    """Return by how much an object is read beside where it is, as the tool meets it: float32 [A].

    An object never stands in the tool: as seen from the tool, there is a disc in which its middle is never read, and
    the disc's middle is where the tool's would be. A constant shift (the map is that of the table's plane, an object
    has a height) would let contact begin farther away on one side than on the other.

    Args:
        places: Of the object in each frame, float32 [N, A].
        tool: Of the tool, float32 [N, A].
    """
    seen = (smooth(places) - tool).astype(np.float64)
    best = np.zeros(2)
    for width, steps in ((FARTHEST_SHIFT, 17), (FARTHEST_SHIFT / 8, 9)):
        along = np.linspace(-width, width, steps)
        candidates = best + np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
        inside = [np.maximum(0, CLEAR - np.linalg.norm(seen - shift, axis=1)).sum() for shift in candidates]
        best = candidates[int(np.argmin(inside))]
    return best.astype(np.float32)


class Motion(NamedTuple):
    """The motion of a thing from one frame to the next, and how it stands to the tool."""

    away: np.ndarray
    """from the tool after a step to the thing before it [N, A]"""
    seen: np.ndarray
    """motion of the thing in the step [N, A]"""

    @classmethod
    def of(cls, places: np.ndarray, tool: np.ndarray, replay: ReplayBuffer) -> Motion | None:
        """Return the motion of a thing; None where it moves too seldom or too often to be told.

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
        seen = calm[before + 1] - calm[before]
        kept = np.linalg.norm(seen, axis=1) < ELSEWHERE
        return cls((calm[before] - tool[before + 1])[kept], seen[kept])

    def unexplained(self, shift: np.ndarray | float = 0.0) -> float:
        """Return how badly contact explains the motion, if the thing is `shift` [A] from where it is read.

        That is the motion which is not that of a disc that the tool pushes out of its way, as a share of the motion
        that there was and of that which there should have been: about 0.2 for a puck whose place is known exactly, 1
        for a thing that does not care for the tool.
        """
        away = self.away - shift
        gaps = np.linalg.norm(away, axis=1, keepdims=True)
        expected = np.maximum(0, RADIUS - gaps) * away / (gaps + 1e-6)
        wrong, moved, should = (
            np.linalg.norm(part, axis=1).sum() for part in (self.seen - expected, self.seen, expected)
        )
        return float(wrong / (moved + should + 1e-9))


def smooth(points: np.ndarray) -> np.ndarray:
    """Return the median of each point and its neighbours in time: [N, D]."""
    padded = np.pad(points, ((FILTER, FILTER), (0, 0)), mode="edge")
    return np.median([padded[n : n + len(points)] for n in range(2 * FILTER + 1)], axis=0)
