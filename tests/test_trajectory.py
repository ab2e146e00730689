"""The simulated controller obeys trajectories as joint_trajectory_controller does (no ROS here)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_sim.robot import SimulatedRobot
from rig_sim.trajectory import Point, Refused, SetPoint, Trajectory, plan

JOINTS = ("a", "b", "c")
LOWER, UPPER = np.full(3, -2.0), np.full(3, 2.0)
STILL = SetPoint(np.zeros(3), np.zeros(3), np.zeros(3))


def planned(points, names=JOINTS, begin=0.0, now=0.0, state=STILL):
    return plan(names, points, begin, now, state, JOINTS, LOWER, UPPER)


def test_joints_are_matched_by_name_in_any_order():
    trajectory = planned([Point(1.0, [0.3, 0.1, 0.2], [3.0, 1.0, 2.0])], names=["c", "a", "b"])
    np.testing.assert_allclose(trajectory.positions[-1], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(trajectory.velocities[-1], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"points": [Point(1.0, [0.1, 0.1], [])], "names": ["a", "b"]}, "joint_names must be a, b, c"),
        ({"points": [Point(1.0, [0.1] * 4, [])], "names": ["a", "b", "c", "d"]}, "joint_names"),
        ({"points": [Point(1.0, [0.1] * 3, [])], "names": ["a", "b", "b"]}, "joint_names"),
        ({"points": []}, "at least one point"),
        ({"points": [Point(1.0, [0.1] * 2, [])]}, "point 0 must have 3 positions, not 2"),
        ({"points": [Point(1.0, [0.1] * 3, [0.0])]}, "point 0 must have 3 velocities or none, not 1"),
        ({"points": [Point(1.0, [0.1, np.nan, 0.1], [])]}, "finite"),
        ({"points": [Point(1.0, [0.1, 0.1, -np.inf], [])]}, "finite"),
        ({"points": [Point(1.0, [0.1] * 3, [0.0, np.nan, 0.0])]}, "finite"),
        ({"points": [Point(1.0, [0.1, 2.5, 0.1], [])]}, r"b must stay in \[-2.0000, 2.0000\] rad"),
        ({"points": [Point(1.0, [0.1] * 3, []), Point(1.0, [0.2] * 3, [])]}, "rise"),
        ({"points": [Point(-1.0, [0.1] * 3, [])]}, "negative"),
        ({"points": [Point(1.0, [0.1] * 3, [])], "begin": 2.0, "now": 3.5}, "ended 0.500 s ago"),
    ],
)
def test_what_the_arm_cannot_do_is_refused_with_the_reason(arguments, why):
    with pytest.raises(Refused, match=why):
        planned(**arguments)


def test_points_without_velocities_are_joined_by_straight_lines_and_the_last_is_held():
    trajectory = planned([Point(1.0, [1.0, 0, 0], []), Point(3.0, [0.0, 0, 0], [])])
    for time, position, velocity in ((0.5, 0.5, 1.0), (2.0, 0.5, -0.5), (3.0, 0.0, 0.0), (99.0, 0.0, 0.0)):
        q, v, _ = trajectory.at(time)
        assert (q[0], v[0]) == pytest.approx((position, velocity))


@settings(max_examples=50)
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_points_with_velocities_are_passed_at_them_without_a_jump(positions, velocities):
    times = np.array([0.0, 0.4, 1.0, 1.3])
    trajectory = Trajectory(times, np.array(positions)[:, None], np.array(velocities)[:, None])
    for time, position, velocity in zip(times[1:-1], positions[1:-1], velocities[1:-1], strict=True):
        for side in (-1e-7, 1e-7):
            q, v, _ = trajectory.at(time + side)
            assert (q[0], v[0]) == pytest.approx((position, velocity), abs=1e-4)
    for time in np.linspace(0.01, 1.29, 50):  # velocity and acceleration are the slopes of what is before them
        slope = (trajectory.at(time + 1e-6).position - trajectory.at(time - 1e-6).position) / 2e-6
        assert trajectory.at(time).velocity[0] == pytest.approx(slope[0], abs=1e-3)
        bend = (trajectory.at(time + 1e-6).velocity - trajectory.at(time - 1e-6).velocity) / 2e-6
        if abs(times - time).min() > 1e-6:  # at the points themselves the acceleration jumps
            assert trajectory.at(time).acceleration[0] == pytest.approx(bend[0], abs=1e-2)


def test_a_trajectory_that_begins_later_waits_and_one_that_has_begun_is_entered_on_the_way():
    late = planned([Point(1.0, [1.0, 0, 0], [])], begin=5.0, now=4.0)
    assert late.at(6.0)[0][0] == pytest.approx(1.0)
    assert late.at(5.0)[0][0] == pytest.approx(0.5)
    entered = planned([Point(1.0, [1.0, 0, 0], []), Point(2.0, [2.0, 0, 0], [])], begin=0.0, now=1.5)
    assert entered.at(1.5)[0][0] == 0.0
    assert entered.at(2.0)[0][0] == pytest.approx(2.0)


def test_a_new_trajectory_goes_on_from_the_old_ones_set_point():
    robot = SimulatedRobot([0.6, 0.0, 0.15])
    start = robot.set_point
    names = [f"right_j{i}" for i in range(7)]
    robot.follow(names, [Point(1.0, start + 0.2, [])])
    robot.advance(0.5)
    np.testing.assert_allclose(robot.set_point, start + 0.1, atol=1e-9)
    robot.follow(names, [Point(0.5, start, [])])
    np.testing.assert_allclose(robot.set_point, start + 0.1, atol=1e-9)
    robot.advance(3.0)
    np.testing.assert_allclose(robot.set_point, start, atol=1e-9)
    np.testing.assert_allclose(robot.world.joint_positions, start, atol=1e-3)


def test_of_two_trajectories_at_the_same_time_the_second_goes_on_at_the_speed_of_the_first():
    """Messages that arrive within one step of the physics: the arm must not be taken for still."""
    robot = SimulatedRobot([0.6, 0.0, 0.15])
    start, way, names = robot.set_point, np.full(7, 0.2), [f"right_j{i}" for i in range(7)]
    robot.follow(names, [Point(0.1, start + 0.05 * way, way), Point(1.0, start + 0.95 * way, way)])
    robot.advance(0.5)
    before = robot.set_point
    for ahead in (0.02, 0.03):
        robot.follow(names, [Point(ahead, before + ahead * way, way), Point(1.0, before + way, way)])
    robot.advance(0.505)
    np.testing.assert_allclose(robot.set_point, before + 0.005 * way, atol=1e-6)


def test_a_refused_trajectory_leaves_the_old_one_going():
    robot = SimulatedRobot([0.6, 0.0, 0.15])
    start = robot.set_point
    names = [f"right_j{i}" for i in range(7)]
    robot.follow(names, [Point(1.0, start + 0.2, [])])
    with pytest.raises(Refused):
        robot.follow(names, [Point(0.1, np.full(7, np.nan), [])])
    robot.advance(1.2)
    np.testing.assert_allclose(robot.set_point, start + 0.2, atol=1e-9)


def test_the_arm_follows_a_moving_set_point_closely():
    robot = SimulatedRobot([0.6, 0.0, 0.15])
    start = robot.set_point
    robot.follow(
        [f"right_j{i}" for i in range(7)], [Point(2.0, start + np.array([0.3, -0.3, 0.3, 0.3, 0.3, 0.3, 0.3]), [])]
    )
    for time in np.arange(0.1, 2.0, 0.1):
        robot.advance(time)
        np.testing.assert_allclose(robot.world.joint_positions, robot.set_point, atol=0.004)


def test_an_arm_that_brakes_rests_soon_after_its_set_point():
    """The servos are soft: what they would answer late is fed forward."""
    robot = SimulatedRobot([0.6, 0.0, 0.15])
    start, names = robot.set_point, [f"right_j{i}" for i in range(7)]
    way = np.array([0.4, -0.2, 0.0, 0.2, 0.0, 0.0, 0.0])  # rad/s
    points = [Point(0.1, start + 0.05 * way, way), Point(1.0, start + 0.95 * way, way)]
    robot.follow(names, [*points, Point(1.08, start + 0.99 * way, np.zeros(7))])
    robot.advance(1.08 + 0.15)
    there = robot.world.tool_position
    robot.advance(2.5)
    assert np.linalg.norm(there - robot.world.tool_position) < 2e-4
