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
INDIFFERENT = 0.8
"""Share of unexplained motion from which on a thing does not care for the tool: pucks were seen at 0.4 to 0.75, other
things at 0.86 and more"""
WORSE = 3.0
"""Keypoints that tell the tool's place so many times worse than the best one do not serve as rulers"""
RULERS, SHIFTS = 3, 14.0
"""Maps that are tried to explain a thing's motion, and how far from the middle of its box the middle of the places
that a thing was at may be [actions]"""
SCALED, HALVINGS = 0.4, 4
"""Largest change of a map's scale, and how often the steps of its search are halved"""
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

    A keypoint high above the table puts a thing far beside its place, by 40 cm where all are on the hand, and distances
    between things are larger than they are: contact tells where it is. The share is from before the map is refined: of
    few pictures a refined one explains almost anything. None: the motion cannot be told.

    Args:
        points: Of the thing in each picture, float32 [N, 2], without those that do not show it (`shown`).
        maps: Of `table_maps`; the first few are tried.
        tool: Of the tool, float32 [N, A].
        replay: Gives the episodes.
    """
    along = np.arange(-SHIFTS, SHIFTS + 1)
    shifts = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    least = np.inf
    found: list[tuple[float, int, NDArray[np.float32]]] = []
    for number, matrix in enumerate(maps[:RULERS]):
        places = quadratic(points) @ matrix
        motion = Motion.of(places, tool, replay)
        if motion is None:
            continue
        tried = np.round(np.median(places, axis=0)) + shifts
        shares = [motion.unexplained(shift) for shift in tried]
        best = int(np.argmin(shares))
        least = min(least, shares[best])
        cares = shares[best] < INDIFFERENT
        refined = _refined(places, matrix, tried[best], tool, replay) if cares else (shares[best], matrix)
        found.append((refined[0], number, refined[1]))
    return (least, min(found)[2]) if found else None


def _refined(
    places: np.ndarray, matrix: NDArray[np.float32], shift: np.ndarray, tool: np.ndarray, replay: ReplayBuffer
) -> tuple[float, NDArray[np.float32]]:
    """Return how badly contact explains a thing's motion, and the map with the shift and the scale, along each axis,
    that it does so best with.

    A pattern search (Hooke and Jeeves 1961) from a shift; what is read is scaled about its median.
    """
    middle = np.median(places, axis=0)

    def changed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return factor and addend along each axis."""
        return values[2:], middle * (1 - values[2:]) - values[:2]

    def cost(values: np.ndarray) -> float:
        factor, addend = changed(values)
        motion = Motion.of(places * factor + addend, tool, replay)
        return 1.0 if motion is None or np.abs(values[2:] - 1).max() > SCALED else motion.unexplained()

    best = np.array([*shift, 1.0, 1.0])
    least, step = cost(best), np.array([0.5, 0.5, 0.1, 0.1])
    for _ in range(HALVINGS):
        improved = True
        while improved:
            tried = [best + sign * step * unit for unit in np.eye(4) for sign in (-1, 1)]
            costs = [cost(values) for values in tried]
            improved = min(costs) < least
            if improved:
                least, best = min(costs), tried[int(np.argmin(costs))]
        step = step / 2
    factor, addend = changed(best)
    refined = matrix * factor.astype(np.float32)
    refined[0] += addend.astype(np.float32)
    return least, refined


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


def shown(points: np.ndarray, clear: np.ndarray, replay: ReplayBuffer) -> np.ndarray:
    """Return where a thing was: `between` for each episode of a buffer.

    A thing in front of it hides it for a while, and its map is anywhere: that is no motion.
    """
    episodes = (np.split(part, replay.first[1:]) for part in (points, clear))
    return np.concatenate([between(*episode) for episode in zip(*episodes, strict=True)])


def between(points: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return points of an episode, those of pictures that do not show the thing on the straight way between the others.

    Args:
        points: Where it was found in each picture [T, D].
        clear: Whether it was clearly seen there, bool [T]; where it never was, the points stay as they are.
    """
    if not clear.any():
        return points
    frames = np.arange(len(points))
    return np.stack([np.interp(frames, frames[clear], each[clear]) for each in points.T], axis=1)


def smooth(points: np.ndarray) -> np.ndarray:
    """Return the median of each point and its neighbours in time: [N, D]."""
    padded = np.pad(points, ((FILTER, FILTER), (0, 0)), mode="edge")
    return np.median([padded[n : n + len(points)] for n in range(2 * FILTER + 1)], axis=0)
