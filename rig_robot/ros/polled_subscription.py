"""Subscribes to a topic that is looked at now and then: its messages do not wake the process up.

An executor of rclpy takes half a millisecond of CPU for each message, of which an arm sends hundreds a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSProfile

from rig_robot.ros.node import RigNode

LONGEST_WAIT = 1.0
"""Longest wait of a message that is believed [s]; the clock was set where it seems longer."""


class _NeverExecuted(CallbackGroup):
    """Keeps what is in it out of the executor's wait set."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


_NEVER = _NeverExecuted()


def _ignore(_: Any) -> None:
    pass


class PolledSubscription:
    """A subscription whose messages wait, as many as its QoS keeps, until they are polled.

    A publisher whose QoS does not fit is not reported: with Fast DDS, each message ends the wait for such an event.
    Every publisher fits a best-effort, volatile subscription.

    Args:
        node: The node.
        kind: The type of the messages.
        topic: The topic.
        qos: The QoS that is asked for.
        callback: Called with each message, in `poll`; not needed for `take`.
    """

    def __init__(
        self, node: RigNode, kind: type, topic: str, qos: QoSProfile, callback: Callable[[Any], None] = _ignore
    ) -> None:
        self._node, self._kind, self._callback = node, kind, callback
        self._subscription = node.subscribe(kind, topic, callback, qos, group=_NEVER)

    def poll(self) -> None:
        """Call back with each message that waits, the oldest first."""
        for message, _ in self.take():
            self._callback(message)

    def take(self) -> list[tuple[Any, float]]:
        """Return each message that waits and for how long it has waited [s], the oldest first.

        Where the middleware does not say when it received a message, that is 0.
        """
        handle = self._subscription.handle
        taken = []
        with handle:
            while (found := handle.take_message(self._kind, False)) is not None:
                taken.append(found)
        now = time.time_ns()
        return [(message, waited(info["received_timestamp"], now)) for message, info in taken]

    def close(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)


def waited(received: int, now: int) -> float:
    """Return how long a message has waited [s], from the system clock when it was received and now [ns].

    A clock that was set in between says nothing, so a wait is neither negative nor longer than `LONGEST_WAIT`.
    """
    return min(max(1e-9 * (now - received), 0.0), LONGEST_WAIT) if received else 0.0
