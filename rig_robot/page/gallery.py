"""Holds the newest picture of each kind as JPEG, for the browsers that look; nothing is encoded while none does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np

NAMES = ("camera", "view", "view_redrawn", "goal", "goal_redrawn")
"""Kinds of pictures; browsers know them by their index."""
STILL = ("goal", "goal_redrawn")
"""Kinds that change rarely, and are kept while nobody looks."""
FASTEST = 1 / 15
"""Shortest time between two pictures of a kind [s]."""
QUALITY = {"camera": 80}
"""JPEG quality; 95 for all others, which are as small as observations."""


class Shown(NamedTuple):
    """A picture, ready to be sent."""

    number: int
    stamp: float
    """capture stamp, ROS time [s]"""
    jpeg: bytes
    """empty: there is none, such as no goal"""


class Gallery:
    """The newest pictures. The node's thread shows them; the front server's thread sends them to the browsers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, Shown] = {}
        self._times: dict[str, float] = {}
        self._viewers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def viewers(self) -> int:
        """Number of browsers that look."""
        return len(self._viewers)

    def is_due(self, name: str, period: float = FASTEST) -> bool:
        """Return whether a new picture of a kind would be sent: somebody looks, and the last one is old enough [s]."""
        return bool(self._viewers) and time.monotonic() - self._times.get(name, 0.0) >= period - 0.003

    def show(self, name: str, picture: np.ndarray | None, stamp: float) -> None:
        """Keep a picture as the newest of its kind.

        Args:
            name: One of `NAMES`.
            picture: uint8 [H, W, 3] RGB; None: there is none any more.
            stamp: Its capture stamp, ROS time [s].
        """
        jpeg = b"" if picture is None or not picture.size else encode(picture, QUALITY.get(name, 95))
        self.show_encoded(name, jpeg, stamp)

    def show_encoded(self, name: str, jpeg: bytes, stamp: float) -> None:
        """Keep a picture that is a JPEG or PNG file already as the newest of its kind; stamp: ROS time [s]."""
        with self._lock:
            before = self._shown.get(name)
            self._shown[name] = Shown(before.number + 1 if before else 1, stamp, jpeg)
            self._times[name] = time.monotonic()
            viewers = list(self._viewers)
        for loop, changed in viewers:
            loop.call_soon_threadsafe(changed.set)

    def newest(self, name: str) -> Shown | None:
        """Return the newest picture of a kind."""
        return self._shown.get(name)

    def age(self, name: str) -> float:
        """Return how long ago a picture of a kind was shown [s]; infinite where there was none."""
        return time.monotonic() - self._times[name] if name in self._times else float("inf")

    @contextmanager
    def looking(self) -> Iterator[asyncio.Event]:
        """Count a browser as looking; the event is set at each new picture. Called in the browser's event loop."""
        viewer = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._viewers.append(viewer)
        try:
            yield viewer[1]
        finally:
            with self._lock:
                self._viewers.remove(viewer)
                if not self._viewers:  # an old picture must not greet the next one who looks
                    self._shown = {name: shown for name, shown in self._shown.items() if name in STILL}
                    self._times = {name: at for name, at in self._times.items() if name in STILL}


def encode(picture: np.ndarray, quality: int = 95) -> bytes:
    """Return a picture, uint8 [H, W, 3] RGB, as the bytes of a JPEG file."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    return data.tobytes()
