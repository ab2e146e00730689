"""What a robot's configuration file makes of its nodes: the arm's preset and what stands beside it, camera, frames."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.systems import robot, robot_notice, simulation
from rig_robot.common.package_files import share


@pytest.mark.parametrize("content", ["arms: {}", "arm: 3", "- arm", "arm: [", ""])
def test_a_bad_configuration_file_is_refused_by_name(checkpoint: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(BringupError, match=r"mine\.yaml"):
        simulation(SimOptions(str(checkpoint), config=file))


def robot_config(tmp_path: Path, arm: str, rest: str = "") -> Path:
    file = tmp_path / "my_robot.yaml"
    file.write_text(f"arm: {arm}\n{rest}")
    return file


def arm_of(checkpoint: Path, config: Path) -> dict[str, Any]:
    return {spec.name: spec.parameters for spec in robot(RobotOptions(config, str(checkpoint)))}["arm"]


def test_what_stands_beside_the_preset_replaces_it(checkpoint: Path, tmp_path: Path) -> None:
    plain = arm_of(checkpoint, robot_config(tmp_path, "{preset: sawyer}"))
    mine = arm_of(checkpoint, robot_config(tmp_path, "{preset: sawyer, tool_speed: 0.05, joints: [a, b]}"))
    assert "preset" not in mine
    assert mine == plain | {"tool_speed": 0.05, "joints": ["a", "b"]}


def test_a_preset_of_ones_own_is_found_beside_the_configuration_and_its_description_beside_the_preset(
    checkpoint: Path, tmp_path: Path
) -> None:
    sawyer = yaml.safe_load(share("config", "arms", "sawyer.yaml").read_text())
    (tmp_path / "arms").mkdir()
    (tmp_path / "arms" / "mine.yaml").write_text(yaml.safe_dump(sawyer | {"description": "mine.urdf"}))
    arm = arm_of(checkpoint, robot_config(tmp_path, "{preset: arms/mine.yaml}"))
    assert arm["description"] == str(tmp_path / "arms" / "mine.urdf")
    arm = arm_of(checkpoint, robot_config(tmp_path, "{preset: arms/mine.yaml, description: other.urdf}"))
    assert arm["description"] == str(tmp_path / "other.urdf")


@pytest.mark.parametrize("description", ["topic", "package://rig_sim/assets/sawyer.xml", "/some/where/arm.urdf"])
def test_a_description_that_is_no_relative_path_stays(checkpoint: Path, tmp_path: Path, description: str) -> None:
    arm = arm_of(checkpoint, robot_config(tmp_path, f"{{preset: sawyer, description: '{description}'}}"))
    assert arm["description"] == description


@pytest.mark.parametrize(
    ("arm", "named"),
    [
        ("{preset: ur7}", "'ur7'; there are .*sawyer"),
        ("{preset: nowhere.yaml}", "nowhere.yaml"),
        ("{preset: 3}", r"line 1: arm\.preset is 3, a number: must be a text"),
        ("{preset: sawyr}", "'sawyr'; did you mean sawyer"),
        ("{preset: list.yaml}", r"list\.yaml: line 1: the file is a list of 1: must be a mapping"),
        ("{}", "workspace_low, workspace_high.*preset"),
        ("{preset: lacking.yaml}", "does not say tool_speed:"),
    ],
)
def test_an_arm_that_is_not_wholly_described_is_refused(checkpoint: Path, tmp_path: Path, arm: str, named: str) -> None:
    sawyer = yaml.safe_load(share("config", "arms", "sawyer.yaml").read_text())
    del sawyer["tool_speed"]
    (tmp_path / "lacking.yaml").write_text(yaml.safe_dump(sawyer))
    (tmp_path / "list.yaml").write_text("- arm")
    with pytest.raises(BringupError, match=named):
        robot(RobotOptions(robot_config(tmp_path, arm), str(checkpoint)))


@pytest.mark.parametrize(("source", "large"), [("topic", set()), ("realsense", {"camera"}), ("v4l2", {"camera"})])
def test_a_camera_that_owns_its_device_gets_the_large_segment(
    checkpoint: Path, tmp_path: Path, source: str, large: set[str]
) -> None:
    config = robot_config(tmp_path, "{preset: sawyer}", f"camera: {{source: {source}}}")
    assert {spec.name for spec in robot(RobotOptions(config, str(checkpoint))) if spec.sends_frames} == large


def test_the_policys_twists_are_in_the_frame_that_the_arm_takes(checkpoint: Path, tmp_path: Path) -> None:
    config = robot_config(tmp_path, "{preset: sawyer, base_frame: fr3_link0}", "policy: {base_frame: base}")
    parameters = {spec.name: spec.parameters for spec in robot(RobotOptions(config, str(checkpoint)))}
    assert parameters["policy"]["base_frame"] == parameters["arm"]["base_frame"] == "fr3_link0"


def test_a_robot_says_what_it_drives_and_how_to_stop_it(checkpoint: Path, tmp_path: Path) -> None:
    config = robot_config(tmp_path, "{preset: sawyer, command_topic: my_controller/joint_trajectory}")
    specs = robot(RobotOptions(config, str(checkpoint), "left"))
    told = "\n".join(robot_notice(specs, {"ROS_DOMAIN_ID": "42"}))
    for part in (
        "sawyer",
        "/left/my_controller/joint_trajectory",
        "domain 42",
        "rig tell stop --namespace left",
        "tell arm",
    ):
        assert part in told
    assert "domain 0" in "\n".join(robot_notice(specs, {}))


def test_what_the_configuration_to_edit_suggests_are_parameters_that_there_are() -> None:
    text = share("config", "robot.yaml").read_text()
    suggested = yaml.safe_load(re.sub(r"^  #(\w+:)", r"  \1", text, flags=re.MULTILINE))
    document = (share("config").parent / "docs" / "nodes.md").read_text()
    assert {"heartbeat", "table_height", "preset"} <= set(suggested["arm"]) and "serial" in suggested["camera"]
    for node, parameters in suggested.items():
        section = document.split(f"\n## {node}\n")[1].split("\n## ")[0]
        unknown = {name for name in parameters if f"`{name}`" not in section} - {"preset"}
        assert not unknown, f"config/robot.yaml: {node} has no {unknown}"


def test_a_robot_without_a_topic_of_its_own_is_not_said_to_have_one(checkpoint: Path, tmp_path: Path) -> None:
    specs = robot(RobotOptions(robot_config(tmp_path, '{preset: sawyer, command_topic: ""}'), str(checkpoint)))
    assert "on its usual topic," in "\n".join(robot_notice(specs, {}))
