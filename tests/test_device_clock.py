"""How old a frame is, by the clock of the device that stamped it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.cameras.device_clock import DRIFT, SLIGHT, DeviceClock


@settings(max_examples=60)
@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=60), st.floats(-1e5, 1e5), st.floats(-DRIFT, DRIFT))
def test_an_age_is_what_a_frame_is_later_than_the_fastest(delays, offset, drift):
    clock, ages = DeviceClock(), []
    for index, delay in enumerate([0.0, *delays]):
        captured = index / 30
        ages.append(clock.age(offset + captured * (1 - drift) + 10, captured + delay))
    # Rising offsets are followed at DRIFT, falling ones at once: nothing is off by more than both together.
    allowed = 2.5 * DRIFT * (len(ages) / 30 + 0.5) + 1e-6
    assert min(ages) >= 0.0
    np.testing.assert_allclose(ages, [0.0, *delays], atol=allowed)


def test_a_camera_that_has_fallen_behind_looks_late_for_as_long_as_it_is():
    clock = DeviceClock()
    for index in range(30 * 60):
        age = clock.age(index / 30, index / 30 + (0.0 if index < 30 else 0.4))
    assert age > 0.38, "after a minute"


def test_a_device_clock_that_begins_anew_is_followed():
    clock = DeviceClock()
    assert clock.age(4294.9, 100.0) == 0.0
    assert clock.age(0.0, 100.1) == 0.0
    assert clock.age(0.1, 100.3) == pytest.approx(0.1, abs=1e-3)


def ages_of(delays: list[float], wrong: dict[int, float], rate: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """What a clock says of frames that are so late [s] and of which some are stamped wrongly [s]; and their true ages.

    As in life, a frame does not arrive before the one that was captured before it.
    """
    clock, said, true, arrival = DeviceClock(), [], [], 0.0
    for index, delay in enumerate(delays):
        captured = index / rate
        arrival = max(arrival, captured + delay)
        said.append(clock.age(captured + wrong.get(index, 0.0), 50.0 + arrival))
        true.append(arrival - captured)
    return np.array(said), np.array(true)


@st.composite
def busy_with_wrong_stamps(draw):
    """Frames of a busy host, on time at least once a second; single ones stamped wrongly."""
    delays = [0.0] * 3 + draw(st.lists(st.floats(0.0, 0.5), min_size=20, max_size=120))
    delays = [0.0 if index % 30 < 18 else delay for index, delay in enumerate(delays)]
    places = draw(st.sets(st.integers(1, len(delays) // 8), max_size=6))
    errors = st.one_of(st.floats(0.06, 20.0), st.floats(-20.0, -1.6), st.floats(-0.9, -0.06))
    return delays, {8 * place: draw(errors) for place in places}


@settings(max_examples=200)
@given(busy_with_wrong_stamps())
def test_wrong_stamps_make_no_other_frame_look_younger_and_none_older_by_much(case):
    delays, wrong = case
    said, true = ages_of(delays, wrong)
    right = np.array([index not in wrong for index in range(len(delays))])
    assert (said >= 0.0).all()
    assert (said - true)[right].min() > -1e-3, "it must never look younger than it is"
    assert (said - true)[right].max() <= SLIGHT * len(wrong) + 1e-3


@pytest.mark.parametrize("ahead", [0.3, 0.6, 0.9, 5.0])
@pytest.mark.parametrize("which", [[100], [100, 101], [*range(3, 300, 10)]])
def test_frames_that_are_stamped_ahead_cost_no_others(which, ahead):
    said, _ = ages_of([0.0] * 300, dict.fromkeys(which, ahead))
    assert said.max() < 1e-3


@pytest.mark.parametrize("ahead", [0.3, 0.6, 0.9, 5.0])
@pytest.mark.parametrize("how_many", [1, 2, 10])
def test_first_frames_that_are_stamped_ahead_cost_a_second_at_most(how_many, ahead):
    said, _ = ages_of([0.0] * 300, dict.fromkeys(range(how_many), ahead))
    assert said[how_many + 31 :].max() < 1e-3


@pytest.mark.parametrize("step", [-20.0, -0.9, -0.5, -0.3, 0.3, 0.9, 20.0])
@pytest.mark.parametrize("rate", [10, 30, 60])
def test_a_device_clock_that_is_set_is_followed_within_a_good_second(step, rate):
    said, _ = ages_of([0.0] * 10 * rate, dict.fromkeys(range(3 * rate, 10 * rate), step), rate)
    assert (said > 0.25).sum() <= 1.1 * rate and said[int(4.2 * rate) :].max() < 1e-3


@pytest.mark.parametrize("wrong", [{}, {199: 0.6}, {200: 0.6}, {201: 0.6}, {200: -0.5}, {201: -0.5}, {215: -5.0}])
def test_a_busy_hosts_late_frames_are_not_taken_for_a_clock_that_was_set(wrong):
    said, true = ages_of([0.4 if index >= 200 else 0.0 for index in range(600)], wrong)
    right = np.array([index not in wrong for index in range(600)])
    assert (said - true)[right].min() > -DRIFT * 20


def test_frames_behind_a_clock_that_is_set_in_the_middle_of_being_late_stay_late():
    said, true = ages_of([0.4 if index >= 100 else 0.0 for index in range(300)], dict.fromkeys(range(200, 300), -0.5))
    assert (said - true).min() > -DRIFT * 10 and said[-1] == pytest.approx(0.4, abs=0.01)


def test_a_drift_of_100_ppm_and_a_frame_ahead_each_minute_leave_ages_right_for_an_hour():
    clock, worst = DeviceClock(), 0.0
    for index in range(10 * 3600):
        captured = index / 10
        stamp = captured * (1 + DRIFT) + (0.7 if index % 600 == 30 else 0.0)
        worst = max(worst, clock.age(stamp, captured))
    assert worst < 1e-3
