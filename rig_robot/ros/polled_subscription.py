"""Subscribes to a topic that is looked at now and then: its messages do not wake the process up.

An executor of rclpy takes half a millisecond of CPU for each message, of which an arm sends hundreds a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSProfile

from rig_robot.ros.node import RigNode


class _NeverExecuted(CallbackGroup):
    """Keeps what is in it out of the executor's wait set."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


_NEVER = _NeverExecuted()


class PolledSubscription:
    """A subscription whose messages wait, as many as its QoS keeps, until they are polled.

    A publisher whose QoS does not fit is not reported: with Fast DDS, each message ends the wait for such an event.
    Every publisher fits a best-effort, volatile subscription.

    Args:
        node: The node.
        kind: The type of the messages.
        topic: The topic.
        callback: Called with each message, in `poll`.
        qos: The QoS that is asked for.
    """

    def __init__(self, node: RigNode, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        self._node, self._kind, self._callback = node, kind, callback
        self._subscription = node.subscribe(kind, topic, callback, qos, group=_NEVER)

    def poll(self) -> None:
        """Call back with each message that waits, the oldest first."""
        handle = self._subscription.handle
        messages = []
        with handle:
            while (taken := handle.take_message(self._kind, False)) is not None:
                messages.append(taken[0])
        for message in messages:
            self._callback(message)

    def close(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)
