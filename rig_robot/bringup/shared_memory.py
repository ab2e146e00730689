"""Frees the shared memory that dead processes leave behind: Fast DDS does not, and a hundred crashes cost gigabytes.

Fast DDS keeps a lock file beside each segment (`..._el`) and holds a lock on it while its process lives
(eProsima/Fast-DDS, RobustExclusiveLock.hpp). A lock that can be had is a dead process's.

Ports (`fastdds_port...`, 52 kB each) are left alone. Whoever writes to a port keeps it open when its listener has
gone, and goes on writing to what it has open when the next process listens on that number: with the file removed, that
process would open another one and hear nothing. Fast DDS resets the port of a listener that was killed by itself.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
YOUNG = 0.5
"""What is younger than this [s] is left alone: its process may have yet to lock it."""
_SEGMENT_LOCK = re.compile(r"(?P<segment>fast(dds|rtps)_[0-9a-f]+)_el")
_PORT_LOCK = re.compile(r"fast(dds|rtps)_port(?P<number>\d+)_[es]l")


def sweep(folder: Path = FOLDER, young: float = YOUNG) -> list[str]:
    """Remove what dead processes of this user left in `folder`; return the names of the removed files.

    Args:
        folder: Where shared memory is.
        young: What is younger than this [s] is left alone.
    """
    removed: list[str] = []
    for file in orphans(folder, young):
        try:
            file.unlink()
            removed.append(file.name)
        except OSError:
            continue  # another sweep may be at work
    return removed


def orphans(folder: Path = FOLDER, young: float = YOUNG) -> Iterator[Path]:
    """Yield what `sweep` would remove: each segment, which may not be there, and its lock file."""
    for lock in folder.glob("fast*_el"):
        if (match := _SEGMENT_LOCK.fullmatch(lock.name)) and _abandoned(lock, young):
            yield from (folder / match["segment"], lock)


def ports_of_others(folder: Path = FOLDER) -> Iterator[tuple[int, int]]:
    """Yield the ports of living processes of other users: number, and user id of the owner.

    Those of this user are not looked at: who asks for a lock holds it for a moment, in which no process can begin with
    it.
    """
    for file in folder.glob("fast*port*_[es]l"):
        try:
            owner = file.stat().st_uid
        except OSError:  # it was there a moment ago
            continue
        if (match := _PORT_LOCK.fullmatch(file.name)) and owner != os.geteuid() and not _free(file):
            yield int(match["number"]), owner


def _free(lock: Path) -> bool:
    """Return whether nobody holds a lock; one that may not even be opened counts as held.

    Asks for a shared lock where the living hold an exclusive one: two sweeps at once must not take each other for
    the living.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    kind = fcntl.LOCK_EX if lock.name.endswith("_sl") else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _abandoned(lock: Path, young: float) -> bool:
    """Return whether a lock is a dead process's."""
    try:
        status = lock.stat()
    except OSError:  # it was there a moment ago
        return False
    return status.st_uid == os.getuid() and time.time() - status.st_mtime >= young and _free(lock)


if __name__ == "__main__":
    print(f"{len(sweep())} files of dead processes removed from {FOLDER}")
