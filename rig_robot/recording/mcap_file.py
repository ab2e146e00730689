"""Reads the messages of an MCAP file, whatever else it holds and however it ends, for the readers of bags and episodes.

A channel of a foreign encoding is described like any other. A chunk that is broken is reported and passed over. Where
the file has no summary at its end, or a broken one, its channels and chunks are looked up from its beginning. Every
length is compared with what is there before anything is read or unpacked. lz4 and zstandard come with mcap.
"""

from __future__ import annotations

import heapq
import io
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, MessageIndex, Schema, Statistics

MAGIC = b"\x89MCAP0\r\n"
LARGEST = 2**28
"""Largest size of a chunk, unpacked, or of a single message [bytes]: a picture of 64 megapixels fits into it."""
_HEAD = struct.Struct("<BQ")
_FOOTER = struct.Struct("<BQQQI8s")
_CHUNK = struct.Struct("<QQQII")
"""Beginning of a chunk: first and last time, size unpacked, checksum, length of the compression's name."""
_MESSAGE = struct.Struct("<HIQQ")
"""Beginning of a message: channel, sequence number, time of recording, time of publication."""
_RUN = 2**22
"""Messages that are in no chunk are read in runs of this size [bytes]."""
_BROKEN = (McapError, ValueError, struct.error, OverflowError, MemoryError, RuntimeError, zstandard.ZstdError)
"""What the libraries raise for broken bytes."""


class Described(NamedTuple):
    """A channel: one source of messages on a topic."""

    topic: str
    type: str
    """name of the schema"""
    encoding: str
    """of the messages: `cdr` are ROS 2's"""


class _Part(NamedTuple):
    """A part of the file that holds messages: a chunk, or a run of messages without one."""

    offset: int
    length: int
    start: int
    """time before which it holds no message [ns]"""
    end: int
    channels: frozenset[int] | None
    """those with messages in it; None: not known"""
    chunk: bool


