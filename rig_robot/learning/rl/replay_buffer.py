"""Replay buffer: keeps each frame once, in the order of time: image (uint8), tool position and latent (float32)."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rig_robot.common.durable_files import written_whole
from rig_robot.common.output_paths import os_error_text

ABOUT = "buffer.json"
RECORDED = ("images", "states", "actions", "first")
"""Arrays of a recorded buffer, a file each; latents are not among them, since they depend on the VAE"""


class Frames(NamedTuple):
    """What was seen at B moments."""

    images: np.ndarray
    """uint8 [B, S, S, 3]"""
    states: np.ndarray
    """float32 [B, 3], the tool's true position [m]; only the oracle is given it"""
    contexts: np.ndarray
    """uint8 [B, S, S, 3], the first image of each frame's episode: it shows the scene"""


class Transitions(NamedTuple):
    """A batch of B transitions, and their places in the buffer."""

    frames: np.ndarray
    """int64 [B], index of s_t; s_{t+1} is the frame after it"""
    latents: np.ndarray
    """float32 [B, L], z = e(s_t)"""
    before: np.ndarray
    """float32 [B, A], the action of the step before; 0 at the start of an episode"""
    actions: np.ndarray
    """float32 [B, A]"""
    next_latents: np.ndarray
    """float32 [B, L], z' = e(s_{t+1})"""


