"""Defines how a checkpoint is sent over a topic: chunks, headers and answers, for sender and receiver."""

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
"""Chunks that are sent before all of them must be acknowledged: none is overwritten before it has arrived.

Fewer would be slow: a DDS asks for acknowledgements every few seconds only.
"""

CHUNKS = QoSProfile(depth=WINDOW)
"""Reliable and volatile: a subscriber that comes in the middle of a checkpoint has no use for the rest."""

ANSWERS = "rig/checkpoint/received"
"""Topic on which the receiver answers: the sent checkpoint is current (the robot runs on it) or refused."""


class ChunkHeader(NamedTuple):
    """The part of a checkpoint that a chunk holds, as its message's layout says."""

    checkpoint: str
    file: str
    sha256: str
    """of the whole file"""
    size: int
    """of the whole file [bytes]"""
    offset: int
    """of the chunk in it [bytes]"""


def read_header(message: UInt8MultiArray) -> ChunkHeader:
    """Return the header in a chunk's message.

    Raises:
        ValueError: If the message's layout is not a chunk's.
    """
    layout = message.layout
    names, _, sha256 = (layout.dim[0].label if len(layout.dim) == 1 else "").rpartition(" ")
    checkpoint, _, file = names.partition("/")
    if not (checkpoint and file and len(sha256) == 64):
        raise ValueError(f"a chunk with the layout {[dim.label for dim in layout.dim]}, expected one NAME/FILE SHA256")
    return ChunkHeader(checkpoint, file, sha256, layout.dim[0].size, layout.data_offset)


def chunks(directory: Path) -> Iterator[UInt8MultiArray]:
    """Cut a checkpoint's files into messages, `config.json` first.

    Raises:
        CheckpointError: If the checkpoint is not whole.
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
