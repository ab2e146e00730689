"""Listens to a system for some seconds, as a node that publishes nothing, and keeps what the checks go by."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from rig_robot.ros.frame_loss import Loss, judge

PATIENCE = 5.0
"""Further time that may pass until the names of nodes are known [s]."""
PARAMETER_TIMEOUT = 1.0
"""Time that a node may take to tell its parameters [s]."""


KEPT_EVERY = 0.25
"""Time between two messages that are kept [s]."""


@dataclass
class Stream:
    """Messages of one topic.

    Attributes:
        arrivals: Steady clock at each [s].
        ages: ROS time at arrival minus stamp [s]; negative where the stamp lies in the future.
        stamps: Of those that had one [s].
        missed: How many messages the middleware missed, each time that it did; None where it does not count them.
        unstamped: How many had no stamp.
        last: The newest message.
        kept: Some of the messages, `KEPT_EVERY` seconds apart.
        names: Joint names of joint states, in the order in which they were first heard.
        positions: Newest position of each joint [rad].
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
        """Return what is lost of it, where that is worth a word."""
        spread = self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0
        if spread <= 0.0:
            return None
        found = judge(self.stamps, self.missed or [], spread)
        # What is missing by its stamps though nothing was missed may be this process's own slowness.
        return found if found is None or found.on_the_way or self.missed is None else None

    def age(self) -> tuple[float, float, float]:
        """Return smallest, median and largest age [s]."""
        return min(self.ages), float(np.median(self.ages)), max(self.ages)


@dataclass
class Endpoint:
    """A publisher or subscriber of another node: its node's full name, its message type and its QoS."""

    node: str
    kind: str
    qos: Any


