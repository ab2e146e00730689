"""Makes textures for table and floor: photographs and patterns; training and held-out ones differ in kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Side of a texture [pixels], as in `assets/scene.xml`"""
PHOTOGRAPHS = Path(__file__).parent / "assets" / "photographs"
HELD_OUT_PHOTOGRAPHS = ("chelsea", "grass", "rocket")
"""Photographs that training never shows; `assets/photographs/README.md` says where all come from"""

Texture = NDArray[np.uint8]
Pattern = Callable[[np.random.Generator], Texture]


def draw_texture(rng: np.random.Generator, held_out: bool) -> Texture:
    """Return a texture, uint8 [SIDE, SIDE, 3] RGB, of the kinds of training or of the held-out ones."""
    if rng.random() < 0.5:
        return _photograph(rng, held_out)
    patterns = (_bricks, _stripes) if held_out else (_clouds, _squares, _dots)
    return patterns[rng.integers(len(patterns))](rng)


def _photograph(rng: np.random.Generator, held_out: bool) -> Texture:
    """Return a random square of a photograph, turned by a multiple of 90 degrees."""
    photographs = [picture for name, picture in _photographs().items() if (name in HELD_OUT_PHOTOGRAPHS) == held_out]
    picture = photographs[rng.integers(len(photographs))]
    side = int(rng.integers(SIDE // 2, min(picture.shape[:2]) + 1))
    top, left = (int(rng.integers(0, room - side + 1)) for room in picture.shape[:2])
    piece = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
    return np.ascontiguousarray(cv2.resize(piece, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


@cache
def _photographs() -> dict[str, Texture]:
    found = {}
    for file in sorted(PHOTOGRAPHS.glob("*.jpg")):
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise OSError(f"{file} is not a picture: install the package again")
        found[file.stem] = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    return found


def _two_colours(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    first = rng.uniform(40, 230, 3)
    return first.astype(np.float32), np.clip(first + rng.uniform(-90, 90, 3), 0, 255).astype(np.float32)


def _mix(rng: np.random.Generator, share: NDArray[np.float32]) -> Texture:
    """Return two colours mixed: share [SIDE, SIDE] in [0, 1] of the second."""
    first, second = _two_colours(rng)
    return np.asarray(first + share[..., None] * (second - first), np.uint8)


def _clouds(rng: np.random.Generator) -> Texture:
    """Return smooth noise of several scales."""
    share = np.zeros((SIDE, SIDE), np.float32)
    for cells in (3, 6, 12, 24):
        coarse = rng.random((cells, cells), np.float32)
        share += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) * (3 / cells)
    share -= share.min()
    return _mix(rng, share / share.max())


def _squares(rng: np.random.Generator) -> Texture:
    """Return a checkered cloth."""
    cells = int(rng.integers(4, 17))
    coarse = (np.add.outer(np.arange(cells), np.arange(cells)) % 2).astype(np.float32)
    return _mix(rng, np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST), np.float32))


def _dots(rng: np.random.Generator) -> Texture:
    """Return round spots at random places."""
    share = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(rng.integers(10, 60)):
        centre = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        cv2.circle(share, centre, int(rng.integers(3, 10)), 1.0, -1, cv2.LINE_AA)
    return _mix(rng, share)


def _stripes(rng: np.random.Generator) -> Texture:
    """Return a cloth of stripes in some direction."""
    turn, wide = rng.uniform(0, np.pi), rng.uniform(5, 20)
    across = np.add.outer(np.sin(turn) * np.arange(SIDE), np.cos(turn) * np.arange(SIDE))
    return _mix(rng, (np.sin(2 * np.pi * across / wide) > rng.uniform(-0.5, 0.5)).astype(np.float32))


def _bricks(rng: np.random.Generator) -> Texture:
    """Return tiles with joints, each tile of a slightly different shade."""
    rows = int(rng.integers(4, 10))
    high, wide = SIDE // rows, 2 * SIDE // rows
    share = np.zeros((SIDE, SIDE), np.float32)
    for row in range(rows + 1):
        for left in range(-(row % 2) * wide // 2, SIDE, wide):
            corner = (left + 1, row * high + 1)
            cv2.rectangle(share, corner, (left + wide - 2, (row + 1) * high - 2), float(rng.uniform(0.5, 1)), -1)
    return _mix(rng, share)
