"""Watches, in a thread beside a node's work, whether the camera still sees the checkpoint's scene."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from rig_robot.vision.observation import Image
from rig_robot.vision.view_check import Reference, ViewChange, compare

EVERY = 5.0
"""Time between two observations that are compared [s]; a comparison takes 20 to 60 ms of a core."""
TOGETHER = 6
"""Number of observations that are compared together: with the arm in several places they show more of the scene."""


class ViewMonitor:
    """Compares an observation every few seconds with the reference, in a thread of its own."""

    def __init__(self, reference: Reference) -> None:
        self.change: ViewChange | None = None
        """result of the last comparison; None before the first"""
        self._reference = reference
        self._kept: deque[Image] = deque(maxlen=TOGETHER)
        self._due = time.monotonic() + EVERY  # a node that starts has other work than a comparison
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)
        self._thread.start()

    def show(self, observation: Image) -> None:
        """Offer an observation [S, S, 3]; one is kept every `EVERY` seconds, the others are ignored."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY
            self._kept.append(observation)
            self._wake.set()

    def follow(self, reference: Reference) -> None:
        """Compare with another reference from now on."""
        self._reference, self.change = reference, None
        self._kept.clear()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while self._wake.wait() and not self._stopping:
            self._wake.clear()
            reference, kept = self._reference, list(self._kept)
            if kept:
                change = compare(reference, np.stack(kept))
                # A result against the previous reference is discarded.
                self.change = change if reference is self._reference else None
