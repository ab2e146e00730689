"""A robot's description comes from strangers: the arm in it is found, or one short line says what stands in the way."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rig_robot.arm.description_text import BadDescription
from rig_robot.arm.kinematics import Kinematics, Margin
from rig_robot.bringup.arm_presets import arm_parameters
from rig_robot.common.package_files import share

UR5E = arm_parameters({"preset": "ur5e"}, Path("robot.yaml"))
URDF = share("config", "arms", "ur5e.urdf").read_text()
PAN = '<limit lower="-6.28318530718" upper="6.28318530718" velocity="3.14159265359" effort="150"/>'
"""Range of the first joint."""
SLIDES = '<limit lower="0" upper="0.04" effort="1" velocity="1"/>'


def ur5e(description: Path | str, **how: Any) -> Kinematics:
    given: dict[str, Any] = {"rest": UR5E["rest"], "margin": Margin(0.02, 0.0, 4.0), "base_frame": "base_link"}
    return Kinematics(description, how.pop("joints", UR5E["joints"]), UR5E["tool"], **given | how)


TOOL = ur5e(URDF).forward(UR5E["rest"])


def with_end(*parts: str) -> str:
    """The UR5e's URDF with more elements at its end."""
    return URDF.replace("</robot>", "".join(parts) + "</robot>")


def finger(name: str, follows: str = "") -> str:
    mimic = f'<mimic joint="{follows}" multiplier="-1"/>' if follows else ""
    return (
        f'<link name="link of {name}"><collision><geometry><box size="0.01 0.01 0.01"/></geometry></collision></link>'
        f'<joint name="{name}" type="prismatic"><parent link="tool0"/><child link="link of {name}"/>'
        f'<axis xyz="0 1 0"/>{SLIDES}{mimic}</joint>'
    )


def changed(old: str, new: str) -> str:
    """The UR5e's URDF with something replaced where it first stands."""
    assert old in URDF
    return URDF.replace(old, new, 1)


