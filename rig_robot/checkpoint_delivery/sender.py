"""Checkpoints by topic, where sender and robot share no disk: files in chunks, whole at the other end or refused.

`rig/checkpoint/chunk` is a `std_msgs/UInt8MultiArray`: `layout.dim[0].label` is "NAME/FILE SHA256", its `size` the
length of the file in bytes, `layout.data_offset` where in it the chunk belongs. `config.json`, which names the
other files and their hashes, comes first. The receiver answers on `rig/checkpoint/received`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from std_msgs.msg import MultiArrayDimension, UInt8MultiArray

from rig_robot.checkpoint_delivery.announcer import Outcome
from rig_robot.checkpoints.checkpoint import CONFIG_FILE, read_config
from rig_robot.ros import node as ros

TOPIC = "rig/checkpoint/chunk"
CHUNK = 256 * 1024
"""Largest number of bytes in one message."""
WINDOW = 64
"""Chunks that are under way at once: none is overwritten before it has arrived.

Not a few: a DDS asks for acknowledgements every few seconds only.
"""
CHUNKS = QoSProfile(depth=WINDOW)
"""Reliable, volatile: who comes in the middle of a checkpoint has no use for the rest."""
PACE = 0.02
"""Time from one chunk to the next [s]: 13 MB a second."""
ANSWERS = "rig/checkpoint/received"
"""Whether what was sent is current (it has arrived, and the robot runs on it) or refused."""


class Piece(NamedTuple):
    """What a chunk's layout says."""

    checkpoint: str
    file: str
    sha256: str
    """of the whole file"""
    size: int
    """of the whole file [bytes]"""
    offset: int
    """of the chunk in it [bytes]"""


def read_piece(message: UInt8MultiArray) -> Piece:
    """Read what a chunk is.

    Raises:
        ValueError: If its layout is not that of a chunk.
    """
    layout = message.layout
    names, _, sha256 = (layout.dim[0].label if len(layout.dim) == 1 else "").rpartition(" ")
    checkpoint, _, file = names.partition("/")
    if not (checkpoint and file and len(sha256) == 64):
        raise ValueError(f"a chunk with the layout {[dim.label for dim in layout.dim]}, expected one NAME/FILE SHA256")
    return Piece(checkpoint, file, sha256, layout.dim[0].size, layout.data_offset)


def chunks(directory: Path) -> Iterator[UInt8MultiArray]:
    """Cut a checkpoint into messages.

    Raises:
        CheckpointError: If it is not whole.
    """
    config = read_config(directory)
    for file in (CONFIG_FILE, *(entry.file for entry in config.files)):
        content = (directory / file).read_bytes()
        label = f"{directory.name}/{file} {hashlib.sha256(content).hexdigest()}"
        for offset in range(0, max(1, len(content)), CHUNK):
            message = UInt8MultiArray()
            message.layout.dim = [MultiArrayDimension(label=label, size=len(content), stride=CHUNK)]
            message.layout.data_offset = offset
            message.data.frombytes(content[offset : offset + CHUNK])
            yield message


class Sender:
    """Sends checkpoints to the receiver nodes of this ROS domain, one at a time, and hears what came of them."""

    def __init__(self, node: ros.RigNode) -> None:
        self._node = node
        self._name = ""
        self._rest: Iterator[UInt8MultiArray] = iter(())
        self._done: Callable[[Outcome], None] | None = None
        self._patience = self._until = 0.0
        self._under_way = 0
        self._publisher = node.publisher(UInt8MultiArray, TOPIC, CHUNKS)
        node.subscribe(DiagnosticStatus, ANSWERS, self._on_answer, QoSProfile(depth=10))
        node.every(PACE, self._go_on)

    def send(self, directory: Path, done: Callable[[Outcome], None], timeout_s: float = 60.0) -> None:
        """Send a checkpoint; `done` hears once whether the robot runs on it.

        Args:
            directory: The checkpoint.
            done: Called with what the receiver says, or with why it was given up.
            timeout_s: How long nothing may be heard of the other end [s].

        Raises:
            CheckpointError: If it is not whole.
        """
        directory = Path(directory).resolve()
        read_config(directory)
        if self._done is not None:
            self._end(Outcome(False, f"{self._name}: {directory.name} was sent before it had arrived"))
        self._name, self._done, self._rest = directory.name, done, chunks(directory)
        self._patience, self._until = timeout_s, time.monotonic() + timeout_s

    def _go_on(self) -> None:
        if self._done is None:
            return
        if time.monotonic() > self._until:
            self._end(Outcome(False, f"{self._name}: no answer of a receiver within {self._patience:g} s"))
            return
        if not self._publisher.get_subscription_count():
            return
        if self._under_way == WINDOW:
            if not self._publisher.wait_for_all_acked(Duration(seconds=0)):
                return
            self._under_way = 0
        try:
            message = next(self._rest, None)
            if message is not None:
                self._until = time.monotonic() + self._patience
                self._under_way += 1
                self._publisher.publish(message)
        except (ValueError, OSError) as error:
            self._end(Outcome(False, f"{self._name} cannot be sent: {error}"))

    def _on_answer(self, message: DiagnosticStatus) -> None:
        values = {item.key: item.value for item in message.values}
        if self._done is not None and values.get("checkpoint") == self._name:
            self._end(Outcome(values.get("state") == "current", message.message))

    def _end(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        self._rest = iter(())
        if done is not None:
            done(outcome)
