"""Holds what a running system said while the doctor listened: the checks read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rig_robot.ros.frame_loss import Loss, judge


@dataclass
class Stream:
    """Messages of one topic.

    Attributes:
        arrivals: Steady clock at each arrival [s].
        ages: ROS time at arrival minus stamp [s]; negative where the stamp lies in the future.
        stamps: Stamps of the messages that had one [s].
        missed: How many messages the middleware missed, each time that it did; None where it does not count them.
        unstamped: Number of messages without a stamp.
        last: The newest message.
        kept: Some of the messages, `system_listener.KEPT_EVERY` seconds apart.
        positions: Newest position of each joint [rad], in the order in which the joints were first heard.
    """

    arrivals: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    missed: list[int] | None = None
    unstamped: int = 0
    last: Any = None
    kept: list[Any] = field(default_factory=list)
    positions: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return messages a second."""
        spread = self.arrivals[-1] - self.arrivals[0] if len(self.arrivals) > 1 else 0.0
        return (len(self.arrivals) - 1) / spread if spread > 0 else 0.0

    @property
    def longest_gap(self) -> float:
        """Return the longest time between two messages [s]."""
        return float(np.diff(self.arrivals).max()) if len(self.arrivals) > 1 else 0.0

    def loss(self) -> Loss | None:
        """Return how many messages are lost; None where the loss is small."""
        spread = self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0
        if spread <= 0.0:
            return None
        found = judge(self.stamps, self.missed or [], spread)
        # Where the middleware counted no loss, a loss in the stamps may come of this process being slow.
        return found if found is None or found.on_the_way or self.missed is None else None

    def age(self) -> tuple[float, float, float]:
        """Return smallest, median and largest age [s]."""
        return min(self.ages), float(np.median(self.ages)), max(self.ages)


@dataclass
class Endpoint:
    """A publisher or subscriber of another node.

    Attributes:
        node: Its node's full name.
        kind: Its message type.
        qos: Its QoS.
        identity: Identity of a publisher, as far as messages tell theirs (`ros.graph.publisher_of`).
    """

    node: str
    kind: str
    qos: Any
    identity: bytes = b""


@dataclass(frozen=True)
class JointMessage:
    """The form of a joint state: messages of one form are counted together.

    Attributes:
        names: Names of the joints, in the message's order.
        positions: Number of positions.
        publisher: Identity of its publisher; empty where messages do not tell it.
    """

    names: tuple[str, ...]
    positions: int
    publisher: bytes


@dataclass
class Heard:
    """What a running system said while the doctor listened; empty where none runs.

    Attributes:
        joints: joint_states.
        joint_messages: Number of joint states of each form.
        frames: The camera's frames.
        health: Newest /diagnostics of each of the system's nodes by full name: level, text.
        nodes: Full names of all other nodes of the domain; a name that two nodes have is there twice.
        publishers: Publishers by topic, as it is configured.
        subscribers: Subscribers by topic, as it is configured.
        parameters: By full name of a node, those of the requested parameters that it has.
        description: Text on robot_description, where that was asked for.
        temporary_camera: Whether the frames come from a camera node that the doctor has started.
        implementation: Name of the ROS middleware; empty where rclpy is missing.
    """

    joints: Stream = field(default_factory=Stream)
    joint_messages: Counter[JointMessage] = field(default_factory=Counter)
    frames: Stream = field(default_factory=Stream)
    health: dict[str, tuple[int, str]] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    publishers: dict[str, list[Endpoint]] = field(default_factory=dict)
    subscribers: dict[str, list[Endpoint]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    description: str = ""
    temporary_camera: bool = False
    implementation: str = ""

    def runs(self, name: str, namespace: str) -> bool:
        """Return whether a node of the system was heard."""
        return full_name(name, namespace) in self.nodes


@dataclass(frozen=True)
class Topics:
    """Where to listen.

    Attributes:
        joints: Topic of the joint states.
        frames: Topic of the camera's frames.
        commands: Topic of the arm's commands.
        settings: Parameters of the controller that are asked for.
        nodes: Names of the system's nodes.
        description: Whether to wait for robot_description.
        sim_time: Whether the system goes by /clock.
    """

    joints: str
    frames: str
    commands: str
    settings: Sequence[str]
    nodes: Sequence[str]
    description: bool
    sim_time: bool


def full_name(name: str, namespace: str) -> str:
    return f"/{namespace.strip('/')}/{name}" if namespace.strip("/") else f"/{name}"
