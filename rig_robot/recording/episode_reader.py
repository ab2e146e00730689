"""Reads recorded episodes: finds them in a directory, validates them, and says which cannot be used and why."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.checkpoints.compatibility import robot_differences
from rig_robot.checkpoints.config import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    CheckpointError,
    WorkspaceEntry,
    parse,
)
from rig_robot.checkpoints.config_checks import check_robot
from rig_robot.common.json_reader import read_json
from rig_robot.common.message_fields import header_ns
from rig_robot.common.one_line import one_line, printable
from rig_robot.recording import bag_metadata, topics
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.bag_metadata import MetadataError, read_information
from rig_robot.recording.mcap_file import McapFile

FORMAT = "1"
SETTLED = 5.0
"""Time without a change after which a directory is no longer being copied here [s]."""
BROKEN = ".broken"
"""Ending of the name of an episode that could not be recovered."""


class EpisodeError(ValueError):
    """A recording cannot be used; the text names it, what was found and what would be right."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


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
        bag_metadata.check_information(directory, information)
        names = bag_metadata.file_names(directory, information)
        if len(names) != 1:
            raise MetadataError(f"{directory}: metadata.yaml names {len(names)} files, an episode has one")
        file = directory / names[0]
        roles = _roles(directory, custom)
        counts = bag_metadata.message_counts(directory, information)
        if strange := counts.keys() - roles.keys():
            raise MetadataError(f"{directory}: metadata.yaml: custom_data.topics lacks {min(strange)}")
        start = bag_metadata.number(directory, information, "starting_time", "nanoseconds_since_epoch")
        duration = 1e-9 * bag_metadata.number(directory, information, "duration", "nanoseconds")
        drops = _drops(directory, custom)
        goal = bag_metadata.number(directory, custom, "goal")
        entries = {
            name: parse(kind, _json(directory, custom, name), f"{directory}: {name}")
            for name, kind in (("camera", CameraEntry), ("action", ActionEntry), ("workspace", WorkspaceEntry))
        }
        check_robot(directory, **entries)
        named = ("episode", "mode", "goal_kind", "checkpoint", "vae", "recovered", "ended")
        texts = {name: bag_metadata.text(directory, custom, name) for name in named}
    except (MetadataError, CheckpointError) as error:
        raise EpisodeError(str(error)) from None
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
        messages={roles[name]: count for name, count in counts.items()},
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
    try:
        directories = sorted(root.iterdir())
    except OSError as error:
        raise EpisodeError(f"{root} is no folder of episodes: {error.strerror or error}") from None
    good, refused = [], []
    for directory in directories:
        if directory.name.startswith(".") or directory.name in known:
            continue
        try:
            if not _is_folder(directory):
                continue
            if printable(directory.name) != directory.name:
                raise EpisodeError(f"{directory}: its name is not UTF-8 and cannot be an episode's id")
            if directory.name.endswith(BROKEN):
                raise EpisodeError(f"{directory} was set aside: nothing in it could be read after the recorder died")
            info = read_info(directory)
            if like is not None:
                require_robot(info, like)
        except EpisodeError as error:
            refused.append((directory, str(error)))
        except OSError as error:
            refused.append((directory, one_line(f"{directory} cannot be read: {error.strerror or error}")))
        else:
            good.append(info)
    return sorted(good, key=lambda info: (info.start_ns, info.id)), refused


def settled(directory: Path) -> bool:
    """Return whether nothing has changed in a directory for a while: what is wrong with it then stays wrong."""
    try:
        changed = [directory.stat(follow_symlinks=False).st_ctime]
        if _can_be_listed(directory):
            changed += [path.stat(follow_symlinks=False).st_ctime for path in directory.iterdir()]
    except OSError:  # a file has vanished meanwhile
        return False
    return time.time() - max(changed) > SETTLED


