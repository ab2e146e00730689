"""Who is behind a message or a call: names of nodes, from the ROS graph."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node


def publisher_of(info: Any) -> bytes:
    """Return what tells a message's publisher from others, by rclpy's message info; empty where it does not say."""
    return (info.get("publisher_gid") or {}).get("data", b"")


UNNAMED = "a node that has not told its name"
"""What stands for a node whose publisher is known before its name is: discovery tells them one after the other."""


def publishers(node: Node, topic: str, publisher: bytes = b"") -> str:
    """Return the name of the node that a publisher belongs to, or of all that publish where it is not known."""
    names = {
        UNNAMED if "_UNKNOWN_" in other.node_name else _full(other.node_name, other.node_namespace)
        for other in node.get_publishers_info_by_topic(topic)
        if publisher in (b"", bytes(other.endpoint_gid)[: len(publisher)])
    }
    return " or ".join(sorted(names)) or "a publisher that is gone already"


def callers(node: Node, service: str) -> str:
    """Return the names of the nodes that may have called a service: those that have a client of it."""
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
    """Notices that a topic's messages come from two publishers in turn, by what `publisher_of` tells.

    One after the other is no mixture: a node that was started again, or another program that took over.

    Args:
        patience: Time within which a publisher must be heard before and after another one [s].
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._heard: dict[bytes, float] = {}

    def mix(self, publisher: bytes, steady: float) -> bool:
        """Take that a publisher was heard at a time [s, steady clock]; return whether another one was in between."""
        self._heard = {who: at for who, at in self._heard.items() if steady - at < self._patience}
        before = self._heard.get(publisher)
        self._heard[publisher] = steady
        return before is not None and any(at >= before for who, at in self._heard.items() if who != publisher)
