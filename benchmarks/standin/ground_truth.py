"""What truly happened: a file that the arm's physics writes and judges read, with no ROS, network or clock between.

The file is mapped into the memory of whoever opens it. It holds the last minutes of the arm, and the switches by which
a test breaks something: a switch acts in the instant in which it is set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROWS = 1 << 16
"""How much is kept: 131 s at 500 Hz."""
ENVIRONMENT = "STANDIN_TRUTH"
"""Variable that names the file for the stand-in's processes."""
_HEADER = 8
_COUNT, _JOINT_STATES, _FRAMES, _FRAME_DELAY, _JOINTS, _LIE = range(6)


class Lie(IntEnum):
    """What the controller's joint states say instead of the truth."""

    NONE = 0
    ZEROS = 1
    NINE = 2
    """Each joint at 9 rad."""
    OFF = 3
    """The third joint off by 0.3 rad: more than the tracking error, less than would be a jump of a driver."""
    NEAR = 4
    """The third joint off by 0.2 rad, the tracking error itself."""
    FROZEN = 5
    """The last truth again and again, with fresh stamps."""


@dataclass(frozen=True)
class Motion:
    """A stretch of the arm's motion.

    Attributes:
        time: [k] s of CLOCK_MONOTONIC, which no jump of the clock and no network touches.
        tool: [k, 3] m, true position in the base frame.
        joints: [k, n] rad.
        speeds: [k, n] rad/s.
        commanded: [k, n] rad/s, the speeds that the controller asks of the drives.
    """

    time: Array
    tool: Array
    joints: Array
    speeds: Array
    commanded: Array

    def since(self, time: float) -> Motion:
        """Return the part from a time [s] on."""
        first = int(np.searchsorted(self.time, time))
        return Motion(*(getattr(self, field.name)[first:] for field in fields(self)))

    def tool_speed(self, span: float = 0.01) -> Array:
        """Return the tool's speed [k] m/s, each over the last `span` s."""
        if len(self.time) < 2:
            return np.zeros(len(self.time))
        back = max(1, round(span / float(np.median(np.diff(self.time)))))
        speed = np.zeros(len(self.time))
        moved = np.linalg.norm(self.tool[back:] - self.tool[:-back], axis=1)
        speed[back:] = moved / (self.time[back:] - self.time[:-back])
        return speed


class GroundTruth:
    """The mapped file; one process writes it, any may read it.

    Attributes:
        sends_joint_states, sends_frames: Switches: what is off is not sent, and all else goes on.
        lie: What joint states say instead of the truth.
        frame_delay: How long a frame is on its way from the sensor to the driver [s].
    """

    def __init__(self, file: Path, values: NDArray[np.float64]) -> None:
        self.file = file
        self._head, body = values[:_HEADER], values[_HEADER:]
        self._joints = int(self._head[_JOINTS])
        self._rows = body.reshape(ROWS, 4 + 3 * self._joints)

    @classmethod
    def create(cls, file: Path, joints: int) -> GroundTruth:
        """Make the file for an arm with so many joints; it takes its name when it is whole."""
        part = file.with_name(f"{file.name}.part")
        values = np.memmap(part, np.float64, "w+", shape=(_HEADER + ROWS * (4 + 3 * joints),))
        values[[_JOINTS, _JOINT_STATES, _FRAMES]] = joints, 1.0, 1.0
        part.replace(file)
        return cls(file, values)

    @classmethod
    def open(cls, file: Path | None = None) -> GroundTruth:
        """Open what another process made: `file`, or what the environment names."""
        name = file or Path(os.environ[ENVIRONMENT])
        return cls(name, np.memmap(name, np.float64, "r+"))

    def append(self, time: float, *state: Array) -> None:
        """Write the arm's state at a time [s]: tool, joints, speeds, commanded as in `Motion`.

        The count goes last, so that nobody reads half a row.
        """
        count = int(self._head[_COUNT])
        self._rows[count % ROWS] = np.concatenate([[time], *state])
        self._head[_COUNT] = count + 1

    def last(self, seconds: float, rate: float = 500.0) -> Motion:
        """Return the last so many seconds, at most what is kept."""
        count = int(self._head[_COUNT])
        wanted = min(count, ROWS - 100, max(1, round(seconds * rate)))
        rows = self._rows[np.arange(count - wanted, count) % ROWS]
        return Motion(rows[:, 0], rows[:, 1:4], *np.split(rows[:, 4:], 3, axis=1))

    def now(self) -> Motion:
        """Return the last state, alone; empty before the first."""
        return self.last(0.0)

    @property
    def sends_joint_states(self) -> bool:
        return bool(self._head[_JOINT_STATES])

    @sends_joint_states.setter
    def sends_joint_states(self, on: bool) -> None:
        self._head[_JOINT_STATES] = on

    @property
    def lie(self) -> Lie:
        return Lie(int(self._head[_LIE]))

    @lie.setter
    def lie(self, lie: Lie) -> None:
        self._head[_LIE] = lie

    @property
    def sends_frames(self) -> bool:
        return bool(self._head[_FRAMES])

    @sends_frames.setter
    def sends_frames(self, on: bool) -> None:
        self._head[_FRAMES] = on

    @property
    def frame_delay(self) -> float:
        return float(self._head[_FRAME_DELAY])

    @frame_delay.setter
    def frame_delay(self, seconds: float) -> None:
        self._head[_FRAME_DELAY] = seconds
