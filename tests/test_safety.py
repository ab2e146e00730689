"""Laws of the safety filter: whatever comes in, what goes out is finite, in the box, slow enough, and stops."""

import dataclasses

import numpy as np
import pytest
from bounded_arm import (
    ARM,
    CENTRE,
    DT,
    FREE,
    LIMITS,
    MARGIN,
    SEQUENCES,
    WIDE,
    check,
    follow,
    started,
    steps,
    velocities,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rig_robot.arm.commands import JointCommand
from rig_robot.arm.kinematics import SLACK, TOOL_DOWN, Kinematics, Margin
from rig_robot.arm.limits import FACE_MARGIN, REST_MARGIN, BoundsMissing, Limits
from rig_robot.arm.safety import SafetyFilter
from rig_sim.trajectory import Point, Trajectory, plan
from rig_sim.world import HOME, JOINTS, ROBOT, WORKSPACE_HIGH, WORKSPACE_LOW


@settings(max_examples=SEQUENCES)
@given(steps, st.tuples(*[st.floats(0.0, 1.0)] * 3))
def test_no_sequence_of_commands_leaves_the_bounds(sequence: list, corner: tuple) -> None:
    place = WORKSPACE_LOW + np.array(corner) * (WORKSPACE_HIGH - WORKSPACE_LOW)
    follow(started(at=FREE.solve(HOME, place, TOOL_DOWN)), sequence)


# Found among 10,000: joints at the ends of their ranges, where the solver finds nothing or stops hard.
@example([((0.0, 0.0, 0.0), 0.0, 0.0625)] * 2, [0.0, 0.0, 0.0, 0.625, 0.5, 0.75, 0.0], False)
@example([((0.0, 0.0, 0.0), 0.0, 0.0625)], [0.0, 0.875, 0.628122522748887, 0.0, 0.5, 0.75, 0.0], False)
@example([((0.0, 0.0, 0.0), 0.0, 0.07)] * 4, [0.875, 0.6281225, 1.0, 0.634765625, 0.95964854, 0.0, 0.0], False)
@settings(max_examples=SEQUENCES)
@given(steps, st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7), st.booleans())
def test_no_sequence_makes_any_posture_worse_than_it_is(sequence: list, fractions: list, wide: bool) -> None:
    posture = ARM.lower + np.array(fractions) * (ARM.upper - ARM.lower)
    follow(started(WIDE if wide else LIMITS, at=posture), sequence)


