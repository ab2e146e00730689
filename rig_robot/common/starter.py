"""Watches the process that started this node, so that the node ends with it: nobody else would stop the node then.

The kernel tells of a process's death by a descriptor (pidfd), however it dies. The parent alone is not enough: between
`ros2 launch` and a node there may be a terminal or a debugger. Who starts nodes therefore also names itself in the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "RIG_STARTER"
"""Environment variable that names the process that started the nodes."""


class Unwatchable(OSError):
    """This system cannot tell of a process's death; the text says what to do."""


def _born(pid: int) -> str:
    """Return when a process began, in clock ticks since boot; empty if it is gone. Numbers are given out again."""
    try:
        # The command in parentheses may hold anything; the 22nd field is the 20th behind it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _numbering() -> str:
    """Return the name of the process numbers' namespace: in another container, a number is another process."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


PARENT = (os.getppid(), _born(os.getppid()))
"""The parent as this module is imported, before the long imports: it may die during those."""


def starter_environment() -> dict[str, str]:
    """Return the variable that tells nodes that this process starts them."""
    return {VARIABLE: f"{os.getpid()} {_born(os.getpid())} {_numbering()}"}


def open_starters(environment: Mapping[str, str]) -> list[int] | None:
    """Return a descriptor for each process that started this one; it becomes readable when that process dies.

    Process 1 of a system or a container is not among them: nothing outlives it.

    Args:
        environment: This process's; `VARIABLE` in it may name the starter.

    Returns:
        The descriptors, or None where one of the processes is dead already.

    Raises:
        Unwatchable: If the kernel has no such descriptors or does not allow them.
    """
    starters = {PARENT}
    pid, born, numbering = (*environment.get(VARIABLE, "").split(), "", "", "")[:3]
    if pid.isdecimal() and numbering == _numbering():
        starters.add((int(pid), born))
    opened: list[int] = []
    for number, since in starters:
        if number > 1:  # 0: outside the container
            handle = _open(number, since)
            if handle is None:
                for other in opened:
                    os.close(other)
                return None
            opened.append(handle)
    return opened


def _open(pid: int, born: str) -> int | None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise Unwatchable(
            f"cannot watch the process that started this node ({error}): set the parameter outlive_starter to true to "
            "do without; the node then goes on when that process dies"
        ) from None
    if born and _born(pid) != born:  # the number is another process's by now
        os.close(handle)
        return None
    return handle