def _can_be_listed(directory: Path) -> bool:
    """Return whether a directory may be read, and is no link that leads nowhere."""
    return os.access(directory, os.R_OK | os.X_OK, effective_ids=True)


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

    def fail(text: str) -> None:
        raise EpisodeError(f"{info.file} is broken: {text}")

    try:
        file = McapFile(info.file)
    except OSError as error:
        raise EpisodeError(f"{info.file} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise EpisodeError(f"{info.file} {error}") from None
    with closing(file):
        if file.problems:
            fail(file.problems[0])
        channels = {key: source for key, source in file.channels.items() if source.topic in wanted}
        for channel, time_ns, data in file.messages(channels, fail, start or 0, 2**64 if stop is None else stop):
            source = channels[channel]
            try:
                if source.encoding != "cdr":
                    raise ValueError(f"they are encoded as {source.encoding!r}, not cdr")
                message = bag.types().deserialize_cdr(data, source.type)
            except Exception as error:  # rosbags raises a dozen kinds of exception on broken bytes; all mean the same
                fail(f"{source.topic}: {len(data)} bytes are no {source.type}: {error}")
            yield wanted[source.topic], time_ns, message


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
            mean = np.frombuffer(message.data.tobytes()[: 4 * message.width], "<f4")
            if len(mean) != message.width:
                raise EpisodeError(
                    f"{info.file} is broken: a latent has {len(message.data)} bytes, too few for its width"
                )
            if role == topics.LATENT:
                found.append((message.header.frame_id, mean))
            elif message.width and header_ns(message) == info.goal_ns:
                goals[message.header.frame_id] = mean
    fitting = [(mean, goals[vae]) for vae, mean in found if vae in goals and goals[vae].shape == mean.shape]
    distances = [float(np.linalg.norm(mean - goal)) for mean, goal in fitting]
    return (distances[0], distances[-1]) if distances else None


def _metadata(directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        raise EpisodeError(f"{directory} is not a directory; an episode is one")
    if not (directory / bag.METADATA_FILE).is_file():
        empty = not any(directory.iterdir())
        raise EpisodeError(f"{directory} {'is empty' if empty else f'has no {bag.METADATA_FILE}'}: not a whole bag")
    try:
        return read_information(directory)
    except MetadataError as error:
        raise EpisodeError(str(error)) from None


def _is_folder(path: Path) -> bool:
    """Return whether a path is a directory.

    Raises:
        EpisodeError: If it is a link that leads nowhere, or to itself.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if not path.is_symlink():
            raise
        raise EpisodeError(f"{path} is a link that cannot be followed: {error.strerror or error}") from None


def _json(directory: Path, custom: Any, name: str) -> Any:
    """Return the content of an entry of `custom_data` that is JSON.

    Raises:
        MetadataError: If it is missing or not JSON.
    """
    try:
        return read_json(bag_metadata.text(directory, custom, name))
    except MetadataError:
        raise
    except ValueError as error:
        raise MetadataError(f"{directory}: metadata.yaml: {name} is not JSON: {error}") from None


def _roles(directory: Path, custom: Any) -> dict[str, str]:
    """Return the role of each topic by its full name."""
    found = _json(directory, custom, "topics")
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise MetadataError(
            f"{directory}: metadata.yaml: topics is {str(found)[:80]}, expected names of topics by role"
        )
    return {full: role for role, full in found.items()}


def _drops(directory: Path, custom: Any) -> dict[str, int]:
    """Return the number of lost messages by role."""
    found = _json(directory, custom, "drops")
    if not isinstance(found, dict) or not all(type(count) is int and count >= 0 for count in found.values()):
        raise MetadataError(f"{directory}: metadata.yaml: drops is {str(found)[:80]}, expected numbers by role")
    return {role: count for role, count in found.items() if count}


def _check_file(file: Path) -> None:
    """Reject an MCAP file that is missing, or that does not end with a summary and a footer."""
    try:
        opened = McapFile(file)
    except OSError as error:
        raise EpisodeError(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise EpisodeError(f"{file} {error}") from None
    opened.close()
    if opened.problems:
        raise EpisodeError(f"{file} is cut short or broken at its end: {opened.problems[0]}")
