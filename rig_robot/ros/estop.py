"""Receives emergency stops from any publisher, whatever its QoS, each once, and finds the name of who gave it.

A subscription that asks for more than a publisher offers receives nothing of it, and both sides warn of that. So the
two lasting subscriptions ask for little. A third one asks for messages from before it existed (transient local); it
lasts only while a latched publisher is new, since with an ordinary publisher it would cause a false warning.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from rig_robot.ros.graph import UNNAMED, publisher_of, publishers
from rig_robot.ros.qos import COMMAND, LATCHED

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LOOK_EVERY = 0.1
"""Time between two looks for new publishers [s]."""
NAMED_WITHIN = 2.0
"""Longest wait for the name of the node that stopped the arm [s]; the stop itself does not wait."""
CATCH_UP = 30.0
"""Time that a latched publisher gets to deliver its earlier message [s]; DDS retries every 3 s."""


class EstopTopic:
    """Calls back at every emergency stop on a topic.

    Args:
        node: The node that listens; it must call `look`.
        topic: A topic of `std_msgs/Bool`; True stops, False is ignored.
        stop: Called at once, with the topic.
        told: Called once afterwards, with the name of the node that stopped, as soon as that is known.
    """

    def __init__(self, node: Node, topic: str, stop: Callable[[str], None], told: Callable[[str], None]) -> None:
        self._node, self._topic, self._stop, self._told = node, topic, stop, told
        self._unnamed: list[
            tuple[bytes, float]
        ] = []  # publishers, and how long their names are awaited [s, steady clock]
        self._seen: deque[tuple[int, bytes]] = deque(maxlen=100)
        self._latched: set[bytes] = set()
        self._catching_up: Any = None
        self._until = 0.0
        self._subscribe(COMMAND)
        self._subscribe(BEST_EFFORT)

    def look(self) -> None:
        """Ask each new latched publisher for its earlier message; to be called every `LOOK_EVERY` seconds."""
        waiting, self._unnamed = self._unnamed, []
        for publisher, until in waiting:
            self._tell(publisher, until)
        latched = {
            bytes(publisher.endpoint_gid)
            for publisher in self._node.get_publishers_info_by_topic(self._topic)
            if publisher.qos_profile.durability is not DurabilityPolicy.VOLATILE
            and publisher.qos_profile.reliability is not ReliabilityPolicy.BEST_EFFORT  # those keep no earlier message
        }
        if latched - self._latched:
            self._until = time.monotonic() + CATCH_UP
            if self._catching_up is None:
                self._catching_up = self._subscribe(LATCHED)
        self._latched = latched
        if self._catching_up is not None and time.monotonic() > self._until:
            # A publisher that is not connected by now is waited for: no earlier stop may be lost here.
            if self._catching_up.get_publisher_count() < len(latched):
                return
            handle = self._catching_up.handle
            with handle:
                while (taken := handle.take_message(Bool, False)) is not None:
                    self._take(*taken)
            self._node.destroy_subscription(self._catching_up)
            self._catching_up = None

    def _subscribe(self, qos: QoSProfile) -> Any:
        # A publisher that does not fit this subscription fits another one, so no warning is due.
        silent = SubscriptionEventCallbacks(incompatible_qos=lambda _: None)
        return self._node.create_subscription(Bool, self._topic, self._take, qos, event_callbacks=silent)

    def _take(self, message: Bool, info: Any) -> None:
        if not message.data:
            return
        publisher = publisher_of(info)
        sample = (info["source_timestamp"], publisher)
        if sample in self._seen and info["source_timestamp"]:  # messages without a stamp cannot be recognised
            return
        self._seen.append(sample)
        self._stop(self._topic)  # the name is looked up afterwards
        self._tell(publisher, time.monotonic() + NAMED_WITHIN)

    def _tell(self, publisher: bytes, until: float) -> None:
        """Report who stopped, or wait for the name until a time [s, steady clock]."""
        who = publishers(self._node, self._topic, publisher)
        if UNNAMED in who and time.monotonic() < until:
            self._unnamed.append((publisher, until))
        else:
            self._told(f"{self._topic} from {who}")
