"""How an action that sends a goal picture ends: by the goal's progress, the arm, another goal, or the time."""

import pytest

from rig_robot.inference.goal_pursuit import NOT_REACHING, GoalPursuit, Outcome

GOAL = "17"


def pursuit(*reports: tuple[float, str, str, str]) -> GoalPursuit:
    """Return the pursuit of GOAL from time 0 on, at most 20 s, after some reports."""
    followed = GoalPursuit(GOAL, 0.0, 20.0)
    for report in reports:
        followed.report(*report)
    return followed


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("reached", Outcome.REACHED), ("stalled", Outcome.STALLED), ("blind", Outcome.LOST_SIGHT), ("going", None)],
)
def test_the_goal_s_own_progress_ends_it(state: str, outcome: Outcome | None) -> None:
    ended = pursuit((1.0, state, GOAL, "a sentence")).end(1.0, GOAL, None)
    assert ended == (None if outcome is None else (outcome, "a sentence"))


def test_the_progress_of_the_goal_before_ends_nothing() -> None:
    followed = pursuit((0.1, "reached", "16", "there"))
    assert followed.end(0.2, GOAL, None) is None
    followed.report(0.3, "going", GOAL, "12 mm off")
    assert followed.end(NOT_REACHING + 1, GOAL, None) is None


def test_a_policy_that_does_not_follow_the_goal_ends_it_soon() -> None:
    followed = pursuit((0.1, "waiting", GOAL.replace("7", "6"), "the policy's mode is idle, not reach"))
    assert followed.end(NOT_REACHING - 0.1, GOAL, None) is None
    assert followed.end(NOT_REACHING + 0.1, GOAL, None) == (Outcome.STOPPED, "the policy's mode is idle, not reach")


def test_a_policy_that_stops_following_ends_it_too() -> None:
    followed = pursuit((0.1, "going", GOAL, "12 mm off"), (5.0, "waiting", "0", "the mode is idle"))
    followed.report(6.0, "waiting", "0", "the mode is idle")  # since 5 s all the same
    assert followed.end(5.0 + NOT_REACHING + 0.1, GOAL, None) == (Outcome.STOPPED, "the mode is idle")


def test_nobody_who_reports_is_told_as_such() -> None:
    ended = pursuit().end(NOT_REACHING + 0.1, GOAL, None)
    assert ended is not None and ended[0] is Outcome.STOPPED and "policy node" in ended[1]


def test_an_arm_that_is_not_armed_ends_it_unless_the_goal_is_reached() -> None:
    assert pursuit((0.1, "going", GOAL, "")).end(0.2, GOAL, "disarmed") == (Outcome.STOPPED, "the arm is disarmed")
    assert pursuit((0.1, "reached", GOAL, "there")).end(0.2, GOAL, "disarmed") == (Outcome.REACHED, "there")


def test_another_goal_and_none_replace_it() -> None:
    followed = pursuit((0.1, "reached", GOAL, "there"))
    assert followed.end(0.2, "18", None) == (Outcome.REPLACED, "another goal took its place")
    assert followed.end(0.2, "none", None) == (Outcome.REPLACED, "the goal was cleared")


def test_it_takes_no_longer_than_it_may() -> None:
    followed = pursuit((19.0, "going", GOAL, "12 mm off"))
    assert followed.end(19.9, GOAL, None) is None
    assert followed.end(20.1, GOAL, None) == (Outcome.TIMED_OUT, "not there after 20 s: 12 mm off")
