"""Prints lines without waiting for whoever reads them: a stopped terminal or a full disk must not stop the robot."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque

BACKLOG = 10_000
"""Lines that are kept for a reader who does not read now; what comes on top is dropped, and said."""


class Console:
    """Standard output, written by a thread of its own.

    Args:
        output: The descriptor that is written to.
    """

    def __init__(self, output: int = 1) -> None:
        self._output = output
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._failed = False
        threading.Thread(target=self._write_all, daemon=True).start()

    def say(self, line: str) -> None:
        """Print a line as soon as the output takes it."""
        with self._changed:
            if len(self._lines) >= BACKLOG:
                self._lost += 1
                return
            if self._lost:
                self._lines.append(f"({self._lost} lines are missing here: they could not be written)")
                self._lost = 0
            self._lines.append(line)
            self._changed.notify()

    @property
    def pending(self) -> bool:
        """Whether there is something that has not been written yet."""
        return bool(self._lines)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line = self._lines[0]
            try:
                self._write(line)
            except OSError as error:
                self._complain(error)
                with self._changed:
                    self._lost += 1
            with self._changed:
                self._lines.popleft()

    def _write(self, line: str) -> None:
        data = memoryview(f"{line}\n".encode(errors="replace"))
        while data:
            try:
                data = data[os.write(self._output, data) :]
            except BlockingIOError:  # somebody else who holds this output has made it so
                select.select([], [self._output], [], 1.0)

    def _complain(self, error: OSError) -> None:
        """Say once, where errors go, that lines are lost; the system goes on."""
        if not self._failed:
            self._failed = True
            with contextlib.suppress(OSError):
                os.write(2, f"rig: cannot print ({error}): lines are lost, the nodes go on\n".encode())