@pytest.mark.parametrize(
    "description",
    [
        with_end(finger("left"), finger("right", "left")),
        with_end(finger("right", "left"), finger("left")),
        with_end(finger("left", "wrist_3_joint")),
        with_end(finger("left", "of a gripper that is elsewhere")),
        with_end(
            '<transmission name="t"><joint name="none"/><actuator name="motor"/></transmission>',
            '<gazebo reference="none"><sensor:camera/><material>Gazebo/Red</material></gazebo>',
            '<ros2_control name="c" type="system"><joint name="none"/></ros2_control>',
        ),
        changed(
            '<link name="forearm_link">',
            '<link name="forearm_link"><inertial><mass value="-1"/><inertia ixx="1" iyy="1" izz="9" ixy="nan" ixz="0" '
            'iyz="0"/></inertial><visual><geometry><mesh filename="package://none/x.dae"/></geometry></visual>',
        ),
        "\ufeff" + URDF,
        URDF + "\0",
        "\n " + URDF,
        changed("<robot ", '<robot xmlns:xacro="http://ros.org/wiki/xacro" '),
    ],
    ids=[
        *("gripper", "follower first", "follows the arm", "follows nobody", "drivers and Gazebo", "masses and meshes"),
        *("byte order mark", "end of a C text", "blanks before it", "once a xacro"),
    ],
)
def test_what_hangs_on_other_joints_or_links_does_not_hide_the_arm(description: str) -> None:
    np.testing.assert_allclose(ur5e(description).forward(UR5E["rest"]), TOOL, atol=1e-9)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_description_is_read_whatever_editor_saved_it_and_whatever_its_name_ends_with(
    tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "robot.urdf.txt"
    file.write_bytes(changed("<robot ", "<!-- für die Werkbank -->\n<robot ").encode(encoding))
    np.testing.assert_allclose(ur5e(file).forward(UR5E["rest"]), TOOL, atol=1e-9)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("", "robot_description is empty"),
        (" \n", "robot_description is empty"),
        (
            '<robot><xacro:include filename="x"/></robot>',
            r"xacro that has not been run \(it has <xacro:include>\): run",
        ),
        (changed('lower="-6.28', 'lower="${-pi} -6.28'), r'xacro that has not been run \(it has lower="\$\{-pi\}'),
        (changed('<link name="base_link"', '<link name="$(arg prefix)base"'), r"it has name=\"\$\(arg prefix\)base\""),
        ("no XML " * 1000, "robot_description is no URDF or MJCF, which are XML: it begins with 'no XML"),
        (URDF[:3000], "robot_description is no whole XML: .*line 52"),
        ("<sdf/>", "neither URDF nor MJCF: it begins with <sdf>, expected <robot> or <mujoco>"),
        ("<robot>\0</robot>", "robot_description is binary"),
        ("<robot>" + "<a>" * 100_000, "robot_description has more than 50000 XML elements"),
        ("<robot>" + "<a>" * 1_000, "robot_description is no whole XML"),
        (with_end(*(f'<link name="{index}"/>' for index in range(3000))), "more than 2000 links"),
        (changed('<link name="forearm_link">', '<link name="upper_arm_link">'), "repeated URDF name"),
        (
            changed('name="shoulder_pan_joint"', 'name="shoulder_\npan_joint"'),
            r"the name of a joint is 'shoulder_\\npan",
        ),
        (changed('name="forearm_link"', f'name="{"long" * 99}"'), "robot_description"),
        (with_end(*(finger(f"f{index}") for index in range(90))).replace("elbow_joint", "x"), "and 66 more"),
        ("{'a': 1,\n'b': 2}", "robot_description is no URDF or MJCF, which are XML: it begins with"),
        ("\ufffd\0x", "robot_description is binary"),
        ("nowhere.urdf", "robot description nowhere.urdf does not exist"),
        (
            '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
            + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
            + ']><robot name="&j;"/>',
            "robot_description is no whole XML: limit on input amplification",
        ),
    ],
    ids=lambda value: value[:12] if len(value) < 60 else "",
)
def test_what_is_no_description_is_refused_in_one_line_that_does_not_repeat_it(description: str, said: str) -> None:
    with pytest.raises((ValueError, OSError), match=said) as refused:
        ur5e(description)
    text = str(refused.value)
    assert len(text) < 400 and "\n" not in text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: None, "does not exist"),
        (lambda file: file.mkdir(), "is a directory: name the URDF"),
        (lambda file: file.write_bytes(bytes(range(256)) * 8), "is binary"),
        (lambda file: os.mkfifo(file), "is no file of text"),
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.write_bytes(b"<robot>" + b" " * 2**24), "more than 16 MiB"),
    ],
    ids=["missing", "directory", "binary", "pipe", "empty", "huge"],
)
def test_a_file_that_is_no_description_is_refused_by_name(tmp_path: Path, make: Any, said: str) -> None:
    file = tmp_path / "robot.urdf"
    make(file)
    with pytest.raises((ValueError, OSError), match=rf"robot\.urdf.*{said}"):
        ur5e(file)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (changed(PAN, '<limit lower="2" upper="-2"/>'), "shoulder_pan_joint has the range 2 to -2 rad: the lower"),
        (changed(PAN, '<limit lower="1" upper="1"/>'), "shoulder_pan_joint has the range 1 to 1 rad"),
        (changed(PAN, '<limit lower="-inf" upper="inf"/>'), "shoulder_pan_joint has the range -inf to inf rad: must"),
        (changed(PAN, '<limit lower="nan" upper="2"/>'), "shoulder_pan_joint has the range nan to 2 rad: must"),
        (changed(PAN, '<limit lower="-1e400" upper="2"/>'), "number is too large in attribute 'lower'"),
        (changed(PAN, '<limit lower="left" upper="2"/>'), "bad format in attribute 'lower'"),
        (changed(PAN, ""), r"shoulder_pan_joint has no range \(it is continuous, or without limits\).* revolute with"),
        (changed("revolute", "continuous"), "shoulder_pan_joint has no range"),
        (changed("revolute", "floating"), "shoulder_pan_joint neither turns nor slides"),
        (changed("revolute", "fixed"), "has no joint shoulder_pan_joint"),
        (changed('xyz="-0.425 0 0"', 'xyz="nan 0 0"'), r"link forearm_link is at \(nan, 0, 0\)"),
        (changed('xyz="-0.425 0 0"', 'xyz="inf 0 0"'), r"link forearm_link is at \(inf, 0, 0\)"),
        (changed('xyz="-0.425 0 0"', 'xyz="-425 1e30 0"'), r"link forearm_link is at .* less than 1000 m"),
        (changed('rpy="1.57079632679 0 0"', 'rpy="nan 0 0"'), "link upper_arm_link is turned by what is no finite"),
        (changed('<axis xyz="0 0 1"/>', '<axis xyz="0 0 0"/>'), r"shoulder_pan_joint has the axis \(0, 0, 0\)"),
        (changed('<axis xyz="0 0 1"/>', '<axis xyz="0 nan 1"/>'), r"shoulder_pan_joint has the axis \(0, nan, 1\)"),
        (changed('radius="0.064"', 'radius="nan"'), "nan size in geom.*upper_arm_link"),
        (changed('radius="0.064"', 'radius="inf"'), "a shape of link upper_arm_link has no finite size"),
    ],
)
def test_a_range_or_place_that_is_none_is_found_when_the_description_is_loaded(description: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ur5e(description)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_tool_or_rest_posture_that_is_nowhere_is_found_when_the_description_is_loaded(value: float) -> None:
    with pytest.raises(ValueError, match=r"tool_offset|tool0 with offset"):
        ur5e(URDF, tool_offset=[0.0, 0.0, value])
    if not np.isfinite(value):
        with pytest.raises(ValueError, match=r"rest = .*must be finite"):
            ur5e(URDF, rest=[value, *UR5E["rest"][1:]])


def test_a_joint_of_the_arm_that_follows_another_one_is_refused() -> None:
    tied = changed(
        '<joint name="wrist_3_joint" type="revolute">',
        '<joint name="wrist_3_joint" type="revolute"><mimic joint="wrist_2_joint"/>',
    )
    with pytest.raises(BadDescription, match=r"joint wrist_3_joint follows wrist_2_joint .*take it out"):
        ur5e(tied)
    with pytest.raises(BadDescription, match="joint left follows right"):
        ur5e(with_end(finger("left", "right"), finger("right")), joints=[*UR5E["joints"], "left"], rest=None)


def test_joints_that_are_none_or_twice_are_refused() -> None:
    with pytest.raises(BadDescription, match=r"joints = \[\]: name the arm's joints"):
        ur5e(URDF, joints=[])
    with pytest.raises(BadDescription, match=r"joints = .*elbow_joint stands there twice"):
        ur5e(URDF, joints=[*UR5E["joints"][:-1], "elbow_joint"])


FINGERS = """<body name="f1"><joint name="f1" type="slide" range="0 1"/><geom name="g1" size="0.01"/></body>
<body name="f2"><joint name="f2" type="slide"/><geom name="g2" size="0.01"/></body>"""


def mjcf(end: str = "", world: str = "", assets: str = "", hand: str = "", sizes: str = "", elbow: str = "") -> str:
    """An arm of two joints with a gripper, and what else an MJCF may have."""
    elbow = elbow or 'range="-90 90"'
    return f"""<mujoco><size {sizes}/><asset>{assets}</asset><worldbody><body name="base">
    <body name="upper" pos="0 0 1"><joint name="shoulder" range="-90 90"/>
    <geom type="capsule" size="0.1" fromto="0 0 0 0.5 0 0"/>
    <body name="hand" pos="1 0 0"><joint name="elbow" {elbow}/><geom type="capsule" size="0.1" fromto="0 0 0 0.5 0 0"/>
    <site name="tool" pos="0.5 0 0"/>{FINGERS}{hand}</body></body></body>{world}</worldbody>{end}</mujoco>"""


def two_joints(description: str) -> Kinematics:
    margin = Margin(0.02, -2.0, 4.0)
    return Kinematics(description, ["shoulder", "elbow"], "tool", base_frame="base", margin=margin)


@pytest.mark.parametrize(
    "description",
    [
        mjcf(
            """<equality><joint joint1="f1" joint2="f2"/><weld body1="f1" body2="f2"/>
            <joint joint1="f2" joint2="elbow"/><connect body1="f1" anchor="0 0 0"/></equality>
            <contact><exclude body1="f1" body2="f2"/><pair geom1="g1" geom2="g2"/></contact>
            <tendon><fixed name="t"><joint joint="f1" coef="1"/></fixed>
            <spatial name="s"><site site="tool"/><geom geom="g1"/><site site="tool"/></spatial></tendon>
            <actuator><motor joint="f1"/><position tendon="t"/></actuator>
            <sensor><jointpos joint="f1"/><tendonpos tendon="t"/></sensor><keyframe><key qpos="0 0 0 0"/></keyframe>
            <custom><numeric name="n" data="1"/><text name="x" data="y"/>
            <tuple name="u"><element objtype="body" objname="f1"/></tuple></custom>"""
        ),
        mjcf(
            assets="""<mesh name="m" file="none.stl"/><hfield name="h" file="none.png" size="1 1 1 1"/>
            <texture name="t" type="2d" file="none.png"/><material name="c" texture="t"/>""",
            hand="""<geom type="mesh" mesh="m"/><geom type="box" mesh="m"/><geom size="0.01" material="c"/>
            <site name="coloured" material="c"/><camera mode="targetbody" target="f1"/>""",
            world='<geom type="hfield" hfield="h"/><light mode="targetbody" target="f1"/><body mocap="true"/>',
        ),
        mjcf(sizes='memory="100G" nuserdata="2000000000"'),
        mjcf(sizes='njmax="2000000000" nconmax="2000000000"'),
        mjcf(sizes='nuser_body="2000000000" nuser_geom="2000000000"'),
    ],
    ids=["all that refers", "files that are missing", "memory", "sizes", "user data"],
)
def test_an_mjcf_is_read_without_what_the_arm_does_not_need(description: str) -> None:
    np.testing.assert_allclose(two_joints(description).forward([0, 0]), [1.5, 0, 1])


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (mjcf('<equality><joint joint1="elbow" joint2="shoulder"/></equality>'), "joint elbow follows shoulder"),
        (mjcf('<equality><joint joint1="elbow"/></equality>'), "joint elbow follows a fixed position"),
        (mjcf(elbow='range="90 -90"'), "joint elbow has the range 90 to -90 degrees"),
        (mjcf(elbow='type="slide" range="3 1"'), "joint elbow has the range 3 to 1 m"),
        (mjcf(elbow='type="ball"'), "joint elbow neither turns nor slides"),
        (mjcf(elbow='limited="false"'), "joint elbow has no range"),
        (mjcf('<include file="none.xml"/>'), r"none\.xml"),
        (mjcf(world='<replicate count="300000"><geom size="1"/></replicate>'), "<replicate> asks for 3e.05 copies"),
        (mjcf(world='<replicate count="100"><replicate count="100"/></replicate>'), "<replicate> asks for"),
        (mjcf(world='<geom size="1"/>' * 1100), "1104 geoms, at most 700"),
        (mjcf(world='<geom size="1"/>' * 400), "404 collision shapes, at most 300"),
        (mjcf(hand='<site name="s"/>' * 60_000), "more than 50000 XML elements"),
        (mjcf(world='<replicate count="600"><geom size="1"/><geom size="1"/></replicate>'), "1204 geoms, at most 700"),
        (mjcf(hand='<site name="s" pos="nan 0 0"/>'), r"site s is at \(nan, 0, 0\)"),
    ],
)
def test_an_mjcf_that_cannot_be_used_is_refused_by_what_is_wrong(description: str, said: str) -> None:
    with pytest.raises(BadDescription, match=said):
        two_joints(description)


