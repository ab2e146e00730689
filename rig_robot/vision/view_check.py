"""Checks whether the camera has moved since the checkpoint was made, against the static scene of its training.

The arm is nowhere for long, so the per-pixel median over the training's observations shows the scene without it, and
how often a pixel is near its median tells how far it can be trusted. Today's view is the reference shifted and turned
in the picture, each colour brightened or darkened; what does not fit, the arm wherever it is, has no weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import CheckpointError, read_config, read_tensors
from rig_robot.vision.observation import Image

NEAR = 10
"""A pixel this near to its median [grey levels] shows the static scene."""
OFTEN = 0.5
"""A pixel that shows it in no larger share of the observations tells nothing."""
SEARCH = 8
"""A view that has shifted further than this [observation pixels] is searched for no more, and may not be recognised."""
SHIFT, TURN, BRIGHTNESS, COLOUR, CHANGED = 0.6, 0.8, 0.08, 0.04, 0.3
"""What is worth a warning: observation pixels, degrees, and shares. docs/cameras.md has what they are measured by."""
_SIZE = 48
"""Side of the observations that `SHIFT` is for [pixels]; larger ones see the same as more pixels."""
_EDGE = 20.0
"""Slope from which on a pixel of the reference is an edge [grey levels a pixel]."""
_ALIKE = 0.35
"""An edge whose slope differs by this share of it is another edge."""
_IN_SIGHT = 10.0
"""So many pixels of edges must be found again, across a direction, for a shift in it to be told."""
_CERTAIN = 1.0
"""A turn is told when the edges found again, all together, move so far for a turn of TURN [pixels, root of the sum of
squares]."""
_STEPS = 10
"""of least squares; six are mostly enough"""
_WORTH = 1.5
"""Pixels of edges that a turn must find again beyond what the shift alone does."""
_MOVED = 4.0
"""Pixels of edges that a motion must find again beyond what none does."""
_RESTRAINT = np.diag([50.0, 50.0, 5e5])
"""What holds the motion at 0 where little tells otherwise, in the units of the fit."""
_RELUCTANCE = 0.6
"""Pixels of edges that must be found again for each pixel of shift: a chance match is no shift."""
_DIFFERENT = 30.0
"""A pixel this far from what it should be [grey levels] shows something else."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """The static scene as the checkpoint's camera saw it."""

    median: Image
    """[S, S, 3] RGB"""
    steady: NDArray[np.uint8]
    """[S, S], share of the observations near the median, of 255"""

    @classmethod
    def of(cls, observations: Image) -> Reference:
        """Make one of the training's observations [N, S, S, 3]; a few hundred with the arm everywhere."""
        median = np.median(observations, axis=0).astype(np.uint8)
        off = np.abs(observations.astype(np.int16) - median).max(axis=-1)
        return cls(median, np.round(255 * (off <= NEAR).mean(axis=0)).astype(np.uint8))

    def tensors(self) -> dict[str, np.ndarray]:
        """Return what the checkpoint's file holds."""
        return {"median": self.median, "steady": self.steady}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Reference:
        """Read what the checkpoint's file holds."""
        return cls(tensors["median"], tensors["steady"])


