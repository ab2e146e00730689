"""Asks other nodes for their parameters, and asks again now and then: they may have been started anew with others."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python

from rig_robot.ros.node import RigNode

LOOK = 0.5
"""Time between two looks whether a node is there [s]."""
AGAIN = 10.0
"""Time after which a node that has answered is asked again [s]."""
LOST = 2.0
"""Time after which an answer counts as lost [s]."""


class ParameterReader:
    """Keeps other nodes' parameters.

    Args:
        node: The node that asks.
        wanted: For each node, the names of the parameters that are wanted.
        changed: Called with a node and its parameters when they are known, or have changed.
    """

    def __init__(
        self,
        node: RigNode,
        wanted: Mapping[str, Sequence[str]],
        changed: Callable[[str, dict[str, object]], None],
    ) -> None:
        self._wanted, self._changed = wanted, changed
        self._clients: dict[str, Any] = {
            name: node.create_client(GetParameters, f"{name}/get_parameters") for name in wanted
        }
        self._known: dict[str, dict[str, object]] = {}
        self._next = dict.fromkeys(wanted, 0.0)
        node.every(LOOK, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for name, client in self._clients.items():
            if now >= self._next[name] and client.service_is_ready():
                self._next[name] = now + LOST
                future = client.call_async(GetParameters.Request(names=list(self._wanted[name])))
                future.add_done_callback(functools.partial(self._take, name))

    def _take(self, name: str, done: Any) -> None:
        answer = done.result()
        if answer is None or len(answer.values) != len(self._wanted[name]):
            return
        self._next[name] = time.monotonic() + AGAIN
        found = {
            key: _plain(parameter_value_to_python(value))
            for key, value in zip(self._wanted[name], answer.values, strict=True)
        }
        if self._known.get(name) != found:
            self._known[name] = found
            self._changed(name, found)


def _plain(value: object) -> object:
    """Return a parameter's value with lists for arrays, so that two can be compared."""
    return value if isinstance(value, (str, bytes, bool, int, float, type(None))) else list(value)  # type: ignore[call-overload]
