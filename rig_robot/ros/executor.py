"""Provides the executor of the nodes: rclpy's, with half of what it waits for left out most of the time."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import EventHandler
from rclpy.executors import SingleThreadedExecutor

PAUSE = 0.5
"""Time between two looks at QoS events [s]"""
LOOK = 16
"""Turns that a look lasts: a turn runs one callback, and those of events come last"""


SELDOM = ReentrantCallbackGroup()
"""Callback group of services that are called seldom: at most turns, the executor does not wait for them"""


class NodeExecutor(SingleThreadedExecutor):
    """An executor that looks at QoS events and at what is in `SELDOM` twice a second, and at all else at every turn.

    Each publisher and subscription has two or three kinds of events (incompatible QoS, messages lost), and rclpy hands
    everything that it waits for to the middleware anew at every turn. An event stays until it is taken, so it only
    comes later. Its reader is /diagnostics, which a node publishes once a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._looks_until, self._next_look = LOOK, 0.0
        self._turns = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback that is ready, or wait for one for so long [s]."""
        self._turns += 1
        if self._turns > self._looks_until:
            now = time.monotonic()
            if self._next_look == 0.0:
                self._next_look = now + PAUSE
            elif now >= self._next_look:
                self._looks_until, self._next_look = self._turns + LOOK, 0.0
        super().spin_once(timeout_sec)

    def can_execute(self, entity: Any) -> bool:
        """Return whether an entity takes part in this turn."""
        seldom = isinstance(entity, EventHandler) or getattr(entity, "callback_group", None) is SELDOM
        if seldom and self._turns > self._looks_until:
            return False
        return super().can_execute(entity)
