"""Reads the messages of a rosbag2's sqlite3 file (.db3), also of one that is cut short, for the readers of bags."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rig_robot.recording.mcap_file import LARGEST, Described

_MAGIC = b"SQLite format 3\0"
_BROKEN = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError)
"""What sqlite3 raises for a broken file."""
_TABLES = {"messages": {"id", "topic_id", "timestamp", "data"}, "topics": {"id", "name", "type"}}
_STEPS = 10_000
"""Instructions of SQLite's machine between two looks whether it goes round in a circle"""
_ROUNDS = 10_000
"""So many looks without a row: some seconds"""


class SqliteFile:
    """A sqlite3 file of a rosbag2, open for reading.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no such file; the text goes on a sentence that begins with its name.
    """

    def __init__(self, path: Path) -> None:
        self.channels: dict[int, Described] = {}
        self.counts: dict[int, int] | None = None
        """number of messages by channel, where the file says it"""
        self.problems: list[str] = []
        """what of the file cannot be read"""
        self.begin_ns = 0
        """time before which it holds no message [ns]"""
        with path.open("rb") as file:
            if (begin := file.read(len(_MAGIC))) != _MAGIC:
                raise ValueError(f"is not a sqlite3 file: it begins with {begin!r}")
        self._waited = 0
        self._database = self._open(path)
        try:
            self._look()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def messages(self, wanted: Collection[int], report: Callable[[str], None]) -> Iterator[tuple[int, int, bytes]]:
        """Read messages in the order of their times; those that are not found so, as they stand in the file.

        Args:
            wanted: The channels that are read.
            report: Is told what is broken.

        Yields:
            Channel, time of recording [ns], the message.
        """
        ids = ", ".join(str(int(channel)) for channel in wanted)
        columns = "SELECT id, topic_id, timestamp, data FROM messages"
        given: set[Any] = set()
        for query in (
            f"{columns} WHERE topic_id IN ({ids}) ORDER BY timestamp, id",
            f"{columns} NOT INDEXED WHERE topic_id IN ({ids}) ORDER BY id",
        ):
            try:
                for row, channel, time_ns, data in self._query(query):
                    if row in given:
                        continue
                    given.add(row)
                    if isinstance(time_ns, int) and isinstance(data, bytes) and channel in wanted:
                        yield channel, time_ns, data
                    else:
                        report(f"its message {row} has the time {str(time_ns)[:20]!r} and no bytes, or no time")
            except _BROKEN as error:
                report(f"it is broken behind {len(given)} messages: {error}")
            # An index that is broken may look like an empty one.
            if self.counts is not None and len(given) >= sum(self.counts.get(channel, 0) for channel in wanted):
                return

    def _open(self, path: Path) -> sqlite3.Connection:
        """Open the database; nothing is ever written, and nothing that stands in its schema is trusted."""
        name = f"file:{quote(str(path.absolute()))}?mode=ro"
        beside = [Path(f"{path}{ending}") for ending in ("-wal", "-journal")]
        left = [file.name for file in beside if file.is_file() and file.stat().st_size]
        tries = [name, f"{name}&immutable=1"] if left else [f"{name}&immutable=1"]
        for uri in tries:
            try:
                database = sqlite3.connect(uri, uri=True, check_same_thread=False)
            except sqlite3.Error as error:
                raise ValueError(f"is not a database that can be read: {error}") from None
            try:
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
                database.set_progress_handler(self._is_endless, _STEPS)
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA cell_size_check = ON")
                database.execute("SELECT count(*) FROM sqlite_master").fetchall()
            except sqlite3.Error as error:
                if uri != tries[-1]:
                    self.problems.append(f"{left[0]}, which its recorder left beside it, cannot be read: {error}")
                    database.close()
                    continue
                # A file that is shorter than its head says is opened all the same with this.
                self.problems.append(f"it is cut short or broken: {error}")
                database.execute("PRAGMA writable_schema = ON")
            return database
        raise AssertionError

    def _is_endless(self) -> bool:
        self._waited += 1
        return self._waited > _ROUNDS

    def _query(self, text: str) -> Iterator[tuple]:
        self._waited = 0
        for row in self._database.execute(text):
            yield row
            self._waited = 0

    def _look(self) -> None:
        """Read the topics."""
        try:
            # A view or a virtual table of this name could compute whatever it likes.
            real = "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
            names = {name for (name,) in self._query(f"SELECT name FROM sqlite_master WHERE {real}")}
            for table, needed in _TABLES.items():
                found = {row[1] for row in self._query(f"PRAGMA table_info({table})")} if table in names else set()
                if missing := needed - found:
                    raise ValueError(f"is not a rosbag2: its table {table} lacks {', '.join(sorted(missing))}")
            has_format = any(row[1] == "serialization_format" for row in self._query("PRAGMA table_info(topics)"))
            columns = f"id, name, type, {'serialization_format' if has_format else repr('cdr')}"
            for row in self._query(f"SELECT {columns} FROM topics"):
                if isinstance(row[0], int) and all(isinstance(value, str) for value in row[1:]):
                    self.channels[row[0]] = Described(*row[1:])
                else:
                    self.problems.append(f"a topic is described by {str(row)[:80]}")
        except (sqlite3.Error, OverflowError) as error:
            raise ValueError(f"is not a database that can be read: {error}") from None
        try:
            rows = list(self._query("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
            self.counts = {key: count for key, count in rows if isinstance(key, int)}
            ((first,),) = self._query("SELECT min(timestamp) FROM messages")
            self.begin_ns = first if isinstance(first, int) else 0
        except _BROKEN as error:
            self.problems.append(f"its messages cannot be counted: {error}")