@pytest.mark.slow
@settings(max_examples=SEQUENCES // 4)
@given(velocities, st.floats(0.0, 0.2), st.floats(0.005, 0.05))
def test_a_sequence_of_one_command_kept_up_for_seconds_leaves_no_bound(velocity: tuple, age: float, dt: float) -> None:
    follow(started(WIDE), [(velocity, age, dt)] * 100)


def test_late_commands_do_not_make_the_arm_faster() -> None:
    """A busy computer sends its commands late; the controller meanwhile does what the last one says to its end."""
    random = np.random.default_rng(0)
    safety = SafetyFilter(ARM, WIDE, TOOL_DOWN, ramp=0.0, ahead=0.02)
    safety.start(CENTRE)
    path = Trajectory(np.zeros(1), CENTRE[None], None)
    now, last, speeds = 0.0, 0.0, []
    for number in range(300):
        # Most are in time, some are late by up to a fifth of a second.
        pause = 0.01 if number % 10 else random.uniform(0.01, 0.2)
        for _ in range(round(pause / 0.001)):
            before = ARM.forward(path.at(now).position)
            now += 0.001
            speeds.append(np.linalg.norm(ARM.forward(path.at(now).position) - before) / 0.001)
        way = 0.3 if (number // 50) % 2 else -0.3
        command = safety.step([0.0, way, 0.0], 0.0, safety.catch_up(now - last))
        last = now
        points = [Point(0.02, command.position.tolist(), command.velocity.tolist())]
        if command.braking:
            points.append(Point(0.02 + command.braking, command.rest.tolist(), [0.0] * 7))
        path = plan(JOINTS, points, now, now, path.at(now), JOINTS, ARM.lower, ARM.upper)
    assert np.median(speeds) > 0.1, "it must have moved"
    assert max(speeds) < 1.25 * LIMITS.tool_speed, max(speeds)


def test_an_arm_that_holds_its_last_position_is_gone_on_with_from_there_and_from_rest() -> None:
    safety = SafetyFilter(ARM, LIMITS, TOOL_DOWN, ramp=0.0, ahead=0.02, brakes=False)
    safety.start(CENTRE)
    for _ in range(20):
        command = safety.step([0.0, 0.2, 0.0], 0.0, 0.01)
    assert safety.catch_up(0.015) == 0.015 and safety.moving
    assert safety.catch_up(0.5) == 0.02 and not safety.moving
    assert (safety.position == command.position).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nan_or_infinity_drops_the_whole_command(bad: float, axis: int) -> None:
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


@pytest.mark.parametrize("age", [-0.01, 0.26, float("nan"), float("inf"), -float("inf")])
def test_an_impossible_or_too_great_age_drops_the_command(age: float) -> None:
    command = started().step([0.2, 0.0, 0.0], age, DT)
    assert (command.position == CENTRE).all() and "old" in command.note


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
    safety = started(at=FREE.solve(HOME, outside, TOOL_DOWN))
    for _ in range(20):
        assert LIMITS.outside(ARM.forward(safety.step([0.0, 0.2, 0.0], 0.0, DT).position)) <= 0.06 + 1e-4
    waiting = ARM.forward(safety.position)
    for _ in range(20):
        command = safety.step([0.0, 0.0, 0.0], 0.0, DT)
    assert np.linalg.norm(ARM.forward(command.position) - waiting) < 1e-3, "nobody has asked it to come back"
    for _ in range(60):
        command = safety.step([0.0, -0.2, 0.0], 0.0, DT)
    assert LIMITS.outside(ARM.forward(command.position)) == 0.0


@pytest.mark.parametrize(
    ("velocity", "why"),
    [([0.0, 0.0, -0.3], "table"), ([-0.3, 0.0, 0.0], "itself"), ([0.3, 0.0, 0.0], "singularity")],
)
def test_the_arm_slows_before_its_table_itself_and_a_singularity_and_stays_there(velocity: list, why: str) -> None:
    safety = started(WIDE)
    hard = 0
    for _ in range(300):
        command = safety.step(velocity, 0.0, DT)
        hard += command.note.startswith("stopped")
    clearance, condition = ARM.clearance(command.position), ARM.condition(command.position)
    assert np.abs(safety.velocity).max() < 0.1
    if why == "singularity":
        assert 20.0 < condition <= LIMITS.singularity_stop and "singularity" in command.note
    else:
        assert clearance == pytest.approx(MARGIN.distance + SLACK, abs=1e-3)
    assert hard < 15, "it had to be stopped again and again: the slowing before that came too late"


@pytest.mark.parametrize("velocity", [[0.0, 0.0, -0.3], [-0.3, 0.0, 0.1], [0.3, 0.0, 0.0], [0.0, 0.3, 0.0]])
def test_an_arm_that_brakes_slowly_begins_in_time_where_nothing_else_slows_it(velocity: list) -> None:
    """Before the table, itself, a singularity and a face of the box, with next to no slowing on the way there."""
    sudden = Margin(MARGIN.distance, MARGIN.table, approach_rate=200.0)
    arm = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, posture_speed=0.5, margin=sudden)
    limits = dataclasses.replace(
        WIDE,
        high=np.array([1.3, 0.3, 1.3]),
        approach_rate=200.0,
        singularity_slow=29.0,
        joint_acceleration=np.full(7, 0.7),
    )
    safety = SafetyFilter(arm, limits, TOOL_DOWN, ramp=0.0)
    safety.start(CENTRE)
    began = CENTRE
    for _ in range(400):
        before, moving = safety.position, safety.velocity
        check(limits, began, before, moving, safety.step(velocity, 0.0, DT), DT)


def test_an_arm_near_a_singularity_may_leave_it_at_full_speed() -> None:
    safety, back = started(WIDE), [-0.3, 0.0, 0.0]
    for _ in range(300):
        safety.step([0.3, 0.0, 0.0], 0.0, DT)
    assert ARM.condition(safety.position) > 25.0
    start, notes = ARM.forward(safety.position), ""
    for number in range(40):
        command = safety.step(back, 0.0, DT)
        notes += command.note if number > 8 else ""  # it must turn round first
    assert np.linalg.norm(ARM.forward(command.position) - start) > 0.1 and "singularity" not in notes


def test_a_tool_that_is_turned_otherwise_turns_no_faster_than_it_may() -> None:
    slow = dataclasses.replace(LIMITS, turn_speed=0.2)
    tilted = CENTRE.copy()
    tilted[5] += 0.4
    safety = started(slow, at=tilted)

    def turned() -> float:
        return 2 * np.arccos(min(1.0, abs(ARM.pose(safety.position)[1] @ TOOL_DOWN)))

    begin = turned()
    for _ in range(25):
        safety.step([0.0, 0.0, 0.0], 0.0, DT)
    assert begin - turned() == pytest.approx(0.2 * 25 * DT, rel=0.25)
    for _ in range(150):
        safety.step([0.0, 0.0, 0.0], 0.0, DT)
    assert turned() < 0.01


def test_the_elbow_leans_to_its_rest_no_faster_than_it_may() -> None:
    place = ARM.forward(CENTRE)
    swung = CENTRE.copy()
    swung[2] += 0.5  # the elbow aside: what the tool does not need
    swung = Kinematics(ROBOT, JOINTS, "tool", rest=swung).solve(swung, place, TOOL_DOWN)
    assert np.abs(swung - CENTRE).max() > 0.2
    safety = started(at=swung)
    for _ in range(200):
        command = safety.step([0.0, 0.0, 0.0], 0.0, DT)
        assert np.abs(command.velocity).max() < 0.6
    assert np.abs(safety.position - CENTRE).max() < 0.05
    assert np.linalg.norm(ARM.forward(safety.position) - place) < 1e-3


def test_the_elbow_fades_in_after_a_start_too() -> None:
    swung = CENTRE.copy()
    swung[2] += 0.5
    swung = Kinematics(ROBOT, JOINTS, "tool", rest=swung).solve(swung, ARM.forward(CENTRE), TOOL_DOWN)
    safety = SafetyFilter(ARM, dataclasses.replace(LIMITS, joint_speed=np.full(7, 0.5)), TOOL_DOWN, ramp=2.0)
    safety.start(swung)
    for number in range(1, 50):
        command = safety.step([0.0, 0.0, 0.0], 0.0, DT)
        assert np.abs(command.velocity).max() <= 0.5 * number * DT / 2.0 + 1e-9


def test_a_joint_brakes_before_the_end_of_its_range_even_where_the_kinematics_does_not_see_it() -> None:
    arm = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, posture_speed=0.5)
    arm.upper[0] = CENTRE[0] + 0.1
    safety = SafetyFilter(
        arm, dataclasses.replace(WIDE, joint_acceleration=np.full(7, 2.0), braking_time=1.0), TOOL_DOWN, ramp=0.0
    )
    safety.start(CENTRE)
    for _ in range(150):
        moving = safety.velocity
        command = safety.step([0.0, 0.3, 0.0], 0.0, DT)
        assert command.position[0] <= arm.upper[0] and command.rest[0] <= arm.upper[0]
        assert (np.abs(command.velocity - moving) <= 2.0 * DT + 1e-9).all(), "it had to be stopped dead"
    assert command.position[0] > CENTRE[0] + 0.05


