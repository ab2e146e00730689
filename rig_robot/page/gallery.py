"""Holds the newest picture of each kind as JPEG; one is encoded only when a browser is ready to be sent it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np

from rig_robot.page.pace import Pace

NAMES = ("camera", "view", "view_redrawn", "goal", "goal_redrawn")
"""Kinds of pictures; browsers know them by their index."""
STILL = ("goal", "goal_redrawn")
"""Kinds that change rarely, and are kept while nobody looks."""
QUALITY = {"camera": 80}
"""JPEG quality; 95 for all others, which are as small as observations."""


class Shown(NamedTuple):
    """A picture, ready to be sent."""

    number: int
    stamp: float
    """capture stamp, ROS time [s]"""
    jpeg: bytes
    """empty: there is none, such as no goal"""


class Viewer:
    """A browser that looks. Made in the event loop that serves it.

    Attributes:
        changed: Set at each new picture.
        drawing: Kinds of which it was sent a picture that it has not drawn yet.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.drawing: set[str] = set()
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Set `changed`, from any thread."""
        self._loop.call_soon_threadsafe(self.changed.set)


class Gallery:
    """The newest pictures. The node's thread shows them; the front server's thread sends them to the browsers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, Shown] = {}
        self._times: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._viewers: list[Viewer] = []
        self._looked_at = threading.Event()
        self.pace = Pace()
        self.pace.watch(self._looked_at)

    @property
    def viewers(self) -> int:
        """Number of browsers that look."""
        return len(self._viewers)

    def is_due(self, name: str, period: float = 0.0) -> bool:
        """Return whether a new picture of a kind would be sent: a browser has drawn the last one, long enough ago.

        Args:
            name: One of `NAMES`.
            period: Shortest time between two of them [s], where it is longer than the pace of all.
        """
        now = time.monotonic()
        if all(name in viewer.drawing for viewer in list(self._viewers)):
            self._seen[name] = now  # nobody asks for the next one, so that its absence says nothing
            return False
        return now - self._times.get(name, 0.0) >= max(period, self.pace.period) - 0.003

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
            self._times[name] = self._seen[name] = time.monotonic()
            viewers = list(self._viewers)
        for viewer in viewers:
            viewer.wake()

    def newest(self, name: str) -> Shown | None:
        """Return the newest picture of a kind."""
        return self._shown.get(name)

    def age(self, name: str) -> float:
        """Return for how long a picture of a kind has been waited for [s]; infinite where there was none."""
        return time.monotonic() - self._seen.get(name, float("-inf"))

    @contextmanager
    def looking(self) -> Iterator[Viewer]:
        """Count a browser as looking. Called in the event loop that serves it."""
        viewer = Viewer()
        with self._lock:
            self._viewers.append(viewer)
            self._looked_at.set()
        try:
            yield viewer
        finally:
            with self._lock:
                self._viewers.remove(viewer)
                if not self._viewers:
                    self._looked_at.clear()
                    # An old picture must not greet the next one who looks.
                    self._shown = {name: shown for name, shown in self._shown.items() if name in STILL}
                    self._times = {name: at for name, at in self._times.items() if name in STILL}
                    self._seen = {}


def encode(picture: np.ndarray, quality: int = 95) -> bytes:
    """Return a picture, uint8 [H, W, 3] RGB, as the bytes of a JPEG file."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    return data.tobytes()
