"""Makes a new checkpoint current, announces it to a running system, and rolls back where the system rejects it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome
from rig_robot.checkpoints.checkpoint import CURRENT, CheckpointError, activate
from rig_robot.checkpoints.compatibility import checkpoint_directory
from rig_robot.common.message_fields import values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED


class _Waiting(NamedTuple):
    """An announced checkpoint that the system has not answered yet."""

    name: str
    former: str | None
    """the checkpoint that was current before; None where there was none"""
    until: float
    """when it is rolled back without an answer [s, steady clock]"""
    done: Callable[[Outcome], None]


def verify(directory: Path) -> None:
    """Load both networks of a checkpoint and use them once.

    Raises:
        CheckpointError: If a file is not what `config.json` says, or a number that comes out is not finite.
    """
    encoder, policy = Encoder(directory), Policy(directory)
    size = encoder.config.camera.image_size
    mean, log_variance = encoder.encode(np.full((size, size, 3), 128, np.uint8))
    if not np.isfinite([*mean, *log_variance]).all():
        raise CheckpointError(f"{directory}: the VAE encodes a grey picture as {mean}, expected finite numbers")
    action = policy.act(mean, np.zeros_like(mean))
    if not np.isfinite(action).all():
        raise CheckpointError(f"{directory}: the policy's action is {action}, expected finite numbers")


class Announcer:
    """Makes a checkpoint the current one of its root, and announces it to a running system.

    The link `current` moves before the announcement: a node loads only the current checkpoint. So an old announcement
    that a late subscriber still receives never undoes a newer choice.

    Args:
        node: The node that announces.
        root: Root of checkpoints.
    """

    def __init__(self, node: RigNode, root: Path) -> None:
        self._node, self._root = node, root
        self._waiting: _Waiting | None = None
        self._publisher = node.publisher(String, "rig/checkpoint", LATCHED)
        # Volatile: an answer from before this node started does not answer its announcements.
        node.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_answer, QoSProfile(depth=10))
        node.every(0.2, self._check_timeout)

    def announce(self, name: str, done: Callable[[Outcome], None], timeout_s: float = 30.0) -> None:
        """Make a checkpoint current and announce it.

        Where no system runs, the checkpoint is current for the next one that starts, and that counts as accepted.

        Args:
            name: Name of the checkpoint.
            done: Called once with whether the system runs on it.
            timeout_s: Time that encoder and policy get to answer [s].

        Raises:
            CheckpointError: If the checkpoint is not whole or does not work; nothing has changed then.
        """
        directory = checkpoint_directory(self._root, name)
        verify(directory)
        former = self._current()
        if (waiting := self._waiting) is not None:
            if former == waiting.name:  # which no node has activated
                former = waiting.former
            self._end(Outcome(False, f"{waiting.name}: {name} was announced before it was taken"))
        activate(directory)
        # Also where no subscriber is known: the nodes may be just starting.
        self._publisher.publish(String(data=name))
        if not self._node.count_publishers("rig/checkpoint/ready"):
            done(Outcome(True, f"{name} is current; nobody is running"))
            return
        self._waiting = _Waiting(name, former, time.monotonic() + timeout_s, done)

    def _on_answer(self, message: DiagnosticStatus) -> None:
        waiting, said = self._waiting, values(message)
        if waiting is None or said.get("checkpoint") != waiting.name:
            return
        if said.get("state") == AnswerState.ACTIVE:
            self._end(Outcome(True, f"{waiting.name} is running"))
        elif said.get("state") == AnswerState.REFUSED:
            self._roll_back(f"{message.name} refused {waiting.name}: {message.message}")

    def _check_timeout(self) -> None:
        if self._waiting is not None and time.monotonic() > self._waiting.until:
            self._roll_back(f"{self._waiting.name} was not taken in time: do encoder and policy run?")

    def _roll_back(self, why: str) -> None:
        """Make the former checkpoint current again, unless another one was chosen meanwhile."""
        assert self._waiting is not None
        former, current = self._waiting.former, self._current()
        if current != self._waiting.name:
            why += f"; {current} was chosen meanwhile"
        elif former is not None and former != current:
            activate(self._root / former)
            self._publisher.publish(String(data=former))
            why += f"; {former} goes on"
        self._end(Outcome(False, why))

    def _current(self) -> str | None:
        link = self._root / CURRENT
        return link.resolve().name if link.exists() else None

    def _end(self, outcome: Outcome) -> None:
        assert self._waiting is not None
        done, self._waiting = self._waiting.done, None
        done(outcome)