def test_an_arm_whose_braking_would_lead_where_it_may_not_be_is_stopped_at_once() -> None:
    at_the_face = FREE.solve(HOME, [WORKSPACE_HIGH[0] - 1e-4, 0.0, 0.2], TOOL_DOWN)
    further = FREE.solve(HOME, [WORKSPACE_HIGH[0] + 0.02, 0.0, 0.2], TOOL_DOWN)
    safety = started(at=at_the_face)
    safety.velocity = (further - at_the_face) / 0.05
    command = safety.brake(DT, "a test")
    assert (command.position == safety.position).all() and not command.velocity.any()
    assert LIMITS.outside(ARM.forward(command.position)) == 0.0


ELBOW_STRAIGHT = CENTRE.copy()
ELBOW_STRAIGHT[3] = 0.02
AT_THE_FACE = FREE.solve(HOME, [WORKSPACE_HIGH[0] - REST_MARGIN / 5, 0.0, 0.2], TOOL_DOWN)


@pytest.mark.parametrize(
    ("limits", "place", "why"),
    [
        (WIDE, FREE.solve(HOME, [0.6, 0.0, MARGIN.table], TOOL_DOWN), "links would have come closer"),
        (WIDE, ELBOW_STRAIGHT, "too near to a singularity"),
        (LIMITS, AT_THE_FACE, "come to rest too near to a face"),
    ],
)
def test_an_arm_on_its_way_to_a_posture_stops_where_it_may_not_go_on(
    limits: Limits, place: np.ndarray, why: str
) -> None:
    """Nothing slows an arm on a straight line of postures before what is forbidden: the last check alone stops it."""
    safety, notes = started(limits), set()
    for _ in range(600):
        before, moving = safety.position, safety.velocity
        command = safety.approach(place, DT, "on its way")
        check(limits, CENTRE, before, moving, command, DT)
        notes.add(command.note)
    assert any(why in note for note in notes), notes
    rest = FREE.forward(command.rest)
    assert limits.outside(rest, 0.9 * REST_MARGIN) == 0.0


