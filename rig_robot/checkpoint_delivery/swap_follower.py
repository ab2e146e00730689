"""Follows the announcements of checkpoints for a node that replaces its networks while the robot runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import String

from rig_robot.checkpoint_delivery.answers import AnswerState, answer
from rig_robot.checkpoints.compatibility import StaleAnnouncement, announced_directory, replacement_directory
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import EPISODES, LATCHED


class Network(Protocol):
    """The part of a checkpoint that a node runs."""

    @property
    def config(self) -> CheckpointConfig: ...

    @property
    def vae_id(self) -> str: ...


N = TypeVar("N", bound=Network)


class Loaded(NamedTuple, Generic[N]):
    """A network, and the name of the checkpoint that it was loaded from."""

    name: str
    network: N


class SwapFollower(Generic[N]):
    """Validates an announced checkpoint, loads its network in the background, and answers the announcer.

    A loaded network waits as the candidate until the node takes it: only the node knows when it may replace the
    running one. `rig/checkpoint` brings the announcements; the answers go out on `rig/checkpoint/ready`.

    Args:
        node: The node that runs the network; its name signs the answers.
        root: The only directory that checkpoints are loaded from.
        running: Returns the network that runs now; a candidate must be of the same robot.
        load: Loads the node's network from a checkpoint's directory; it is called in a thread.
        loaded: Called in the node's own thread when a candidate is there.
        runs: The answer's state where the announced checkpoint runs already.
        verb: What the node does with a network, for the answer's text.
    """

    def __init__(
        self,
        node: RigNode,
        root: Path,
        running: Callable[[], Loaded[N]],
        load: Callable[[Path], N],
        loaded: Callable[[], None],
        runs: AnswerState,
        verb: str,
    ) -> None:
        self._node, self._root, self._running = node, root, running
        self._load, self._loaded, self._runs, self._verb = load, loaded, runs, verb
        self.announced = running().name
        """name of the newest checkpoint that was announced and may become the running one"""
        self.candidate: Loaded[N] | None = None
        """the announced checkpoint's network, loaded and not taken yet"""
        self._answers = node.publisher(DiagnosticStatus, "rig/checkpoint/ready", EPISODES)
        node.subscribe(String, "rig/checkpoint", self._on_announcement, LATCHED)

    def take(self) -> Loaded[N]:
        """Return the candidate, which is none any more."""
        assert self.candidate is not None
        candidate, self.candidate = self.candidate, None
        return candidate

    def answer(self, state: AnswerState, name: str, text: str, vae_id: str = "") -> None:
        """Answer the announcer.

        Args:
            state: What the node says of the checkpoint.
            name: Name of the checkpoint.
            text: The reason in words.
            vae_id: The VAE that the answer is about; the running network's if empty.
        """
        vae_id = vae_id or self._running().network.vae_id
        self._answers.publish(answer(self._node.get_name(), state, name, vae_id, text))

    def _on_announcement(self, message: String) -> None:
        name, running = message.data, self._running()
        try:
            announced_directory(self._root, name)
        except (StaleAnnouncement, CheckpointError) as error:
            self._on_loaded(name, error)  # a load that has begun goes on
            return
        self.announced, self.candidate = name, None
        if name == running.name:
            self.answer(self._runs, name, f"{self._verb} already")
            return

        def load() -> Any:
            return self._load(replacement_directory(self._root, name, running.network.config))

        self._node.run_in_background(load, lambda result: self._on_loaded(name, result))

    def _on_loaded(self, name: str, result: N | Exception) -> None:
        if isinstance(result, StaleAnnouncement):
            self._node.get_logger().info(str(result))
        elif isinstance(result, Exception):
            self._node.get_logger().error(f"{result}; {self._running().name} goes on")
            self.answer(AnswerState.REFUSED, name, str(result))
        elif name == self.announced:
            self.candidate = Loaded(name, result)
            self._loaded()
