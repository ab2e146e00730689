"""Laws of the safety filter: whatever comes in, what goes out is finite, in the box, slow enough, and stops."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.robot.kinematics import TOOL_DOWN
from rig_robot.robot.safety import FACE_MARGIN, BoundsMissing, Limits, SafetyFilter
from rig_sim.world import HOME, SPEED_LIMITS, WORKSPACE_HIGH, WORKSPACE_LOW, kinematics

ARM = kinematics()
LIMITS = Limits(
    low=WORKSPACE_LOW,
    high=WORKSPACE_HIGH,
    tool_speed=0.3,
    approach_rate=6.0,
    joint_speed=SPEED_LIMITS,
    joint_acceleration=np.full(7, 15.0),
    max_age=0.25,
    tracking_error=0.2,
)
CENTRE = ARM.solve(HOME, (WORKSPACE_LOW + WORKSPACE_HIGH) / 2, TOOL_DOWN)
DT = 0.02

anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
hostile = st.one_of(st.floats(-0.5, 0.5), st.sampled_from([10.0, -10.0, 1e300, -1e300, 5e-324]), anything)
velocities = st.tuples(hostile, hostile, hostile)
ages = st.one_of(st.floats(0.0, 0.2), st.sampled_from([0.3, 1e9, -1.0, float("nan"), float("inf")]))
steps = st.lists(st.tuples(velocities, ages, st.floats(0.001, 0.1)), min_size=1, max_size=25)


def started(limits: Limits = LIMITS, ramp: float = 0.0, at: np.ndarray = CENTRE) -> SafetyFilter:
    safety = SafetyFilter(ARM, limits, TOOL_DOWN, ramp=ramp)
    safety.start(at)
    return safety


@settings(max_examples=60, deadline=None)
@given(steps, st.tuples(*[st.floats(0.0, 1.0)] * 3))
def test_no_sequence_of_commands_leaves_the_bounds(sequence: list, corner: tuple) -> None:
    place = WORKSPACE_LOW + np.array(corner) * (WORKSPACE_HIGH - WORKSPACE_LOW)
    safety = started(at=ARM.solve(HOME, place, TOOL_DOWN))
    for velocity, age, dt in sequence:
        before, moving = safety.position, safety.velocity
        command = safety.step(velocity, age, dt)
        assert np.isfinite(command.position).all() and np.isfinite(command.velocity).all()
        assert LIMITS.outside(ARM.forward(command.position)) <= LIMITS.outside(ARM.forward(before)), command
        assert (command.position >= ARM.lower).all() and (command.position <= ARM.upper).all()
        assert (np.abs(command.position - before) <= SPEED_LIMITS * dt + 1e-9).all()
        np.testing.assert_allclose(command.velocity, (command.position - before) / dt, atol=1e-6)
        sudden = np.abs(command.velocity - moving) > LIMITS.joint_acceleration * dt + 1e-6
        # Only the box may cost a harder stop than the joints' accelerations allow.
        assert not sudden.any() or not command.velocity.any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_number_that_is_none_drops_the_whole_command(bad: float, axis: int) -> None:
    velocity = np.array([0.2, 0.2, 0.0])
    velocity[axis] = bad
    safety = started()
    command = safety.step(velocity, 0.0, DT)
    assert (command.position == CENTRE).all() and "not finite" in command.note


def test_a_stale_command_moves_nothing_and_one_that_is_not_moves() -> None:
    velocity = [0.2, 0.0, 0.0]
    stale = started().step(velocity, 0.26, DT)
    assert (stale.position == CENTRE).all() and "old" in stale.note
    assert (started().step(velocity, 0.24, DT).position != CENTRE).any()


def test_too_fast_a_command_keeps_its_direction_at_the_speed_limit() -> None:
    safety = started()
    for _ in range(10):
        command = safety.step([10.0, 0.0, 0.0], 0.0, DT)
    before = ARM.forward(command.position)
    moved = ARM.forward(safety.step([10.0, 0.0, 0.0], 0.0, DT).position) - before
    assert moved[0] / DT == pytest.approx(LIMITS.tool_speed, rel=0.05)
    assert np.abs(moved[1:]).max() < 1e-3


def test_the_tool_brakes_before_a_face_and_stays_at_it() -> None:
    safety = started()
    for _ in range(200):
        command = safety.step([0.3, 0.0, 0.0], 0.0, DT)
        assert "stopped" not in command.note, "the box had to stop the joints: the braking before it came too late"
    assert ARM.forward(command.position)[0] == pytest.approx(WORKSPACE_HIGH[0] - FACE_MARGIN, abs=2e-3)


def test_a_tool_outside_the_box_may_only_come_back() -> None:
    outside = np.array([0.60, 0.26, 0.20])
    safety = started(at=ARM.solve(HOME, outside, TOOL_DOWN))
    for _ in range(20):
        assert LIMITS.outside(ARM.forward(safety.step([0.0, 0.2, 0.0], 0.0, DT).position)) <= 0.06 + 1e-4
    for _ in range(60):
        command = safety.step([0.0, -0.2, 0.0], 0.0, DT)
    assert LIMITS.outside(ARM.forward(command.position)) == 0.0


def test_joint_speed_limits_slow_all_joints_together() -> None:
    slow = dataclasses.replace(LIMITS, joint_speed=np.full(7, 0.05))
    safety, free = started(slow), started()
    for _ in range(20):
        command, reference = safety.step([0.2, 0.1, 0.0], 0.0, DT), free.step([0.2, 0.1, 0.0], 0.0, DT)
    assert np.abs(command.velocity).max() == pytest.approx(0.05, rel=0.01)
    direction = ARM.forward(safety.position) - ARM.forward(CENTRE)
    wanted = ARM.forward(free.position) - ARM.forward(CENTRE)
    angle = np.arccos(direction @ wanted / np.linalg.norm(direction) / np.linalg.norm(wanted))
    assert angle < np.radians(3), "the tool left its line: joints were not scaled together"
    assert reference.note == ""


def test_joint_accelerations_are_limited() -> None:
    gentle = dataclasses.replace(LIMITS, joint_acceleration=np.full(7, 1.0))
    command = started(gentle).step([0.3, 0.0, 0.0], 0.0, DT)
    assert np.abs(command.velocity).max() == pytest.approx(1.0 * DT, rel=1e-6)


def test_a_start_fades_in() -> None:
    ramped, sudden = started(ramp=1.0), started()
    for _ in range(5):
        slow, fast = ramped.step([0.2, 0.0, 0.0], 0.0, DT), sudden.step([0.2, 0.0, 0.0], 0.0, DT)
    assert 0 < np.abs(slow.velocity).max() < 0.2 * np.abs(fast.velocity).max()


def test_when_commands_end_the_arm_stands_within_its_braking_time() -> None:
    safety = started()
    for _ in range(20):
        safety.step([0.2, 0.2, 0.0], 0.0, DT)
    braking = np.abs(safety.velocity / LIMITS.joint_acceleration).max()
    for _ in range(int(np.ceil(braking / DT)) + 1):
        command = safety.step([0.2, 0.2, 0.0], 1.0, DT)
    assert not command.velocity.any()
    held = command.position
    assert (safety.step([0.2, 0.2, 0.0], 1.0, DT).position == held).all(), "a held arm must hold its last command"


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
@pytest.mark.parametrize("bad", ["missing", "nan"])
def test_a_bound_that_is_missing_or_none_is_refused_by_name(name: str, bad: str) -> None:
    value = np.asarray(getattr(LIMITS, name), dtype=float)
    wrong = np.array([]) if bad == "missing" else value * np.nan
    with pytest.raises(BoundsMissing, match=name):
        dataclasses.replace(LIMITS, **{name: wrong})


def test_a_box_inside_out_is_refused() -> None:
    with pytest.raises(BoundsMissing, match="workspace"):
        dataclasses.replace(LIMITS, low=WORKSPACE_HIGH, high=WORKSPACE_LOW)


def test_a_bound_for_another_number_of_joints_is_refused() -> None:
    with pytest.raises(BoundsMissing, match="joint_speed"):
        started(dataclasses.replace(LIMITS, joint_speed=np.ones(6)))


def test_an_arm_outside_its_joint_limits_does_not_start() -> None:
    with pytest.raises(ValueError, match="joint limits"):
        started(at=ARM.upper + 1.0)