def test_the_tools_acceleration_is_limited() -> None:
    gentle = dataclasses.replace(LIMITS, tool_acceleration=0.5)
    safety = started(gentle)
    places = [ARM.forward(safety.position)]
    for velocity in [[0.2, 0.0, 0.0]] * 25 + [[-0.2, 0.0, 0.0]] * 25:
        places.append(ARM.forward(safety.step(velocity, 0.0, DT).position))
    speeds = np.diff(np.array(places), axis=0)[:, 0] / DT
    assert np.abs(np.diff(speeds)).max() <= 0.5 * DT * 1.2
    assert speeds.max() == pytest.approx(0.2, rel=0.1)


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


@pytest.mark.parametrize("way", [(-10.0, 0.0, 0.0), (0.0, 10.0, 0.0), (10.0, -10.0, 10.0)])
def test_an_arm_that_gets_no_more_commands_rests_clear_of_the_faces(way: tuple) -> None:
    """A late tick lets the controller go on to `rest`; joints that brake together bend the tool's way."""
    safety, rng, nearest = started(), np.random.default_rng(0), np.inf
    for number in range(400):
        command = safety.step(np.array(way) + rng.normal(size=3) * (2.0 if number % 3 else 10.0), 0.0, DT)
        rest = FREE.forward(command.rest)
        nearest = min(nearest, np.min(rest - LIMITS.low), np.min(LIMITS.high - rest))
    assert 0.9 * REST_MARGIN < nearest < 0.01


