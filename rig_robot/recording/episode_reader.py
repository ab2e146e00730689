"""Reads recorded episodes: finds them in a directory, validates them, and says which cannot be used and why."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rosbags.rosbag2 import Reader

from rig_robot.checkpoints.checkpoint import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    CheckpointError,
    WorkspaceEntry,
    parse,
)
from rig_robot.checkpoints.compatibility import robot_differences
from rig_robot.common.message_fields import header_ns
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording import topics

FORMAT = "1"
SETTLED = 5.0
"""Time without a change after which a directory is no longer being copied here [s]."""
BROKEN = ".broken"
"""Ending of the name of an episode that could not be recovered."""
_MAGIC = b"\x89MCAP0\r\n"
_FOOTER = struct.Struct("<BQQQI8s")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where it is installed, is ten times as fast


class EpisodeError(ValueError):
    """A recording cannot be used; the text names it, what was found and what would be right."""


@dataclass(frozen=True)
class EpisodeInfo:
    """An episode's metadata."""

    directory: Path
    id: str
    """the directory's name: `episode`, or that and -2, -3 ... where it was recorded in parts"""
    episode: str
    """id that the policy node gave the episode"""
    mode: str
    """explore, practice or reach"""
    goal_kind: str
    """imagined, shown or none"""
    goal_ns: int
    """stamp that names the goal [ns]; 0: none"""
    checkpoint: str
    """name of the checkpoint whose policy acted"""
    vae_id: str
    """first 8 hex digits of the VAE's sha256"""
    start_ns: int
    """time of the first message [ns]"""
    duration_s: float
    messages: dict[str, int]
    """number of messages by role: `rig/latent`, whatever the namespace; `camera`, `command`, `joint_states`"""
    drops: dict[str, int]
    """number of messages that were lost or left out, by role; roles that lost none are not in it"""
    recovered: bool
    """whether the recorder was killed: up to a second is missing at the end"""
    ended: str
    """why recording ended"""
    camera: CameraEntry
    action: ActionEntry
    workspace: WorkspaceEntry
    file: Path = field(repr=False)
    topics: dict[str, str] = field(repr=False)
    """full topic name by role"""


