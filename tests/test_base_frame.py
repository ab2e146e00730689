"""Everything is in `base_frame`: a box that stands half a metre too low lets the tool into the table."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from obedient_arm import ObedientArm
from ros_harness import Listener, node_process
from std_msgs.msg import String

from rig_robot.arm.kinematics import TOOL_DOWN, Kinematics, Margin
from rig_robot.bringup.arm_presets import arm_parameters
from rig_robot.common.package_files import share
from rig_robot.ros.qos import LATCHED, STATE

UR5E = arm_parameters({"preset": "ur5e"}, Path("robot.yaml"))
URDF = share("config", "arms", "ur5e.urdf").read_text()
SAWYER = arm_parameters({"preset": "sawyer"}, Path("robot.yaml"))
MJCF = share("config").parent / "sim" / "assets" / "sawyer.xml"
REST = np.array(UR5E["rest"])
NEAR = st.lists(st.floats(-0.6, 0.6), min_size=6, max_size=6)


def joint(name: str, parent: str, child: str, origin: str = "", kind: str = "fixed") -> str:
    """A joint of a URDF."""
    axis = "" if kind == "fixed" else '<axis xyz="0 0 1"/><limit lower="-9" upper="9" velocity="1" effort="1"/>'
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f"<origin {origin}/>{axis}</joint>"
    )


def mounted(*links: str) -> str:
    """The UR5e's URDF, with this before its base."""
    return URDF.replace('<link name="base_link">', "".join(links) + '<link name="base_link">', 1)


ON_A_STAND = mounted(
    '<link name="world"/>', joint("base_joint", "world", "base_link", 'xyz="0 0 0.5" rpy="0 0 1.5708"')
)
ON_WHEELS = mounted(
    '<link name="odom"/><link name="footprint"/>',
    joint("drive", "odom", "footprint", 'xyz="3 4 0"', "continuous"),
    joint("stand", "footprint", "base_link", 'xyz="0.2 0 0.4" rpy="0.1 0.2 0.3"'),
)
ON_A_LIFT = mounted(
    '<link name="footprint"/><link name="column"/>',
    joint("lift", "footprint", "column", 'xyz="0 0 0.4"', "prismatic"),
    joint("top", "column", "base_link", 'xyz="0 0 0.1" rpy="0 0 3"'),
)


def ur5e(description: str = URDF, base_frame: str | None = "base_link", **how: Any) -> Kinematics:
    return Kinematics(
        description,
        UR5E["joints"],
        UR5E["tool"],
        rest=REST,
        margin=Margin(0.02, 0.0, 4.0),
        base_frame=base_frame,
        **how,
    )


PLAIN = ur5e()
MOUNTED = {"stand": ur5e(ON_A_STAND), "wheels": ur5e(ON_WHEELS), "lift": ur5e(ON_A_LIFT)}


@settings(max_examples=40)
@given(NEAR, st.sampled_from(sorted(MOUNTED)))
def test_where_an_arm_is_mounted_changes_nothing_in_its_base_frame(offset, mount):
    arm, q = MOUNTED[mount], REST + offset
    for found, right in zip(arm.pose(q), PLAIN.pose(q), strict=True):
        assert min(np.abs(found - right).max(), np.abs(found + right).max()) < 1e-9
    assert arm.condition(q) == pytest.approx(PLAIN.condition(q), rel=1e-6)
    assert arm.clearance(q) == pytest.approx(PLAIN.clearance(q), abs=1e-6), "the table too is in the base frame"
    place = PLAIN.forward(REST) + 0.1 * np.array(offset[:3])
    np.testing.assert_allclose(arm.step(q, place, TOOL_DOWN, 0.02), PLAIN.step(q, place, TOOL_DOWN, 0.02), atol=1e-5)


def test_an_arm_on_a_stand_reaches_for_a_place_in_its_base_frame():
    q = MOUNTED["stand"].solve(REST, [0.5, 0.1, 0.3], TOOL_DOWN)
    np.testing.assert_allclose(PLAIN.forward(q), [0.5, 0.1, 0.3], atol=1e-3)


def test_a_base_frame_that_would_make_a_difference_must_be_given():
    assert ur5e(base_frame=None).base_frame == "base_link"
    with pytest.raises(ValueError, match=r"must be given: the root of robot_description is 'world'.* 'base_link'"):
        ur5e(ON_A_STAND, None)
    np.testing.assert_allclose(
        ur5e(ON_A_STAND, "world").forward(REST), PLAIN.forward(REST)[[1, 0, 2]] * [-1, 1, 1] + [0, 0, 0.5], atol=1e-5
    )


