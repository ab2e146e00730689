"""Makes the metadata that turn a directory with an MCAP file into a rosbag2: version 9, that of Jazzy and Kilted.

`ros2 bag` needs the text of `metadata.yaml` inside the file as well (record `rosbag2`). Without it, `ros2 bag` takes
the file for an older version, whose QoS were numbers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rosbags.typesys import Stores, get_typestore

from rig_robot.common.durable_files import write_synced
from rig_robot.recording.topics import Manner

METADATA_FILE = "metadata.yaml"
INFORMATION = "rosbag2_bagfile_information"
_VERSION = 9
_FOREVER = {"sec": 9223372036, "nsec": 854775807}

_QOS: dict[Manner, tuple[int, str, str]] = {
    "stream": (2, "best_effort", "volatile"),
    "state": (5, "best_effort", "volatile"),
    "command": (1, "reliable", "volatile"),
    "latched": (1, "reliable", "transient_local"),
}
"""Depth, reliability and durability with which `ros2 bag play` publishes a topic."""


class Channel(NamedTuple):
    """A topic in the bag's metadata."""

    topic: str
    type: str
    type_hash: str
    qos: list[dict[str, Any]]
    messages: int


class Definition(NamedTuple):
    """A message type's definition, so that a bag can be read where the type is not known."""

    text: str
    """the .msg file, followed by the files of the types that it uses"""
    hash: str
    """RIHS01"""


@functools.cache
def types() -> Any:
    """Return ROS 2's own message types, as a rosbags typestore."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.cache
def definition(kind: str) -> Definition:
    """Return the definition of a message type such as `sensor_msgs/msg/Image`."""
    return Definition(types().generate_msgdef(kind, ros_version=2)[0], types().hash_rihs01(kind))


def qos(manner: Manner) -> list[dict[str, Any]]:
    """Return the QoS profile of a manner in the form of the metadata."""
    depth, reliability, durability = _QOS[manner]
    return [
        {
            "history": "keep_last",
            "depth": depth,
            "reliability": reliability,
            "durability": durability,
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }
    ]


def information(
    file: str, channels: Sequence[Channel], span: tuple[int, int], custom: Mapping[str, str]
) -> dict[str, Any]:
    """Return the content of `metadata.yaml`.

    Args:
        file: Name of the MCAP file.
        channels: The topics.
        span: Times of the first and the last message [ns].
        custom: This stack's own entries, all text.
    """
    start, end = span
    count = sum(channel.messages for channel in channels)
    times = {"starting_time": {"nanoseconds_since_epoch": start}, "duration": {"nanoseconds": end - start}}
    return {
        "version": _VERSION,
        "storage_identifier": "mcap",
        **times,
        "message_count": count,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": channel.topic,
                    "type": channel.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": channel.qos,
                    "type_description_hash": channel.type_hash,
                },
                "message_count": channel.messages,
            }
            for channel in channels
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file],
        "files": [{"path": file, **times, "message_count": count}],
        "custom_data": dict(custom),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }


def dump(content: Any) -> str:
    """Return YAML text without anchors, which some readers do not support."""
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, width=2**31)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_metadata(directory: Path, content: dict[str, Any]) -> None:
    """Write `metadata.yaml` and wait until it is on the disk."""
    write_synced(directory / METADATA_FILE, dump({INFORMATION: content}).encode())
