"""Replay buffer: every frame once, in the order of time, its image as uint8 and its latent as float32."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """A batch of B transitions, and where in the buffer they lie."""

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

    Frames lie one after the other, so that s' of a transition is the frame after s and is not stored again. The last
    frame of an episode starts no transition.
    """

    def __init__(self, images: np.ndarray, latent_size: int, action_size: int) -> None:
        """images: uint8 [capacity, S, S, 3], the room for frames (a mapped file: see `map_images`)."""
        capacity = len(images)
        self.images = images
        self.latents = np.zeros((capacity, latent_size), np.float32)
        self.actions = np.zeros((capacity, action_size), np.float32)
        self.episode = np.zeros(capacity, np.int64)
        """which episode a frame belongs to"""
        self.first = np.zeros(0, np.int64)
        """first frame of each episode"""
        self.size = 0
        """frames stored"""

    def __len__(self) -> int:
        """Transitions stored."""
        return self.size - len(self.first)

    def start(self, image: np.ndarray, latent: np.ndarray) -> None:
        """Begin an episode with its first frame."""
        self.first = np.append(self.first, self.size)
        self._store(image, latent)

    def append(self, action: np.ndarray, image: np.ndarray, latent: np.ndarray) -> None:
        """Store the action taken at the newest frame and the frame that it led to (RIG, Algorithm 1, line 9)."""
        if not len(self.first):
            raise ValueError("the replay buffer has no episode to append to: call start first")
        self.actions[self.size - 1] = action
        self._store(image, latent)

    def _store(self, image: np.ndarray, latent: np.ndarray) -> None:
        if self.size == len(self.images):
            raise ValueError(f"the replay buffer is full: it has room for {len(self.images)} frames")
        self.images[self.size] = image
        self.latents[self.size] = latent
        self.episode[self.size] = len(self.first) - 1
        self.size += 1

    def sample(self, rng: np.random.Generator, count: int) -> Transitions:
        """`count` transitions, uniformly, with replacement (line 10)."""
        # Transition n, in episode e, starts at frame n + e: each episode before it has one frame more than transitions.
        starts = self.first - np.arange(len(self.first))
        transition = rng.integers(len(self), size=count)
        frames = transition + np.searchsorted(starts, transition, side="right") - 1
        # The last frame of an episode has no action: it holds 0, which is what the first of the next has before it.
        before, actions = self.actions[frames - 1], self.actions[frames]
        return Transitions(frames, self.latents[frames], before, actions, self.latents[frames + 1])

    def last(self, frames: np.ndarray) -> np.ndarray:
        """The newest frame of the episode that each of `frames` belongs to; int64 [B]."""
        ends = np.append(self.first[1:], self.size) - 1
        return ends[self.episode[frames]]


def map_images(path: Path, capacity: int, image_size: int) -> np.ndarray:
    """Room for images in a file: uint8 [capacity, S, S, 3]. What is written there outlives a killed process."""
    shape = (capacity, image_size, image_size, 3)
    if not path.exists():
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    images = np.lib.format.open_memmap(path, mode="r+")
    if images.shape != shape:
        raise ValueError(f"{path} has room for {images.shape}, expected {shape}")
    return np.asarray(images)