def reference(checkpoint: Path) -> Reference | None:
    """Return a checkpoint's reference; None for one made before there were any.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    config = read_config(checkpoint)
    scene, size = config.scene, config.camera.image_size
    if scene is None:
        return None
    tensors = read_tensors(checkpoint, scene)
    for name, shape in (("median", (size, size, 3)), ("steady", (size, size))):
        found = f"{tensors[name].dtype} {tensors[name].shape}" if name in tensors else "missing"
        if found != f"uint8 {shape}":
            raise CheckpointError(f"{checkpoint}: {scene.file}: {name} is {found}, expected uint8 {shape}")
    return Reference.from_tensors(tensors)


@dataclass(frozen=True)
class ViewChange:
    """How today's view differs from the reference."""

    shift: tuple[float, float]
    """of what is seen, to the right and down [observation pixels]; 0 where nothing in view tells"""
    turned: float
    """of what is seen, clockwise [degrees]"""
    brightness: float
    """-0.12: darker by 12 %"""
    colour: tuple[float, float, float]
    """of red, green and blue beyond the brightness; (0.1, ...): a tenth more red"""
    changed: float
    """share of the static scene that looks different even so; the arm is in it"""
    blind: tuple[str, ...]
    """directions in which a shift would not be noticed, for want of an edge in sight: sideways, up and down"""
    size: int
    """side of the observation [pixels]"""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is worth a warning, in words; empty while the view is as it was."""
        if self.changed > CHANGED:
            return (f"{self.changed:.0%} of what should not change looks different: is this the checkpoint's view?",)
        found = []
        right, down = self.shift
        if math.hypot(right, down) >= SHIFT * self.size / _SIZE:
            ways = [
                (abs(right), "to the right" if right > 0 else "to the left"),
                (abs(down), "down" if down > 0 else "up"),
            ]
            parts = " and ".join(f"{far:.1f} {way}" for far, way in ways if far >= 0.3 * math.hypot(right, down))
            found.append(f"the view has shifted by {parts.replace(' ', ' observation pixels ', 1)}")
        if abs(self.turned) >= TURN:
            way = "clockwise" if self.turned > 0 else "anticlockwise"
            found.append(f"the view has turned by {abs(self.turned):.1f} degrees {way}")
        if abs(self.brightness) >= BRIGHTNESS:
            found.append(f"{'brighter' if self.brightness > 0 else 'darker'} by {abs(self.brightness):.0%}")
        strongest = max(range(3), key=lambda index: abs(self.colour[index]))
        if abs(change := self.colour[strongest]) >= COLOUR:
            name = ("red", "green", "blue")[strongest]
            found.append(f"{'more' if change > 0 else 'less'} {name} by {abs(change):.0%}")
        return tuple(found)


def compare(reference: Reference, observations: Image) -> ViewChange:
    """Compare today's observations, [S, S, 3] or several [N, S, S, 3] of the same view, with the reference.

    Several with the arm in different places see more of the scene than one.

    Raises:
        ValueError: If their size is not the reference's.
    """
    today = observations[None] if observations.ndim == 3 else observations
    if today.shape[1:] != reference.median.shape:
        raise ValueError(f"observations are {today.shape[1:]}, the checkpoint's are {reference.median.shape}")
    seen, scene = today.astype(np.float32), reference.median.astype(np.float32)
    often = reference.steady / np.float32(255)
    weight = np.clip((often - OFTEN) / (1 - OFTEN), 0, 1)
    gain = _gains(scene, weight, np.median(seen, axis=0))
    edges = _Edges(scene, often, seen)
    motion, told = edges.fit(gain) if len(edges.rows) else (np.zeros(3), np.zeros(2, bool))
    size = len(scene)
    matrix = _matrix(motion, size)
    moved = cv2.warpAffine(scene, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sure = cv2.warpAffine(weight, matrix, (size, size), flags=cv2.INTER_LINEAR)
    gain = _gains(moved, sure, np.median(seen, axis=0))
    brightness = float(gain.mean())
    off = np.abs(seen - moved * gain).max(axis=-1) > _DIFFERENT
    return ViewChange(
        shift=(float(motion[0]), float(motion[1])),
        turned=math.degrees(float(motion[2])),
        brightness=brightness - 1,
        colour=tuple((gain / brightness - 1).tolist()),
        changed=float((off * sure).sum() / max(float(sure.sum()) * len(seen), 1e-6)),
        blind=tuple(way for way, tells in zip(("sideways", "up and down"), told, strict=True) if not tells),
        size=size,
    )


class _Edges:
    """The edges of the static scene, and today's views in which to find them again."""

    def __init__(self, scene: np.ndarray, often: np.ndarray, seen: np.ndarray) -> None:
        smooth = _smooth(scene)
        slopes = _slopes(smooth)
        # An edge is only as sure as both of its sides.
        steep = (np.linalg.norm(slopes, axis=(2, 3)) > _EDGE) & (cv2.erode(often, np.ones((3, 3))) > OFTEN)
        steep[[0, -1]] = steep[:, [0, -1]] = False
        self.rows, self.columns = np.nonzero(steep)
        self.size, self.centre = len(scene), (len(scene) - 1) / 2
        self.values, self.slopes = smooth[steep], slopes[steep]  # [K, 3], [K, 3, 2]: along x and y
        across = (self.slopes**2).sum(axis=1)
        self.across = across / across.sum(axis=1, keepdims=True)  # [K, 2]: how much of an edge lies across x and y
        self.views = []  # of each its values and its slopes along x and y [S, S, 3]
        for view in map(_smooth, seen):
            along = _slopes(view)
            self.views.append((view, along[..., 0].copy(), along[..., 1].copy()))

    def at(self, motion: Vector) -> tuple[np.ndarray, np.ndarray]:
        """Return today's values [N, K, 3] and slopes [N, K, 3, 2] where a motion takes the edges."""
        cos, sin = math.cos(motion[2]), math.sin(motion[2])
        x, y = self.columns - self.centre, self.rows - self.centre
        across = np.asarray(cos * x - sin * y + motion[0] + self.centre, np.float32)[:, None]
        down = np.asarray(sin * x + cos * y + motion[1] + self.centre, np.float32)[:, None]
        found = np.stack(
            [
                np.concatenate([cv2.remap(part, across, down, cv2.INTER_LINEAR)[:, 0] for part in view], axis=-1)
                for view in self.views
            ]
        )
        return found[..., :3], np.stack((found[..., 3:6], found[..., 6:]), axis=-1)

    def alike(self, slopes: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """Return how surely each edge is found again [N, K]: 1 with the same slopes, 0 with others."""
        expected = self.slopes * gain[:, None]
        off = ((slopes - expected) ** 2).sum(axis=(2, 3)) / (expected**2).sum(axis=(1, 2))
        return np.clip(1 - off / _ALIKE**2, 0, None)

    def found_again(self, motion: Vector, gain: np.ndarray) -> float:
        """Return how many edges a motion finds again, in the mean over today's views."""
        return float(self.alike(self.at(motion)[1], gain).sum()) / len(self.views)

    def search(self, gain: np.ndarray) -> Vector:
        """Return the whole-pixel shift that finds most edges again; the smallest where several do."""
        best, found = -math.inf, np.zeros(3)
        for down in range(-SEARCH, SEARCH + 1):
            for right in range(-SEARCH, SEARCH + 1):
                motion = np.array([right, down, 0.0])
                score = self.found_again(motion, gain) - _RELUCTANCE * math.hypot(right, down)
                if score > best:
                    best, found = score, motion
        return found

    def fit(self, gain: np.ndarray) -> tuple[Vector, NDArray[np.bool_]]:
        """Return motion [3] (pixels, pixels, rad) that finds the edges again, and which shifts [2] they can tell."""
        start = self.search(gain)
        motion, in_sight = self.follow(start, gain, np.full(3, True))
        told = in_sight >= _IN_SIGHT * self.size / _SIZE
        straight, _ = self.follow(start * np.append(told, False), gain, np.append(told, False))
        if not told.all():
            motion, _ = self.follow(motion * np.append(told, True), gain, np.append(told, True))
        turns = self.found_again(motion, gain) >= self.found_again(straight, gain) + _WORTH
        best = motion if turns else straight
        moved = self.found_again(best, gain) >= self.found_again(np.zeros(3), gain) + _MOVED
        return best if moved else np.zeros(3), told

    def follow(self, motion: Vector, gain: np.ndarray, free: NDArray[np.bool_]) -> tuple[Vector, Vector]:
        """Follow the edges from a motion [3], in what of it is free, to the one that fits best.

        Returns:
            That motion, and how many pixels of edges found again tell of a shift in each direction [2].
        """
        x, y = self.columns - self.centre, self.rows - self.centre
        slopes = self.slopes * gain[:, None]
        change = np.concatenate(
            (slopes, (slopes[..., 1] * x[:, None] - slopes[..., 0] * y[:, None])[..., None]), axis=2
        )
        # How far an edge moves across itself for each radian [pixels], squared.
        lever = (change[..., 2] ** 2).sum(axis=1) / (slopes**2).sum(axis=(1, 2))
        certain = np.zeros(2)
        for _ in range(_STEPS):
            values, found = self.at(motion)
            alike = self.alike(found, gain)
            each = alike.sum(axis=0) / len(self.views)
            certain = np.asarray(each @ self.across, float)
            known = free & np.append(certain > 1.0, float(each @ lever) >= (_CERTAIN / math.radians(TURN)) ** 2)
            off = self.values * gain - values
            precision = np.einsum("nk,kci,kcj->ij", alike, change, change) + _RESTRAINT
            pull = np.einsum("nk,nkc,kci->i", alike, off, change)
            precision[~known] = precision[:, ~known] = 0.0
            precision[~known, ~known] = 1.0
            step = np.where(known, np.linalg.solve(precision, np.where(known, pull, 0.0)), 0.0)
            motion = motion + np.clip(step, -0.7, 0.7)
        return motion, certain


def _smooth(image: np.ndarray) -> np.ndarray:
    """Return a view smooth enough to be read between its pixels."""
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def _slopes(image: np.ndarray) -> np.ndarray:
    """Return the slopes of [S, S, 3] as [S, S, 3, 2]: along x and y [grey levels a pixel]."""
    return np.stack((np.gradient(image, axis=1), np.gradient(image, axis=0)), axis=-1)


def _matrix(motion: Vector, size: int) -> np.ndarray:
    """Return the affine [2, 3] that takes a pixel of the reference to where today's view has it."""
    cos, sin, centre = math.cos(motion[2]), math.sin(motion[2]), (size - 1) / 2
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.c_[turn, motion[:2] + centre - turn @ (centre, centre)]


def _gains(scene: np.ndarray, weight: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return each colour's gain [3]: a weighted median of ratios, which an arm in the way leaves alone."""
    gains = np.ones(3, np.float32)
    for channel in range(3):
        expected = np.maximum(scene[..., channel], 1.0)
        ratio = (seen[..., channel] / expected).ravel()
        order = np.argsort(ratio)
        total = np.cumsum((weight * expected).ravel()[order])
        if total[-1] > 0:
            gains[channel] = ratio[order][np.searchsorted(total, total[-1] / 2)]
    return gains
