"""Hands messages from node to node within one process, in memory: no middleware lies between those nodes.

rclpy has no such way of its own. A message is handed on as the object that it is: nobody may change one that has been
published. It goes out through the middleware as well, wherever a node of another process listens. This process's own
subscriptions must not hear it from there a second time: the DDS profile of a composed process has Fast DDS ignore what
is of the same participant (`config/dds/composed.xml`). Nodes of other processes are heard as ever.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.task import Future

from rig_robot.bringup.environment import dds_profile, hears_only_others


class _Inbox:
    """A subscription's messages that wait to be delivered; as in DDS, the newest ones where there are too many."""

    def __init__(self, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        self._callback, self.qos = callback, qos
        self._waiting: deque[Any] = deque(maxlen=_depth(qos))

    def put(self, message: Any) -> None:
        self._waiting.append(message)

    def drop(self) -> None:
        self._waiting.clear()

    def deliver(self) -> None:
        """Call back with the oldest message, unless a newer one has replaced it."""
        if self._waiting:
            self._callback(self._waiting.popleft())


class InProcess:
    """Connects publishers, subscriptions and services of the nodes of one process, by their full names.

    What is published waits until `deliver`, which the thread that spins the nodes calls after each callback: so no
    callback runs within another one, in whichever thread a message is published.
    """

    def __init__(self) -> None:
        self.wake: Callable[[], object] = lambda: None
        """Has the spinning thread call `deliver` soon; called when another thread publishes"""
        self._spinning = threading.get_ident()
        self._due: deque[Callable[[], None]] = deque()
        self._latched: dict[str, list[deque[Any]]] = {}
        self._publishers: dict[str, list[QoSProfile]] = {}
        self._inboxes: dict[str, dict[Any, _Inbox]] = {}
        self._services: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {}

    def add_publisher(self, publisher: Any) -> None:
        """Connect a publisher; a latched one keeps its last messages for subscriptions that come later.

        Raises:
            ValueError: If its QoS does not fit a subscription of this process.
        """
        topic, qos = publisher.topic_name, publisher.qos_profile
        for inbox in self._inboxes.get(topic, {}).values():
            _require_fit(topic, qos, inbox.qos)
        self._publishers.setdefault(topic, []).append(qos)
        if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            publisher.latched = deque(maxlen=_depth(qos))
            self._latched.setdefault(topic, []).append(publisher.latched)

    def add_subscription(self, subscription: Any, callback: Callable[[Any], None]) -> None:
        """Connect a subscription; a latched one gets what has been latched before.

        Args:
            subscription: The subscription.
            callback: Takes a message alone: in memory none comes with the middleware's information.

        Raises:
            ValueError: If its QoS does not fit a publisher of this process.
        """
        topic, qos = subscription.topic_name, subscription.qos_profile
        for other in self._publishers.get(topic, []):
            _require_fit(topic, other, qos)
        self._inboxes.setdefault(topic, {})[subscription] = inbox = _Inbox(callback, qos)
        if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            for latched in self._latched.get(topic, []):
                for message in latched:
                    self._put(inbox, message)

    def remove_subscription(self, subscription: Any) -> None:
        """Disconnect a subscription that is destroyed; what waits for it is dropped."""
        inbox = self._inboxes.get(subscription.topic_name, {}).pop(subscription, None)
        if inbox is not None:
            inbox.drop()

    def hand_on(self, publisher: InProcessPublisher, message: Any) -> bool:
        """Give a message to all subscriptions of this process, and return whether there are any."""
        if publisher.latched is not None:
            publisher.latched.append(message)
        inboxes = list(self._inboxes.get(publisher.topic_name, {}).values())
        for inbox in inboxes:
            self._put(inbox, message)
        return bool(inboxes)

    def add_service(self, name: str, response: Any, callback: Callable[[Any, Any], Any]) -> None:
        """Let clients of this process call a service; `response` makes an empty response."""
        self._services[name] = response, callback

    def call(self, name: str, request: Any) -> Future | None:
        """Call a service of this process, once the present callback has returned; None where it has none such."""
        if name not in self._services:
            return None
        response, callback = self._services[name]
        future: Future = Future()
        self._later(lambda: future.set_result(callback(request, response())))
        return future

    def deliver(self) -> None:
        """Deliver all that waits, and what is published meanwhile."""
        while self._due:
            self._due.popleft()()

    def _put(self, inbox: _Inbox, message: Any) -> None:
        inbox.put(message)
        self._later(inbox.deliver)

    def _later(self, act: Callable[[], None]) -> None:
        self._due.append(act)
        if threading.get_ident() != self._spinning:
            self.wake()


def prepare_process() -> InProcess | None:
    """Return what connects the nodes of this process in memory; None where the middleware would bring the same again.

    To be called before ROS starts: it sets the DDS profile where nobody has.
    """
    os.environ.update(dds_profile("composed_camera", os.environ))
    return InProcess() if hears_only_others(os.environ) else None


class InProcessPublisher(Publisher):
    """Publishes to the subscriptions of this process, and through the middleware where anybody else may listen."""

    latched: deque[Any] | None = None
    """The last messages, of a latched publisher"""

    def publish(self, msg: Any) -> None:
        assert InProcessNode.shared is not None
        handed_on = InProcessNode.shared.hand_on(self, msg)
        # A message that nobody else can hear is not even serialised. A latched one may be asked for later.
        if not handed_on or self.latched is not None or self.get_subscription_count():
            super().publish(msg)


class InProcessNode(Node):
    """A node that may share its process with others. `run` sets what they have in common before it makes them."""

    shared: ClassVar[InProcess | None] = None
    """Connects the nodes of this process in memory; None: only the middleware does"""
    arguments: ClassVar[Mapping[str, Sequence[str]]] = {}
    """ROS arguments that are for one node only, by its name"""

    def __init__(self, name: str) -> None:
        super().__init__(name, cli_args=list(self.arguments.get(name, ())))

    def create_publisher(self, *args: Any, **options: Any) -> Any:
        if self.shared is None:
            return super().create_publisher(*args, **options)
        publisher = super().create_publisher(*args, **options, publisher_class=InProcessPublisher)
        self.shared.add_publisher(publisher)
        return publisher

    def create_subscription(self, msg_type: Any, topic: str, callback: Any, *args: Any, **options: Any) -> Any:
        subscription = super().create_subscription(msg_type, topic, callback, *args, **options)
        if self.shared is not None:
            self.shared.add_subscription(subscription, callback)
        return subscription

    def destroy_subscription(self, subscription: Any) -> bool:
        if self.shared is not None:
            self.shared.remove_subscription(subscription)
        return super().destroy_subscription(subscription)

    def create_service(self, srv_type: Any, srv_name: str, callback: Any, **options: Any) -> Any:
        if self.shared is not None:
            self.shared.add_service(self.resolve_service_name(srv_name), srv_type.Response, callback)
        return super().create_service(srv_type, srv_name, callback, **options)

    def call(self, client: Any, request: Any) -> Future:
        """Call a service, in memory where it is one of this process; return the future response."""
        answer = (
            self.shared.call(self.resolve_service_name(client.srv_name), request) if self.shared is not None else None
        )
        return answer if answer is not None else client.call_async(request)


def _depth(qos: QoSProfile) -> int | None:
    """Return how many messages a queue holds; None: all."""
    return None if qos.history == HistoryPolicy.KEEP_ALL else max(1, qos.depth)


def _require_fit(topic: str, published: QoSProfile, asked: QoSProfile) -> None:
    """Refuse what the middleware would not connect either.

    Raises:
        ValueError: Names the topic, and what does not fit.
    """
    fits, why = qos_check_compatible(published, asked)
    if fits == QoSCompatibility.ERROR:
        raise ValueError(f"qos_overrides of {topic}: its publisher does not fit its subscription: {why.strip()}")
