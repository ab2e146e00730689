"""Every preset of config/arms is the arm that its maker describes, and moves freely in the box that it names."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy import pi
from obedient_arm import ObedientArm
from ros_harness import Listener, node_process

from rig_robot.arm.kinematics import TOOL_DOWN, Kinematics, Margin
from rig_robot.arm.limits import Limits
from rig_robot.arm.safety import SafetyFilter
from rig_robot.bringup.arm_presets import ARM_MUST_SAY, arm_parameters, presets
from rig_robot.common.package_files import locate, share

ARMS = presets()
FULL, HALF, RIGHT = 2 * pi, pi, pi / 2

LOWER = {
    "sawyer": [-3.0503, -3.8095, -3.0426, -3.0439, -2.9761, -2.9761, -4.7124],
    "ur5e": [-FULL, -FULL, -HALF, -FULL, -FULL, -FULL],
    "fr3": [-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159],
    "xarm6": [-FULL, -2.059, -3.927, -FULL, -1.69297, -FULL],
}
"""Published ranges of the joints [rad]; each preset's file says where."""
UPPER = {
    "sawyer": [3.0503, 2.2736, 3.0426, 3.0439, 2.9761, 2.9761, 4.7124],
    "ur5e": [FULL, FULL, HALF, FULL, FULL, FULL],
    "fr3": [2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159],
    "xarm6": [FULL, 2.0944, 0.19198, FULL, HALF, FULL],
}
SPEED = {
    "sawyer": [1.74, 1.328, 1.957, 1.957, 3.485, 3.485, 4.545],
    "ur5e": [3.14] * 6,
    "fr3": [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26],
    "xarm6": [3.14] * 6,
}
"""Published largest speeds [rad/s]."""


def read(name: str) -> dict[str, Any]:
    """A preset as the arm node gets it."""
    return arm_parameters({"preset": name}, Path("robot.yaml"))


def kinematics(preset: dict[str, Any]) -> Kinematics:
    margin = Margin(preset["collision_margin"], preset["table_height"], preset["approach_rate"])
    return Kinematics(
        locate(preset["description"]),
        preset["joints"],
        preset["tool"],
        rest=preset["rest"],
        tool_offset=preset["tool_offset"],
        posture_speed=preset["posture_speed"],
        margin=margin,
        base_frame=preset["base_frame"],
    )


def limits(preset: dict[str, Any]) -> Limits:
    same = ("tool_speed", "tool_acceleration", "turn_speed", "approach_rate", "joint_speed", "joint_acceleration")
    same += ("singularity_slow", "singularity_stop", "tracking_error", "braking_time")
    low, high = preset["workspace_low"], preset["workspace_high"]
    return Limits(low=low, high=high, max_age=0.25, **{name: preset[name] for name in same})


def places(preset: dict[str, Any], count: int) -> np.ndarray:
    """The corners of a preset's box and random places in it [count + 8, 3] (m)."""
    low, high = np.array(preset["workspace_low"]), np.array(preset["workspace_high"])
    corners = [np.where([i & 1, i & 2, i & 4], high, low) for i in range(8)]
    return np.concatenate([corners, np.random.default_rng(0).uniform(low, high, (count, 3))])


def turn(angle: float, axis: str) -> np.ndarray:
    """Homogeneous matrix [4, 4] of a rotation about x or z."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(4)
    i, j = (1, 2) if axis == "x" else (0, 1)
    matrix[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return matrix


def shift(x: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[[0, 2], 3] = x, z
    return matrix


def standard(theta: float, d: float, a: float, alpha: float) -> np.ndarray:
    """A link by Denavit and Hartenberg's own convention."""
    return turn(theta, "z") @ shift(a, d) @ turn(alpha, "x")


def modified(theta: float, d: float, a: float, alpha: float) -> np.ndarray:
    """A link by Craig's convention."""
    return turn(alpha, "x") @ shift(a, 0) @ turn(theta, "z") @ shift(0, d)


def ur5e(q: np.ndarray) -> np.ndarray:
    """Universal Robots, "DH parameters for calculations of kinematics and dynamics"; its base is turned half about."""
    table = [
        (0.1625, 0, RIGHT),
        (0, -0.425, 0),
        (0, -0.3922, 0),
        (0.1333, 0, RIGHT),
        (0.0997, 0, -RIGHT),
        (0.0996, 0, 0),
    ]
    return turn(pi, "z") @ np.linalg.multi_dot([standard(angle, *row) for angle, row in zip(q, table, strict=True)])


