"""Define how a checkpoint travels over a topic: chunks, their numbers and the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rclpy.qos import QoSProfile
from std_msgs.msg import MultiArrayDimension, UInt8MultiArray

from rig_robot.checkpoints.checkpoint import CONFIG_FILE, read_config

TOPIC = "rig/checkpoint/chunk"

CHUNK = 256 * 1024
"""Largest number of bytes in one message."""

WINDOW = 64
"""Chunks that are under way at once: none is overwritten before it has arrived.

Not a few: a DDS asks for acknowledgements every few seconds only.
"""

CHUNKS = QoSProfile(depth=WINDOW)
"""Reliable, volatile: who comes in the middle of a checkpoint has no use for the rest."""

ANSWERS = "rig/checkpoint/received"
"""Whether what was sent is current (it has arrived, and the robot runs on it) or refused."""


class Piece(NamedTuple):
    """What a chunk's layout says."""

    checkpoint: str
    file: str
    sha256: str
    """of the whole file"""
    size: int
    """of the whole file [bytes]"""
    offset: int
    """of the chunk in it [bytes]"""


def read_piece(message: UInt8MultiArray) -> Piece:
    """Read what a chunk is.

    Raises:
        ValueError: If its layout is not that of a chunk.
    """
    layout = message.layout
    names, _, sha256 = (layout.dim[0].label if len(layout.dim) == 1 else "").rpartition(" ")
    checkpoint, _, file = names.partition("/")
    if not (checkpoint and file and len(sha256) == 64):
        raise ValueError(f"a chunk with the layout {[dim.label for dim in layout.dim]}, expected one NAME/FILE SHA256")
    return Piece(checkpoint, file, sha256, layout.dim[0].size, layout.data_offset)


def chunks(directory: Path) -> Iterator[UInt8MultiArray]:
    """Cut a checkpoint into messages.

    Raises:
        CheckpointError: If it is not whole.
    """
    config = read_config(directory)
    for file in (CONFIG_FILE, *(entry.file for entry in config.files)):
        content = (directory / file).read_bytes()
        label = f"{directory.name}/{file} {hashlib.sha256(content).hexdigest()}"
        for offset in range(0, max(1, len(content)), CHUNK):
            message = UInt8MultiArray()
            message.layout.dim = [MultiArrayDimension(label=label, size=len(content), stride=CHUNK)]
            message.layout.data_offset = offset
            message.data.frombytes(content[offset : offset + CHUNK])
            yield message
