"""Forward and inverse kinematics of the Sawyer against the published figures, and their laws."""

from pathlib import Path

import mink
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig_robot.arm.kinematics import RECENT, TOOL_DOWN, Kinematics, Margin, NotReached
from rig_sim.world import HOME, JOINTS, ROBOT, WORKSPACE_HIGH, WORKSPACE_LOW, kinematics

SAWYER = kinematics()

IN_BOX = st.tuples(*(st.floats(low, high) for low, high in zip(WORKSPACE_LOW, WORKSPACE_HIGH, strict=True)))


def angle_between(a, b):
    """Angle (rad) between two orientations (quaternions w x y z)."""
    return 2 * np.arccos(np.clip(abs(np.dot(a, b)), 0, 1))


def test_home_posture_puts_the_tool_where_the_published_kinematics_does():
    position, quaternion = SAWYER.pose(HOME)
    np.testing.assert_allclose(position, [0.4496, 0.1603, 0.2158], atol=1e-4)
    assert angle_between(quaternion, TOOL_DOWN) < 1e-3


def test_masses_ranges_and_torque_limits_are_the_published_ones():
    model = mujoco.MjModel.from_xml_path(str(ROBOT))
    masses = {model.body(i).name: float(model.body_mass[i]) for i in range(1, model.nbody)}
    published = {"base": 2.0687, "head": 1.5795, "right_l0": 5.3213, "right_l1": 4.505, "right_l2": 1.745}
    published |= {"right_l3": 2.5097, "right_l4": 1.1136, "right_l5": 1.5625, "right_l6": 0.3292}
    assert masses == pytest.approx(published, abs=1e-6)
    np.testing.assert_allclose(SAWYER.lower, [-3.0503, -3.8095, -3.0426, -3.0439, -2.9761, -2.9761, -4.7124])
    np.testing.assert_allclose(SAWYER.upper, [3.0503, 2.2736, 3.0426, 3.0439, 2.9761, 2.9761, 4.7124])
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], [80, 80, 40, 40, 9, 9, 9])


@settings(max_examples=60)
@given(IN_BOX)
def test_inverse_kinematics_reaches_every_place_of_the_workspace_with_the_tool_down(place):
    q = SAWYER.solve(HOME, place, TOOL_DOWN)
    position, quaternion = SAWYER.pose(q)
    assert np.linalg.norm(position - place) < 1e-4
    assert angle_between(quaternion, TOOL_DOWN) < 1e-3
    assert (q >= SAWYER.lower).all() and (q <= SAWYER.upper).all()


@settings(max_examples=15)
@given(IN_BOX, IN_BOX)
def test_the_posture_at_a_place_does_not_depend_on_the_way_there(start, end):
    """A goal picture shows one posture: an arm that arrives in another would look elsewhere."""
    q = SAWYER.solve(HOME, start, TOOL_DOWN)
    for place in np.linspace(start, end, 20):
        q = SAWYER.step(q, place, TOOL_DOWN, 0.1)
    for _ in range(5):
        q = SAWYER.step(q, end, TOOL_DOWN, 0.1)
    np.testing.assert_allclose(q, SAWYER.solve(HOME, end, TOOL_DOWN), atol=2e-3)


def test_a_place_out_of_reach_is_refused_with_numbers():
    with pytest.raises(NotReached, match=r"cannot reach \(2\.000, 0\.000, 0\.200\) m: \d+\.\d+ mm"):
        SAWYER.solve(HOME, [2.0, 0.0, 0.2], TOOL_DOWN)


def test_a_step_from_outside_the_joint_ranges_ends_inside_them():
    q = SAWYER.step(SAWYER.upper + 0.3, [0.6, 0.0, 0.2], TOOL_DOWN, 0.1)
    assert (q >= SAWYER.lower).all() and (q <= SAWYER.upper).all()


