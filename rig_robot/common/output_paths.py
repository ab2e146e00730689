"""Checks, before the work begins, whether its result can be written to the requested place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class BadOutput(ValueError):
    """A result cannot be written to the requested place; the text names the place and what would be right."""


def os_error_text(error: OSError) -> str:
    """Return the system's message for a file, without Python's error number: PATH: Is a directory."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return f"{' -> '.join(names)}: {error.strerror}" if names and error.strerror else error.strerror or str(error)


def check_file(name: str, path: Path | None) -> None:
    """Check that a file can be written, by creating and removing it; an existing file stays as it is.

    Args:
        name: Name of the argument that gives the path.
        path: The file; None where none is requested.

    Raises:
        BadOutput: If it cannot be written.
    """
    if path is None:
        return
    try:
        real = Path(os.path.realpath(path))  # writing to a link creates the file that it points to
        if real.is_dir():
            raise BadOutput(f"{name} is {path}, which is a directory: name a file in it")
        if not real.parent.is_dir():
            what = "is no directory" if real.parent.exists() else "does not exist: make it first"
            raise BadOutput(f"{name} is {path}, but the directory {path.parent} {what}")
        if not real.exists():
            os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            real.unlink()
        elif real.is_file():
            os.close(os.open(real, os.O_WRONLY))
        elif not os.access(real, os.W_OK):  # not opened, since opening and closing would disturb a pipe or device
            raise BadOutput(f"{name} is {path}, which may not be written")
    except OSError as error:
        raise BadOutput(f"{name} is {path}, which cannot be written: {error.strerror}") from None


def check_folder(name: str, path: Path | None) -> None:
    """Check that files can be written to a folder, which need not exist yet; the check leaves nothing behind.

    Args:
        name: Name of the argument that gives the path.
        path: The folder; None where none is requested.

    Raises:
        BadOutput: If the path is no folder, or files cannot be written there.
    """
    if path is None:
        return
    try:
        there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
        if not there.is_dir():
            which = "which" if there == path else f"but {there}"
            raise BadOutput(f"{name} is {path}, {which} is no directory: name another one")
        with tempfile.TemporaryDirectory(prefix=".rig_", dir=there) as folder:
            if there != path:
                (Path(folder) / path.name).mkdir()  # a name may be too long for the file system
    except OSError as error:
        raise BadOutput(f"{name} is {path}, where nothing can be written: {error.strerror}") from None
