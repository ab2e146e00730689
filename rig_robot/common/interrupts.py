"""Handles Ctrl-C in a command: one line that says what was stopped, status 130, no traceback, nothing left behind.

No imports but the standard library's: the command line installs this before anything else is loaded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it: 128 + SIGINT."""
PATIENCE = 10.0
"""Time that an orderly end may take before the process ends without it [s]."""


def end_at_once(line: str, status: int = INTERRUPTED) -> None:
    """From now on, let Ctrl-C print a line and end the process immediately.

    Use it for work that leaves nothing to undo, and while modules are loaded: an exception would be raised in the
    destructor or the C++ library that happens to run ("Exception ignored in", "terminate called"), and might be lost.
    """
    signal.signal(signal.SIGINT, lambda *_: _end(line, status))


def end_nodes_at_once() -> None:
    """If this process will be a ROS node, let Ctrl-C end it immediately until `ros.run` takes over.

    Loading the node's modules takes longer than `ros2 launch` waits when the computer is busy.
    """
    if "--ros-args" in sys.argv and threading.current_thread() is threading.main_thread():
        end_at_once("", 0)


@contextlib.contextmanager
def orderly(line: str) -> Iterator[None]:
    """Within this context, let Ctrl-C unwind the stack (`KeyboardInterrupt`), then print a line and end with 130.

    SIGTERM does the same, with 143. The process ends at once where Ctrl-C comes while a module is loaded (see above) or
    a second time, or where unwinding takes longer than `PATIENCE`.
    """
    status = 0

    def stop(number: int, frame: types.FrameType | None) -> None:
        nonlocal status
        status = 128 + number
        end_at_once(line, status)
        if _loading(frame):
            _end(line, status)
        late = threading.Timer(PATIENCE, _end, (line, status))
        late.daemon = True
        late.start()
        sys.unraisablehook = lambda _: None  # the destructor of an object that was being made may miss its attributes
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    except BaseException:
        if status:  # also where a library has turned the KeyboardInterrupt into another exception
            _end(line, status)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        end_at_once(line, status or INTERRUPTED)


def _loading(frame: types.FrameType | None) -> bool:
    """Return whether a stack frame is within the loading of a module."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _end(line: str, status: int) -> None:
    """Print a line and end the process without the interpreter's shutdown, in which threads of libraries may abort."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # Ctrl-C may have come in the middle of a write
            stream.flush()
    if line:
        # Begin a new line where the terminal has echoed ^C or a progress bar has left the cursor at its end.
        begun = os.isatty(2) or getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", None)
        with contextlib.suppress(OSError):
            os.write(2, f"{chr(10) if begun else ''}{line}\n".encode())
    os._exit(status)
