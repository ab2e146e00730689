"""Keeps recorded frames for learning on the robot: replay buffers with images in files, which forget when full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rig_robot.learning.rl.replay_buffer import ABOUT, ReplayBuffer, load_recorded, map_array
from rig_robot.recording.transitions import Segment


class FrameStore:
    """A replay buffer and the file of its images.

    The file takes room on the disk only as it fills. Images in it never change: to forget some, the others are copied
    to a new file, so that a saved state that names the old one stays whole.
    """

    def __init__(self, work: Path, name: str, generation: int, shape: tuple[int, ...]) -> None:
        """shape: [capacity, S, S, 3]; generation: how often the store has forgotten frames so far."""
        self.work, self.name, self.generation, self.shape = work, name, generation, shape
        self.images = map_array(self.file, shape)

    @property
    def file(self) -> Path:
        """The file of the images."""
        return self.work / f"{self.name}-{self.generation}.npy"

    def hold(self, replay: ReplayBuffer) -> None:
        """Set the replay buffer, which must be made with `images`."""
        self.replay = replay

    def add(self, segments: Sequence[Segment], keep: int = 0) -> int:
        """Append segments, whose latents and goals the caller fills; forget old episodes first where there is no room.

        keep: The first so many episodes are forgotten last. Returns how many of those episodes are left.

        Raises:
            ValueError: If the segments do not fit into half of an empty buffer.
        """
        replay = self.replay
        frames = sum(len(segment.images) for segment in segments)
        if 2 * frames > replay.capacity:
            raise ValueError(f"it has {frames} frames, and there is room for {replay.capacity} in all")
        if replay.size + frames > replay.capacity:
            keep = self._forget(keep)
        for segment in segments:
            actions = np.concatenate((segment.actions, np.zeros((1, replay.actions.shape[1]), np.float32)))
            recorded: dict[str, np.ndarray] = {"images": segment.images, "states": segment.positions}
            replay.extend(recorded | {"actions": actions, "first": np.zeros(1, np.int64)})
        self.flush()
        return keep

    def _forget(self, keep: int) -> int:
        """Keep the newest episodes and an even choice of the first `keep`, so that each fill a quarter of the room."""
        replay = self.replay
        lengths = np.diff(np.append(replay.first, replay.size))
        quarter = replay.capacity // 4
        newest = keep + int((lengths[keep:][::-1].cumsum()[::-1] > quarter).sum())
        share = -(-int(lengths[:keep].sum()) // quarter) or 1
        spread = np.arange(0, keep, share)
        self.generation += 1
        self.images = map_array(self.file, self.shape)
        replay.keep(np.concatenate((spread, np.arange(newest, len(lengths)))), self.images)
        return len(spread)

    def flush(self) -> None:
        """Write the images to the disk."""
        base: object = self.images
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        if isinstance(base, np.memmap):
            base.flush()

    def remove_old_files(self) -> None:
        """Remove the files of former generations; call it when no saved state names them any more."""
        for file in self.work.glob(f"{self.name}-*.npy"):
            if file != self.file:
                file.unlink()


def is_buffer(directory: Path) -> bool:
    """Return whether a directory is a buffer that `rig explore` recorded."""
    try:
        return (directory / ABOUT).exists()
    except OSError:  # a directory that may not be looked into
        return False


def read_buffer(directory: Path, image_size: int, action_size: int) -> list[Segment]:
    """Return the episodes of a buffer that `rig explore` recorded.

    Raises:
        ValueError: If it is not such a buffer, or its images or actions have other sizes.
    """
    arrays, _ = load_recorded(directory)
    wanted = {
        "images": ("uint8", (image_size, image_size, 3)),
        "actions": ("float32", (action_size,)),
        "states": ("float32", (3,)),
    }
    for name, (kind, shape) in wanted.items():
        found = arrays[name]
        if found.shape[1:] != shape or found.dtype != kind:
            raise ValueError(f"{directory}: {name} are {found.dtype} {found.shape[1:]}, expected {kind} {shape}")
    ends = [*arrays["first"][1:], len(arrays["actions"])]
    return [
        Segment(
            arrays["images"][first:end],
            np.asarray(arrays["actions"][first : end - 1]),
            np.asarray(arrays["states"][first:end]),
            np.arange(end - first, dtype=np.int64),
            None,
        )
        for first, end in zip(arrays["first"], ends, strict=True)
    ]
