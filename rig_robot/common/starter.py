"""Watches the process that started this node, so that the node ends with it: nothing else would stop the node then.

The kernel reports a process's death by a descriptor (pidfd), however it dies. Watching the parent is not enough:
between `ros2 launch` and a node there may be a terminal or a debugger. A process that starts nodes therefore also names
itself in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "RIG_STARTER"
"""Environment variable that names the process that started the nodes."""


class Unwatchable(OSError):
    """This system cannot report a process's death; the text says what to do."""


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if it has ended. Process ids are reused."""
    try:
        # The command in parentheses may contain anything; the 22nd field is the 20th after the parentheses.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _pid_namespace() -> str:
    """Return the name of the namespace of process ids: in another container, the same id is another process."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


PARENT = (os.getppid(), _start_time(os.getppid()))
"""The parent, read before the long imports, since it may die during them."""


def starter_environment() -> dict[str, str]:
    """Return the environment variable that names this process as the starter of its nodes."""
    return {VARIABLE: f"{os.getpid()} {_start_time(os.getpid())} {_pid_namespace()}"}


def open_starters(environment: Mapping[str, str]) -> list[int] | None:
    """Return a descriptor for each process that started this one; it becomes readable when that process dies.

    Process 1 of a system or a container is not watched: nothing outlives it.

    Args:
        environment: This process's; `VARIABLE` in it may name the starter.

    Returns:
        The descriptors, or None where one of the processes is dead already.

    Raises:
        Unwatchable: If the kernel has no such descriptors or does not allow them.
    """
    starters = {PARENT}
    pid, started, namespace = (*environment.get(VARIABLE, "").split(), "", "", "")[:3]
    if pid.isdecimal() and namespace == _pid_namespace():
        starters.add((int(pid), started))
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


def _open(pid: int, started: str) -> int | None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise Unwatchable(
            f"cannot watch the process that started this node ({error}): set the parameter outlive_starter to true to "
            "do without; the node then goes on when that process dies"
        ) from None
    if started and _start_time(pid) != started:  # the id has been reused by another process
        os.close(handle)
        return None
    return handle
