"""The filter of twists for MoveIt Servo keeps the same bounds: whatever comes in, what goes out is safe."""

import dataclasses

import numpy as np
import pytest
from bounded_arm import CENTRE, DT, FREE, LIMITS, SEQUENCES, steps
from hypothesis import given, settings

from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.arm.limits import Limits
from rig_robot.arm.twist_filter import TwistFilter
from rig_sim.world import WORKSPACE_HIGH


def servo(limits: Limits = LIMITS, ramp: float = 0.0) -> TwistFilter:
    safety = TwistFilter(FREE, limits, TOOL_DOWN, ramp=ramp, timeout=0.1)
    safety.start(CENTRE)
    return safety


@settings(max_examples=SEQUENCES)
@given(steps)
def test_no_sequence_of_twists_for_servo_leaves_the_bounds(sequence: list) -> None:
    """Servo is an arm here that does at once as it is told."""
    safety, place, before = servo(), FREE.forward(CENTRE), np.zeros(3)
    for velocity, age, dt in sequence:
        command = safety.step(velocity, age, dt)
        assert np.isfinite(command.linear).all() and np.isfinite(command.angular).all()
        assert np.linalg.norm(command.linear) <= LIMITS.tool_speed + 1e-9
        assert np.linalg.norm(command.angular) <= LIMITS.turn_speed + 1e-9
        # Even where this is the last command and Servo goes on with it until it gives up.
        assert LIMITS.outside(safety.target + 0.1 * command.linear) == 0.0
        faster = np.linalg.norm(command.linear) > np.linalg.norm(before) + LIMITS.tool_acceleration * dt + 1e-9
        assert not faster
        before, place = command.linear, place + command.linear * min(dt, 0.1)
        safety.observe(FREE.solve(CENTRE, place, TOOL_DOWN))


def test_servo_is_kept_inside_the_box_at_full_speed_and_while_it_brakes() -> None:
    safety, place = servo(), FREE.forward(CENTRE)
    braked = 0
    for number in range(120):
        # Late in the motion commands fail now and then: what brakes must keep to the box, too.
        command = safety.step([10.0, 0.0, 0.0], 1.0 if number > 30 and number % 3 == 0 else 0.0, DT)
        braked += "old" in command.note
        assert LIMITS.outside(safety.target + 0.1 * command.linear) == 0.0
        place = place + command.linear * DT
        safety.observe(FREE.solve(CENTRE, place, TOOL_DOWN))
    assert braked > 10 and place[0] > WORKSPACE_HIGH[0] - 0.02

    safety = servo()
    for _ in range(20):
        safety.step([0.3, 0.0, 0.0], 0.0, DT)
    near = FREE.solve(CENTRE, [WORKSPACE_HIGH[0] - 0.004, 0.0, 0.2], TOOL_DOWN)
    safety.observe(near)
    assert safety.target[0] + 0.1 * safety.brake(DT, "a test").linear[0] <= WORKSPACE_HIGH[0]


def test_servo_is_asked_to_turn_no_faster_than_it_may() -> None:
    safety = servo(dataclasses.replace(LIMITS, turn_speed=0.1))
    tilted = CENTRE.copy()
    tilted[5] += 0.5
    safety.observe(tilted)
    command = safety.step([0.0, 0.0, 0.0], 0.0, DT)
    assert np.linalg.norm(command.angular) == pytest.approx(0.1)


def test_a_stop_is_a_zero_twist() -> None:
    safety = servo()
    for _ in range(20):
        safety.step([0.2, 0.0, 0.0], 0.0, DT)
    assert safety.moving
    for _ in range(5):
        command = safety.step([0.2, 0.0, 0.0], 1.0, DT)
    assert not command.linear.any() and not command.angular.any() and not safety.moving
    assert "old" in command.note


def test_servo_is_asked_to_turn_the_tool_back() -> None:
    tilted = CENTRE.copy()
    tilted[5] += 0.2
    safety = servo()
    safety.observe(tilted)
    command = safety.step([0.0, 0.0, 0.0], 0.0, DT)
    before = FREE.pose(tilted)[1]
    turn = np.concatenate([[1.0], 0.5 * DT * command.angular])  # a small rotation as a quaternion
    w, v = turn[0], turn[1:]
    after = np.concatenate([[w * before[0] - v @ before[1:]], w * before[1:] + before[0] * v + np.cross(v, before[1:])])
    assert abs(after @ TOOL_DOWN) / np.linalg.norm(after) > abs(before @ TOOL_DOWN)
