"""Lists the recorded episodes and packs one into a tar file while it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

CHUNK = 256 * 1024
"""Bytes that are sent at once."""


class Episodes:
    """The episodes in the recorder's directory.

    Args:
        directory: Returns that directory; None where there is no recorder, or it is not known yet.
    """

    def __init__(self, directory: Callable[[], Path | None]) -> None:
        self._directory = directory

    def names(self, most: int = 20) -> list[str]:
        """Return the names of the newest episodes that are whole, newest first."""
        directory = self._directory()
        if directory is None or not directory.is_dir():
            return []
        whole = [folder for folder in directory.iterdir() if (folder / "metadata.yaml").is_file()]
        return [folder.name for folder in sorted(whole, key=lambda folder: folder.name, reverse=True)[:most]]

    def tar(self, name: str) -> AsyncIterator[bytes]:
        """Return an episode as the parts of a tar file.

        Raises:
            ValueError: If there is no whole episode of that name.
        """
        directory = self._directory()
        if directory is None or not directory.is_dir():
            raise ValueError("nothing is recorded here: there is no recorder on this computer")
        if (
            name not in {folder.name for folder in directory.iterdir()}
            or not (directory / name / "metadata.yaml").is_file()
        ):
            raise ValueError(f"no whole episode {name[:80]!r} in {directory}")
        return _packed(directory / name)


async def _packed(folder: Path) -> AsyncIterator[bytes]:
    reading, writing = os.pipe()

    def pack() -> None:
        # Where nobody reads on, the pipe breaks and the packing ends.
        with (
            contextlib.suppress(OSError),
            os.fdopen(writing, "wb") as pipe,
            tarfile.open(mode="w|", fileobj=pipe) as tar,
        ):
            tar.add(folder, folder.name)

    threading.Thread(target=pack, daemon=True).start()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while chunk := await asyncio.to_thread(pipe.read, CHUNK):
            yield chunk
