"""One action a period, whatever the camera does: a pacer that drifts or skips makes the arm slow or overshoot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig_robot.pacing import Pacer


def acted_on(stamps, period=0.1):
    pacer = Pacer(period)
    chosen = []
    for stamp in stamps:
        if pacer.due(stamp):
            pacer.acted(stamp)
            chosen.append(stamp)
    return np.array(chosen)


@given(every=st.integers(1, 8), jitter=st.floats(0, 0.2), start=st.floats(0, 2e9), seed=st.integers(0, 1000))
def test_every_nth_frame_is_chosen_when_the_rate_divides(every, jitter, start, seed):
    interval = 0.1 / every
    noise = np.random.default_rng(seed).uniform(-jitter / 2, jitter / 2, 200) * interval
    stamps = start + interval * np.arange(200) + noise
    chosen = acted_on(stamps)
    indices = np.searchsorted(stamps, chosen)
    # The first few are paced before the interval is known.
    assert (np.diff(indices)[2:] == every).all()


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60, 90])
def test_the_gap_is_within_half_a_frame_of_the_period(rate):
    gaps = np.diff(acted_on(np.arange(500) / rate))[2:]
    assert np.abs(gaps - 0.1).max() <= 0.5 / rate + 1e-9


def test_a_camera_slower_than_the_period_is_acted_on_at_every_frame():
    stamps = np.arange(50) * 0.2
    assert len(acted_on(stamps)) == 50


@given(lost=st.sets(st.integers(0, 74).map(lambda n: 4 * n)))
def test_lost_frames_never_bring_actions_closer_than_half_a_frame_to_the_period(lost):
    stamps = [n / 30 for n in range(300) if n not in lost]
    assert np.diff(acted_on(stamps)).min() >= 0.1 - 0.5 / 30 - 1e-9


def test_a_frame_that_comes_twice_is_acted_on_once():
    assert list(acted_on([0.0, 0.0, 0.1, 0.1])) == [0.0, 0.1]


def test_a_clock_that_is_set_back_does_not_stop_the_robot_for_ever():
    stamps = [*np.arange(100, 101, 1 / 30), *np.arange(5, 6, 1 / 30)]
    chosen = acted_on(stamps)
    assert (chosen < 50).sum() == 10
