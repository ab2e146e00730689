"""Writing an episode: a rosbag2 directory with one MCAP file, whole or not there.

While it is open it is `.NAME.recording`; `NAME` appears by rename. Chunks are closed and synced when `sync` is called,
every second: whatever is killed later, what was synced can be read again (`recovery.py`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcap.writer import CompressionType, Writer

from rig_robot.common.durable_files import sync_directory
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.topics import Topic

CUSTOM = "rig_robot"
"""MCAP metadata record at the beginning of the file: what the episode is, should it never be closed."""
ROSBAG2, SERIALIZED = "rosbag2", "serialized_metadata"
QOS, TYPE_HASH = "offered_qos_profiles", "topic_type_hash"
"""Entries of a channel that `ros2 bag` reads."""
_CHUNK = 1024 * 1024
"""A chunk is closed at this size, or every second."""


def open_name(name: str) -> str:
    """Return the name of an episode's directory while it is recorded."""
    return f".{name}.recording"


class EpisodeWriter:
    """An episode that is being recorded.

    Args:
        root: Folder of the episodes.
        name: Name of the episode's directory, a plain one; none such may be there yet.
        topics: What it holds; their names are now full ones.
        custom: What is known of it at its beginning, all text.
    """

    def __init__(self, root: Path, name: str, topics: Sequence[Topic], custom: Mapping[str, str]) -> None:
        self.root, self.name = root, name
        self._directory = root / open_name(name)
        if (root / name).exists():
            raise FileExistsError(f"{root / name} exists already")
        self._directory.mkdir()
        self._file_name = f"{name}_0.mcap"
        self._file = (self._directory / self._file_name).open("xb")
        # No compression: of camera pictures it takes more time than it saves, and JPEG files do not shrink.
        self._writer = Writer(self._file, chunk_size=_CHUNK, compression=CompressionType.NONE)
        self._writer.start(profile="ros2", library="rig_robot")
        self._writer.add_metadata(CUSTOM, dict(custom))
        self._topics = list(topics)
        self._channels = {}
        schemas = {kind: self._schema(kind) for kind in dict.fromkeys(topic.type for topic in topics)}
        for topic in topics:
            about = {QOS: bag.dump(bag.qos(topic.manner)), TYPE_HASH: bag.definition(topic.type).hash}
            self._channels[topic.role] = self._writer.register_channel(topic.name, "cdr", schemas[topic.type], about)
        self.messages: Counter[str] = Counter()
        """so far, by role"""
        self._first, self._last = 2**63 - 1, 0
        sync_directory(self._directory)
        sync_directory(root)

    def _schema(self, kind: str) -> int:
        return self._writer.register_schema(kind, "ros2msg", bag.definition(kind).text.encode())

    def write(self, role: str, data: bytes, log_ns: int, publish_ns: int) -> None:
        """Take in a message.

        Args:
            role: Which topic it came on.
            data: The message as it travelled (CDR).
            log_ns: When it came, ROS time [ns].
            publish_ns: When it was published, system time [ns].
        """
        self._writer.add_message(self._channels[role], log_ns, data, publish_ns)
        self.messages[role] += 1
        self._first, self._last = min(self._first, log_ns), max(self._last, log_ns)

    def sync(self) -> None:
        """Close the chunk and wait until the disk has it."""
        self._writer.flush()
        os.fsync(self._file.fileno())

    def close(self, custom: Mapping[str, str]) -> Path:
        """Make it whole: complete the file, then rename the directory.

        Args:
            custom: All that is known of it now, in place of what was known at its beginning.
        """
        channels = [
            bag.Channel(
                topic.name,
                topic.type,
                bag.definition(topic.type).hash,
                bag.qos(topic.manner),
                self.messages[topic.role],
            )
            for topic in self._topics
        ]
        span = (self._first, self._last) if self.messages else (0, 0)
        content = bag.information(self._file_name, channels, span, custom)
        self._writer.flush()
        self._writer.add_metadata(ROSBAG2, {SERIALIZED: bag.dump(content)})
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return publish(self._directory, self.root / self.name, content)

    def abandon(self) -> None:
        """Let go of the file as it is, for recovery to find."""
        self._file.close()


def publish(directory: Path, target: Path, content: dict[str, object]) -> Path:
    """Let a directory with a complete MCAP file appear as an episode."""
    bag.write_metadata(directory, content)
    sync_directory(directory)
    directory.rename(target)
    sync_directory(target.parent)
    return target
