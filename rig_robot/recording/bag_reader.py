"""Reads a topic's messages from a bag of any program, and compares their number with what the bag says it holds.

A bag is a folder of MCAP or sqlite3 files, with a metadata.yaml or without, or one such file. QoS profiles are not
looked at: they often differ between metadata.yaml and files, and say nothing about what was recorded.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import zstandard

from rig_robot.common.one_line import one_line
from rig_robot.recording.bag_metadata import MetadataError, file_names, message_counts, read_information
from rig_robot.recording.mcap_file import LARGEST, Described, McapFile, decompress
from rig_robot.recording.rosbag2_format import METADATA_FILE
from rig_robot.recording.sqlite_file import SqliteFile

BAGS = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
"""Endings of bag files that are read without a directory around them."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""Beginning of a compressed message. An uncompressed one begins with 0."""
Report = Callable[[str], None]
"""Is told in a sentence what of a bag is not used; it names the bag."""
warn: Report = logging.getLogger(__name__).warning
"""Tells it on stderr, where a program has not set up its logging otherwise."""


Storage = McapFile | SqliteFile


class BagError(ValueError):
    """A bag's messages cannot be used; the text names the bag, what was found and what would be right."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class Message(NamedTuple):
    """A message of a bag as it was recorded."""

    source: Described
    number: int
    """among those of its topic, from 0"""
    time_ns: int
    data: bytes


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: a file by its ending, a folder by what is in it."""
    if path.name.lower().endswith(BAGS):
        return True
    return path.is_dir() and ((path / METADATA_FILE).exists() or bool(_files_in(path)))


