"""Reassembles a chunked checkpoint in a temporary directory, and renames that once the checkpoint is complete."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from rig_robot.checkpoint_delivery.chunk_protocol import CHUNK, ChunkHeader
from rig_robot.checkpoints.checkpoint import CONFIG_FILE, read_config, read_entries
from rig_robot.checkpoints.compatibility import checkpoint_directory
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.common.durable_files import sync_directory, write_synced

LARGEST_FILE = 1024 * 1024 * 1024
"""Largest file that is accepted [bytes]."""


class ChunkAssembler:
    """Reassembles one checkpoint.

    Args:
        root: Root of checkpoints.
        name: Name of the checkpoint.

    Raises:
        CheckpointError: If the name leads out of the root.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._final = checkpoint_directory(root, name)
        if name.startswith("."):
            raise CheckpointError(f"checkpoint {name!r} refused: a name that begins with a dot is not one")
        self._partial = self._final.parent / f".{name}.arriving"
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._header: ChunkHeader | None = None
        self._bytes = bytearray()
        self._missing: dict[str, str] = {}
        """sha256 by name of the files that have not arrived yet; known once config.json is there"""

    def take(self, header: ChunkHeader, data: bytes) -> bool:
        """Add a chunk; return whether the checkpoint is now complete and in its directory.

        Args:
            header: The part of the checkpoint that the chunk holds.
            data: The bytes of the chunk.

        Raises:
            CheckpointError: If no complete checkpoint can come of it; the text says why.
            OSError: If the disk cannot store it.
        """
        if header.offset == 0:
            self._begin_file(header)
        if self._header is None or header[:4] != self._header[:4] or header.offset != len(self._bytes):
            raise CheckpointError(
                f"checkpoint {self.name}: {header.file} goes on at byte {header.offset}, but there are "
                f"{len(self._bytes)} bytes of {self._header.file if self._header else 'no file'}: a chunk was lost"
            )
        if len(data) > CHUNK or len(self._bytes) + len(data) > header.size:
            raise CheckpointError(
                f"checkpoint {self.name}: {header.file} is longer than the {header.size} bytes it says"
            )
        self._bytes += data
        if len(self._bytes) < header.size:
            return False
        self._end_file(header)
        if self._missing:
            return False
        self._publish()
        return True

    def _begin_file(self, header: ChunkHeader) -> None:
        expected = [*self._missing] or [CONFIG_FILE]
        if header.file not in expected:
            raise CheckpointError(f"checkpoint {self.name}: {header.file!r} came, expected {' or '.join(expected)}")
        if not 0 < header.size <= LARGEST_FILE:
            raise CheckpointError(
                f"checkpoint {self.name}: {header.file} has {header.size} bytes, expected 1 to {LARGEST_FILE}"
            )
        self._header, self._bytes = header, bytearray()

    def _end_file(self, header: ChunkHeader) -> None:
        found = hashlib.sha256(self._bytes).hexdigest()
        if found != self._missing.get(header.file, header.sha256) or found != header.sha256:
            raise CheckpointError(
                f"checkpoint {self.name}: sha256 of {header.file} is {found}, "
                f"expected {self._missing.get(header.file, header.sha256)}"
            )
        write_synced(self._partial / header.file, bytes(self._bytes))
        self._header, self._bytes = None, bytearray()
        if header.file == CONFIG_FILE:
            config = read_entries(self._partial / CONFIG_FILE)
            self._missing = {entry.file: entry.sha256 for entry in config.files}
        else:
            del self._missing[header.file]

    def _publish(self) -> None:
        """Validate the whole checkpoint and rename its directory; an existing one of its name must be the same."""
        config = read_config(self._partial)
        if self._final.exists():
            if read_config(self._final) != config:
                raise CheckpointError(f"checkpoint {self.name} is there already, and is another one: its name is taken")
            self.discard()
            return
        sync_directory(self._partial)
        self._partial.rename(self._final)
        sync_directory(self._final.parent)

    def discard(self) -> None:
        """Remove the files that have arrived."""
        shutil.rmtree(self._partial, ignore_errors=True)
