"""Sends checkpoints over a topic to a robot that shares no disk with the sender.

`rig/checkpoint/chunk` is a `std_msgs/UInt8MultiArray`: `layout.dim[0].label` is "NAME/FILE SHA256", its `size` the
length of the file in bytes, `layout.data_offset` the chunk's offset in the file. `config.json` comes first, since it
names the other files and their hashes. The receiver answers on `rig/checkpoint/received`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from std_msgs.msg import UInt8MultiArray

from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome
from rig_robot.checkpoint_delivery.chunk_protocol import ANSWERS, CHUNKS, TOPIC, WINDOW, chunks
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.message_fields import values
from rig_robot.ros.node import RigNode

PACE = 0.02
"""Time from one chunk to the next [s]: 13 MB a second."""


class Sender:
    """Sends checkpoints to the receiver nodes of this ROS domain, one at a time, and reports their answers."""

    def __init__(self, node: RigNode) -> None:
        self._node = node
        self._name = ""
        self._rest: Iterator[UInt8MultiArray] = iter(())
        self._done: Callable[[Outcome], None] | None = None
        self._patience = self._until = 0.0
        self._unacknowledged = 0
        self._publisher = node.publisher(UInt8MultiArray, TOPIC, CHUNKS)
        node.subscribe(DiagnosticStatus, ANSWERS, self._on_answer, QoSProfile(depth=10))
        node.every(PACE, self._send_next)

    def send(self, directory: Path, done: Callable[[Outcome], None], timeout_s: float = 60.0) -> None:
        """Send a checkpoint.

        Args:
            directory: The checkpoint.
            done: Called once: with the receiver's answer, or with why sending was given up.
            timeout_s: Longest time without a sign of the receiver [s].

        Raises:
            CheckpointError: If the checkpoint is not whole.
        """
        directory = Path(directory).resolve()
        read_config(directory)
        if self._done is not None:
            self._end(Outcome(False, f"{self._name}: {directory.name} was sent before it had arrived"))
        self._name, self._done, self._rest = directory.name, done, chunks(directory)
        self._patience, self._until = timeout_s, time.monotonic() + timeout_s

    def _send_next(self) -> None:
        if self._done is None:
            return
        if time.monotonic() > self._until:
            self._end(Outcome(False, f"{self._name}: no answer of a receiver within {self._patience:g} s"))
            return
        if not self._publisher.get_subscription_count():
            return
        if self._unacknowledged == WINDOW:
            if not self._publisher.wait_for_all_acked(Duration(seconds=0)):
                return
            self._unacknowledged = 0
        try:
            message = next(self._rest, None)
            if message is not None:
                self._until = time.monotonic() + self._patience
                self._unacknowledged += 1
                self._publisher.publish(message)
        except (ValueError, OSError) as error:
            self._end(Outcome(False, f"{self._name} cannot be sent: {error}"))

    def _on_answer(self, message: DiagnosticStatus) -> None:
        said = values(message)
        if self._done is not None and said.get("checkpoint") == self._name:
            self._end(Outcome(said.get("state") == AnswerState.CURRENT, message.message))

    def _end(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        self._rest = iter(())
        if done is not None:
            done(outcome)