def test_a_link_beside_the_chain_may_be_the_base_frame():
    """As ur_description's `base`, turned half about, and its `base_link_inertia`, between `base_link` and the arm."""
    turned = URDF.replace('<parent link="base_link"/>', '<parent link="base_link_inertia"/>', 1).replace(
        '<link name="shoulder_link">',
        '<link name="base_link_inertia"/><link name="base"/>'
        + joint("inertia", "base_link", "base_link_inertia", 'rpy="0 0 3.14159265359"')
        + joint("half", "base_link", "base", 'rpy="0 0 3.14159265359"')
        + '<link name="shoulder_link">',
        1,
    )
    in_base_link = ur5e(turned).forward(REST)
    np.testing.assert_allclose(ur5e(turned, "base").forward(REST), in_base_link * [-1, -1, 1], atol=1e-9)
    with pytest.raises(ValueError, match=r"'base_link', but .* 'base_link_inertia'"):
        ur5e(turned, None)


@pytest.mark.parametrize(
    ("description", "base_frame", "said"),
    [
        (ON_A_STAND, "base", r"base_frame = 'base': there is no such link; the root .* 'world', .* on 'base_link'"),
        (URDF, "base", r"base_frame = 'base': there is no such link; the root .* 'base_link'"),
        (
            URDF,
            "forearm_link",
            r"'forearm_link': it moves with the arm, by the joint shoulder_pan_joint; .* 'base_link'",
        ),
        (URDF, "tool0", r"'tool0': it moves with the arm"),
        (ON_A_LIFT, "footprint", r"'footprint': it moves against 'base_link' by the joint lift, which is not among"),
        (ON_WHEELS, "odom", r"'odom': it moves against 'base_link' by the joint drive"),
        (URDF, "", r"base_frame = '': there is no such link"),
    ],
    ids=lambda value: "" if value.startswith("<?xml") else None,
)
def test_a_base_frame_that_cannot_be_is_refused_by_both_names(description, base_frame, said):
    with pytest.raises(ValueError, match=said):
        ur5e(description, base_frame)


def test_a_joint_of_the_arm_that_was_forgotten_is_named():
    joints = [name for name in UR5E["joints"] if name != "elbow_joint"]
    with pytest.raises(ValueError, match="among them the arm has elbow_joint, too"):
        Kinematics(URDF, joints, "tool0")
    with pytest.raises(ValueError, match=r"tool = 'base_link': no joint of .* moves it"):
        Kinematics(URDF, UR5E["joints"], "base_link")


@pytest.mark.parametrize("frame", ['<frame pos="0.3 0 0.9" euler="0 0 0.7">', ""])
def test_an_mjcf_whose_world_has_the_arm_on_a_table_is_in_the_base_frame(frame):
    scene = MJCF.read_text().replace('<body name="base"', frame + '<body name="base" pos="1 2 0.8" euler="0.1 0 1.2"')
    scene = re.sub(r"</worldbody>", "</frame></worldbody>" if frame else "</worldbody>", scene)
    plain, there = (
        Kinematics(text, SAWYER["joints"], SAWYER["tool"], rest=SAWYER["rest"], base_frame="base")
        for text in (MJCF.read_text(), scene)
    )
    for q in (np.array(SAWYER["rest"]), np.array(SAWYER["rest"]) + 0.3):
        np.testing.assert_allclose(there.forward(q), plain.forward(q), atol=1e-9)
    with pytest.raises(ValueError, match=r"'world', but .* 'base'"):
        Kinematics(scene, SAWYER["joints"], SAWYER["tool"])


def test_a_driver_that_describes_an_arm_on_a_stand_gets_twists_and_gives_poses_in_base_frame(
    listener: Listener,
) -> None:
    poses = listener.hear(PoseStamped, "rig/ee_pose", STATE)
    listener.node.create_publisher(String, "robot_description", LATCHED).publish(String(data=ON_A_STAND))
    start = PLAIN.solve(REST, [0.5, 0.0, 0.25], TOOL_DOWN)
    parameters = UR5E | {"description": "topic", "collision_margin": 0.0, "ramp": 0.1}
    with node_process("rig_robot.nodes.arm", parameters):
        arm = ObedientArm(listener, UR5E, PLAIN, start)
        listener.until(lambda: poses, "a pose")
        place = poses[-1].pose.position
        assert poses[-1].header.frame_id == "base_link"
        np.testing.assert_allclose([place.x, place.y, place.z], [0.5, 0.0, 0.25], atol=1e-3)
        arm.arm()
        arm.drive_until(lambda: arm.path()[-1, 1] > 0.02, "it goes where the twist says", 0.0, 0.1)
    assert np.abs(arm.path()[:, [0, 2]]).max() < 5e-3


def test_an_arm_node_whose_base_frame_is_no_link_says_so_in_one_line() -> None:
    with node_process("rig_robot.nodes.arm", UR5E | {"base_frame": "base"}) as arm:
        assert arm.wait() == 2
        assert "Traceback" not in arm.output()
        assert "base_frame = 'base'" in arm.output() and "'base_link'" in arm.output()
