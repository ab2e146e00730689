"""The replay buffer: every frame once, transitions never across episodes, files that keep what was written."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.learning.rl.replay_buffer import ABOUT, ReplayBuffer, load_recorded, map_array


def filled(lengths: list[int]) -> ReplayBuffer:
    """Episodes of so many actions; frame i of episode e has latent (e, i) and led on by action i."""
    capacity = sum(lengths) + len(lengths)
    replay = ReplayBuffer(capacity, latent_size=2, action_size=1, images=np.zeros((capacity, 1, 1, 3), np.uint8))
    for episode, length in enumerate(lengths):
        replay.start(np.array([episode, 0]), np.full((1, 1, 3), episode, np.uint8), episode, np.array([episode, -1]))
        for i in range(length):
            replay.append(np.array([i]), np.array([episode, i + 1]), np.full((1, 1, 3), episode, np.uint8), episode)
    return replay


@settings(max_examples=60)
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
    images = map_array(tmp_path / "images.npy", (12, 48, 48, 3))
    replay = ReplayBuffer(12, latent_size=4, action_size=2, images=images)
    assert replay.images.dtype == np.uint8 and replay.latents.dtype == np.float32
    replay.start(0.0, np.full((48, 48, 3), 7, np.uint8))
    for i in range(11):
        replay.append(np.zeros(2), np.zeros(4), np.full((48, 48, 3), i, np.uint8))
    assert len(replay) == 11 and (tmp_path / "images.npy").stat().st_size < 12 * 48 * 48 * 3 + 1000
    again = map_array(tmp_path / "images.npy", (12, 48, 48, 3))
    assert np.array_equal(again, images) and again[11, 0, 0, 0] == 10
    with pytest.raises(ValueError, match="room for 12 frames"):
        replay.append(np.zeros(2), np.zeros(4), images[0])
    with pytest.raises(ValueError, match=r"images\.npy has room"):
        map_array(tmp_path / "images.npy", (13, 48, 48, 3))


def test_an_action_without_an_episode_is_refused() -> None:
    replay = ReplayBuffer(2, latent_size=2, action_size=1)
    with pytest.raises(ValueError, match="call start first"):
        replay.append(np.zeros(1), np.zeros(2))


def test_since_an_episode_means_no_transition_of_an_earlier_one() -> None:
    batch = filled([3, 2, 4]).sample(np.random.default_rng(0), 500, since=1)
    assert np.unique(batch.latents[:, 0]).tolist() == [1, 2]


def test_frames_come_with_the_first_image_of_their_own_episode() -> None:
    replay = filled([2, 3])
    replay.images[:, 0, 0, 1] = np.arange(replay.size)
    seen = replay.frames(np.array([1, 2, 3, 6]))
    assert seen.images[:, 0, 0, 1].tolist() == [1, 2, 3, 6] and seen.contexts[:, 0, 0, 1].tolist() == [0, 0, 3, 3]
    assert seen.states[:, 0].tolist() == [0, 0, 1, 1]


def test_a_recorded_buffer_comes_back_as_it_was(tmp_path: Path) -> None:
    recorded = filled([2, 3])
    recorded.save(tmp_path / "recorded", {"env": "any"})
    arrays, about = load_recorded(tmp_path / "recorded")
    assert about == {"env": "any"}
    replay = ReplayBuffer(9, latent_size=2, action_size=1, images=np.zeros((9, 1, 1, 3), np.uint8))
    replay.start(0.0), replay.append(0.0, 0.0)
    replay.extend(arrays)
    assert len(replay) == 6 and replay.first.tolist() == [0, 2, 5] and len(replay.goals) == 3
    assert np.array_equal(replay.episode[2:9] - 1, recorded.episode)
    for name in ("images", "states", "actions"):
        assert np.array_equal(getattr(replay, name)[2:9], getattr(recorded, name))
    with pytest.raises(ValueError, match="room for 0"):
        replay.extend(arrays)
    with pytest.raises(ValueError, match="exists already"):
        recorded.save(tmp_path / "recorded", {})


def test_a_damaged_recorded_buffer_is_refused_by_name(tmp_path: Path) -> None:
    directory = tmp_path / "recorded"
    with pytest.raises(ValueError, match="is not a recorded buffer"):
        load_recorded(directory)
    filled([2, 3]).save(directory, {})
    np.save(directory / "actions.npy", np.zeros((3, 1), np.float32))
    with pytest.raises(ValueError, match="lengths differ"):
        load_recorded(directory)
    np.save(directory / "actions.npy", np.zeros((7, 1), np.float32))
    np.save(directory / "first.npy", np.array([0, 9]))
    with pytest.raises(ValueError, match=r"first\.npy"):
        load_recorded(directory)
    (directory / ABOUT).write_text("{")
    with pytest.raises(ValueError, match="is not a recorded buffer"):
        load_recorded(directory)


def test_a_million_transitions_fit_on_disk_and_a_hundred_thousand_in_three_quarters_of_a_gigabyte(
    tmp_path: Path,
) -> None:
    frames = 1_020_000
    images = map_array(tmp_path / "images.npy", (frames, 48, 48, 3))  # a file with holes until it is written to
    replay = ReplayBuffer(frames, latent_size=16, action_size=3, images=images)
    for _ in range(3):
        replay.start(0.0, np.full((48, 48, 3), 9, np.uint8))
    images[frames - 1] = 5
    assert map_array(tmp_path / "images.npy", images.shape)[frames - 1, 0, 0, 0] == 5
    arrays = (replay.images, replay.states, replay.latents, replay.actions, replay.episode)
    assert sum(array.nbytes for array in arrays) / 10 < 0.75e9
