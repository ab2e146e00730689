"""Brings messages from the recorder's executor to the disk: a bounded queue, and a thread that writes from it.

Only that thread waits for the disk. Messages that do not fit into the queue are dropped and counted; camera pictures
are dropped first.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rig_robot.recording.episode_writer import EpisodeWriter
from rig_robot.recording.topics import CAMERA, Topic
from rig_robot.vision.image_decoding import PictureRefused

SYNC = 1.0
"""Time between two syncs [s]: a kill loses the messages of at most so long."""
CAMERA_SHARE = 0.75
"""Share of the queue that camera pictures may fill; the rest is kept for the small messages that are indispensable."""
_LOOK = 1024 * 1024
"""Bytes written after which the free space of the disk is read again; it is also read before each sync."""
_PAUSE = 0.05
"""Time between two looks into the queue [s]: a thread that woke for every message would take the executor's time."""


class _Message(NamedTuple):
    role: str
    data: bytes
    log_ns: int
    publish_ns: int


@dataclass
class _Begin:
    """An episode that is to be opened, and the messages that it lacks so far."""

    name: str
    topics: Sequence[Topic]
    custom: Mapping[str, str]
    missing: Counter[str] = field(default_factory=Counter)
    """messages dropped or lost, by role"""


class _End(NamedTuple):
    why: str


class WriteQueue:
    """Takes messages and writes them as episodes into a directory.

    Args:
        root: The directory.
        capacity: Size of the queue [bytes].
        min_free: Recording stops when the disk has less than this left [bytes].
        convert: Converts a camera picture before it is written, in the writing thread; None: pictures stay as they are.
        say: Called from the writing thread with a sentence and whether it reports an error.
    """

    def __init__(
        self,
        root: Path,
        capacity: int,
        min_free: int,
        convert: Callable[[bytes], bytes] | None,
        say: Callable[[str, bool], None],
    ) -> None:
        self._root, self._capacity, self._min_free, self._convert, self._say = root, capacity, min_free, convert, say
        self._queue: deque[_Begin | _Message | _End] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._taking: _Begin | None = None
        self._writing: _Begin | None = None
        self._writer: EpisodeWriter | None = None
        self._next_sync = 0.0
        self._since_look = 0
        self.queued = 0
        """bytes that wait to be written"""
        self.missing = 0
        """messages dropped or lost since the start"""
        self.written: list[str] = []
        """names of the episodes that are whole"""
        self.longest_sync = 0.0
        """longest duration of a sync [s]"""
        self.trouble = ""
        """why nothing is recorded, though it should be"""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def begin(self, name: str, topics: Sequence[Topic], custom: Mapping[str, str]) -> None:
        """Open an episode; see `EpisodeWriter`."""
        self._taking = _Begin(name, topics, custom)
        self._put(self._taking, 0)

    def take(self, role: str, data: bytes, log_ns: int, publish_ns: int) -> bool:
        """Take a message of the open episode into the queue; return whether there was room for it."""
        share = CAMERA_SHARE if role == CAMERA else 1.0
        if self.queued + len(data) > share * self._capacity:
            self.lost(role, 1)
            return False
        self._put(_Message(role, data, log_ns, publish_ns), len(data))
        return True

    def lost(self, role: str, count: int) -> None:
        """Count messages of the open episode that never arrived."""
        self.missing += count
        if self._taking is not None:
            self._taking.missing[role] += count

    def end(self, why: str) -> None:
        """Close the open episode once its queued messages are written."""
        self._taking = None
        self._put(_End(why), 0)

    def stop(self, timeout: float) -> bool:
        """Write the queued messages and end the thread; return whether that was done in time [s]."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _put(self, item: _Begin | _Message | _End, size: int) -> None:
        with self._lock:
            self._queue.append(item)
            self.queued += size

    def _run(self) -> None:
        while True:
            stopping = self._stopping.wait(_PAUSE)
            while self._queue:
                item = self._queue.popleft()
                self._guarded(self._handle, item)
                if isinstance(item, _Message):
                    with self._lock:
                        self.queued -= len(item.data)
                self._guarded(self._sync)
            self._guarded(self._sync)
            if stopping:
                return

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        """Do some work; an episode that the disk cannot store is left as it is, to be recovered later."""
        try:
            work(*arguments)
        except Exception as error:  # whatever it is, the thread must go on: the next episode may succeed
            self.trouble = f"recording has stopped: {error}"
            self._say(self.trouble, True)
            if self._writer is not None:
                self._writer.abandon()
            self._writer = None

    def _handle(self, item: _Begin | _Message | _End) -> None:
        if isinstance(item, _Begin):
            self._open(item)
        elif self._writer is None:
            return
        elif isinstance(item, _End):
            self._close(item.why)
        else:
            self._write(self._writer, item)

    def _open(self, item: _Begin) -> None:
        self._close("another episode has begun")
        self._writing = item
        if self._disk_is_full():
            return
        self._writer = EpisodeWriter(self._root, item.name, item.topics, item.custom)
        self.trouble = ""
        # The first sync comes soon, with the messages from before: every episode on disk then has something to read.
        self._next_sync = time.monotonic() + _PAUSE

    def _write(self, writer: EpisodeWriter, item: _Message) -> None:
        data = item.data
        if item.role == CAMERA and self._convert is not None:
            try:
                data = self._convert(data)
            except PictureRefused as error:
                self.missing += 1
                if self._writing is not None:
                    self._writing.missing[CAMERA] += 1
                self._say(f"a camera picture is not recorded: {error}", True)
                return
        self._since_look += len(data)
        if self._since_look > _LOOK and self._disk_is_full():
            self._close("the disk is nearly full")
            return
        writer.write(item.role, data, item.log_ns, item.publish_ns)

    def _sync(self) -> None:
        """Sync the messages of the last second to the disk."""
        if self._writer is None or (begin := time.monotonic()) < self._next_sync or not self._writer.messages:
            return
        if self._disk_is_full():
            self._close("the disk is nearly full")
            return
        self._writer.sync()
        took = time.monotonic() - begin
        self.longest_sync = max(self.longest_sync, took)
        self._next_sync = begin + SYNC

    def _disk_is_full(self) -> bool:
        self._since_look = 0
        free = shutil.disk_usage(self._root).free
        if free >= self._min_free:
            return False
        text = f"nothing is recorded: the disk of {self._root} has {free / 2**30:.2f} GiB left"
        self.trouble = f"{text}, min_free is {self._min_free / 2**30:.2f}"
        self._say(self.trouble, True)
        return True

    def _close(self, why: str) -> None:
        if self._writer is None or self._writing is None:
            return
        writer, self._writer = self._writer, None
        missing = {role: count for role, count in self._writing.missing.items() if count}
        custom = {**self._writing.custom, "drops": json.dumps(missing), "ended": why}
        try:
            path = writer.close(custom)
        finally:
            writer.abandon()
        self.written.append(path.name)
        self._say(f"episode {path.name} is recorded: {writer.messages.total()} messages, {why}", False)
