"""Runs a camera driver in a thread, opens it again after a failure, and counts what became of its frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rig_robot.cameras.driver import CameraError, Driver, Ended, Frame

BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How long to wait before each further try to open a camera [s]; a frame that comes sets it back."""
QUARTERS = (0, 90, 180, 270)
"""Degrees by which a frame can be turned, clockwise."""


class Capture:
    """Reads a driver until `stop` and hands each frame on, from its own thread.

    Args:
        driver: The camera.
        take: Is given every frame.
        say: Is told, in a sentence, when the camera comes and goes.
        rotation: Degrees to turn each frame by, clockwise: 0, 90, 180 or 270.
    """

    def __init__(
        self, driver: Driver, take: Callable[[Frame], None], say: Callable[[str], None], rotation: int = 0
    ) -> None:
        self.driver = driver
        self.problem: str | None = "the camera has not been opened yet"
        """what keeps frames from coming; None while they come"""
        self.ended = False
        """whether a recording is over"""
        self.lost = 0
        """frames that the device counted and that did not come"""
        self.reconnections = 0
        self._take, self._say, self._rotation = take, say, rotation
        self._failures = 0
        self._opened = 0
        self._refused = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the driver, which takes at most its own patience."""
        self._stopping.set()
        self._thread.join(timeout=3.0)

    def alive(self) -> bool:
        """Whether the camera's thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._say(f"camera opened: {self.driver.open()}")
                self.reconnections += self._opened > 0
                self._opened += 1
                self._read()
            except Ended as end:
                self.ended, self.problem = True, str(end)
                self._say(str(end))
                return
            except Exception as error:  # whatever a driver or its library raises, the camera is opened again
                delay = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
                self._failures += 1
                text = str(error) if isinstance(error, CameraError) else f"{type(error).__name__}: {error}"
                if text != self.problem:
                    self._say(f"{text}; trying again, every {BACK_OFF[-1]:g} s at the longest")
                self.problem = text
                self.driver.close()
                self._stopping.wait(delay)
            finally:
                if self._stopping.is_set() or self.ended:
                    self.driver.close()

    def _read(self) -> None:
        while not self._stopping.is_set():
            frame = self.driver.read()
            self._failures, self.problem = 0, None
            self.lost += frame.lost
            for note in frame.notes:
                self._say(note)
            if self._rotation:
                frame = replace(frame, image=turned(frame.image, self._rotation))
            self._hand_on(frame)

    def _hand_on(self, frame: Frame) -> None:
        """Give a frame to whoever takes it; one that cannot be taken costs no other, and not the camera."""
        try:
            self._take(frame)
        except Exception as error:
            text = f"a frame is not used: {type(error).__name__}: {error}"
            if text != self._refused:
                self._say(text)
            self._refused = text


def turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turn a picture [H, W, 3] clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)) if degrees else image


class Rate:
    """Events a second, measured between the times that one asks."""

    def __init__(self) -> None:
        self._count = 0
        self._since = time.monotonic()

    def note(self) -> None:
        """One event."""
        self._count += 1

    def per_second(self) -> float:
        """Return the rate since the last call [Hz]."""
        now = time.monotonic()
        count, self._count = self._count, 0
        since, self._since = self._since, now
        return count / max(now - since, 1e-3)
