"""The stand-in for a robot's hardware behaves as joint_trajectory_controller and joint_limits are documented to."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.ground_truth import ROWS, GroundTruth
from standin.joint_trajectory import (
    JointTrajectoryController,
    Parameters,
    Point,
    Rejected,
    SaturationLimiter,
)

JOINTS = ("a", "b")
DT = 0.002


def controller(**parameters) -> JointTrajectoryController:
    return JointTrajectoryController(Parameters(JOINTS, **parameters), 0.0, [0.0, 1.0])


def follow(of: JointTrajectoryController, until: float, begin: float = 0.0) -> np.ndarray:
    """Positions [k, 2] of an arm that is always exactly where it is told to be."""
    path = []
    position, velocity = of._desired.position, np.zeros(2)
    for time in np.arange(begin + DT, until + DT / 2, DT):
        state = of.update(float(time), position, velocity)
        velocity = (state.position - position) / DT
        position = state.position
        path.append(position)
    return np.array(path)


def test_joints_in_another_order_go_where_they_are_named():
    of = controller()
    of.take(("b", "a"), [Point(0.1, [2.0, 0.5])], now=0.0)
    assert np.allclose(follow(of, 0.2)[-1], [0.5, 2.0])


def test_positions_alone_are_straight_and_velocities_make_it_cubic_and_accelerations_quintic():
    straight, cubic, quintic = controller(), controller(), controller(interpolate_from_desired_state=True)
    goal, still = [1.0, 1.0], [0.0, 0.0]
    straight.take(JOINTS, [Point(1.0, goal)], 0.0)
    cubic.take(JOINTS, [Point(1.0, goal, still)], 0.0)
    quintic.take(JOINTS, [Point(1.0, goal, still, still)], 0.0)
    s = np.arange(DT, 1.0, DT)
    assert np.allclose(follow(straight, 1.0 - DT)[:, 0], s[: len(s)], atol=1e-6)
    assert np.allclose(follow(cubic, 1.0 - DT)[:, 0], 3 * s**2 - 2 * s**3, atol=1e-3)
    assert np.allclose(follow(quintic, 1.0 - DT)[:, 0], 10 * s**3 - 15 * s**4 + 6 * s**5, atol=1e-6)


def test_without_interpolation_a_point_holds_from_its_time_on():
    of = controller(interpolation_method="none")
    of.take(JOINTS, [Point(0.1, [1.0, 1.0]), Point(0.2, [2.0, 1.0])], 0.0)
    path = follow(of, 0.3)[:, 0]
    assert set(path[:48]) == {0.0} and set(path[52:98]) == {1.0} and set(path[102:]) == {2.0}


def test_of_a_late_trajectory_only_what_lies_ahead_is_followed():
    of = controller()
    of.take(JOINTS, [Point(0.1, [5.0, 5.0]), Point(0.5, [1.0, 1.0])], now=0.3, begin=0.0)
    path = follow(of, 0.6, begin=0.3)
    assert path[:, 0].max() <= 1.0, "the first point is over and must not be visited"
    assert np.allclose(path[-1], [1.0, 1.0])


def test_a_trajectory_that_is_over_is_rejected_and_the_old_one_goes_on():
    of = controller()
    of.take(JOINTS, [Point(1.0, [1.0, 1.0])], 0.0)
    follow(of, 0.5)
    with pytest.raises(Rejected, match=r"ended 0\.100 s ago"):
        of.take(JOINTS, [Point(0.2, [3.0, 3.0])], now=0.5, begin=0.2)
    assert np.allclose(follow(of, 1.1, begin=0.5)[-1], [1.0, 1.0])


def test_a_trajectory_with_a_start_in_the_future_waits_while_the_old_one_goes_on():
    of = controller()
    of.take(JOINTS, [Point(0.2, [1.0, 1.0])], 0.0)
    of.take(JOINTS, [Point(0.2, [0.0, 1.0])], now=0.0, begin=0.5)
    path = follow(of, 0.8)[:, 0]
    assert path[120] == 1.0 and path[240] == 1.0 and abs(path[-1]) < 1e-9


def test_partial_goals_are_rejected_unless_allowed_and_then_the_other_joints_stay():
    with pytest.raises(Rejected, match="partial goals are not allowed"):
        controller().take(("b",), [Point(0.1, [2.0])], 0.0)
    of = controller(allow_partial_joints_goal=True)
    of.take(("b",), [Point(0.1, [2.0])], 0.0)
    assert np.allclose(follow(of, 0.2)[-1], [0.0, 2.0])


@pytest.mark.parametrize(
    ("names", "points", "why"),
    [
        (("a", "c"), [Point(0.1, [0.0, 0.0])], "joint c"),
        (("a", "a"), [Point(0.1, [0.0, 0.0])], "twice"),
        (JOINTS, [], "empty"),
        (JOINTS, [Point(0.1, [0.0])], "mismatch"),
        (JOINTS, [Point(0.1, [0.0, 0.0], [0.0])], "mismatch"),
        (JOINTS, [Point(0.1, [0.0, np.nan])], "not finite"),
        (JOINTS, [Point(0.1, [0.0, 0.0]), Point(0.1, [0.0, 0.0])], "increasing"),
        (JOINTS, [Point(0.1, [0.0, 0.0], [0.1, 0.0])], "velocity of the last point"),
    ],
)
def test_a_trajectory_that_does_not_fit_the_joints_is_rejected(names, points, why):
    with pytest.raises(Rejected, match=why):
        controller().take(names, points, 0.0)


def test_motion_at_the_end_is_taken_where_allowed_and_the_last_position_is_held():
    of = controller(allow_nonzero_velocity_at_trajectory_end=True)
    of.take(JOINTS, [Point(0.1, [0.05, 1.0], [0.5, 0.0])], 0.0)
    assert np.allclose(follow(of, 0.5)[52:, 0], 0.05), "it must not drift on with the speed of the last point"


def test_an_arm_that_leaves_its_path_is_given_up_and_held_where_it_is():
    of = controller(trajectory={"a": 0.1})
    of.take(JOINTS, [Point(1.0, [1.0, 1.0])], 0.0)
    stuck = np.array([0.0, 1.0])
    told = [of.update(float(t), stuck, np.zeros(2)).position[0] for t in np.arange(DT, 0.5, DT)]
    assert 0.09 < max(told) <= 0.102 and told[-1] == 0.0
    assert "path tolerance violated" in of.note


def test_an_arm_that_does_not_arrive_in_time_is_held_where_it_is():
    of = controller(goal={"a": 0.1}, goal_time=0.2)
    of.take(JOINTS, [Point(0.5, [1.0, 1.0])], 0.0)
    short = np.array([0.5, 1.0])
    told = {round(t, 3): of.update(t, short, np.zeros(2)).position[0] for t in (0.6, 0.69, 0.71)}
    assert told == {0.6: 1.0, 0.69: 1.0, 0.71: 0.5}
    assert "goal tolerance violated" in of.note


def test_a_command_that_times_out_is_given_up_only_after_the_goal_time():
    for goal_time, expected in ((0.0, "command timeout: holding position"), (0.5, "")):
        of = controller(cmd_timeout=0.2, goal_time=goal_time)
        of.take(JOINTS, [Point(0.1, [1.0, 1.0])], 0.0)
        follow(of, 0.4)
        assert of.note == expected, "a timeout that is not greater than goal_time is ignored"


def test_a_stream_of_short_trajectories_is_smooth_only_from_the_desired_state():
    """What the arm node sends: a point two periods ahead, each period. An arm lags behind what it is told."""
    speeds = {}
    for desired in (True, False):
        of = controller(allow_nonzero_velocity_at_trajectory_end=True, interpolate_from_desired_state=desired)
        arm, told = np.array([0.0, 1.0]), []
        for tick in range(500):
            now = DT * tick
            if tick % 5 == 0:
                of.take(JOINTS, [Point(0.02, [0.5 * (now + 0.02), 1.0], [0.5, 0.0])], now)
            told.append(of.update(now + DT, arm, np.array([0.5, 0.0])).position.copy())
            arm = arm + 0.1 * (told[-1] - arm)
        speeds[desired] = np.diff(np.array(told)[100:, 0]) / DT
    assert np.ptp(speeds[True]) < 0.01
    assert np.ptp(speeds[False]) > 0.5


def test_joint_limits_clamp_place_speed_and_growth_of_speed():
    of = SaturationLimiter([-1.0], [1.0], [0.5], [10.0], [0.0])
    path = np.array([of.enforce(np.array([3.0]), DT)[0] for _ in range(2000)])
    speed = np.diff(path, prepend=0.0) / DT
    assert path[-1] == 1.0 and speed.max() <= 0.5 + 1e-9
    assert np.diff(speed[:25]).max() <= 10.0 * DT + 1e-9
    assert of.clamped > 0


def test_the_truth_is_read_by_others_in_order_also_after_it_has_gone_round(tmp_path: Path):
    truth = GroundTruth.create(tmp_path / "truth", 2)
    for row in range(ROWS + 50):
        truth.append(0.002 * row, np.full(3, row), np.zeros(2), np.ones(2), np.zeros(2))
    other = GroundTruth.open(tmp_path / "truth")
    motion = other.last(1.0)
    assert len(motion.time) == 500 and np.allclose(np.diff(motion.time), 0.002)
    assert motion.tool[-1, 0] == ROWS + 49 and motion.speeds.shape == (500, 2)
    other.sends_frames = False
    assert not truth.sends_frames and truth.sends_joint_states
