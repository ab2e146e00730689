"""Recovers the episodes that a killed recorder left open, up to the last second that was synced.

Nothing is copied: the file is cut after its last whole chunk and completed in place, so that an hour of camera pictures
needs neither much time nor twice the space. Where the recovery is killed, it is repeated. An episode that cannot be
recovered is renamed.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, get_args

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC

from rig_robot.common.durable_files import sync_directory
from rig_robot.common.one_line import one_line
from rig_robot.common.yaml_reader import parse_yaml
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.episode_reader import BROKEN
from rig_robot.recording.episode_writer import CUSTOM, QOS, ROSBAG2, SERIALIZED, TYPE_HASH, open_name, publish
from rig_robot.recording.mcap_file import decompress
from rig_robot.recording.topics import Manner

_HEAD = struct.Struct("<BQ")
_LARGEST = 2**30
"""Largest size of a record [bytes]; one that claims more is broken."""
_KINDS: dict[int, type[McapRecord]] = {
    Opcode.HEADER: Header,
    Opcode.CHUNK: Chunk,
    Opcode.MESSAGE_INDEX: MessageIndex,
    Opcode.METADATA: Metadata,
}
_BROKEN = (McapError, ValueError, struct.error, OverflowError, MemoryError, RuntimeError, zstandard.ZstdError)
"""What the libraries raise for broken bytes."""
_PREFIX, _SUFFIX = open_name("\0").split("\0")


class InUse(ValueError):
    """Another recorder writes into this directory."""


class Recovered(NamedTuple):
    """The result of a recovery."""

    directory: Path
    whole: bool
    """whether the episode can be read; otherwise its directory was renamed to this name"""
    text: str


class Lock:
    """Reserves a directory of episodes for one recorder; the kernel releases the lock when the process ends.

    Raises:
        InUse: If another process has it.
    """

    def __init__(self, root: Path) -> None:
        self._file = (root / ".lock").open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InUse(f"another recorder writes into {root}: give each a directory of its own") from None

    def release(self) -> None:
        """Release the directory for another recorder."""
        self._file.close()


def left_open(root: Path) -> list[Path]:
    """Return the episodes that were being recorded, oldest first. Only the holder of the lock may change them."""
    return sorted(path for path in root.iterdir() if path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX))


def recover(directory: Path) -> Recovered:
    """Complete an episode that was left open, or rename its directory to `NAME.broken`.

    Raises:
        OSError: If the disk cannot be read or written, for example because it is full; the episode stays as it is, to
            be recovered later.
    """
    name = directory.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    target = directory.parent / name
    files = sorted(directory.glob("*.mcap"))
    try:
        if len(files) != 1:
            raise _Unreadable(f"it holds {len(files)} MCAP files")
        with files[0].open("r+b") as file:
            found = _scan(file)
            content = _information(files[0].name, found)
            if target.exists():
                raise _Unreadable(f"{target.name} is there already")
            _complete(file, found, content)
    except _Unreadable as why:
        aside = _free(directory.parent, f"{name}{BROKEN}")
        directory.rename(aside)
        sync_directory(directory.parent)
        text = one_line(f"episode {name} was left open and is set aside as {aside.name}: {why}")
        return Recovered(aside, False, text)
    seconds = 1e-9 * (found.end - found.start)
    publish(directory, target, content)
    return Recovered(target, True, f"episode {name} was left open and is recovered: {seconds:.1f} s of it")


class _Unreadable(Exception):
    """An episode cannot be recovered; the text says why."""


class _Record(NamedTuple):
    offset: int
    length: int
    """size with the record's head [bytes]"""
    content: McapRecord | None
    """None where the record is of a kind that only follows an episode's data"""


class _Found:
    """The whole records at the beginning of an MCAP file, in the form of the file's summary."""

    def __init__(self) -> None:
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self.chunks: list[ChunkIndex] = []
        self.metadata: list[MetadataIndex] = []
        self.counts: Counter[int] = Counter()
        self.custom: dict[str, str] = {}
        self.start, self.end = 2**63 - 1, 0
        self.good_until = len(MCAP0_MAGIC)
        """offset behind the last record that is kept [bytes]"""


def _scan(file: BinaryIO) -> _Found:
    """Read up to the first record that is not whole or does not belong to an episode's data."""
    found = _Found()
    if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
        raise _Unreadable("its file does not begin as an MCAP file does")
    while (record := _next(file)) is not None:
        content = record.content
        if isinstance(content, Chunk):
            if not _take_chunk(found, file, record, content):
                break
        elif isinstance(content, Metadata) and content.name == ROSBAG2:
            # The last record that a recorder writes: it was killed before the renaming, and nothing is missing.
            found.custom = _custom_data(content) or found.custom
            break
        elif isinstance(content, Metadata):
            found.metadata.append(MetadataIndex(record.offset, record.length, content.name))
            if content.name == CUSTOM:
                found.custom = content.metadata | {"recovered": "true", "ended": "the recorder was killed"}
        elif not isinstance(content, Header):
            break
        found.good_until = file.tell()
    if not found.custom:
        raise _Unreadable("it does not say what it is")
    if not found.chunks:
        raise _Unreadable("nothing of it had reached the disk")
    return found


