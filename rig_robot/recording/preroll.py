"""Keeps the messages from just before an episode began: its first twist rests on an earlier frame."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from rig_robot.recording.topics import CAMERA, TWIST, Topic

SPAN = 1_000_000_000
"""Time span before the episode that is kept [ns]."""


class Received(NamedTuple):
    """A message as it arrived."""

    role: str
    data: bytes
    log_ns: int
    """ROS time at which it was published [ns]"""
    publish_ns: int
    """system time at which it was published [ns]"""

    def not_before(self, first_ns: int) -> Received:
        """Return the message with a time that is not before another: a latched one may be an hour older."""
        return self._replace(log_ns=max(self.log_ns, first_ns))


class Preroll:
    """Keeps the last second of the small topics, and the last message of the latched ones."""

    def __init__(self) -> None:
        self._recent: deque[Received] = deque()
        self._latched: dict[str, Received] = {}

    def keep(self, topic: Topic, message: Received) -> None:
        """Keep a message, unless it is a camera picture, which is too large."""
        if topic.manner == "latched":
            self._latched[topic.role] = message
        elif topic.role != CAMERA:
            self._recent.append(message)
            while abs(message.log_ns - self._recent[0].log_ns) > SPAN:
                self._recent.popleft()

    def beginning(self, since_ns: int) -> list[Received]:
        """Return the messages that an episode begins with, in the order of time.

        Args:
            since_ns: System time at which it began [ns]: older twists belong to an earlier episode.
        """
        recent = [kept for kept in self._recent if kept.role != TWIST or kept.publish_ns >= since_ns]
        if not recent:
            return []
        first = min(kept.log_ns for kept in recent)
        latched = [kept.not_before(first) for kept in self._latched.values()]
        return sorted([*latched, *recent], key=lambda kept: kept.log_ns)
