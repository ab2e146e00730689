"""Finds the names of the nodes behind messages and service calls, from the ROS graph."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node


def publisher_of(info: Any) -> bytes:
    """Return the identity of a message's publisher from rclpy's message info; empty where that has none."""
    return (info.get("publisher_gid") or {}).get("data", b"")


UNNAMED = "a node that has not told its name"
"""Stands for a node whose name is not known yet: discovery finds the publisher first, the name afterwards."""


def publishers(node: Node, topic: str, publisher: bytes = b"") -> str:
    """Return the name of a publisher's node; where the publisher is not known, the names of all that publish."""
    names = {
        UNNAMED if "_UNKNOWN_" in other.node_name else _full(other.node_name, other.node_namespace)
        for other in node.get_publishers_info_by_topic(topic)
        if publisher in (b"", bytes(other.endpoint_gid)[: len(publisher)])
    }
    return " or ".join(sorted(names)) or "a publisher that is gone already"


def callers(node: Node, service: str) -> str:
    """Return the names of the nodes that may have called a service: those with a client of it."""
    found = set()
    for name, namespace in node.get_node_names_and_namespaces():
        try:
            clients = node.get_client_names_and_types_by_node(name, namespace)
        except RuntimeError:  # that node has just gone
            continue
        if any(client == service for client, _ in clients):
            found.add(_full(name, namespace))
    return " or ".join(sorted(found)) or "a node that is gone already"


def _full(name: str, namespace: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"


class TwoSources:
    """Notices two publishers whose messages alternate on one topic; `publisher_of` identifies them.

    One publisher after the other does not count: a node was restarted, or another program took over.

    Args:
        patience: Time within which a publisher must be heard both before and after another one [s].
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._heard: dict[bytes, float] = {}

    def mix(self, publisher: bytes, steady: float) -> bool:
        """Note a publisher's message at a time [s, steady clock]; return whether another's came in between."""
        self._heard = {who: at for who, at in self._heard.items() if steady - at < self._patience}
        before = self._heard.get(publisher)
        self._heard[publisher] = steady
        return before is not None and any(at >= before for who, at in self._heard.items() if who != publisher)
