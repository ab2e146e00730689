"""One action a period, whatever the camera does: a pacer that drifts or skips makes the arm slow or overshoot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig_robot.inference.pacer import Pacer


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
def test_actions_are_a_period_apart_to_within_half_a_frame(rate):
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


DISORDER = {
    "jitter of 30 ms": lambda index, noise: noise,
    "every second 50 ms older": lambda index, noise: -0.05 * (index % 2),
    "every tenth 0.25 s older": lambda index, noise: -0.25 * (index % 10 == 9),
    "every third 0.25 s older": lambda index, noise: -0.25 * (index % 3 == 2),
    "every tenth an hour older": lambda index, noise: -3600.0 * (index % 10 == 9),
    "two of ten 2 s older": lambda index, noise: -2.0 * (index % 10 > 7),
    "every tenth 40 ms ahead": lambda index, noise: 0.04 * (index % 10 == 9),
}


@pytest.mark.parametrize("disorder", DISORDER)
@pytest.mark.parametrize("rate", [30, 60])
def test_frames_out_of_order_neither_quicken_the_pace_nor_slow_it(disorder, rate):
    noise = np.random.default_rng(0).uniform(-0.03, 0.03, 30 * rate)
    stamps = [1000 + index / rate + DISORDER[disorder](index, noise[index]) for index in range(30 * rate)]
    actions = len(acted_on(stamps)) / 30
    # Two frames in a row that are lost are made up for as far as half a period lets.
    assert (8.9 if disorder.startswith("two") else 9.5) < actions < 10.1


@given(st.lists(st.floats(-0.4, 0.06), min_size=1, max_size=150), st.sampled_from([10, 15, 30, 60, 90]))
def test_no_frame_is_acted_on_that_is_older_than_one_acted_on_by_less_than_a_period(errors, rate):
    gaps = np.diff(acted_on([1000 + index / rate + error for index, error in enumerate(errors)]))
    assert ((gaps >= 0.05 - 1e-9) | (gaps <= -0.1 + 1e-9)).all()


def test_a_frame_stamped_in_the_future_does_not_hold_up_the_present_ones():
    pacer, chosen = Pacer(0.1), []
    for index in range(300):
        stamp = index / 30 + (86400.0 if index % 50 == 20 else 0.0)
        if pacer.due(stamp) and stamp < 100:  # the policy refuses frames from the future
            pacer.acted(stamp)
            chosen.append(stamp)
    assert np.diff(chosen).max() < 0.134 and len(chosen) >= 95


@given(st.floats(0.01, 1e6), st.sampled_from([10, 15, 30, 60, 90]))
def test_a_clock_that_is_set_back_is_followed_within_the_step_or_some_frames(step, rate):
    pacer, since = Pacer(0.1), 0.0
    for index in range(4 * rate):
        stamp = 2e6 + index / rate - (step if index >= 2 * rate else 0.0)
        since += 1 / rate
        if pacer.due(stamp):
            pacer.acted(stamp)
            since = 0.0
        assert since < 0.1 + max(0.1, 3 / rate) + min(step, 0.2) + 1e-6
    assert pacer.due(stamp + 0.11)


def test_a_clock_that_is_set_back_does_not_stop_the_robot_for_ever():
    stamps = [*np.arange(100, 101, 1 / 30), *np.arange(5, 6, 1 / 30)]
    chosen = acted_on(stamps)
    assert (chosen < 50).sum() == 10