class ReplayBuffer:
    """Episodes of T + 1 frames with T actions between them.

    Frames are stored one after the other: s' of a transition is the frame after s and is not stored again. The last
    frame of an episode starts no transition.
    """

    def __init__(
        self, capacity: int, latent_size: int, action_size: int, images: np.ndarray | None = None, state_size: int = 3
    ) -> None:
        """capacity: in frames; images: uint8 [capacity, S, S, 3], room for images (a mapped file: see `map_array`).

        Without `images`, the buffer keeps no images, only latents.
        """
        self.capacity = capacity
        self.images = np.zeros((capacity, 0), np.uint8) if images is None else images
        self.states = np.zeros((capacity, state_size), np.float32)
        self.latents = np.zeros((capacity, latent_size), np.float32)
        self.actions = np.zeros((capacity, action_size), np.float32)
        self.episode = np.zeros(capacity, np.int32)
        """number of the episode that a frame belongs to"""
        self.first = np.zeros(0, np.int64)
        """first frame of each episode"""
        self.goals = np.zeros((0, latent_size), np.float32)
        """the goal of each episode; 0 for an episode without a goal"""
        self.size = 0
        """number of frames stored"""

    def __len__(self) -> int:
        """Return the number of transitions stored."""
        return self.size - len(self.first)

    def start(self, latent: Any, image: Any = None, state: Any = 0.0, goal: Any = 0.0) -> None:
        """Begin an episode with its first frame; latent and goal: [L], image: [S, S, 3], state: [3]."""
        self.first = np.append(self.first, self.size)
        self.goals = np.append(self.goals, np.broadcast_to(goal, (1, self.goals.shape[1])).astype(np.float32), axis=0)
        self._store(latent, image, state)

    def append(self, action: Any, latent: Any, image: Any = None, state: Any = 0.0) -> None:
        """Store the action taken at the newest frame and the frame that it led to (RIG, Algorithm 1, line 9)."""
        if not len(self.first):
            raise ValueError("the replay buffer has no episode to append to: call start first")
        self.actions[self.size - 1] = action
        self._store(latent, image, state)

    def _store(self, latent: Any, image: Any, state: Any) -> None:
        if self.size == self.capacity:
            raise ValueError(f"the replay buffer is full: it has room for {self.capacity} frames")
        if image is not None:
            self.images[self.size] = image
        self.states[self.size] = state
        self.latents[self.size] = latent
        self.episode[self.size] = len(self.first) - 1
        self.size += 1

    def sample(self, rng: np.random.Generator, count: int, since: int = 0) -> Transitions:
        """Draw `count` transitions of episode `since` and later, uniformly, with replacement (line 10)."""
        # Transition n, in episode e, starts at frame n + e: each episode before it has one frame more than transitions.
        starts = self.first - np.arange(len(self.first))
        transition = rng.integers(starts[since] if since else 0, len(self), size=count)
        frames = transition + np.searchsorted(starts, transition, side="right") - 1
        # The last frame of an episode has no action: its action is 0, so the first of the next episode has 0 before it.
        before, actions = self.actions[frames - 1], self.actions[frames]
        return Transitions(frames, self.latents[frames], before, actions, self.latents[frames + 1])

    def last(self, frames: np.ndarray) -> np.ndarray:
        """Return the last frame of the episode that each of `frames` belongs to: int64 [B]."""
        ends = np.append(self.first[1:], self.size) - 1
        return ends[self.episode[frames]]

    def frames(self, indices: np.ndarray) -> Frames:
        """Return images, states and contexts of frames `indices` (int64 [B])."""
        return Frames(self.images[indices], self.states[indices], self.images[self.first[self.episode[indices]]])

    def save(self, directory: Path, about: dict[str, Any]) -> None:
        """Write images, states and actions to a new directory, and `about` (JSON) beside them; whole or not at all."""
        if directory.exists():
            raise ValueError(f"{directory} exists already: name a new directory for the buffer")
        with written_whole(directory) as folder:
            for name in RECORDED:
                array = getattr(self, name)
                np.save(folder / f"{name}.npy", array if name == "first" else array[: self.size])
            (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")

    def extend(self, recorded: dict[str, np.ndarray]) -> None:
        """Append a recorded buffer (see `load_recorded`); its latents are filled when frames are encoded."""
        first, frames = recorded["first"], len(recorded["actions"])
        if self.size + frames > self.capacity:
            raise ValueError(f"{frames} recorded frames do not fit: there is room for {self.capacity - self.size}")
        room = slice(self.size, self.size + frames)
        self.images[room], self.states[room] = recorded["images"], recorded["states"]
        self.actions[room] = recorded["actions"]
        self.episode[room] = len(self.first) + np.searchsorted(first, np.arange(frames), side="right") - 1
        self.first = np.append(self.first, self.size + first)
        self.goals = np.append(self.goals, np.zeros((len(first), self.goals.shape[1]), np.float32), axis=0)
        self.size += frames

    def keep(self, episodes: np.ndarray, images: np.ndarray) -> None:
        """Forget all but these episodes (rising numbers); copy their images to `images`: uint8 [capacity, S, S, 3]."""
        lengths = np.diff(np.append(self.first, self.size))[episodes]
        first = np.cumsum(lengths) - lengths
        frames = np.repeat(self.first[episodes] - first, lengths) + np.arange(lengths.sum())
        size = len(frames)
        images[:size] = self.images[frames]
        self.images = images
        for array in (self.states, self.latents, self.actions):
            array[:size], array[size:] = array[frames], 0
        self.episode[:size] = np.repeat(np.arange(len(episodes)), lengths)
        self.first, self.goals, self.size = first, self.goals[episodes], size


def load_recorded(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a recorded buffer (images stay on disk) and its description.

    Raises:
        ValueError: If it is not a whole recorded buffer.
    """
    try:
        about = json.loads((directory / ABOUT).read_text())
        arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in RECORDED}
    except OSError as error:
        raise ValueError(f"{directory} is not a recorded buffer: {os_error_text(error)}") from error
    except ValueError as error:
        raise ValueError(f"{directory} is not a recorded buffer: {error}") from error
    first = arrays["first"]
    if first.ndim != 1 or first.dtype.kind not in "iu" or not all(array.ndim for array in arrays.values()):
        raise ValueError(f"{directory} is not a recorded buffer: first.npy is {first.dtype} {first.shape}")
    sizes = {name: len(arrays[name]) for name in RECORDED if name != "first"}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"{directory}: lengths differ, {sizes}; it was cut short")
    if not len(first) or first[0] != 0 or (np.diff(first) < 2).any() or first[-1] > sizes["images"] - 2:
        raise ValueError(
            f"{directory}/first.npy is {first[:5]}...: expected rising starts of episodes, the first one 0"
        )
    return arrays, about


def map_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return room for images in a file: uint8 of the given shape. Images written to it survive a killed process."""
    if not path.exists():
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    images = np.lib.format.open_memmap(path, mode="r+")
    if images.shape != shape:
        raise ValueError(f"{path} has room for {images.shape}, expected {shape}")
    return np.asarray(images)