def fr3(q: np.ndarray) -> np.ndarray:
    """Franka, "Denavit-Hartenberg parameters", with the flange."""
    table = [(0.333, 0, 0), (0, 0, -RIGHT), (0.316, 0, RIGHT), (0, 0.0825, RIGHT), (0.384, -0.0825, -RIGHT)]
    table += [(0, 0, RIGHT), (0, 0.088, RIGHT)]
    links = [modified(angle, *row) for angle, row in zip(q, table, strict=True)]
    return np.linalg.multi_dot([*links, shift(0, 0.107)])


def xarm6(q: np.ndarray) -> np.ndarray:
    """UFACTORY, "Kinematic and Dynamic Parameters of xArm 6", standard parameters."""
    offset = np.arctan(284.5 / 53.5)
    table = [(0.267, 0, -RIGHT), (0, np.hypot(0.2845, 0.0535), 0), (0, 0.0775, -RIGHT), (0.3425, 0, RIGHT)]
    table += [(0, 0.076, -RIGHT), (0.097, 0, 0)]
    angles = q + np.array([0, -offset, offset, 0, 0, 0])
    return np.linalg.multi_dot([standard(angle, *row) for angle, row in zip(angles, table, strict=True)])


def sawyer(q: np.ndarray) -> np.ndarray:
    """Lengths along and across the axes, summed from sawyer_base.urdf.xacro; its last frame is turned otherwise."""
    table = [(0.317, 0.081, -RIGHT), (0.1925, 0, RIGHT), (0.4, 0, -RIGHT), (-0.1685, 0, RIGHT), (0.4, 0, -RIGHT)]
    table += [(0.1363, 0, RIGHT), (0.1345, 0, 0)]
    angles = q + np.array([0, RIGHT, 0, 0, 0, 0, 0])
    return np.linalg.multi_dot([standard(angle, *row) for angle, row in zip(angles, table, strict=True)])


PUBLISHED = {"ur5e": ur5e, "fr3": fr3, "xarm6": xarm6, "sawyer": sawyer}


@pytest.mark.parametrize("name", ARMS)
def test_the_tool_is_where_the_makers_own_parameters_put_it(name: str) -> None:
    arm, random = kinematics(read(name)), np.random.default_rng(1)
    for q in [
        np.clip(np.zeros(len(arm.joints)), arm.lower, arm.upper),
        *random.uniform(arm.lower, arm.upper, (50, len(arm.joints))),
    ]:
        place, quaternion = arm.pose(q)
        pose = PUBLISHED[name](q)
        np.testing.assert_allclose(place, pose[:3, 3], atol=1e-5)
        turned = np.empty(9)
        mujoco.mju_quat2Mat(turned, quaternion)
        axes = [2] if name == "sawyer" else [0, 1, 2]
        np.testing.assert_allclose(turned.reshape(3, 3)[:, axes], pose[:3, axes], atol=1e-5)


@pytest.mark.parametrize("name", ARMS)
def test_ranges_and_speeds_of_the_joints_are_the_published_ones(name: str) -> None:
    preset = read(name)
    arm = kinematics(preset)
    np.testing.assert_allclose(arm.lower, LOWER[name], atol=1e-6)
    np.testing.assert_allclose(arm.upper, UPPER[name], atol=1e-6)
    assert preset["joint_speed"] == SPEED[name]
    if (file := locate(preset["description"])).suffix == ".urdf":
        urdf = {joint.get("name"): joint.find("limit") for joint in ElementTree.parse(file).iter("joint")}
        for joint, speed in zip(preset["joints"], SPEED[name], strict=True):
            assert float(urdf[joint].get("velocity")) == pytest.approx(speed, abs=2e-3)


@pytest.mark.parametrize("name", ARMS)
def test_every_bound_is_given_and_is_one(name: str) -> None:
    preset = read(name)
    assert set(ARM_MUST_SAY) <= set(preset)
    bounds = limits(preset)
    assert bounds.joint_speed.shape == bounds.joint_acceleration.shape == (len(preset["joints"]),)
    assert bounds.outside(np.array(preset["park"])) == 0.0
    # What brakes the tool before a face of the box does not ask for more than what brakes the tool at all.
    assert bounds.tool_speed * bounds.approach_rate <= bounds.tool_acceleration


@pytest.mark.parametrize("name", ARMS)
def test_the_tool_reaches_every_place_of_its_box_pointing_down_far_from_trouble(name: str) -> None:
    preset = read(name)
    arm, bounds = kinematics(preset), limits(preset)
    for place in places(preset, 40):
        q = arm.solve(preset["rest"], place, TOOL_DOWN, tolerance=1e-3)
        reached, turned = arm.pose(q)
        assert np.linalg.norm(reached - place) < 1e-3 and 2 * np.arccos(min(1, abs(turned @ TOOL_DOWN))) < 1e-2
        assert arm.condition(q) < bounds.singularity_slow, place
        assert arm.clearance(q) > preset["collision_margin"], place
        assert np.minimum(q - arm.lower, arm.upper - q).min() > 0.15, place


