"""A checkpoint that arrives in chunks: put together beside its place, and there by rename once it is whole."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from rig_robot.checkpoint_delivery.chunk_protocol import CHUNK, Piece
from rig_robot.checkpoints.checkpoint import CONFIG_FILE, CheckpointError, read_config, read_entries
from rig_robot.checkpoints.compatibility import named
from rig_robot.common.durable_files import sync_directory, write_synced

MOST = 1024 * 1024 * 1024
"""Largest file that is taken [bytes]."""


class Arrival:
    """One checkpoint of which some chunks are there.

    Args:
        root: Root of checkpoints.
        name: Name of the checkpoint.

    Raises:
        CheckpointError: If the name leads out of the root.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._final = named(root, name)
        if name.startswith("."):
            raise CheckpointError(f"checkpoint {name!r} refused: a name that begins with a dot is not one")
        self._partial = self._final.parent / f".{name}.arriving"
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._piece: Piece | None = None
        self._bytes = bytearray()
        self._wanted: dict[str, str] = {}
        """sha256 of the files that have not come yet; known once config.json is there"""

    def take(self, piece: Piece, data: bytes) -> bool:
        """Take a chunk; return whether the checkpoint is whole and in its place now.

        Raises:
            CheckpointError: If this can never become a whole checkpoint; the text says why.
            OSError: If the disk does not take it.
        """
        if piece.offset == 0:
            self._begin(piece)
        if self._piece is None or piece[:4] != self._piece[:4] or piece.offset != len(self._bytes):
            raise CheckpointError(
                f"checkpoint {self.name}: {piece.file} goes on at byte {piece.offset}, but there are "
                f"{len(self._bytes)} bytes of {self._piece.file if self._piece else 'no file'}: a chunk was lost"
            )
        if len(data) > CHUNK or len(self._bytes) + len(data) > piece.size:
            raise CheckpointError(f"checkpoint {self.name}: {piece.file} is longer than the {piece.size} bytes it says")
        self._bytes += data
        if len(self._bytes) < piece.size:
            return False
        self._end(piece)
        if self._wanted:
            return False
        self._place()
        return True

    def _begin(self, piece: Piece) -> None:
        expected = [*self._wanted] or [CONFIG_FILE]
        if piece.file not in expected:
            raise CheckpointError(f"checkpoint {self.name}: {piece.file!r} came, expected {' or '.join(expected)}")
        if not 0 < piece.size <= MOST:
            raise CheckpointError(f"checkpoint {self.name}: {piece.file} has {piece.size} bytes, expected 1 to {MOST}")
        self._piece, self._bytes = piece, bytearray()

    def _end(self, piece: Piece) -> None:
        found = hashlib.sha256(self._bytes).hexdigest()
        if found != self._wanted.get(piece.file, piece.sha256) or found != piece.sha256:
            raise CheckpointError(
                f"checkpoint {self.name}: sha256 of {piece.file} is {found}, "
                f"expected {self._wanted.get(piece.file, piece.sha256)}"
            )
        write_synced(self._partial / piece.file, bytes(self._bytes))
        self._piece, self._bytes = None, bytearray()
        if piece.file == CONFIG_FILE:
            config = read_entries(self._partial / CONFIG_FILE)
            self._wanted = {entry.file: entry.sha256 for entry in config.files}
        else:
            del self._wanted[piece.file]

    def _place(self) -> None:
        """Verify the whole, and rename it to its name; one that is there already must be the same."""
        config = read_config(self._partial)
        if self._final.exists():
            if read_config(self._final) != config:
                raise CheckpointError(f"checkpoint {self.name} is there already, and is another one: its name is taken")
            self.forget()
            return
        sync_directory(self._partial)
        self._partial.rename(self._final)
        sync_directory(self._final.parent)

    def forget(self) -> None:
        """Remove what has arrived of it."""
        shutil.rmtree(self._partial, ignore_errors=True)