class McapFile:
    """An MCAP file, open for reading.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no MCAP file; the text goes on a sentence that begins with its name.
    """

    def __init__(self, path: Path) -> None:
        self.channels: dict[int, Described] = {}
        self.counts: dict[int, int] | None = None
        """number of messages by channel, where the file says it"""
        self.problems: list[str] = []
        """what of the file cannot be read"""
        self._parts: list[_Part] = []
        self._schemas: dict[int, Schema] = {}
        self._file: BinaryIO = path.open("rb")
        try:
            self._size = self._file.seek(0, 2)
            begin = self._read(0, min(self._size, len(MAGIC)))
            if begin != MAGIC:
                raise ValueError(f"is not an MCAP file: it begins with {begin!r}")
            if not self._read_summary():
                self._scan()
        except BaseException:
            self._file.close()
            raise

    @property
    def begin_ns(self) -> int:
        """Time before which it holds no message [ns]."""
        return min((part.start for part in self._parts), default=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def messages(
        self, wanted: Collection[int], report: Callable[[str], None], start: int = 0, stop: int = 2**64
    ) -> Iterator[tuple[int, int, bytes]]:
        """Read messages in the order of their times.

        Args:
            wanted: The channels that are read.
            report: Is told what is broken; the text names the place.
            start: Time of the first message that is read [ns].
            stop: Time before which the last one was recorded [ns].

        Yields:
            Channel, time of recording [ns], the message.
        """
        waiting: list[tuple[int, int, int, bytes]] = []
        held = count = 0
        for part in sorted(self._parts, key=lambda part: (part.start, part.offset)):
            if part.end < start or part.start >= stop:
                continue
            if part.channels is not None and part.channels.isdisjoint(wanted):
                continue
            # Parts overlap in time: a message waits until no later part can hold an earlier one.
            while waiting and (waiting[0][0] < part.start or held > LARGEST):
                time_ns, _, channel, data = heapq.heappop(waiting)
                held -= len(data)
                yield channel, time_ns, data
            try:
                for channel, time_ns, data in self._of_part(part):
                    if channel in wanted and start <= time_ns < stop:
                        heapq.heappush(waiting, (time_ns, count, channel, data))
                        held += len(data)
                        count += 1
            except (*_BROKEN, OSError) as error:
                report(f"the {'chunk' if part.chunk else 'data'} at byte {part.offset} cannot be read: {_why(error)}")
        while waiting:
            time_ns, _, channel, data = heapq.heappop(waiting)
            yield channel, time_ns, data

    def _read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file.

        Raises:
            ValueError: If it has fewer.
        """
        if offset < 0 or length < 0 or offset + length > self._size:
            raise ValueError(f"{length} bytes are expected at byte {offset}, the file has {self._size} in all")
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) < length:
            raise ValueError(f"{length} bytes are expected at byte {offset}, {len(data)} can be read")
        return data

    def _head(self, offset: int) -> tuple[int, int]:
        """Return the opcode of a record, and the offset behind it."""
        opcode, length = _HEAD.unpack(self._read(offset, _HEAD.size))
        after = offset + _HEAD.size + length
        if after > self._size:
            raise ValueError(f"a record of {length} bytes begins at byte {offset}, the file has {self._size} in all")
        return opcode, after

    def _read_summary(self) -> bool:
        """Read channels and chunks from the summary at the file's end; return whether it has a whole one."""
        try:
            footer = self._size - _FOOTER.size
            if footer < len(MAGIC):
                self.problems.append("it is cut short: it has no footer")
                return False
            opcode, length, summary, _, _, magic = _FOOTER.unpack(self._read(footer, _FOOTER.size))
            if (opcode, length, magic) != (Opcode.FOOTER, 20, MAGIC):
                self.problems.append("it is cut short: it has no footer")
                return False
            if summary == 0:
                return False
            if footer - summary > LARGEST:
                raise ValueError(f"it would have {footer - summary} bytes")
            counts: dict[int, int] | None = None
            for kind, body in _records(self._read(summary, footer - summary)):
                if kind == Opcode.STATISTICS:
                    counts = _parse(Statistics, body).channel_message_counts
                elif kind == Opcode.CHUNK_INDEX:
                    index = _parse(ChunkIndex, body)
                    self._parts.append(_part(index, self._size))
                else:
                    self._describe(kind, body)
            # Without statistics, channels or chunks one cannot tell from a summary what the file holds.
            self.counts = counts
            if counts is not None and (not any(counts.values()) or (self.channels and self._parts)):
                return True
        except _BROKEN as error:
            self.problems.append(f"its summary is broken: {_why(error)}")
        self.channels.clear()
        self._schemas.clear()
        self._parts.clear()
        return False

    def _scan(self) -> None:
        """Look up channels and chunks from the file's beginning, up to what is not whole."""
        offset = len(MAGIC)
        run = -1
        counts: dict[int, int] = {}
        whole = True
        try:
            while offset < self._size:
                opcode, after = self._head(offset)
                loose = opcode == Opcode.MESSAGE
                if run >= 0 and (not loose or after - run > _RUN):
                    self._parts.append(_Part(run, offset - run, 0, 2**64, None, False))
                    run = -1
                if loose:
                    run = offset if run < 0 else run
                elif opcode == Opcode.CHUNK:
                    after, known = self._scan_chunk(offset, after, counts)
                    whole &= known
                elif opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    break
                elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._describe(opcode, self._read(offset + _HEAD.size, after - offset - _HEAD.size))
                elif not 0 < opcode <= 0x0F:
                    raise ValueError(f"a record of the unknown kind {opcode} begins at byte {offset}")
                whole &= not loose
                offset = after
        except _BROKEN as error:
            self.problems.append(f"what follows byte {offset} of its {self._size} is lost: {_why(error)}")
            whole = False
        if run >= 0:
            self._parts.append(_Part(run, offset - run, 0, 2**64, None, False))
        if self.counts is None and whole:
            self.counts = counts

    def _scan_chunk(self, offset: int, after: int, counts: dict[int, int]) -> tuple[int, bool]:
        """Note a chunk; return the offset behind it and its indexes, and whether they say what it holds."""
        start, end, _, _, _ = _CHUNK.unpack(self._read(offset + _HEAD.size, _CHUNK.size))
        length = after - offset
        ids: set[int] = set()
        while after < self._size:
            try:
                opcode, next_after = self._head(after)
                if opcode != Opcode.MESSAGE_INDEX:
                    break
                index = _parse(MessageIndex, self._read(after + _HEAD.size, next_after - after - _HEAD.size))
            except _BROKEN:
                break  # reported by the caller, which reads there next
            ids.add(index.channel_id)
            counts[index.channel_id] = counts.get(index.channel_id, 0) + len(index.records)
            after = next_after
        part = _Part(offset, length, start, end, frozenset(ids) or None, True)
        self._parts.append(part)
        if not ids or not ids <= self.channels.keys():
            with suppress(*_BROKEN):  # reported when its messages are read
                for kind, body in _records(self._unpack(part)):
                    self._describe(kind, body)
        return after, bool(ids)

    def _describe(self, opcode: int, body: bytes | memoryview) -> None:
        """Note a schema or channel; other records are passed over."""
        try:
            if opcode == Opcode.SCHEMA:
                schema = _parse(Schema, body)
                self._schemas.setdefault(schema.id, schema)
            elif opcode == Opcode.CHANNEL:
                channel = _parse(Channel, body)
                schema = self._schemas.get(channel.schema_id)
                said = Described(channel.topic, schema.name if schema else "", channel.message_encoding)
                self.channels.setdefault(channel.id, said)
        except _BROKEN as error:
            self.problems.append(f"the description of a channel or its type is broken: {_why(error)}")

    def _of_part(self, part: _Part) -> Iterator[tuple[int, int, bytes]]:
        data = self._unpack(part) if part.chunk else self._read(part.offset, part.length)
        for kind, body in _records(data):
            if kind == Opcode.MESSAGE:
                if len(body) < _MESSAGE.size:
                    raise ValueError(f"a message of {len(body)} bytes, at least {_MESSAGE.size} are expected")
                channel, _, time_ns, _ = _MESSAGE.unpack_from(body)
                yield channel, time_ns, bytes(body[_MESSAGE.size :])

    def _unpack(self, part: _Part) -> bytes:
        """Return what is in a chunk."""
        opcode, after = self._head(part.offset)
        if opcode != Opcode.CHUNK:
            raise ValueError(f"a record of kind {opcode} stands there")
        if after - part.offset > LARGEST:
            raise ValueError(f"it has {after - part.offset} bytes, more than {LARGEST}")
        body = memoryview(self._read(part.offset + _HEAD.size, after - part.offset - _HEAD.size))
        _, _, size, checksum, name_length = _CHUNK.unpack_from(body)
        begin = _CHUNK.size + name_length + 8
        if begin > len(body) or size > LARGEST:
            raise ValueError(f"{size} bytes unpacked are more than {LARGEST}, or its head is broken")
        compression = bytes(body[_CHUNK.size : _CHUNK.size + name_length]).decode()
        data = decompress(body[begin:], compression, size)
        if len(data) != size:
            raise ValueError(f"it has {len(data)} bytes unpacked, not the {size} that it says")
        if checksum and zlib.crc32(data) != checksum:
            raise ValueError("its checksum is wrong")
        return data


def decompress(data: bytes | memoryview, compression: str, size: int) -> bytes:
    """Unpack data of one frame into at most `size` bytes.

    Raises:
        ValueError: If it would be larger, or the compression is not known.
        RuntimeError, zstandard.ZstdError: If it is broken.
    """
    if compression == "":
        return bytes(data)
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size))
    if compression == "zstd":
        said = zstandard.get_frame_parameters(data).content_size
        if size < said < 2**64 - 2:  # the last two: not known
            raise ValueError(f"it would have {said} bytes unpacked, not {size}")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    raise ValueError(f"its compression is {compression[:20]!r}; zstd, lz4 and none are understood")


def _records(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Split bytes into records: opcode and content.

    Raises:
        ValueError: If a record is not whole.
    """
    view = memoryview(data)
    offset = 0
    while offset < len(view):
        if offset + _HEAD.size > len(view):
            raise ValueError("it ends within a record")
        opcode, length = _HEAD.unpack_from(view, offset)
        offset += _HEAD.size
        if length > len(view) - offset:
            raise ValueError(f"it ends within a record of {length} bytes")
        yield opcode, view[offset : offset + length]
        offset += length


def _parse(kind: Any, body: bytes | memoryview) -> Any:
    return kind.read(ReadDataStream(io.BytesIO(body)))


def _part(index: ChunkIndex, size: int) -> _Part:
    offset, length = index.chunk_start_offset, index.chunk_length
    if offset + length > size:
        raise ValueError(f"a chunk would end at byte {offset + length} of {size}")
    ids = frozenset(index.message_index_offsets)
    return _Part(offset, length, index.message_start_time, index.message_end_time, ids or None, True)


def _why(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