class Bag:
    """A bag, open for reading.

    Args:
        path: Its folder, or its MCAP or sqlite3 file.
        report: Is told what of it cannot be used.

    Raises:
        BagError: If none of its files can be read.
    """

    def __init__(self, path: Path, report: Report = warn) -> None:
        self.path = path
        self._report: Report = lambda text: report(one_line(text))
        self.problems: list[str] = []
        """what of its files cannot be read"""
        self._said: dict[str, int] = {}
        self._stack = ExitStack()
        self._storages: list[tuple[Path, Storage]] = []
        try:
            why = self._open()
            if not self._storages:
                raise BagError(f"{path} is not a bag that can be read: {why}")
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Close its files."""
        self._stack.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sources(self) -> list[Described]:
        """What its files say of the topics: one or more entries for each."""
        return [source for _, storage in self._storages for source in storage.channels.values()]

    def messages(self, topic: str, kinds: tuple[str, ...]) -> Iterator[Message]:
        """Read a topic's messages of the given types in the order of their times.

        What cannot be read is reported, and at the end how many of the topic's messages were not there, if any.
        """
        count = 0
        for file, storage in self._storages:
            wanted = self._wanted(file, storage, topic, kinds)
            if not wanted:
                continue
            for channel, time_ns, data in storage.messages(wanted, self._of_file(file)):
                try:
                    unpacked = decompress(data, "zstd", LARGEST) if data[:4] == _ZSTD else data
                except (ValueError, MemoryError, zstandard.ZstdError) as error:
                    self._report(f"{file}: message {count} of {topic} cannot be unpacked: {error}")
                else:
                    yield Message(wanted[channel], count, time_ns, unpacked)
                count += 1
        self._compare(topic, count)

    def _of_file(self, file: Path) -> Report:
        """Return where to tell what of a file cannot be used."""
        return lambda text: self._report(f"{file}: {text}")

    def _wanted(self, file: Path, storage: Storage, topic: str, kinds: tuple[str, ...]) -> dict[int, Described]:
        """Return the channels of a topic that are read; the others that hold messages of it are reported."""
        wanted = {}
        for channel, source in storage.channels.items():
            if source.topic != topic:
                continue
            if source.type in kinds and source.encoding == "cdr":
                wanted[channel] = source
            elif storage.counts is None or storage.counts.get(channel):
                what = f"{source.type or 'messages without a type'} as {source.encoding or 'no encoding'}"
                self._report(f"{file}: a channel of {topic} holds {what} and is passed over")
        return wanted

    def _compare(self, topic: str, count: int) -> None:
        """Report where fewer or more messages were read than the bag says."""
        said = {f"its {METADATA_FILE} says": self._said[topic]} if topic in self._said else {}
        counts = [storage.counts for _, storage in self._storages]
        if None not in counts:
            said[f"its file{'s say' if len(counts) > 1 else ' says'}"] = sum(
                numbers.get(channel, 0)
                for (_, storage), numbers in zip(self._storages, counts, strict=True)
                for channel, source in storage.channels.items()
                if numbers is not None and source.topic == topic
            )
        if wrong := [f"{who} {number}" for who, number in said.items() if number != count]:
            self._report(f"{self.path}: {count} messages of {topic} were read, {' and '.join(wrong)}")

    def _open(self) -> str:
        """Open the bag's files; return why the last that cannot be read cannot."""
        why = "it holds no MCAP or sqlite3 file"
        try:
            files = self._find_files()
        except OSError as error:
            return f"{error.strerror or error}"
        for file in files:
            try:
                storage = self._open_file(file)
            except (OSError, ValueError, zstandard.ZstdError) as error:
                why = (
                    f"{file.name} cannot be read: {error.strerror}"
                    if isinstance(error, OSError)
                    else f"{file.name} {error}"
                )
                if len(files) > 1:
                    self._report(f"{self.path}: {why}; its other files are used")
                continue
            self._stack.callback(storage.close)
            self._storages.append((file, storage))
            for problem in storage.problems:
                self.problems.append(f"{file.name}: {problem}")
                self._report(f"{file}: {problem}")
        self._storages.sort(key=lambda opened: opened[1].begin_ns)
        return why

    def _find_files(self) -> list[Path]:
        path = self.path
        if not path.is_dir():
            if not path.name.lower().endswith(BAGS):
                raise OSError(f"a file's name ends in {', '.join(BAGS)}" if path.exists() else "there is no such file")
            return [path]
        there = _files_in(path)
        if not (path / METADATA_FILE).exists():
            if there:
                self._report(f"{path} has no {METADATA_FILE}: all {len(there)} bag files in it are used")
            return there
        try:
            information = read_information(path)
            listed = list(dict.fromkeys(path / name for name in file_names(path, information)))
        except MetadataError as error:
            self._report(f"{error}; all {len(there)} bag files in its folder are used without it")
            return there
        try:
            self._said = message_counts(path, information)
        except MetadataError as error:
            self._report(str(error))
        missing = [file.name for file in listed if not _is_there(file)]
        others = [file for file in there if file not in listed]
        if missing or not listed:
            instead = f"; {', '.join(file.name for file in others)} instead" if others else ""
            what = f"{', '.join(missing)} of its {METADATA_FILE} are not there"
            self._report(f"{path}: {what if listed else f'its {METADATA_FILE} names no file'}{instead}")
            return [file for file in listed if _is_there(file)] + others
        if others:
            names = ", ".join(file.name for file in others)
            self._report(f"{path}: {names} are not in its {METADATA_FILE} and are passed over")
        return listed

    def _open_file(self, file: Path) -> Storage:
        if file.name.lower().endswith(".zstd"):
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            unpacked = folder / file.stem
            with file.open("rb") as source, unpacked.open("wb") as target:
                zstandard.ZstdDecompressor().copy_stream(source, target)
            return self._open_file(unpacked)
        with file.open("rb") as stream:
            sqlite = stream.read(6) == b"SQLite"
        return SqliteFile(file) if sqlite else McapFile(file)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # its name is too long for a file's
        return False


def _files_in(folder: Path) -> list[Path]:
    """Return the bag files in a folder in the order of the numbers in their names."""
    found = [file for file in folder.iterdir() if file.name.lower().endswith(BAGS) and not file.name.startswith(".")]
    return sorted(found, key=lambda file: [part.zfill(20) for part in re.split(r"(\d+)", file.name)])
