"""Listens to a running system for some seconds, as a node that publishes nothing, and keeps what the checks read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from rig_robot.common.message_fields import stamp_s
from rig_robot.doctor.heard import Endpoint, Heard, JointMessage, Stream, Topics, full_name
from rig_robot.ros.graph import publisher_of
from rig_robot.ros.qos import LATCHED, OBSERVATION, STATE

PATIENCE = 5.0
"""Further time that may pass until the names of nodes are known [s]."""
PARAMETER_TIMEOUT = 1.0
"""Time that a node may take to tell its parameters [s]."""
KEPT_EVERY = 0.25
"""Time between two messages that are kept [s]."""
SLICE = 0.1
"""Longest wait for a message at a time [s]: Ctrl-C is heard in between."""
OTHERS = ("rig/policy/twist", "/clock")
"""Further topics whose publishers and subscribers are looked at."""


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
        namespace: Namespace of the system.
        seconds: How long to listen [s].
        begun: Returns whether the awaited messages have come: from then on the seconds count.
        patience: How long to wait for them [s].
    """
    listener = _Listener(topics, namespace)
    try:
        end = time.monotonic() + patience
        while not begun(listener.heard) and time.monotonic() < end:
            listener.spin(SLICE)
        listener.spin(seconds)
        end = time.monotonic() + PATIENCE
        while not listener.knows_all_nodes() and time.monotonic() < end:
            listener.spin(SLICE)
        listener.read_graph()
        listener.read_parameters()
    finally:
        listener.close()
    return listener.heard


