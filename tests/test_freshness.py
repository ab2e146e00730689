"""Ages: neither a queue, nor a clock that is set, nor another machine's clock makes old things look fresh."""

import pytest

from rig_robot.common.message_age import Arrival, ClockJump, FromTheFuture


def test_age_counts_transport_and_waiting() -> None:
    arrival = Arrival.of(stamp=10.0, ros_now=10.2, steady=500.0)
    assert arrival.now(steady=500.3) == pytest.approx(0.5)


def test_a_message_that_waited_arrived_that_much_earlier_but_not_before_its_stamp() -> None:
    arrival = Arrival.of(stamp=10.0, ros_now=10.2, steady=500.0, waited=0.05)
    assert arrival.steady == pytest.approx(499.95)
    assert arrival.age == pytest.approx(0.15)
    assert arrival.now(steady=500.0) == pytest.approx(0.2)
    early = Arrival.of(stamp=10.0, ros_now=10.2, steady=500.0, waited=0.5)
    assert (early.age, early.steady) == (0.0, pytest.approx(499.8))
    assert Arrival.of(stamp=10.04, ros_now=10.0, steady=500.0, waited=0.5).steady == 500.0


def test_a_clock_set_back_after_arrival_does_not_make_a_message_young() -> None:
    arrival = Arrival.of(stamp=10.0, ros_now=10.2, steady=500.0)
    assert arrival.now(steady=501.0) >= 1.0  # ROS time does not come into it any more


def test_a_stamp_in_the_future_is_refused_and_says_by_how_much() -> None:
    with pytest.raises(FromTheFuture, match=r"0\.060 s"):
        Arrival.of(stamp=10.06, ros_now=10.0)
    assert Arrival.of(stamp=10.04, ros_now=10.0, steady=0.0).now(steady=0.0) == 0.0


def test_a_clock_that_runs_with_the_steady_one_does_not_jump() -> None:
    jump = ClockJump()
    assert not any(jump.check(1000.0 + t, t) for t in (0.0, 0.02, 0.5, 3.0))


@pytest.mark.parametrize("by", [0.2, -0.2, 3600.0])
def test_a_clock_that_is_set_jumps_once(by: float) -> None:
    jump = ClockJump()
    jump.check(1000.0, 0.0)
    assert jump.check(1000.02 + by, 0.02) == pytest.approx(by)
    assert jump.check(1000.04 + by, 0.04) == 0.0


def test_a_simulated_clock_may_run_at_any_rate_but_not_backwards() -> None:
    jump = ClockJump(rate=None)
    jump.check(0.0, 0.0)
    assert jump.check(5.0, 0.02) == 0.0
    assert jump.check(1.0, 0.04) == pytest.approx(-4.0)
