"""The replay buffer: every frame once, transitions never across episodes, files that keep what was written."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.learning.replay_buffer import ReplayBuffer, map_images


def filled(lengths: list[int]) -> ReplayBuffer:
    """Episodes of so many actions; frame i of episode e has latent (e, i) and led on by action i."""
    capacity = sum(lengths) + len(lengths)
    replay = ReplayBuffer(np.zeros((capacity, 1, 1, 3), np.uint8), latent_size=2, action_size=1)
    for episode, length in enumerate(lengths):
        replay.start(np.full((1, 1, 3), episode, np.uint8), np.array([episode, 0]))
        for i in range(length):
            replay.append(np.array([i]), np.full((1, 1, 3), episode, np.uint8), np.array([episode, i + 1]))
    return replay


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=8).filter(any), st.integers(0, 2**32))
def test_every_transition_lies_inside_one_episode(lengths: list[int], seed: int) -> None:
    replay = filled(lengths)
    assert len(replay) == sum(lengths) and replay.size == sum(lengths) + len(lengths)
    batch = replay.sample(np.random.default_rng(seed), 200)
    assert np.array_equal(batch.latents[:, 0], batch.next_latents[:, 0])
    assert np.array_equal(batch.latents[:, 1] + 1, batch.next_latents[:, 1])
    assert np.array_equal(batch.actions[:, 0], batch.latents[:, 1])
    assert np.array_equal(batch.before[:, 0], np.maximum(batch.latents[:, 1] - 1, 0))
    last = replay.latents[replay.last(batch.frames)]
    assert np.array_equal(last[:, 0], batch.latents[:, 0])
    assert np.array_equal(last[:, 1], np.array(lengths)[batch.latents[:, 0].astype(int)])


def test_every_transition_is_drawn_equally_often() -> None:
    replay = filled([1, 5, 2])
    frames = replay.sample(np.random.default_rng(0), 80_000).frames
    found, counts = np.unique(frames, return_counts=True)
    assert found.tolist() == [0, 2, 3, 4, 5, 6, 8, 9]
    assert np.abs(counts / 10_000 - 1).max() < 0.05


def test_images_are_stored_once_as_bytes(tmp_path: Path) -> None:
    images = map_images(tmp_path / "images.npy", 12, 48)
    replay = ReplayBuffer(images, latent_size=4, action_size=2)
    assert replay.images.dtype == np.uint8 and replay.latents.dtype == np.float32
    replay.start(np.full((48, 48, 3), 7, np.uint8), np.zeros(4))
    for i in range(11):
        replay.append(np.zeros(2), np.full((48, 48, 3), i, np.uint8), np.zeros(4))
    assert len(replay) == 11 and (tmp_path / "images.npy").stat().st_size < 12 * 48 * 48 * 3 + 1000
    again = map_images(tmp_path / "images.npy", 12, 48)
    assert np.array_equal(again, images) and again[11, 0, 0, 0] == 10
    with pytest.raises(ValueError, match="room for 12 frames"):
        replay.append(np.zeros(2), images[0], np.zeros(4))
    with pytest.raises(ValueError, match=r"images\.npy has room"):
        map_images(tmp_path / "images.npy", 13, 48)


def test_an_action_without_an_episode_is_refused() -> None:
    replay = ReplayBuffer(np.zeros((2, 1, 1, 3), np.uint8), latent_size=2, action_size=1)
    with pytest.raises(ValueError, match="call start first"):
        replay.append(np.zeros(1), np.zeros((1, 1, 3), np.uint8), np.zeros(2))