def read_info(directory: Path) -> EpisodeInfo:
    """Read an episode's metadata, and validate that its file is whole.

    Raises:
        EpisodeError: If the directory is no episode of this stack, or a part of it is missing.
    """
    directory = Path(directory)
    information = _metadata(directory)
    custom = information.get("custom_data")
    if not isinstance(custom, dict) or "rig_format" not in custom:
        raise EpisodeError(f"{directory} was not recorded by this stack: its metadata have no rig_format")
    if custom["rig_format"] != FORMAT:
        raise EpisodeError(f"{directory}: rig_format is {custom['rig_format']!r}, this version reads {FORMAT!r}")
    try:
        (name,) = information["relative_file_paths"]
        file = directory / Path(name).name
        roles = {full: role for role, full in json.loads(custom["topics"]).items()}
        messages = {
            roles[entry["topic_metadata"]["name"]]: int(entry["message_count"])
            for entry in information["topics_with_message_count"]
        }
        start = int(information["starting_time"]["nanoseconds_since_epoch"])
        duration = 1e-9 * int(information["duration"]["nanoseconds"])
        drops = {str(topic): int(count) for topic, count in json.loads(custom["drops"]).items() if count}
        goal = int(custom["goal"])
        entries = {
            name: parse(kind, json.loads(custom[name]), f"{directory}: {name}")
            for name, kind in (("camera", CameraEntry), ("action", ActionEntry), ("workspace", WorkspaceEntry))
        }
        named = ("episode", "mode", "goal_kind", "checkpoint", "vae", "recovered", "ended")
        texts = {name: str(custom[name]) for name in named}
    except CheckpointError as error:
        raise EpisodeError(str(error)) from None
    except KeyError as error:
        raise EpisodeError(f"{directory}: metadata.yaml lacks {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise EpisodeError(f"{directory}: metadata.yaml cannot be understood: {error}") from None
    _check_file(file)
    return EpisodeInfo(
        directory=directory,
        id=directory.name,
        episode=texts["episode"],
        mode=texts["mode"],
        goal_kind=texts["goal_kind"],
        goal_ns=goal,
        checkpoint=texts["checkpoint"],
        vae_id=texts["vae"],
        start_ns=start,
        duration_s=duration,
        messages=messages,
        drops=drops,
        recovered=texts["recovered"] == "true",
        ended=texts["ended"],
        file=file,
        topics={role: full for full, role in roles.items()},
        **entries,
    )


def find(
    root: Path, like: CheckpointConfig | None = None, known: Collection[str] = ()
) -> tuple[list[EpisodeInfo], list[tuple[Path, str]]]:
    """Find the episodes in a directory.

    Args:
        root: The directory. An episode that is being recorded is passed over.
        like: Episodes of another camera, action or workspace than this checkpoint's are rejected.
        known: Names of directories that are not to be read again.

    Returns:
        The valid episodes in order of time, and the directories of the others with the reason.

    Raises:
        EpisodeError: If there is no such directory.
    """
    root = Path(root)
    if not root.is_dir():
        raise EpisodeError(f"{root} is no folder of episodes: not a directory")
    good, refused = [], []
    for directory in sorted(root.iterdir()):
        if directory.name.startswith(".") or directory.name in known or not directory.is_dir():
            continue
        try:
            if directory.name.endswith(BROKEN):
                raise EpisodeError(f"{directory} was set aside: nothing in it could be read after the recorder died")
            info = read_info(directory)
            if like is not None:
                require_robot(info, like)
        except (EpisodeError, OSError) as error:
            refused.append((directory, str(error)))
        else:
            good.append(info)
    return sorted(good, key=lambda info: (info.start_ns, info.id)), refused


def settled(directory: Path) -> bool:
    """Return whether nothing has changed in a directory for a while: what is wrong with it then stays wrong."""
    try:
        changed = max(path.stat().st_ctime for path in (directory, *directory.iterdir()))
    except OSError:  # a file has vanished meanwhile
        return False
    return time.time() - changed > SETTLED


def require_robot(info: EpisodeInfo, like: CheckpointConfig) -> None:
    """Validate that an episode is of a checkpoint's robot: images, actions and bounds of another one differ in meaning.

    Raises:
        EpisodeError: If it is not; the text names every difference.
    """
    differences = [f"{name} is {found}, not {wanted}" for name, found, wanted in robot_differences(info, like)]
    if differences:
        raise EpisodeError(f"{info.directory} is of another robot: {'; '.join(differences)}")


def messages(
    info: EpisodeInfo, roles: Collection[str], start: int | None = None, stop: int | None = None
) -> Iterator[tuple[str, int, Any]]:
    """Read an episode's messages in the order of their times.

    Args:
        info: The episode.
        roles: Roles of the topics that are read.
        start: Time of the first message that is read [ns]; None: from the beginning.
        stop: Time before which the last one was recorded [ns]; None: to the end.

    Yields:
        Role, time [ns], the message with the fields of its type.

    Raises:
        EpisodeError: If the file is broken.
    """
    wanted = {info.topics[role]: role for role in roles if role in info.topics}
    try:
        with Reader(info.file) as reader:
            connections = [connection for connection in reader.connections if connection.topic in wanted]
            if not connections:
                return
            for connection, time_ns, data in reader.messages(connections, start, stop):
                yield wanted[connection.topic], time_ns, bag.types().deserialize_cdr(data, connection.msgtype)
    except EpisodeError:
        raise
    except Exception as error:  # rosbags raises a dozen kinds of exception on broken files; all mean the same here
        raise EpisodeError(f"{info.file} is broken: {error}") from error


def latent_distances(info: EpisodeInfo) -> tuple[float, float] | None:
    """Return how far the first and the last latent were from the goal's, in the latent space of one VAE.

    None where the episode has no such latents.
    """
    second = 1_000_000_000
    end = info.start_ns + round(1e9 * info.duration_s) + 1
    goals: dict[str, np.ndarray] = {}
    found: list[tuple[str, np.ndarray]] = []
    for window in ((info.start_ns, info.start_ns + 3 * second), (max(end - second, info.start_ns), end)):
        for role, _, message in messages(info, (topics.LATENT, topics.GOAL_LATENT), *window):
            mean = np.frombuffer(message.data.tobytes(), "<f4")[: message.width]
            if role == topics.LATENT:
                found.append((message.header.frame_id, mean))
            elif message.width and header_ns(message) == info.goal_ns:
                goals[message.header.frame_id] = mean
    distances = [float(np.linalg.norm(mean - goals[vae])) for vae, mean in found if vae in goals]
    return (distances[0], distances[-1]) if distances else None


def _metadata(directory: Path) -> dict[str, Any]:
    path = directory / bag.METADATA_FILE
    if not directory.is_dir():
        raise EpisodeError(f"{directory} is not a directory; an episode is one")
    if not path.is_file():
        empty = not any(directory.iterdir())
        raise EpisodeError(f"{directory} {'is empty' if empty else f'has no {bag.METADATA_FILE}'}: not a whole bag")
    try:
        content = yaml.load(path.read_bytes(), Loader=_LOADER)
    except yaml.YAMLError as error:
        raise EpisodeError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    information = content.get(bag.INFORMATION) if isinstance(content, dict) else None
    if not isinstance(information, dict):
        raise EpisodeError(f"{path} is not a bag's: it has no {bag.INFORMATION}")
    return information


def _check_file(file: Path) -> None:
    """Reject an MCAP file that is missing or does not end with a footer."""
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(_MAGIC))
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _FOOTER.size))
            end = stream.read()
    except OSError as error:
        raise EpisodeError(f"{file} cannot be read: {error.strerror}") from None
    if begin != _MAGIC:
        raise EpisodeError(f"{file} is not an MCAP file: it begins with {begin!r}")
    whole = len(end) == _FOOTER.size
    if whole:
        opcode, length, summary, _, _, magic = _FOOTER.unpack(end)
        whole = (opcode, length, magic) == (2, 20, _MAGIC) and 0 < summary < size
    if not whole:
        raise EpisodeError(f"{file} is cut short or broken at its end: {size} bytes without an MCAP footer")
