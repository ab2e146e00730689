"""Writes an episode as a rosbag2 directory with one MCAP file, which appears only when it is whole.

While it is open, the directory is `.NAME.recording`; at the end it is renamed to `NAME`. `sync`, called every second,
closes a chunk of the file and waits for the disk: whatever is killed later, synced chunks can be read again
(`recovery.py`).
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
"""MCAP metadata record at the beginning of the file; it describes the episode where that is never closed."""
ROSBAG2, SERIALIZED = "rosbag2", "serialized_metadata"
QOS, TYPE_HASH = "offered_qos_profiles", "topic_type_hash"
"""Entries of a channel that `ros2 bag` reads."""
_CHUNK = 1024 * 1024
"""Size at which a chunk is closed, if a second has not passed before [bytes]."""


def open_name(name: str) -> str:
    """Return the name of an episode's directory while it is recorded."""
    return f".{name}.recording"


class EpisodeWriter:
    """An episode that is being recorded.

    Args:
        root: Folder of the episodes.
        name: Name of the episode's directory, without a path; it must not exist yet.
        topics: The recorded topics, with their full names.
        custom: Entries for the metadata as they are known at the beginning, all text.
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
        """number of messages so far, by role"""
        self._first, self._last = 2**63 - 1, 0
        sync_directory(self._directory)
        sync_directory(root)

    def _schema(self, kind: str) -> int:
        return self._writer.register_schema(kind, "ros2msg", bag.definition(kind).text.encode())

    def write(self, role: str, data: bytes, log_ns: int, publish_ns: int) -> None:
        """Write a message.

        Args:
            role: Role of its topic.
            data: The message as it travelled (CDR).
            log_ns: ROS time at which it arrived [ns].
            publish_ns: System time at which it was published [ns].
        """
        self._writer.add_message(self._channels[role], log_ns, data, publish_ns)
        self.messages[role] += 1
        self._first, self._last = min(self._first, log_ns), max(self._last, log_ns)

    def sync(self) -> None:
        """Close the chunk and wait until it is on the disk."""
        self._writer.flush()
        os.fsync(self._file.fileno())

    def close(self, custom: Mapping[str, str]) -> Path:
        """Complete the file, then rename the directory; return the new path.

        Args:
            custom: Entries for the metadata as they are known now; they replace those from the beginning.
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
        """Close the file as it is, for `recovery.py` to complete."""
        self._file.close()


def publish(directory: Path, target: Path, content: dict[str, object]) -> Path:
    """Write the metadata beside a complete MCAP file, and rename the directory to the episode's name."""
    bag.write_metadata(directory, content)
    sync_directory(directory)
    directory.rename(target)
    sync_directory(target.parent)
    return target
