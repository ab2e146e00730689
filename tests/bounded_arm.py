"""An arm with its bounds, for tests of the safety filter: the Sawyer, sequences of commands, and the laws they obey."""

import dataclasses
import os

import numpy as np
from hypothesis import strategies as st

from rig_robot.arm.commands import JointCommand
from rig_robot.arm.kinematics import TOOL_DOWN, Kinematics, Margin
from rig_robot.arm.limits import Limits
from rig_robot.arm.safety import SafetyFilter
from rig_sim.world import HOME, JOINTS, ROBOT, SPEED_LIMITS, WORKSPACE_HIGH, WORKSPACE_LOW, kinematics

SEQUENCES = int(os.environ.get("RIG_SEQUENCES", "60"))
"""Random sequences of each law: `RIG_SEQUENCES=10000 pytest tests/test_safety.py -k sequence` tries many."""
FREE = kinematics()
"""The arm without margins: for setting tests up."""
MARGIN = Margin(distance=0.02, table=-0.01, approach_rate=6.0)
ARM = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, posture_speed=0.5, margin=MARGIN)
LIMITS = Limits(
    low=WORKSPACE_LOW,
    high=WORKSPACE_HIGH,
    tool_speed=0.3,
    tool_acceleration=4.0,
    turn_speed=1.0,
    approach_rate=6.0,
    joint_speed=SPEED_LIMITS,
    braking_time=0.1,
    joint_acceleration=np.full(7, 15.0),
    singularity_slow=17.0,
    singularity_stop=30.0,
    max_age=0.25,
    tracking_error=0.2,
)
WIDE = dataclasses.replace(LIMITS, low=np.array([-0.3, -1.3, -0.5]), high=np.array([1.3, 1.3, 1.3]))
"""A box in which the arm can reach its table, itself and its singularities."""
CENTRE = FREE.solve(HOME, (WORKSPACE_LOW + WORKSPACE_HIGH) / 2, TOOL_DOWN)
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


def check(
    limits: Limits, began: np.ndarray, before: np.ndarray, moving: np.ndarray, command: JointCommand, dt: float
) -> None:
    """The laws of one command, given the one before it and where the arm began."""
    after = command.position
    assert np.isfinite(command.velocity).all()
    check_place(limits, before, after, command)
    assert (np.abs(after - before) <= limits.commanded_speed * dt + 1e-9).all()
    np.testing.assert_allclose(command.velocity, (after - before) / dt, atol=1e-6)
    sudden = np.abs(command.velocity - moving) > limits.joint_acceleration * dt + 1e-6
    check_place(limits, began, command.rest, command)
    if command.braking:
        assert (np.abs(command.velocity) <= limits.joint_acceleration * command.braking + 1e-9).all()
    # Only what is forbidden may cost a harder stop than the joints' accelerations allow.
    assert not sudden.any() or not command.velocity.any()


def check_place(limits: Limits, before: np.ndarray, after: np.ndarray, command: JointCommand) -> None:
    """The arm may be there, or is at least no worse off than before."""
    assert np.isfinite(after).all()
    assert limits.outside(ARM.forward(after)) <= limits.outside(ARM.forward(before)) + 1e-9, command
    assert ARM.clearance(after) >= min(MARGIN.distance, ARM.clearance(before)) - 1e-9, command
    assert ARM.condition(after) <= max(limits.singularity_stop, ARM.condition(before)) + 1e-6, command
    assert (after >= ARM.lower).all() and (after <= ARM.upper).all()


def follow(safety: SafetyFilter, sequence: list) -> None:
    began = safety.position
    for velocity, age, dt in sequence:
        before, moving = safety.position, safety.velocity
        check(safety.limits, began, before, moving, safety.step(velocity, age, dt), dt)
