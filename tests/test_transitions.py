"""Transitions for learning, read from episodes: which steps of a robot are one, and which are left out."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rig_robot.recording import topics
from rig_robot.recording.episode_reader import read_info
from rig_robot.recording.transitions import read_segments

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import BEGIN, PERIOD, Recording, image, latent, picture, status, twist, write


def segments(recording: Recording) -> list[int]:
    """How many transitions each segment has."""
    return [len(segment.actions) for segment in read_segments(read_info(recording.close()))]


def test_a_transition_is_a_twist_its_frame_and_the_next_twists_frame(tmp_path):
    (segment,) = read_segments(read_info(write(tmp_path, steps=4)))
    np.testing.assert_array_equal(segment.images, [picture(number) for number in range(4)])
    np.testing.assert_allclose(segment.actions, [[0.5, -1.0]] * 3)  # 0.1 and -0.2 m/s, of 0.2
    np.testing.assert_allclose(segment.positions, [[0.5, 0.01 * number, 0.15] for number in range(4)], rtol=1e-6)
    assert segment.stamps.tolist() == [BEGIN + number * PERIOD for number in range(4)]
    assert segment.images.dtype == np.uint8 and segment.actions.dtype == segment.positions.dtype == np.float32


def test_no_transition_spans_a_gap_of_more_than_one_and_a_half_periods(tmp_path):
    recording = Recording(tmp_path)
    for number in (0, 1, 2.45, 3.96, 5, 6):
        recording.step(number)
    assert segments(recording) == [2, 2]


def test_no_transition_spans_a_stop_and_none_begins_while_the_arm_waits(tmp_path):
    recording = Recording(tmp_path)
    for number in range(10):
        stamp = recording.step(number)
        if number in (4, 5):  # stopped for a moment in the 5th step; disarmed from the 6th until the 7th
            recording.say(topics.STATUS, status(state="waiting" if number == 4 else "disarmed"), stamp + PERIOD // 2)
        if number in (4, 7):
            recording.say(topics.STATUS, status(state="moving"), stamp + PERIOD * 3 // 4)
    assert segments(recording) == [4, 2]


def test_an_arm_of_which_nothing_is_known_has_no_transitions(tmp_path):
    recording = Recording(tmp_path)
    recording.say(topics.STATUS, status(state="disarmed"), BEGIN - 1)
    for number in range(3):
        recording.step(number)
    assert segments(recording) == []


def test_no_transition_spans_a_change_of_the_vae(tmp_path):
    recording = Recording(tmp_path)
    for number in range(6):
        stamp = recording.step(number)
        if number > 2:
            recording.say(topics.LATENT, latent(stamp, [0.0, 0.0], "00c0ffee"), stamp + 10**7)
    assert segments(recording) == [2, 2]


def test_twists_of_other_episodes_are_left_out(tmp_path):
    recording = Recording(tmp_path)
    recording.step(0)
    recording.say(topics.EPISODE, status(id="E", event="start"), BEGIN + PERIOD // 2)
    for number in (1, 2, 3):
        recording.step(number)
    recording.say(topics.EPISODE, status(id="E", event="end"), BEGIN + 3 * PERIOD + PERIOD // 2)
    recording.say(topics.EPISODE, status(id="F", event="start"), BEGIN + 3 * PERIOD + PERIOD // 2 + 1)
    recording.step(4)
    assert segments(recording) == [2]


def test_a_lost_frame_or_a_twist_that_is_not_finite_costs_the_steps_beside_it_only(tmp_path):
    recording = Recording(tmp_path)
    for number in range(9):
        if number == 2:
            recording.say(topics.TWIST, twist(BEGIN + 2 * PERIOD, 0.1, 0.0), BEGIN + 2 * PERIOD)  # no frame
        else:
            recording.step(number, x=float("nan") if number == 5 else 0.1)
    assert segments(recording) == [1, 1, 2]


def test_twists_nearer_than_half_a_period_are_no_steps_of_a_whole_one(tmp_path):
    recording = Recording(tmp_path)
    for number in range(6):
        recording.step(number)
        if number in (1, 4):  # as a policy sends that acts on frames out of order; of the second, the frame is lost
            stamp = BEGIN + number * PERIOD + PERIOD // 3
            if number == 1:
                recording.say(topics.OBSERVATION, image(stamp, picture(9)), stamp)
            recording.say(topics.TWIST, twist(stamp, 0.1, 0.0), stamp)
    assert segments(recording) == [1, 3]


def test_positions_that_were_not_measured_are_nan_not_old_ones(tmp_path):
    recording = Recording(tmp_path)
    recording.step(0)
    for number in (1, 2):
        stamp = BEGIN + number * PERIOD
        recording.say(topics.OBSERVATION, image(stamp, picture(number)), stamp)
        recording.say(topics.TWIST, twist(stamp, 0.1, 0.0), stamp)
    (segment,) = read_segments(read_info(recording.close()))
    assert np.isfinite(segment.positions[0]).all() and np.isnan(segment.positions[1:]).all()


@pytest.mark.parametrize("imagined", [False, True])
def test_the_goals_picture_is_the_one_shown_or_what_the_vae_made_of_an_imagined_one(tmp_path, imagined):
    recording = Recording(tmp_path)
    recording.say(topics.GOAL, image(BEGIN - 1 - imagined, picture(77)), BEGIN - 1)  # imagined: an older goal's
    recording.say(topics.RECONSTRUCTION, image(BEGIN - 1, picture(78)), BEGIN - 1)
    for number in range(3):
        recording.step(number)
    (segment,) = read_segments(read_info(recording.close()))
    np.testing.assert_array_equal(segment.goal, picture(78 if imagined else 77))


def test_without_a_goal_there_is_no_picture_of_one(tmp_path):
    (segment,) = read_segments(read_info(write(tmp_path, goal="0", goal_kind="none")))
    assert segment.goal is None