def test_a_file_that_includes_others_is_read_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "part.xml").write_text('<mujoco><worldbody><body name="table"/></worldbody></mujoco>')
    file = tmp_path / "scene.xml"
    file.write_text(mjcf('<include file="part.xml"/>'))
    np.testing.assert_allclose(two_joints(str(file)).forward([0, 0]), [1.5, 0, 1])
    with pytest.raises(BadDescription, match=r"scene\.mjcf includes other files.*rename"):
        two_joints(str(file.rename(tmp_path / "scene.mjcf")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '<mujoco><worldbody><replicate count="1000000"><geom size="1"/></replicate></worldbody></mujoco>',
            "copies; at",
        ),
        (f"<mujoco><worldbody>{'<body/>' * 2001}</worldbody></mujoco>", "more than 2000 links"),
        ('<mujoco><worldbody><body name="${x}"/></worldbody></mujoco>', "xacro that has not been run"),
        ("\x80\x00", "no whole XML"),
        ("", "no whole XML"),
        ('<mujoco><include file="/dev/zero"/></mujoco>', "/dev/zero is no file of text"),
        ('<mujoco><include file="scene.xml"/></mujoco>', "already included"),
    ],
)
def test_what_a_file_includes_is_looked_through_before_mujoco_reads_it(tmp_path: Path, content: str, said: str) -> None:
    """MuJoCo would make a million shapes."""
    (tmp_path / "part.xml").write_text(content)
    file = tmp_path / "scene.xml"
    file.write_text(mjcf('<include file="part.xml"/>'))
    with pytest.raises(BadDescription, match=said):
        ur5e(file, joints=["pan"], rest=[0.0])


def test_reading_a_bad_description_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadDescription):
        ur5e(changed('xyz="-0.425 0 0"', 'xyz="nan 0 0"'))
    assert not list(tmp_path.iterdir()), "MuJoCo writes its warnings into MUJOCO_LOG.TXT"