class _Listener:
    """A node with subscriptions, in a context of its own; `heard` keeps what they bring.

    Args:
        topics: Where to listen.
        namespace: Namespace of the system.
    """

    def __init__(self, topics: Topics, namespace: str) -> None:
        self.heard = Heard(implementation=rclpy.get_rmw_implementation_identifier())
        self._topics, self._namespace = topics, namespace
        self._all_topics = (topics.joints, topics.frames, topics.commands, *OTHERS)
        self._last_kept: dict[int, float] = {}
        self._context = rclpy.Context()
        self._context.init()
        self._node = Node(
            "rig_doctor",
            namespace=namespace.strip("/"),
            context=self._context,
            parameter_overrides=[Parameter("use_sim_time", value=topics.sim_time)],
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        # Best effort and volatile hears every publisher, whatever its QoS; whether the nodes do is for a check to say.
        self._node.create_subscription(JointState, topics.joints, self._take_joints, STATE)
        self._subscribe_to_frames()
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._take_health, 10)
        if topics.description:
            self._node.create_subscription(String, "robot_description", self._take_description, LATCHED)

    def spin(self, seconds: float) -> None:
        """Take messages for so long [s]."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, SLICE))

    def knows_all_nodes(self) -> bool:
        """Return whether discovery is complete; on a busy machine it takes longer than the listening.

        It is, when all nodes that were discovered are known by name, and those of the system have told of their health.
        """
        wanted = {full_name(name, self._namespace) for name in self._topics.nodes}
        if not self.heard.health.keys() >= wanted.intersection(self._node_names()):
            return False
        infos = [
            info
            for topic in map(self._node.resolve_topic_name, self._all_topics)
            for info in (
                *self._node.get_publishers_info_by_topic(topic),
                *self._node.get_subscriptions_info_by_topic(topic),
            )
        ]
        return all("UNKNOWN" not in info.node_name for info in infos)

    def read_graph(self) -> None:
        """Note the nodes of the domain, and who publishes and subscribes to the topics."""
        me = self._node.get_fully_qualified_name()
        self.heard.nodes = sorted(name for name in self._node_names() if name != me)
        for topic in self._all_topics:
            resolved = self._node.resolve_topic_name(topic)
            self.heard.publishers[topic] = _endpoints(self._node.get_publishers_info_by_topic(resolved), me)
            self.heard.subscribers[topic] = _endpoints(self._node.get_subscriptions_info_by_topic(resolved), me)

    def read_parameters(self) -> None:
        """Ask the system's nodes which clock they use, and those that take the arm's commands for their settings."""
        asked: dict[str, Sequence[str]] = {
            name: ("use_sim_time",)
            for name in (full_name(name, self._namespace) for name in self._topics.nodes)
            if name in self.heard.nodes
        }
        for taker in self.heard.subscribers[self._topics.commands]:
            asked[taker.node] = (*asked.get(taker.node, ()), *self._topics.settings)
        for name, parameters in asked.items():
            self.heard.parameters[name] = self._ask(name, parameters)

    def close(self) -> None:
        """Leave the ROS domain."""
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()
        self._context.try_shutdown()

    def _subscribe_to_frames(self) -> None:
        """Subscribe to the camera's frames, and count those that the middleware misses, where it can count them."""
        picture = CompressedImage if self._topics.frames.endswith("/compressed") else Image
        take = partial(self._take, self.heard.frames)
        missed: list[int] = []
        counting = SubscriptionEventCallbacks(message_lost=lambda event: missed.append(event.total_count_change))
        try:
            self._node.create_subscription(picture, self._topics.frames, take, OBSERVATION, event_callbacks=counting)
            self.heard.frames.missed = missed
        except UnsupportedEventTypeError:
            self._node.create_subscription(picture, self._topics.frames, take, OBSERVATION)

    def _take(self, stream: Stream, message: Any) -> None:
        stamp = message.header.stamp
        stream.arrivals.append(time.monotonic())
        stream.last = message
        if len(stream.arrivals) == 1 or stream.arrivals[-1] > self._last_kept.get(id(stream), 0.0) + KEPT_EVERY:
            self._last_kept[id(stream)] = stream.arrivals[-1]
            stream.kept.append(message)
        if stamp.sec == stamp.nanosec == 0:
            stream.unstamped += 1
        else:
            stream.stamps.append(stamp_s(stamp))
            stream.ages.append(1e-9 * self._node.get_clock().now().nanoseconds - stamp.sec - 1e-9 * stamp.nanosec)

    def _take_joints(self, message: JointState, info: Any) -> None:
        self._take(self.heard.joints, message)
        form = JointMessage(tuple(message.name), len(message.position), bytes(publisher_of(info)))
        self.heard.joint_messages[form] += 1
        self.heard.joints.positions.update(zip(message.name, message.position, strict=False))

    def _take_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.heard.health[f"/{status.name.lstrip('/')}"] = (int.from_bytes(status.level), status.message)

    def _take_description(self, message: String) -> None:
        self.heard.description = message.data

    def _node_names(self) -> list[str]:
        return [full_name(name, namespace) for name, namespace in self._node.get_node_names_and_namespaces()]

    def _ask(self, name: str, wanted: Sequence[str]) -> dict[str, Any]:
        """Return those of the parameters that another node has and tells in time."""
        client: Any = self._node.create_client(GetParameters, f"{name}/get_parameters")
        try:
            if not client.wait_for_service(timeout_sec=PARAMETER_TIMEOUT):
                return {}
            answer = None
            for _ in range(3):  # an answer is lost where the node does not know yet where it goes
                future = client.call_async(GetParameters.Request(names=list(wanted)))
                self._executor.spin_until_future_complete(future, timeout_sec=PARAMETER_TIMEOUT)
                if future.done():
                    answer = future.result()
                    break
            values = [parameter_value_to_python(value) for value in answer.values] if answer else []
            return {name: value for name, value in zip(wanted, values, strict=False) if value is not None}
        finally:
            self._node.destroy_client(client)


def _endpoints(infos: Sequence[Any], me: str) -> list[Endpoint]:
    found = [
        Endpoint(
            full_name(info.node_name, info.node_namespace), info.topic_type, info.qos_profile, bytes(info.endpoint_gid)
        )
        for info in infos
    ]
    return [endpoint for endpoint in found if endpoint.node != me]
