"""Measures whether the VAE knows what a goal picture shows: its error against its error on its own training data.

The policy can know of a goal only what the VAE makes of it. Of a picture that it has never seen the like of, that is
any latent at all, and the arm would go to any place of its box. No torch here: the goal node and training share this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.checkpoint import PicturesEntry
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.vision.observation import Image

LIMIT = 1.25
"""A picture of which the VAE misses more than so many times what it misses of its own data is one that it does not
know. docs/goals.md has what this is measured by."""
USUAL = 0.99
"""Share of its own data of which the VAE misses no more than what the checkpoint stores as usual."""
_GREY, _COLOURED = 0.25, 0.04
"""A picture with a smaller share than `_GREY` of the VAE's own saturation is grey; a VAE of less saturation than
`_COLOURED` has learnt from grey pictures, or of a scene so pale that colour does not tell."""
_ROUNDING = 1.0
"""Less is never missed [grey levels]: pictures are of whole ones."""
_DARK = 8.0
"""In a picture that is darker than this on average [grey levels], no colour could be seen."""


class Verdict(NamedTuple):
    """What a goal picture is to a VAE."""

    known: bool | None
    """None: it cannot be told, because the checkpoint does not store what its VAE misses of its own data"""
    grey: bool
    """it has no colour, and the VAE has learnt from pictures that have"""
    times: float
    """what the VAE misses of the picture, as a multiple of what it misses of its own data; NaN: it cannot be told"""
    text: str
    """why it is not known or grey, with the figures; empty where nothing is wrong"""


def missed(pictures: np.ndarray, reconstructions: np.ndarray) -> NDArray[np.float64]:
    """Return what a VAE misses of pictures: root mean squares over pixels [grey levels].

    Args:
        pictures: uint8 [N, S, S, 3] RGB.
        reconstructions: uint8 [N, S, S, 3] RGB, what the VAE makes of them.

    Returns:
        float [N, 2]: of the whole difference, and of its colour (the difference without each pixel's grey).
    """
    off = reconstructions.astype(np.float32) - pictures
    colour = off - off.mean(axis=-1, keepdims=True)
    return np.sqrt(np.stack([np.square(part).mean(axis=(1, 2, 3), dtype=np.float64) for part in (off, colour)], axis=1))


def known_by(pictures: np.ndarray, reconstructions: np.ndarray) -> PicturesEntry:
    """Return what a checkpoint stores of which pictures its VAE knows.

    Args:
        pictures: uint8 [N, S, S, 3] RGB, observations that the VAE learnt from.
        reconstructions: uint8 [N, S, S, 3] RGB, what the VAE makes of them.
    """
    whole, colour = np.quantile(missed(pictures, reconstructions), USUAL, axis=0).tolist()
    saturation = float(np.median([_saturation(picture) for picture in pictures]))
    return PicturesEntry(round(whole, 2), round(colour, 2), round(saturation, 3))


class GoalCheck:
    """Judges goal pictures by the VAE of a checkpoint."""

    def __init__(self, encoder: Encoder) -> None:
        self.vae_id = encoder.vae_id
        self.own = encoder.config.pictures
        """None: an older checkpoint, which does not say"""
        self.untold = ""
        """why it cannot be told whether a picture is known; empty where it can, or where nothing has been learnt yet"""
        if self.own is None and encoder.config.trained:
            self.untold = (
                f"the checkpoint of VAE {self.vae_id} does not store what the VAE misses of its own data: whether it "
                "knows a goal picture cannot be told"
            )
        self._encoder = encoder
        # Older checkpoints still tell whether there was colour, by the mean of what their VAE has learnt from.
        self._saturation = _saturation(encoder.mean_image) if self.own is None else self.own.saturation

    def judge(self, picture: Image) -> Verdict:
        """Judge a prepared goal picture, uint8 [S, S, 3] RGB."""
        saturation = _saturation(picture)
        lit = picture.max(axis=-1).mean() >= _DARK
        grey = bool(lit and self._saturation > _COLOURED and saturation < _GREY * self._saturation)
        reasons = []
        if grey:
            reasons.append(
                f"it has no colour (saturation {saturation:.2f}, what the VAE has learnt from has "
                f"{self._saturation:.2f})"
            )
        if self.own is None:
            return Verdict(None, grey, float("nan"), "; ".join(reasons))
        made = self._encoder.decode(self._encoder.encode(picture)[0])
        found = missed(picture[None], made[None])[0]
        own = np.maximum([self.own.missed, self.own.missed_colour], _ROUNDING)
        worst = int(np.argmax(found / own))
        times = float(found[worst] / own[worst])
        if times > LIMIT:
            what = ("it", "its colours")[worst]
            reasons.append(
                f"the VAE does not know what it shows: it misses {found[worst]:.0f} grey levels of {what}, "
                f"{times:.1f} times the {own[worst]:.0f} that it misses of its own data (known: up to {LIMIT:g} times)"
            )
        return Verdict(times <= LIMIT, grey, times, "; ".join(reasons))


def _saturation(picture: np.ndarray) -> float:
    """Return how colourful a picture [S, S, 3] is: 0 for a grey one, 1 for pure colours; 0 for a black one."""
    strongest = picture.max(axis=-1).astype(np.float64).sum()
    return float(1 - picture.min(axis=-1).astype(np.float64).sum() / strongest) if strongest else 0.0
