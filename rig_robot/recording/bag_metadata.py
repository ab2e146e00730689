"""Reads the `metadata.yaml` of a bag, for the readers of episodes and of other programs' bags.

Any program may have written it, or a person changed it. All scalars are therefore read as text, without YAML's own
types: a date that does not exist, an infinite number or a foreign tag is a text like any other, and each value that is
needed is converted here, by name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rig_robot.common.yaml_reader import YamlError, read_yaml
from rig_robot.recording.rosbag2_format import INFORMATION, METADATA_FILE

_MOST = 2**17
"""Most values of a metadata.yaml: those of some 10,000 files."""


class MetadataError(ValueError):
    """A metadata.yaml cannot be used; the text names the file, the key, what was found and what would be right."""


def read_information(folder: Path) -> dict[str, Any]:
    """Return the entries of a bag's metadata.yaml: mappings and lists of text.

    Raises:
        MetadataError: If it cannot be read, or is not a bag's.
    """
    path = folder / METADATA_FILE
    try:
        tree = read_yaml(path, f"{path} is not a bag's", typed=False, most=_MOST).value
    except YamlError as error:
        raise MetadataError(str(error)) from None
    information = tree.get(INFORMATION) if isinstance(tree, dict) else None
    if not isinstance(information, dict):
        raise MetadataError(f"{path} is not a bag's: it has no {INFORMATION}")
    return information


def entry(folder: Path, tree: Any, *keys: str) -> Any:
    """Return the entry of a mapping below the keys.

    Raises:
        MetadataError: If there is none.
    """
    for number, key in enumerate(keys):
        if not isinstance(tree, dict) or key not in tree:
            raise MetadataError(f"{folder}: {METADATA_FILE} lacks {'.'.join(keys[: number + 1])}")
        tree = tree[key]
    return tree


def text(folder: Path, tree: Any, *keys: str) -> str:
    """Return the text below the keys of a mapping.

    Raises:
        MetadataError: If there is none.
    """
    found = entry(folder, tree, *keys)
    if not isinstance(found, str):
        raise MetadataError(f"{folder}: {METADATA_FILE}: {'.'.join(keys)} is {str(found)[:80]}, expected a text")
    return found


def check_information(folder: Path, information: dict[str, Any]) -> None:
    """Validate the entries of which a reader needs nothing, but that are wrong only in a file that is damaged.

    Raises:
        MetadataError: If one is wrong.
    """
    for key in ("version", "message_count"):
        number(folder, information, key)
    if not re.fullmatch(r"([A-Za-z][\w.-]*)?", distribution := text(folder, information, "ros_distro")):
        expected = "expected the name of a ROS distribution"
        raise MetadataError(f"{folder}: {METADATA_FILE}: ros_distro is {distribution[:80]!r}, {expected}")


def number(folder: Path, tree: Any, *keys: str) -> int:
    """Return the whole number, from 0 to 2^63 - 1, below the keys of a mapping.

    Raises:
        MetadataError: If there is none.
    """
    found = entry(folder, tree, *keys)
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,19}", found) and int(found) < 2**63:
        return int(found)
    expected = "expected a whole number from 0 to 2^63 - 1"
    raise MetadataError(f"{folder}: {METADATA_FILE}: {'.'.join(keys)} is {str(found)[:80]!r}, {expected}")


def file_names(folder: Path, information: dict[str, Any]) -> list[str]:
    """Return the names of the bag's files, without a path.

    Raises:
        MetadataError: If they are missing or no names.
    """
    found = entry(folder, information, "relative_file_paths")
    names = [Path(name).name if isinstance(name, str) else "" for name in found] if isinstance(found, list) else [""]
    if any(name in ("", "..") or "\0" in name for name in names):
        raise MetadataError(
            f"{folder}: {METADATA_FILE}: relative_file_paths is {str(found)[:80]}, expected a list of file names"
        )
    return names


def message_counts(folder: Path, information: dict[str, Any]) -> dict[str, int]:
    """Return the number of messages by topic.

    Raises:
        MetadataError: If an entry is missing or wrong.
    """
    found = entry(folder, information, "topics_with_message_count")
    if not isinstance(found, list):
        raise MetadataError(
            f"{folder}: {METADATA_FILE}: topics_with_message_count is {str(found)[:80]!r}, expected a list"
        )
    counts: dict[str, int] = {}
    for about in found:
        topic = text(folder, about, "topic_metadata", "name")
        counts[topic] = counts.get(topic, 0) + number(folder, about, "message_count")
    return counts
