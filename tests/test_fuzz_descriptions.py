"""No mutated description or configuration ends in a traceback, a hang, or an error that does not name the file."""

import re
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fuzzing import assert_survives

from rig_robot.arm.kinematics import Kinematics, Margin
from rig_robot.bringup.arm_presets import arm_parameters, presets
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import robot, robot_notice
from rig_robot.bringup.task_config import read_task
from rig_robot.common.package_files import locate, share
from rig_robot.ros.arm_parameters import _text_or_file
from rig_robot.ros.node import RigNode

UR5E = arm_parameters({"preset": "ur5e"}, Path("robot.yaml"))
SAWYER = arm_parameters({"preset": "sawyer"}, Path("robot.yaml"))
URDF = share("config", "arms", "ur5e.urdf").read_bytes()
GRIPPER = b"""<link name="l"/><link name="r"/>
<joint name="left" type="prismatic"><parent link="tool0"/><child link="l"/><axis xyz="0 1 0"/>
<limit lower="0" upper="0.04" effort="1" velocity="1"/></joint>
<joint name="right" type="prismatic"><parent link="tool0"/><child link="r"/><axis xyz="0 -1 0"/>
<limit lower="0" upper="0.04" effort="1" velocity="1"/><mimic joint="left" multiplier="1" offset="0"/></joint>
<transmission name="t"><joint name="left"/><actuator name="m"/></transmission></robot>"""
MJCF = b"""<mujoco><compiler angle="radian"/><size memory="1M"/><option timestep="0.002"/>
<default><joint damping="1"/><default class="v"><geom contype="0" conaffinity="0"/></default></default>
<asset><mesh name="m" file="none.stl"/><material name="c" rgba="1 0 0 1"/></asset><worldbody>
<body name="base"><geom type="box" size="0.1 0.1 0.1"/><body name="upper" pos="0 0 1"><joint name="a" range="-2 2"/>
<geom type="capsule" size="0.05" fromto="0 0 0 0.5 0 0"/><body name="fore" pos="0.5 0 0" euler="0 0.1 0">
<joint name="b" axis="0 1 0" range="-2 2"/><geom type="capsule" size="0.05" fromto="0 0 0 0.3 0 0"/>
<geom class="v" type="mesh" mesh="m"/><body name="hand" pos="0.5 0 0"><joint name="c" axis="0 1 0" range="-2 2"/>
<site name="tool" pos="0.1 0 0" quat="1 0 0 0"/><geom size="0.02" material="c"/>
<body name="f1"><joint name="f1" type="slide" range="0 1"/><geom name="g1" size="0.01"/></body>
<body name="f2"><joint name="f2" type="slide"/><geom name="g2" size="0.01"/></body></body></body></body></body>
<replicate count="3" offset="1 0 0"><geom pos="3 0 0" size="0.1"/></replicate></worldbody>
<equality><joint joint1="f1" joint2="f2"/><weld body1="f1" body2="f2"/></equality>
<contact><exclude body1="f1" body2="f2"/></contact><tendon><fixed name="t"><joint joint="f1" coef="1"/></fixed></tendon>
<actuator><motor joint="f1"/></actuator><sensor><jointpos joint="f1"/></sensor>
<keyframe><key qpos="0 0 0 0 0"/></keyframe></mujoco>"""


def uncommented(file: str) -> bytes:
    return re.sub(
        r"^( *)#(?=\w+:|  +\w+:(?: |$))", r"\1", share("config", file).read_text(), flags=re.MULTILINE
    ).encode()


EXAMPLE = b"""arm:
  preset: ur5e
  tool_offset: [0, 0, 0.12]
  park: &p [0.5, 0.0, 0.2]
camera: {source: topic, loop: true}
recorder:
  camera: jpeg
  min_free: 1e-1
policy: {mode: idle, epsilon: .5}
trainer: {old: ['', 'a b']}
"""
CONFIGURATION = [uncommented("robot.yaml"), EXAMPLE]
TASK = [uncommented("robot.yaml"), share("config", "sim.yaml").read_bytes()]


def _check(arm: Kinematics) -> None:
    """What was loaded must be an arm that can be computed with."""
    q = (arm.lower + arm.upper) / 2
    assert np.isfinite([*arm.lower, *arm.upper, *arm.forward(q)]).all() and (arm.lower < arm.upper).all()
    assert np.isfinite(arm.clearance(q))


def _ur5e(description: Path | str) -> None:
    _check(Kinematics(description, UR5E["joints"], "tool0", rest=UR5E["rest"], margin=MARGIN, base_frame="base_link"))


MARGIN = Margin(0.02, -1.0, 4.0)


def urdf(file: Path) -> None:
    _ur5e(file)


def topic(file: Path) -> None:
    """A description as a text, as a node takes it from robot_description."""
    text = file.read_bytes().decode(errors="replace")
    _ur5e(_text_or_file(cast(RigNode, None), "topic", text))


def mjcf(file: Path) -> None:
    _check(Kinematics(file, ["a", "b", "c"], "tool", margin=MARGIN, base_frame="base"))


def sawyer(file: Path) -> None:
    _check(Kinematics(file, SAWYER["joints"], "tool", rest=SAWYER["rest"], margin=MARGIN, base_frame="base"))


def configuration(file: Path) -> None:
    nodes = robot(RobotOptions(config=file, checkpoint=SHIPPED_CHECKPOINT, record=file.parent / "bags"))
    assert robot_notice(nodes, {}) and all(command(node, {}) for node in nodes)


def preset(file: Path) -> None:
    parameters = arm_parameters({"preset": str(file)}, file.parent / "robot.yaml")
    assert all(isinstance(value, str | int | float | list) for value in parameters.values())


def task(file: Path) -> None:
    assert read_task(file).camera.width > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parse", "seeds", "name", "words"),
    [
        (urdf, [URDF, URDF.replace(b"</robot>", GRIPPER)], "foreign.urdf", ""),
        (topic, [URDF, URDF.replace(b"</robot>", GRIPPER)], "foreign.urdf", "robot_description"),
        (mjcf, [MJCF], "foreign.xml", ""),
        (sawyer, [locate(SAWYER["description"]).read_bytes()], "foreign.xml", ""),
        (configuration, CONFIGURATION, "foreign.yaml", ""),
        (preset, [share("config", "arms", f"{name}.yaml").read_bytes() for name in presets()], "foreign.yaml", ""),
        (task, TASK, "foreign.yaml", ""),
    ],
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else "",
)
def test_a_mutated_file_is_read_or_refused_by_name(parse, seeds, name, words, tmp_path: Path) -> None:
    assert_survives(parse, seeds, tmp_path, name, words)
