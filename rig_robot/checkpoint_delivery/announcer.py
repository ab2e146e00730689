"""Makes a new checkpoint current, announces it to running systems, and rolls back where one of them rejects it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome
from rig_robot.checkpoints.checkpoint import CURRENT, activate
from rig_robot.checkpoints.compatibility import checkpoint_directory
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.common.message_fields import values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import LATCHED


@dataclass
class _Waiting:
    """An announced checkpoint that not all running systems have answered yet."""

    name: str
    former: str | None
    """the checkpoint that was current before; None where there was none"""
    until: float
    """when it is rolled back without an answer [s, steady clock]"""
    done: Callable[[Outcome], None]
    silent: set[str]
    """namespaces of the systems that have not answered"""
    active: set[str] = field(default_factory=set)
    """namespaces of those that run on it"""


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
    """Makes a checkpoint the current one of its root, and announces it to the running systems.

    The link `current` moves before the announcement: a node loads only the current checkpoint. So an old announcement
    that a late subscriber still receives never undoes a newer choice.

    Args:
        node: The node that announces, to the system in its namespace.
        root: Root of checkpoints.
        others: Namespaces of further systems whose checkpoints are in the same root.
    """

    def __init__(self, node: RigNode, root: Path, others: Sequence[str] = ()) -> None:
        self._node, self._root = node, root
        self._waiting: _Waiting | None = None
        own = node.get_namespace()
        places = {own: "", **{name: f"{name}/" for name in others}}
        self._publishers = [node.publisher(String, f"{place}rig/checkpoint", LATCHED) for place in places.values()]
        self._answers = {name: f"{place}rig/checkpoint/ready" for name, place in places.items()}
        for name, topic in self._answers.items():
            # Volatile: an answer from before this node started does not answer its announcements.
            node.subscribe(DiagnosticStatus, topic, partial(self._on_answer, name), QoSProfile(depth=10))
        node.every(0.2, self._check_timeout)

    def announce(self, name: str, done: Callable[[Outcome], None], timeout_s: float = 30.0) -> None:
        """Make a checkpoint current and announce it.

        Where no system runs, the checkpoint is current for the next one that starts, and that counts as accepted.

        Args:
            name: Name of the checkpoint.
            done: Called once with whether the systems run on it. Of several, one that says nothing is left behind, and
                takes the checkpoint when it starts anew; where one rejects it, all go back.
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
        self._publish(name)
        running = {system for system, topic in self._answers.items() if self._node.count_publishers(topic)}
        if not running:
            done(Outcome(True, f"{name} is current; nobody is running"))
            return
        self._waiting = _Waiting(name, former, time.monotonic() + timeout_s, done, running)

    def _publish(self, name: str) -> None:
        for publisher in self._publishers:
            publisher.publish(String(data=name))

    def _on_answer(self, system: str, message: DiagnosticStatus) -> None:
        waiting, said = self._waiting, values(message)
        if waiting is None or said.get("checkpoint") != waiting.name:
            return
        if said.get("state") == AnswerState.ACTIVE:
            waiting.silent.discard(system)
            waiting.active.add(system)
            if not waiting.silent:
                self._end(Outcome(True, f"{waiting.name} is running"))
        elif said.get("state") == AnswerState.REFUSED:
            which = f" of {system}" if len(self._answers) > 1 else ""
            self._roll_back(f"{message.name}{which} refused {waiting.name}: {message.message}")

    def _check_timeout(self) -> None:
        waiting = self._waiting
        if waiting is None or time.monotonic() <= waiting.until:
            return
        if waiting.active:
            names = ", ".join(sorted(waiting.silent))
            self._end(Outcome(True, f"{waiting.name} is running, but for {names}, which did not answer"))
        else:
            self._roll_back(f"{waiting.name} was not taken in time: do encoder and policy run?")

    def _roll_back(self, why: str) -> None:
        """Make the former checkpoint current again, unless another one was chosen meanwhile."""
        assert self._waiting is not None
        former, current = self._waiting.former, self._current()
        if current != self._waiting.name:
            why += f"; {current} was chosen meanwhile"
        elif former is not None and former != current:
            activate(self._root / former)
            self._publish(former)
            why += f"; {former} goes on"
        self._end(Outcome(False, why))

    def _current(self) -> str | None:
        link = self._root / CURRENT
        return link.resolve().name if link.exists() else None

    def _end(self, outcome: Outcome) -> None:
        assert self._waiting is not None
        done, self._waiting = self._waiting.done, None
        done(outcome)
