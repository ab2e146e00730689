"""Frees the shared memory that dead processes leave behind: Fast DDS does not, and a hundred crashes cost gigabytes.

Fast DDS keeps a lock file beside each segment and port (`..._el`, `..._sl`) and holds a lock on it while its process
lives (eProsima/Fast-DDS, RobustExclusiveLock.hpp). A lock that can be had is a dead process's. A port without a lock
file has no listener: it was opened to write to one that had gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
_FILE = re.compile(r"(?P<owner>fast(dds|rtps)_(?P<port>port\d+)?[0-9a-f]*?)(_el|_sl)?")


def sweep(folder: Path = FOLDER, young: float = 0.5) -> list[str]:
    """Remove what dead processes of this user left in `folder`; return the names of the removed files.

    Args:
        folder: Where shared memory is.
        young: What is younger than this [s] is left alone: its process may have yet to lock it.
    """
    removed: list[str] = []
    for file in orphans(folder, young):
        try:
            file.unlink()
            removed.append(file.name)
        except OSError:
            continue  # only ports have a mutex, and another sweep may be at work
    return removed


def orphans(folder: Path = FOLDER, young: float = 0.5) -> Iterator[Path]:
    """Yield what `sweep` would remove, files among them that are not there (only ports have a mutex).

    The locks of a port are held until its last file has been looked at: no process can begin with one that is removed.
    """
    owners = {match["owner"]: match["port"] for file in folder.glob("fast*") if (match := _FILE.fullmatch(file.name))}
    for owner, port in owners.items():
        locks = [lock for end in ("_el", "_sl") if (lock := folder / f"{owner}{end}").exists()]
        evidence = locks or ([folder / owner] if port else [])
        with contextlib.ExitStack() as held:
            if evidence and all(_abandoned(file, young, held) for file in evidence):
                yield from (folder / owner, folder / f"sem.{owner}_mutex", *locks)


def ports_of_others(folder: Path = FOLDER) -> Iterator[tuple[int, int]]:
    """Yield the ports of living processes of other users: number, and user id of the owner.

    Those of this user are not looked at: who asks for a lock holds it for a moment, in which no process can begin with
    it.
    """
    for file in folder.glob("fast*port*_[es]l"):
        match = _FILE.fullmatch(file.name)
        try:
            owner = file.stat().st_uid
        except OSError:  # it was there a moment ago
            continue
        if match and match["port"] and owner != os.geteuid():
            if (taken := _take(file)) is None:
                yield int(match["port"].removeprefix("port")), owner
            else:
                os.close(taken)


def _take(lock: Path) -> int | None:
    """Return a descriptor that holds a lock, or None where a process holds it, or it may not even be opened.

    Asks for a shared lock where the living hold an exclusive one: two sweeps at once must not take each other for
    the living.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return None
    kind = fcntl.LOCK_EX if lock.name.endswith("_sl") else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _abandoned(lock: Path, young: float, held: contextlib.ExitStack) -> bool:
    """Return whether a lock is a dead process's; if so, `held` holds it."""
    try:
        status = lock.stat()
    except OSError:  # it was there a moment ago
        return False
    if status.st_uid != os.getuid() or time.time() - status.st_mtime < young or (taken := _take(lock)) is None:
        return False
    held.callback(os.close, taken)
    return True


if __name__ == "__main__":
    print(f"{len(sweep())} files of dead processes removed from {FOLDER}")
