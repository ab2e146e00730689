"""Checks whether the camera has moved since the checkpoint was made, against the static scene of its training.

The arm is nowhere for long, so the per-pixel median over the training's observations shows the scene without it, and
how often a pixel is near its median tells how far it can be trusted. The check fits today's view by the reference,
shifted and turned in the picture, with each colour brightened or darkened. Pixels that do not fit, such as the arm's,
get no weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import read_config, read_tensors
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.vision.observation import Image

NEAR = 10
"""A pixel this near to its median [grey levels] shows the static scene."""
OFTEN = 0.5
"""A pixel that is `NEAR` its median in no larger share of the observations is ignored."""
STILL = 0.15
"""Least share of the pixels that must show the static scene so often; else there is nothing to compare with."""
SEARCH = 8
"""Largest shift that is searched for [observation pixels]; a larger one may not be recognised."""
SHIFT, TURN, BRIGHTNESS, COLOUR, CHANGED = 0.6, 0.8, 0.08, 0.04, 0.3
"""Smallest changes that cause a warning: observation pixels, degrees, and shares; docs/cameras.md has measurements."""
_SIZE = 48
"""Side of the observations that `SHIFT` is for [pixels]; it is scaled for others."""
_EDGE = 20.0
"""Slope from which on a pixel of the reference is an edge [grey levels a pixel]."""
_ALIKE = 0.35
"""An edge whose slope differs by this share is not the same edge."""
_IN_SIGHT = 10.0
"""Pixels of edges across a direction that must be found again before a shift in that direction is reported."""
_CERTAIN = 1.0
"""A turn is estimated only if a turn of `TURN` moves the edges found again by at least so much [pixels, root of the sum
of squares]."""
_STEPS = 10
"""Iterations of least squares; six are mostly enough."""
_WORTH = 1.5
"""Pixels of edges that shift and turn must find again beyond what the shift alone finds."""
_MOVED = 4.0
"""Pixels of edges that a motion must find again beyond what no motion finds."""
_RESTRAINT = np.diag([50.0, 50.0, 5e5])
"""Weight that pulls the motion to 0 where few edges constrain it, in the units of the fit."""
_RELUCTANCE = 0.6
"""Pixels of edges that must be found again for each pixel of shift: a chance match is no shift."""
_DIFFERENT = 30.0
"""A pixel this far from its expected value [grey levels] counts as changed."""

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
        """Compute the reference from training observations [N, S, S, 3]: a few hundred, with the arm everywhere."""
        median = np.median(observations, axis=0).astype(np.uint8)
        off = np.abs(observations.astype(np.int16) - median).max(axis=-1)
        return cls(median, np.round(255 * (off <= NEAR).mean(axis=0)).astype(np.uint8))

    @property
    def still(self) -> bool:
        """Whether enough of the picture shows a static scene to compare with."""
        return bool((self.steady >= 255 * OFTEN).mean() >= STILL)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors that the checkpoint's file stores."""
        return {"median": self.median, "steady": self.steady}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Reference:
        """Read the tensors that the checkpoint's file stores."""
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
    """of the picture's content, to the right and down [observation pixels]; 0 where no edge in view shows it"""
    turned: float
    """of the picture's content, clockwise [degrees]"""
    brightness: float
    """-0.12: darker by 12 %"""
    colour: tuple[float, float, float]
    """of red, green and blue beyond the brightness; (0.1, ...): a tenth more red"""
    changed: float
    """share of the static scene that looks different even after the fit, including where the arm hides it"""
    blind: tuple[str, ...]
    """directions in which no edge in sight would show a shift: sideways, up and down"""
    size: int
    """side of the observation [pixels]"""

    @property
    def problems(self) -> tuple[str, ...]:
        """Warnings in words; empty while the view is unchanged."""
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
        # An edge is used only where the pixels on both of its sides are trusted.
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
        """Return today's values [N, K, 3] and slopes [N, K, 3, 2] at the places to which a motion moves the edges."""
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
        """Return how well each edge is found again [N, K]: 1 where today's slopes are the same, 0 where they differ."""
        expected = self.slopes * gain[:, None]
        off = ((slopes - expected) ** 2).sum(axis=(2, 3)) / (expected**2).sum(axis=(1, 2))
        return np.clip(1 - off / _ALIKE**2, 0, None)

    def found_again(self, motion: Vector, gain: np.ndarray) -> float:
        """Return how many edges are found again after a motion, averaged over today's views."""
        return float(self.alike(self.at(motion)[1], gain).sum()) / len(self.views)

    def search(self, gain: np.ndarray) -> Vector:
        """Return the whole-pixel shift with which most edges are found again; the smallest of equals."""
        best, found = -math.inf, np.zeros(3)
        for down in range(-SEARCH, SEARCH + 1):
            for right in range(-SEARCH, SEARCH + 1):
                motion = np.array([right, down, 0.0])
                score = self.found_again(motion, gain) - _RELUCTANCE * math.hypot(right, down)
                if score > best:
                    best, found = score, motion
        return found

    def fit(self, gain: np.ndarray) -> tuple[Vector, NDArray[np.bool_]]:
        """Return the motion [3] (pixels, pixels, rad) that fits best, and the directions [2] whose shift edges show."""
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
        """Refine a motion [3] by least squares, changing only its free components.

        Returns:
            The refined motion, and how many pixels of edges found again constrain the shift in each direction [2].
        """
        x, y = self.columns - self.centre, self.rows - self.centre
        slopes = self.slopes * gain[:, None]
        change = np.concatenate(
            (slopes, (slopes[..., 1] * x[:, None] - slopes[..., 0] * y[:, None])[..., None]), axis=2
        )
        # Distance that an edge moves across itself for each radian of turn [pixels], squared.
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
    """Return a view blurred enough to be interpolated between its pixels."""
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def _slopes(image: np.ndarray) -> np.ndarray:
    """Return the slopes of [S, S, 3] as [S, S, 3, 2]: along x and y [grey levels a pixel]."""
    return np.stack((np.gradient(image, axis=1), np.gradient(image, axis=0)), axis=-1)


def _matrix(motion: Vector, size: int) -> np.ndarray:
    """Return the affine map [2, 3] from a pixel of the reference to the same point in today's view."""
    cos, sin, centre = math.cos(motion[2]), math.sin(motion[2]), (size - 1) / 2
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.c_[turn, motion[:2] + centre - turn @ (centre, centre)]


def _gains(scene: np.ndarray, weight: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return each colour's gain [3]: a weighted median of ratios, which an arm in the way does not affect."""
    gains = np.ones(3, np.float32)
    for channel in range(3):
        expected = np.maximum(scene[..., channel], 1.0)
        ratio = (seen[..., channel] / expected).ravel()
        order = np.argsort(ratio)
        total = np.cumsum((weight * expected).ravel()[order])
        if total[-1] > 0:
            gains[channel] = ratio[order][np.searchsorted(total, total[-1] / 2)]
    return gains