def _next(file: BinaryIO) -> _Record | None:
    """Return the next record; None where it is not whole."""
    offset = file.tell()
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    opcode, length = _HEAD.unpack(head)
    if length > min(_LARGEST, os.fstat(file.fileno()).st_size - file.tell()):
        return None
    body = file.read(length)
    if len(body) < length:
        return None
    kind = _KINDS.get(opcode)
    try:
        content = kind.read(ReadDataStream(io.BytesIO(body))) if kind else None  # type: ignore[attr-defined]
    except _BROKEN:
        return None
    return _Record(offset, _HEAD.size + length, content)


def _take_chunk(found: _Found, file: BinaryIO, record: _Record, chunk: Chunk) -> bool:
    """Add a chunk, if it and the message indexes behind it are whole; return whether they are."""
    try:
        inside = _unpack(chunk)
    except _BROKEN:
        return False
    counts = Counter(part.channel_id for part in inside if isinstance(part, Message))
    indexes: dict[int, int] = {}
    begin = file.tell()
    for _ in counts:
        index = _next(file)
        if index is None or not isinstance(index.content, MessageIndex):
            return False
        indexes[index.content.channel_id] = index.offset
    found.schemas |= {part.id: part for part in inside if isinstance(part, Schema)}
    found.channels |= {part.id: part for part in inside if isinstance(part, Channel)}
    found.counts += counts
    found.start = min(found.start, chunk.message_start_time)
    found.end = max(found.end, chunk.message_end_time)
    found.chunks.append(
        ChunkIndex(
            chunk_length=record.length,
            chunk_start_offset=record.offset,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            message_index_length=file.tell() - begin,
            message_index_offsets=indexes,
            uncompressed_size=chunk.uncompressed_size,
        )
    )
    return True


def _unpack(chunk: Chunk) -> list[McapRecord]:
    """Return the records in a chunk, whose checksum must be right."""
    data = decompress(chunk.data, chunk.compression, min(chunk.uncompressed_size, _LARGEST))
    if len(data) != chunk.uncompressed_size:
        raise ValueError(f"it has {len(data)} bytes unpacked, not {chunk.uncompressed_size}")
    return breakup_chunk(replace(chunk, compression="", data=data), validate_crc=True)


def _custom_data(record: Metadata) -> dict[str, str]:
    """Return this stack's entries of the metadata in a file; none where they cannot be understood."""
    try:
        custom = parse_yaml(record.metadata[SERIALIZED], SERIALIZED, typed=False).value["custom_data"]
        return {str(key): value for key, value in custom.items() if isinstance(value, str)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _information(file_name: str, found: _Found) -> dict[str, Any]:
    """Return the content of `metadata.yaml`."""
    channels = [_channel(channel, found) for channel in found.channels.values()]
    return bag.information(file_name, channels, (found.start, found.end), found.custom)


def _channel(channel: Channel, found: _Found) -> bag.Channel:
    """Return a topic's entry; its QoS profile is that of a stream where the file's is none of this stack's."""
    schema = found.schemas.get(channel.schema_id)
    if schema is None:
        raise _Unreadable(f"its channel {channel.topic} has no type")
    profiles = {bag.dump(profile): profile for profile in map(bag.qos, get_args(Manner))}
    profile = profiles.get(channel.metadata.get(QOS, ""), bag.qos("stream"))
    return bag.Channel(
        channel.topic, schema.name, channel.metadata.get(TYPE_HASH, ""), profile, found.counts[channel.id]
    )


def _complete(file: BinaryIO, found: _Found, content: dict[str, Any]) -> None:
    """Cut off what is not whole, and write the end of an MCAP file: summary, footer and magic."""
    file.seek(found.good_until)
    file.truncate()
    said = Metadata(ROSBAG2, {SERIALIZED: bag.dump(content)})
    length = _append(file, [said])
    metadata = [*found.metadata, MetadataIndex(found.good_until, length, ROSBAG2)]
    _append(file, [DataEnd(0)])
    summary = file.tell()
    statistics = Statistics(
        attachment_count=0,
        channel_count=len(found.channels),
        channel_message_counts=dict(found.counts),
        chunk_count=len(found.chunks),
        message_count=found.counts.total(),
        message_start_time=found.start,
        message_end_time=found.end,
        metadata_count=len(metadata),
        schema_count=len(found.schemas),
    )
    _append(file, [*found.schemas.values(), *found.channels.values(), statistics, *found.chunks, *metadata])
    _append(file, [Footer(summary_start=summary, summary_offset_start=0, summary_crc=0)])
    file.write(MCAP0_MAGIC)
    file.flush()
    os.fsync(file.fileno())


def _append(file: BinaryIO, records: Sequence[McapRecord]) -> int:
    """Write records; return their size [bytes]."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return file.write(builder.end())


def _free(folder: Path, name: str) -> Path:
    """Return a name that is not taken."""
    paths = (folder / (name if number == 1 else f"{number}.{name}") for number in itertools.count(1))
    return next(path for path in paths if not path.exists())
