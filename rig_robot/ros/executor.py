"""Provides the executors of the nodes: one for a process of one node, and one for a process of several."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import EventHandler
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

PAUSE = 0.5
"""Time between two looks at QoS events [s]"""
LOOK = 16
"""Turns that a look lasts: a turn runs one callback, and those of events come last"""
PATIENCE = 1.0
"""Longest turn of rclpy's `EventsExecutor` [s]; without a limit its `spin_once` does not return"""

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


def make_executor(nodes: Sequence[Node]) -> tuple[Executor, Callable[[], None]]:
    """Return an executor with nodes added, and what runs one callback that is ready, or waits for one.

    At each turn, rclpy hands all that the nodes wait for to the middleware anew; for four nodes that costs about as
    much as all that they do. The middleware tells `EventsExecutor` what is ready instead. But that one knows no
    callback groups, hands a callback that takes message and info both as one argument, and works through messages in
    the order in which they come: while a topic was flooded, a service answered after 3.4 s. So it is not for the arm.
    """
    if len(nodes) > 1:
        with contextlib.suppress(ImportError):  # an older rclpy has none
            from rclpy.experimental import EventsExecutor

            events = EventsExecutor()
            return _with(events, nodes), lambda: events.spin_once(PATIENCE)
    executor = _with(NodeExecutor(), nodes)
    return executor, executor.spin_once


def _with(executor: Executor, nodes: Sequence[Node]) -> Executor:
    for node in nodes:
        executor.add_node(node)
    return executor
