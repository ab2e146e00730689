"""Checks whether the VAE knows what a goal picture shows.

The policy knows of a goal only the latent. A picture unlike all training pictures gets an arbitrary latent, and the
arm would go anywhere in its box. A split VAE must find the arm's points where training pictures have them, whatever
else there is to see (`learning/vae/familiarity.py`); a plain one must redraw the picture as well as those of training.
This module imports no torch: the goal node and training share it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.config import PicturesEntry
from rig_robot.inference.keypoint_architecture import UNFAMILIAR
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.vision.observation import Image

LIMIT = 1.25
"""A picture is unknown where a plain VAE's error is more than so many times its usual error; docs/goals.md says how
this was measured."""
USUAL = 0.99
"""The usual error that a checkpoint stores: this share of the training pictures has no larger one."""
_GREY, _COLOURED = 0.25, 0.04
"""A picture is grey if its saturation is less than `_GREY` times that of the training pictures. If the training
pictures have less saturation than `_COLOURED`, they are grey or too pale to tell, and no picture is called grey."""
_ROUNDING = 1.0
"""Lower bound of the usual error [grey levels]: pixels are rounded to whole grey levels."""
_DARK = 8.0
"""A picture that is darker than this on average [grey levels] is not checked for colour."""


class Verdict(NamedTuple):
    """Whether a VAE knows a goal picture."""

    known: bool | None
    """None: undecided, because the checkpoint does not store the VAE's usual error"""
    grey: bool
    """the picture has no colour, and the training pictures have"""
    times: float
    """the VAE's error, or how far off points are, as a multiple of what is usual; NaN: undecided"""
    text: str
    """why it is not known or grey, with the figures; empty where nothing is wrong"""


def reconstruction_errors(pictures: np.ndarray, reconstructions: np.ndarray) -> NDArray[np.float64]:
    """Return a VAE's errors on pictures: root mean squares over pixels [grey levels].

    Args:
        pictures: uint8 [N, S, S, 3] RGB.
        reconstructions: uint8 [N, S, S, 3] RGB, the pictures encoded and decoded by the VAE.

    Returns:
        float [N, 2]: error of the whole picture, and of its colour (the difference without each pixel's grey).
    """
    off = reconstructions.astype(np.float32) - pictures
    colour = off - off.mean(axis=-1, keepdims=True)
    return np.sqrt(np.stack([np.square(part).mean(axis=(1, 2, 3), dtype=np.float64) for part in (off, colour)], axis=1))


def pictures_entry(pictures: np.ndarray, reconstructions: np.ndarray) -> PicturesEntry:
    """Return the checkpoint's entry that says which pictures its VAE knows.

    Args:
        pictures: uint8 [N, S, S, 3] RGB, observations that the VAE was trained on.
        reconstructions: uint8 [N, S, S, 3] RGB, the observations encoded and decoded by the VAE.
    """
    whole, colour = np.quantile(reconstruction_errors(pictures, reconstructions), USUAL, axis=0).tolist()
    saturation = float(np.median([_saturation(picture) for picture in pictures]))
    return PicturesEntry(round(whole, 2), round(colour, 2), round(saturation, 3))


class GoalCheck:
    """Judges goal pictures by the VAE of a checkpoint."""

    def __init__(self, encoder: Encoder) -> None:
        self.vae_id = encoder.vae_id
        self.usual = encoder.config.pictures
        """None: an older checkpoint, which does not store the usual error"""
        self.undecided = ""
        """why it is undecided whether a picture is known; empty where it is decided, or where nothing is learned yet"""
        if self.usual is None and encoder.config.trained:
            self.undecided = (
                f"the checkpoint of VAE {self.vae_id} does not store the VAE's usual error: whether the VAE knows a "
                "goal picture cannot be told"
            )
        self._encoder = encoder
        # Older checkpoints store the mean training picture, from which its colour is known.
        self._saturation = _saturation(encoder.mean_image) if self.usual is None else self.usual.saturation

    def judge(self, picture: Image) -> Verdict:
        """Judge a prepared goal picture, uint8 [S, S, 3] RGB."""
        saturation = _saturation(picture)
        lit = picture.max(axis=-1).mean() >= _DARK
        grey = bool(lit and self._saturation > _COLOURED and saturation < _GREY * self._saturation)
        reasons = []
        if grey:
            reasons.append(
                f"it has no colour (saturation {saturation:.2f}, the training pictures have {self._saturation:.2f})"
            )
        if self.usual is None:
            return Verdict(None, grey, float("nan"), "; ".join(reasons))
        distance = self._encoder.unfamiliarity(picture)
        if distance is not None:
            if distance > UNFAMILIAR:
                reasons.append(
                    "the VAE does not know what it shows: the arm is not to be seen as in training, "
                    f"{distance:.1f} times as far off as usual (known: up to {UNFAMILIAR:g} times)"
                )
            doubt = self._encoder.object_doubt(picture)
            reasons += [doubt] if doubt else []
            return Verdict(distance <= UNFAMILIAR and not doubt, grey, distance, "; ".join(reasons))
        reconstruction = self._encoder.redraw(picture)
        errors = reconstruction_errors(picture[None], reconstruction[None])[0]
        usual = np.maximum([self.usual.missed, self.usual.missed_colour], _ROUNDING)
        worst = int(np.argmax(errors / usual))
        times = float(errors[worst] / usual[worst])
        if times > LIMIT:
            reasons.append(
                f"the VAE does not know what it shows: its {('error', 'error in colour')[worst]} is "
                f"{errors[worst]:.0f} grey levels, {times:.1f} times the usual {usual[worst]:.0f} "
                f"(known: up to {LIMIT:g} times)"
            )
        return Verdict(times <= LIMIT, grey, times, "; ".join(reasons))


def _saturation(picture: np.ndarray) -> float:
    """Return how colourful a picture [S, S, 3] is: 0 for a grey one, 1 for pure colours; 0 for a black one."""
    strongest = picture.max(axis=-1).astype(np.float64).sum()
    return float(1 - picture.min(axis=-1).astype(np.float64).sum() / strongest) if strongest else 0.0