@pytest.mark.parametrize("name", ARMS)
def test_the_arm_rests_with_its_elbow_up_and_its_tool_down_in_the_box(name: str) -> None:
    preset = read(name)
    arm = kinematics(preset)
    place, turned = arm.pose(preset["rest"])
    if name != "sawyer":  # its home is known to lie 0.4 mm outside
        assert limits(preset).outside(place) == 0.0
        assert 2 * np.arccos(min(1, abs(turned @ TOOL_DOWN))) < 1e-3
    assert (preset["rest"] > arm.lower).all() and (preset["rest"] < arm.upper).all()
    assert arm.clearance(preset["rest"]) > preset["collision_margin"]
    model = mujoco.MjModel.from_xml_path(str(locate(preset["description"])))
    data = mujoco.MjData(model)
    for joint, angle in zip(preset["joints"], preset["rest"], strict=True):
        data.joint(joint).qpos = angle
    mujoco.mj_forward(model, data)
    heights = [data.joint(joint).xanchor[2] for joint in preset["joints"]]
    assert max(heights[2:5]) > max(heights[0], heights[-1]) + 0.1, heights


@pytest.mark.parametrize("name", ARMS)
def test_the_tool_crosses_its_box_in_straight_lines_through_the_safety_filter(name: str) -> None:
    preset = read(name)
    arm, bounds = kinematics(preset), limits(preset)
    safety = SafetyFilter(arm, bounds, TOOL_DOWN, ramp=0.0)
    low, high = bounds.low + 0.01, bounds.high - 0.01
    corners = [low, high, np.array([low[0], high[1], low[2]]), np.array([high[0], low[1], high[2]])]
    safety.start(arm.solve(preset["rest"], corners[0], TOOL_DOWN))
    dt = 1.0 / preset["rate"]
    for start, end in pairwise(corners):
        way = (end - start) / np.linalg.norm(end - start)
        start = safety.target.copy()
        for _ in range(int(8.0 / dt)):
            before = arm.forward(safety.position)
            if np.linalg.norm(end - before) < 5e-3:
                break
            speed = min(0.15, 3.0 * np.linalg.norm(end - before))
            command = safety.step(speed * (end - before) / np.linalg.norm(end - before), 0.0, dt)
            assert not command.note.startswith(("stopped", "dropped")), command.note
            place, turned = arm.pose(command.position)
            aside = place - start - way * ((place - start) @ way)
            assert np.linalg.norm(aside) < 5e-3, (start, end, place, command.note)
            assert 2 * np.arccos(min(1, abs(turned @ TOOL_DOWN))) < 0.02, (place, command.note)
        else:
            raise AssertionError(f"the tool never came to {end}: it is at {before}")


@pytest.mark.parametrize("name", ARMS)
def test_the_arm_node_moves_the_arm_of_the_preset_as_it_is_told(name: str, listener: Listener) -> None:
    """By its own topics, in a namespace, before an arm that is at once where it is told to be."""
    preset = read(name)
    arm = kinematics(preset)
    start = arm.solve(preset["rest"], (np.array(preset["workspace_low"]) + preset["workspace_high"]) / 2, TOOL_DOWN)
    with node_process("rig_robot.nodes.arm", preset | {"ramp": 0.1}, {"__ns": "/lab"}):
        body = ObedientArm(listener, preset, arm, start, namespace="lab/")
        body.arm()
        body.drive_until(lambda: body.path()[-1, 1] > 0.07, "it goes where the twist says", 0.0, 0.1)
        assert 0.05 < np.median(np.diff(body.path()[-30:, 1])) * preset["rate"] < 0.13, "as fast as it says [m/s]"
    commands, path = body.commands, body.path()
    assert commands[-1].joint_names == preset["joints"]
    assert path[-1, 1] < 0.13 and np.abs(path[:, [0, 2]]).max() < 5e-3, path[-1]
    assert not np.any(commands[-1].points[-1].velocities), "the last word of a node that ends is to stand still"


def test_there_is_a_preset_for_each_arm_of_the_documentation() -> None:
    document = (share("config").parent / "docs" / "arms.md").read_text()
    assert {"sawyer", "ur5e", "fr3", "xarm6"} <= set(ARMS)
    assert all(f"`{name}`" in document for name in ARMS)
    for name in {key for arm in ARMS for key in read(arm)}:
        assert f"`{name}`" in document, f"docs/arms.md does not explain {name}"