@settings(max_examples=40)
@given(IN_BOX, st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7))
def test_a_step_is_the_same_with_and_without_the_solver_for_limits(place, fractions):
    q = SAWYER.lower + np.array(fractions) * (SAWYER.upper - SAWYER.lower)
    step = SAWYER.step(q, place, TOOL_DOWN, 0.1)
    tasks = [SAWYER._place, SAWYER._posture]  # as the step has left them
    velocity = mink.solve_ik(SAWYER._configuration, tasks, 0.1, solver="daqp", damping=1e-8, limits=SAWYER._limits)
    np.testing.assert_allclose(step, np.clip(q + 0.1 * velocity, SAWYER.lower, SAWYER.upper), atol=1e-6)


def test_joints_keep_the_order_in_which_they_are_named():
    mixed = JOINTS[::-1]
    arm = Kinematics(ROBOT, mixed, "tool", rest=HOME[::-1])
    np.testing.assert_allclose(arm.forward(HOME[::-1]), SAWYER.forward(HOME))
    np.testing.assert_allclose(arm.lower, SAWYER.lower[::-1])
    place = [0.6, 0.1, 0.2]
    np.testing.assert_allclose(
        arm.solve(HOME[::-1], place, TOOL_DOWN)[::-1], SAWYER.solve(HOME, place, TOOL_DOWN), atol=1e-6
    )


def test_a_urdf_with_missing_meshes_and_joints_of_other_parts_works(tmp_path: Path):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(
        """<robot name="arm">
        <link name="base"/>
        <link name="upper"><visual><geometry><mesh filename="missing.stl"/></geometry></visual></link>
        <link name="hand"/><link name="finger"/>
        <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
          <limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
        <joint name="elbow" type="revolute"><parent link="upper"/><child link="hand"/><origin xyz="1 0 0"/>
          <axis xyz="0 0 1"/><limit lower="-2" upper="2" effort="1" velocity="1"/></joint>
        <joint name="grip" type="prismatic"><parent link="hand"/><child link="finger"/><origin xyz="0.5 0 0"/>
          <axis xyz="1 0 0"/><limit lower="0" upper="0.1" effort="1" velocity="1"/></joint>
        </robot>"""
    )
    arm = Kinematics(urdf, ["shoulder", "elbow"], "finger")
    np.testing.assert_allclose(arm.upper, [1, 2])
    np.testing.assert_allclose(arm.forward([0, np.pi / 2]), [1, 0.5, 0], atol=1e-9)


def test_a_description_without_the_joint_or_the_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ValueError, match="no joint left_j0; it has right_j0"):
        Kinematics(ROBOT, ["left_j0"], "tool")
    with pytest.raises(FileNotFoundError, match=r"none\.xml"):
        Kinematics(tmp_path / "none.xml", JOINTS, "tool")
    with pytest.raises(ValueError, match="no site or body 'claw'"):
        Kinematics(ROBOT, JOINTS, "claw")


def test_what_is_remembered_of_a_joint_position_is_what_is_found_anew():
    margin = Margin(distance=0.02, table=-0.01, approach_rate=6.0)
    used, places = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, margin=margin), [HOME]
    for number in range(RECENT + 3):
        places.append(used.step(places[-1], WORKSPACE_HIGH if number % 2 else WORKSPACE_LOW, TOOL_DOWN, 0.1))
    for q in [*places, *places[-3:]]:
        fresh = Kinematics(ROBOT, JOINTS, "tool", rest=HOME, margin=margin)
        for said, found in zip(used.pose(q), fresh.pose(q), strict=True):
            np.testing.assert_array_equal(said, found)
            said[:] = 0.0  # what a caller does with it is its own affair
        assert (used.condition(q), used.clearance(q)) == (fresh.condition(q), fresh.clearance(q))
        np.testing.assert_array_equal(
            used.step(q, WORKSPACE_LOW, TOOL_DOWN, 0.1), fresh.step(q, WORKSPACE_LOW, TOOL_DOWN, 0.1)
        )
