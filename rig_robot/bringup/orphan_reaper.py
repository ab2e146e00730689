"""Watchdog process: kills nodes that are left after the runner has ended, and frees their shared memory.

The runner writes its children's process ids on standard input, which ends with it, however it ends. The kernel has
told the children to stop by then; this is for those that do not, and for what no kernel cleans up.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from pathlib import Path

from rig_robot.bringup.shared_memory import YOUNG, sweep

GRACE = 1.0
"""How long a node may take to stop before it is killed [s]: the arm brakes in a tenth of a second or two."""
PATIENCE = 20.0
"""How long the killed may take to be gone [s]: on a busy computer even that needs a processor, and what is still there
when the shared memory is freed keeps its own."""


def main() -> None:
    """Wait for the end of standard input, then for the end of all the processes that it named, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children = [int(line) for line in sys.stdin]
    asked = time.monotonic()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            _finish(pid, asked + GRACE, asked + GRACE + PATIENCE)
    time.sleep(YOUNG)  # a child may have died as young as that
    sweep()


def _finish(pid: int, grace: float, end: float) -> None:
    """Wait for the end of a process of ours until `grace`, then kill it and wait until `end` (steady clock, s)."""
    handle = os.pidfd_open(pid)
    try:
        # The number may be another process's by now: only what the runner started looks like this. One that is just
        # dying has no command line any more, but may still hold its locks.
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if command == b"" or b"--ros-args" in command:
            # Asked by the kernel already, but not where the runner died before the child could say that it wants to be.
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            with selectors.DefaultSelector() as selector:
                selector.register(handle, selectors.EVENT_READ)
                if not selector.select(max(0.0, grace - time.monotonic())):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    selector.select(max(0.0, end - time.monotonic()))
    except FileNotFoundError:
        pass
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