@dataclass
class Heard:
    """What was heard of a system; empty where none runs.

    Attributes:
        joints: joint_states.
        frames: The camera's frames.
        health: Newest /diagnostics of each of the system's nodes by name: level, text.
        nodes: Full names of all other nodes of the domain, one entry a node.
        publishers: By topic as it is configured.
        subscribers: The same.
        parameters: By node's full name, the parameters that were asked for and that it has.
        description: Text on robot_description, where that was asked for.
        borrowed: Whether the frames are of a camera node that was started for them.
        implementation: Name of the ROS middleware; empty where rclpy is missing.
    """

    joints: Stream = field(default_factory=Stream)
    frames: Stream = field(default_factory=Stream)
    health: dict[str, tuple[int, str]] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    publishers: dict[str, list[Endpoint]] = field(default_factory=dict)
    subscribers: dict[str, list[Endpoint]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    description: str = ""
    borrowed: bool = False
    implementation: str = ""

    def runs(self, name: str, namespace: str) -> bool:
        """Return whether a node of the system is there."""
        return full_name(name, namespace) in self.nodes


SLICE = 0.1
"""Longest wait for a message at a time [s]: Ctrl-C is heard in between."""


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


OTHERS = ("rig/policy/twist", "/clock")
"""Further topics whose publishers and subscribers are looked at."""


def full_name(name: str, namespace: str) -> str:
    return f"/{namespace.strip('/')}/{name}" if namespace.strip("/") else f"/{name}"


def listen(
    topics: Topics,
    namespace: str,
    seconds: float,
    begun: Callable[[Heard], bool] = lambda _: True,
    patience: float = 0.0,
) -> Heard:
    """Listen to a system in this ROS domain.

    Args:
        topics: Where to listen.
        namespace: Of the system.
        seconds: How long to listen [s].
        begun: Whether what one waits for has come: from then on the seconds count.
        patience: How long to wait for that [s].
    """
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import CompressedImage, Image, JointState
    from std_msgs.msg import String

    from rig_robot.common.message_fields import stamp_s
    from rig_robot.ros.qos import LATCHED, OBSERVATION, STATE

    heard = Heard(implementation=rclpy.get_rmw_implementation_identifier())
    context = rclpy.Context()
    context.init()
    node = Node(
        "rig_doctor",
        namespace=namespace.strip("/"),
        context=context,
        parameter_overrides=[Parameter("use_sim_time", value=topics.sim_time)],
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    last_kept: dict[int, float] = {}

    def take(stream: Stream, message: Any) -> None:
        stamp = message.header.stamp
        stream.arrivals.append(time.monotonic())
        stream.last = message
        if len(stream.arrivals) == 1 or stream.arrivals[-1] > last_kept.get(id(stream), 0.0) + KEPT_EVERY:
            last_kept[id(stream)] = stream.arrivals[-1]
            stream.kept.append(message)
        if stamp.sec == stamp.nanosec == 0:
            stream.unstamped += 1
        else:
            stream.stamps.append(stamp_s(stamp))
            stream.ages.append(1e-9 * node.get_clock().now().nanoseconds - stamp.sec - 1e-9 * stamp.nanosec)

    def take_joints(message: JointState) -> None:
        take(heard.joints, message)
        heard.joints.positions.update(zip(message.name, message.position, strict=False))

    def take_health(message: DiagnosticArray) -> None:
        for status in message.status:
            heard.health[f"/{status.name.lstrip('/')}"] = (int.from_bytes(status.level), status.message)

    def take_description(message: String) -> None:
        heard.description = message.data

    # Best effort and volatile hears every publisher, whatever its QoS; whether the nodes do is for a check to say.
    node.create_subscription(JointState, topics.joints, take_joints, STATE)
    picture = CompressedImage if topics.frames.endswith("/compressed") else Image
    missed: list[int] = []
    counting = SubscriptionEventCallbacks(message_lost=lambda event: missed.append(event.total_count_change))
    for events in (counting, None):
        with contextlib.suppress(UnsupportedEventTypeError):
            node.create_subscription(
                picture, topics.frames, partial(take, heard.frames), OBSERVATION, event_callbacks=events
            )
            heard.frames.missed = missed if events else None
            break
    node.create_subscription(DiagnosticArray, "/diagnostics", take_health, 10)
    if topics.description:
        node.create_subscription(String, "robot_description", take_description, LATCHED)
    try:
        end = time.monotonic() + patience
        while not begun(heard) and time.monotonic() < end:
            _spin(executor, 0.1)
        _spin(executor, seconds)
        me = node.get_fully_qualified_name()
        topics_heard = (topics.joints, topics.frames, topics.commands, *OTHERS)
        end = time.monotonic() + PATIENCE
        wanted = [full_name(name, namespace) for name in topics.nodes]
        while not _discovered(node, topics_heard, wanted, heard) and time.monotonic() < end:
            _spin(executor, 0.1)
        names = [full_name(name, space) for name, space in node.get_node_names_and_namespaces()]
        heard.nodes = sorted(name for name in names if name != me)
        for topic in topics_heard:
            resolved = node.resolve_topic_name(topic)
            heard.publishers[topic] = _endpoints(node.get_publishers_info_by_topic(resolved), me)
            heard.subscribers[topic] = _endpoints(node.get_subscriptions_info_by_topic(resolved), me)
        asked: dict[str, Sequence[str]] = {full_name(name, namespace): ("use_sim_time",) for name in topics.nodes}
        asked = {name: wanted for name, wanted in asked.items() if name in heard.nodes}
        for taker in heard.subscribers[topics.commands]:
            asked[taker.node] = (*asked.get(taker.node, ()), *topics.settings)
        for name, parameters in asked.items():
            heard.parameters[name] = _ask(node, executor, name, parameters)
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        context.try_shutdown()
    return heard


def _discovered(node: Any, topics: Sequence[str], wanted: Sequence[str], heard: Heard) -> bool:
    """Return whether the nodes of all that was discovered are known by name, and the wanted ones that are there have
    told of their health; on a busy machine that takes longer."""
    there = {full_name(name, space) for name, space in node.get_node_names_and_namespaces()}
    if not heard.health.keys() >= there.intersection(wanted):
        return False
    infos = [
        info
        for topic in map(node.resolve_topic_name, topics)
        for info in (*node.get_publishers_info_by_topic(topic), *node.get_subscriptions_info_by_topic(topic))
    ]
    return all("UNKNOWN" not in info.node_name for info in infos)


def _spin(executor: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=min(left, SLICE))


def _endpoints(infos: Sequence[Any], me: str) -> list[Endpoint]:
    found = [
        Endpoint(full_name(info.node_name, info.node_namespace), info.topic_type, info.qos_profile) for info in infos
    ]
    return [endpoint for endpoint in found if endpoint.node != me]


def _ask(node: Any, executor: Any, name: str, wanted: Sequence[str]) -> dict[str, Any]:
    """Return those of the parameters that another node has and tells in time."""
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    client = node.create_client(GetParameters, f"{name}/get_parameters")
    try:
        if not client.wait_for_service(timeout_sec=PARAMETER_TIMEOUT):
            return {}
        answer = None
        for _ in range(3):  # an answer is lost where the node does not know yet where it goes
            future = client.call_async(GetParameters.Request(names=list(wanted)))
            executor.spin_until_future_complete(future, timeout_sec=PARAMETER_TIMEOUT)
            if future.done():
                answer = future.result()
                break
        values = [parameter_value_to_python(value) for value in answer.values] if answer else []
        return {name: value for name, value in zip(wanted, values, strict=False) if value is not None}
    finally:
        node.destroy_client(client)
