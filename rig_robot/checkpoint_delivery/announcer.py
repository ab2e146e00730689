"""A new checkpoint: verified, made current, announced to a running system, and taken back where that refuses it."""

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
from rig_robot.checkpoints.compatibility import named
from rig_robot.common.message_fields import values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED


class _Waiting(NamedTuple):
    name: str
    former: str | None
    until: float
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
    """Makes a checkpoint of a root the current one, and tells a running system.

    The link moves first, then the word goes out: a node loads only what is current, so that an old announcement, which
    a late listener still hears, never undoes a newer choice.
    """

    def __init__(self, node: RigNode, root: Path) -> None:
        self._node, self._root = node, root
        self._waiting: _Waiting | None = None
        self._publisher = node.publisher(String, "rig/checkpoint", LATCHED)
        # Volatile: what was answered before this node came is no answer to what it announces.
        node.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_answer, QoSProfile(depth=10))
        node.every(0.2, self._look)

    def announce(self, name: str, done: Callable[[Outcome], None], timeout_s: float = 30.0) -> None:
        """Announce a checkpoint; `done` hears once whether the system runs on it.

        Where nobody listens, it is current when the next one starts, and that is all that can be done.

        Raises:
            CheckpointError: If it is not whole, or does not work; nothing has changed then.
        """
        directory = named(self._root, name)
        verify(directory)
        former = self._current()
        if (waiting := self._waiting) is not None:
            if former == waiting.name:  # which nobody has taken
                former = waiting.former
            self._end(Outcome(False, f"{waiting.name}: {name} was announced before it was taken"))
        activate(directory)
        # Also where nobody is known to listen: they may be just starting.
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
            self._take_back(f"{message.name} refused {waiting.name}: {message.message}")

    def _look(self) -> None:
        if self._waiting is not None and time.monotonic() > self._waiting.until:
            self._take_back(f"{self._waiting.name} was not taken in time: do encoder and policy run?")

    def _take_back(self, why: str) -> None:
        """Make what was current before current again, unless somebody else has chosen another one meanwhile."""
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
