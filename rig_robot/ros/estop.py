"""Hears the emergency stop of any publisher, whatever its QoS, once, and tells who gave it.

A subscription that asks for what a publisher does not offer hears nothing of it, and both sides warn of that. So the
two that always listen ask for little. One that asks for what was published before it was there (transient local)
exists only while a latched publisher is new: with an ordinary publisher, it would give a false warning.
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
"""Time that a node which stops the arm gets to be known by its name [s]; the stop itself does not wait."""
CATCH_UP = 30.0
"""Time that a latched publisher gets to hand over what it said before [s]; DDS tries again every 3 s."""


class EstopTopic:
    """Calls back at every emergency stop on a topic.

    Args:
        node: The node that listens; it looks for new publishers by `look`.
        topic: A topic of `std_msgs/Bool`; True stops, False is ignored.
        stop: Called at once, with the topic.
        told: Called after it, once: with who stopped, as soon as the name is known.
    """

    def __init__(self, node: Node, topic: str, stop: Callable[[str], None], told: Callable[[str], None]) -> None:
        self._node, self._topic, self._stop, self._told = node, topic, stop, told
        self._unnamed: list[tuple[bytes, float]] = []  # publishers, and until when their name is waited for [s]
        self._seen: deque[tuple[int, bytes]] = deque(maxlen=100)
        self._latched: set[bytes] = set()
        self._catching_up: Any = None
        self._until = 0.0
        self._subscribe(COMMAND)
        self._subscribe(BEST_EFFORT)

    def look(self) -> None:
        """Ask each new latched publisher for what it has said already; to be called every `LOOK_EVERY` seconds."""
        waiting, self._unnamed = self._unnamed, []
        for publisher, until in waiting:
            self._tell(publisher, until)
        latched = {
            bytes(publisher.endpoint_gid)
            for publisher in self._node.get_publishers_info_by_topic(self._topic)
            if publisher.qos_profile.durability is not DurabilityPolicy.VOLATILE
            and publisher.qos_profile.reliability is not ReliabilityPolicy.BEST_EFFORT  # those keep nothing for us
        }
        if latched - self._latched:
            self._until = time.monotonic() + CATCH_UP
            if self._catching_up is None:
                self._catching_up = self._subscribe(LATCHED)
        self._latched = latched
        if self._catching_up is not None and time.monotonic() > self._until:
            # One that has not been met by now is waited for; none of them may have said anything that is lost here.
            if self._catching_up.get_publisher_count() < len(latched):
                return
            handle = self._catching_up.handle
            with handle:
                while (taken := handle.take_message(Bool, False)) is not None:
                    self._take(*taken)
            self._node.destroy_subscription(self._catching_up)
            self._catching_up = None

    def _subscribe(self, qos: QoSProfile) -> Any:
        # Some other subscription hears the publisher that does not fit this one.
        silent = SubscriptionEventCallbacks(incompatible_qos=lambda _: None)
        return self._node.create_subscription(Bool, self._topic, self._take, qos, event_callbacks=silent)

    def _take(self, message: Bool, info: Any) -> None:
        if not message.data:
            return
        publisher = publisher_of(info)
        sample = (info["source_timestamp"], publisher)
        if sample in self._seen and info["source_timestamp"]:  # without a stamp, none is known to be the same
            return
        self._seen.append(sample)
        self._stop(self._topic)  # who gave it is found out afterwards
        self._tell(publisher, time.monotonic() + NAMED_WITHIN)

    def _tell(self, publisher: bytes, until: float) -> None:
        """Tell who stopped, or wait for its name until a time [s, steady clock]."""
        who = publishers(self._node, self._topic, publisher)
        if UNNAMED in who and time.monotonic() < until:
            self._unnamed.append((publisher, until))
        else:
            self._told(f"{self._topic} from {who}")
