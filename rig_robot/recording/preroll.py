"""What came just before an episode began: its first twist rests on a frame that was there before it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from rig_robot.recording.topics import CAMERA, TWIST, Topic

SPAN = 1_000_000_000
"""How far back it reaches [ns]."""


class Heard(NamedTuple):
    """A message as it came."""

    role: str
    data: bytes
    log_ns: int
    """ROS time at which it was published [ns]"""
    publish_ns: int
    """system time at which it was published [ns]"""

    def not_before(self, first_ns: int) -> Heard:
        """The same, as if it had come then at the earliest: what was said an hour ago and still holds is no hour."""
        return self._replace(log_ns=max(self.log_ns, first_ns))


class Preroll:
    """Keeps the last second of the small topics, and the last message of the latched ones."""

    def __init__(self) -> None:
        self._recent: deque[Heard] = deque()
        self._latched: dict[str, Heard] = {}

    def keep(self, topic: Topic, heard: Heard) -> None:
        """Keep a message; camera pictures are too large for that."""
        if topic.manner == "latched":
            self._latched[topic.role] = heard
        elif topic.role != CAMERA:
            self._recent.append(heard)
            while abs(heard.log_ns - self._recent[0].log_ns) > SPAN:
                self._recent.popleft()

    def beginning(self, since_ns: int) -> list[Heard]:
        """What an episode begins with, in the order of time.

        Args:
            since_ns: System time at which it began [ns]: older twists were an earlier episode's.
        """
        recent = [heard for heard in self._recent if heard.role != TWIST or heard.publish_ns >= since_ns]
        if not recent:
            return []
        first = min(heard.log_ns for heard in recent)
        latched = [heard.not_before(first) for heard in self._latched.values()]
        return sorted([*latched, *recent], key=lambda heard: heard.log_ns)
