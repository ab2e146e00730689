"""Prepares pictures that may become the goal: uploaded, imagined or shown before. Nothing is stored but in memory.

Uploads pass the decoder and the limits of the goal node, and the same check whether the VAE knows what they show.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

import cv2
import numpy as np

from rig_robot.inference.numpy_networks import Encoder
from rig_robot.vision.goal_check import GoalCheck
from rig_robot.vision.image_decoding import from_compressed
from rig_robot.vision.observation import Crop, prepare_goal

RECENT = 20
"""Goals that are remembered."""
CANDIDATES = 20
"""Pictures that are kept while a person decides whether they shall be the goal."""
MEGAPIXELS = 50.0
"""Largest picture [megapixels] until the goal node has said its own limit."""


@dataclass(frozen=True)
class Candidate:
    """A picture that may become the goal.

    Attributes:
        number: Its number, by which a page names it.
        origin: Where it comes from, in words.
        data: What is sent to the goal node, a PNG or JPEG file.
        picture: What the goal node will make of it, uint8 [S, S, 3] RGB.
        redrawn: What the VAE knows of it, uint8 [S, S, 3] RGB; None where no VAE is loaded.
        doubts: What speaks against it; empty where nothing does.
    """

    number: int
    origin: str
    data: bytes
    picture: np.ndarray
    redrawn: np.ndarray | None
    doubts: str


class NotReady(ValueError):
    """There is no VAE to prepare pictures with; the text says why."""


class GoalPictures:
    """Pictures that may become the goal, and the goals of before. Used by several threads."""

    def __init__(self) -> None:
        self.megapixels = MEGAPIXELS
        self.trouble = "the checkpoint is not loaded yet"
        """why there is no VAE; empty where there is one"""
        self._lock = threading.Lock()
        self._check: GoalCheck | None = None
        self._encoder: Encoder | None = None
        self._candidates: OrderedDict[int, Candidate] = OrderedDict()
        self._next = 1
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=RECENT)
        self._rng = np.random.default_rng()

    def use(self, encoder: Encoder) -> None:
        """Judge and imagine with this VAE from now on."""
        check = GoalCheck(encoder)
        with self._lock:
            self._encoder, self._check, self.trouble = encoder, check, ""

    @property
    def encoder(self) -> Encoder | None:
        """The VAE that pictures are judged with."""
        return self._encoder

    def upload(self, data: bytes) -> Candidate:
        """Take the bytes of a PNG or JPEG file.

        Raises:
            NotReady: If no VAE is loaded.
            PictureRefused: If the bytes are no such file, or the picture is too large.
        """
        picture = from_compressed(data, self.megapixels)
        encoder = self._ready()
        camera = encoder.config.camera
        observation, warning = prepare_goal(
            picture, Crop(*camera.crop), camera.image_size, camera.width / camera.height
        )
        return self._add("your picture", data, observation, warning or "")

    def imagine(self, scene: np.ndarray | None) -> Candidate:
        """Sample a goal from the latent prior and draw it in the present scene, uint8 [S, S, 3] RGB.

        Raises:
            NotReady: If no VAE is loaded.
        """
        encoder = self._ready()
        with self._lock:
            latent = encoder.imagine(self._rng)
        picture = encoder.decode(latent, scene)
        return self._add("imagined", png(picture), picture, "")

    def again(self, number: int) -> Candidate:
        """Take a goal of before.

        Raises:
            NotReady: If it is no longer remembered, or no VAE is loaded.
        """
        for known, picture in list(self._recent):
            if known == number:
                return self._add("an earlier goal", png(picture), picture, "")
        raise NotReady("this goal is no longer remembered")

    def candidate(self, number: int) -> Candidate:
        """Return a picture that a person decides about.

        Raises:
            NotReady: If it was so long ago that it is no longer kept.
        """
        with self._lock:
            found = self._candidates.get(number)
        if found is None:
            raise NotReady("this picture is no longer kept: choose it again")
        return found

    def remember(self, picture: np.ndarray) -> None:
        """Remember a goal, uint8 [S, S, 3] RGB, as the newest; one that was there before moves to the front."""
        with self._lock:
            known = next((item for item in self._recent if np.array_equal(item[1], picture)), None)
            if known is not None:
                self._recent.remove(known)
            self._recent.appendleft(known or (self._next, picture.copy()))
            self._next += 1

    def recent(self) -> list[tuple[int, np.ndarray]]:
        """Return the goals of before, newest first, each with its number."""
        with self._lock:
            return list(self._recent)

    def redraw(self, picture: np.ndarray) -> np.ndarray | None:
        """Return what the VAE knows of an observation, uint8 [S, S, 3] RGB; None where that cannot be told."""
        encoder = self._encoder
        if encoder is None:
            return None
        try:
            return encoder.redraw(picture)
        except ValueError:  # an observation of another size than this VAE takes: the system is being swapped
            return None

    def _ready(self) -> Encoder:
        if self._encoder is None:
            raise NotReady(f"pictures cannot be judged: {self.trouble}")
        return self._encoder

    def _add(self, origin: str, data: bytes, picture: np.ndarray, warning: str) -> Candidate:
        with self._lock:
            check, number = self._check, self._next
            self._next += 1
        verdict = check.judge(picture).text if check is not None else ""
        doubts = "; ".join(filter(None, (warning, verdict)))
        found = Candidate(number, origin, data, picture, self.redraw(picture), doubts)
        with self._lock:
            self._candidates[number] = found
            while len(self._candidates) > CANDIDATES:
                self._candidates.popitem(last=False)
        return found


def png(picture: np.ndarray) -> bytes:
    """Return a picture, uint8 [H, W, 3] RGB, as the bytes of a PNG file."""
    _, data = cv2.imencode(".png", picture[..., ::-1])
    return data.tobytes()