def test_no_joint_moves_faster_than_it_can_brake_from_within_the_braking_time() -> None:
    safety, free = (started(dataclasses.replace(LIMITS, braking_time=seconds)) for seconds in (0.03, 1.0))
    for _ in range(20):
        command, reference = safety.step([0.3, 0.0, 0.0], 0.0, DT), free.step([0.3, 0.0, 0.0], 0.0, DT)
    assert reference.braking > 0.04
    assert command.braking == pytest.approx(0.03, rel=0.01) and "slowed together" in command.note


def test_joint_accelerations_are_limited() -> None:
    gentle = dataclasses.replace(LIMITS, joint_acceleration=np.full(7, 1.0), braking_time=1.0)
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


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        (field.name, bad)
        for field in dataclasses.fields(Limits)
        for bad in ("missing", "nan", "zero")
        if bad != "zero" or field.name not in ("low", "high")  # 0 is a place like others
    ],
)
def test_a_bound_that_is_missing_or_none_is_refused_by_name(name: str, bad: str) -> None:
    value = np.asarray(getattr(LIMITS, name), dtype=float)
    wrong = {"missing": np.array([]), "nan": value * np.nan, "zero": value * 0.0}[bad]
    with pytest.raises(BoundsMissing, match=name):
        dataclasses.replace(LIMITS, **{name: wrong})


def test_a_singularity_that_begins_after_its_end_is_refused() -> None:
    with pytest.raises(BoundsMissing, match="singularity_slow"):
        dataclasses.replace(LIMITS, singularity_slow=30.0)


def test_a_box_inside_out_is_refused() -> None:
    with pytest.raises(BoundsMissing, match="workspace"):
        dataclasses.replace(LIMITS, low=WORKSPACE_HIGH, high=WORKSPACE_LOW)


def test_a_bound_for_another_number_of_joints_is_refused() -> None:
    with pytest.raises(BoundsMissing, match="joint_speed"):
        started(dataclasses.replace(LIMITS, joint_speed=np.ones(6)))


def test_an_arm_outside_its_joint_limits_does_not_start() -> None:
    with pytest.raises(ValueError, match="joint limits"):
        started(at=ARM.upper + 1.0)


class Thorough(SafetyFilter):
    """The filter without the short way of an arm at rest: every command is computed."""

    def brake(self, dt: float, note: str) -> JointCommand:
        self._held = None
        return super().brake(dt, note)


@pytest.mark.slow
@settings(max_examples=SEQUENCES)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([(0.0, 0.0, 0.0), (0.2, -0.1, 0.0), (-0.3, 0.3, 0.2)]), st.sampled_from([0.0, 1e9])),
        min_size=1,
        max_size=40,
    )
)
def test_an_arm_at_rest_that_is_not_computed_anew_is_sent_the_same_to_the_last_digit(steps) -> None:
    quick, thorough = started(ramp=0.1), Thorough(ARM, LIMITS, TOOL_DOWN, ramp=0.1)
    thorough.start(CENTRE)
    for velocity, age in steps:
        one, other = quick.step(velocity, age, DT), thorough.step(velocity, age, DT)
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_array_equal(one.velocity, other.velocity)
        np.testing.assert_array_equal(one.rest, other.rest)
        np.testing.assert_array_equal(quick.target, thorough.target)
        assert (one.note, one.braking) == (other.note, other.braking)


def test_an_arm_at_rest_does_no_kinematics_and_wakes_with_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    safety = started()
    safety.step((0.0, 0.0, 0.0), 1e9, DT)
    for name in ("step", "pose", "forward", "clearance", "condition"):
        monkeypatch.setattr(ARM, name, lambda *_, name=name: pytest.fail(f"an arm at rest computed {name}"))
    for _ in range(5):
        command = safety.step((0.0, 0.0, 0.0), 1e9, DT)
        assert not command.velocity.any() and command.braking == 0.0 and "dropped" in command.note
    monkeypatch.undo()
    assert safety.step((0.1, 0.0, 0.0), 0.0, DT).velocity.any(), "it wakes at once"
