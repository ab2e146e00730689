"""A robot's configuration, presets and task: what is wrong is named by file, line, key and value."""

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig_robot.bringup.arm_presets import arm_parameters, presets
from rig_robot.bringup.node_spec import BringupError, NodeSpec, Parameters
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions
from rig_robot.bringup.parameter_files import PUSH, read_parameters
from rig_robot.bringup.parameters import ARM, PARAMETERS
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import NODES, ROBOT_NODES, robot, robot_notice
from rig_robot.bringup.task_config import TaskError, read_task
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.package_files import locate, share
from rig_robot.common.task_names import TaskName
from rig_robot.common.yaml_reader import parse_yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import list_parameters  # noqa: E402

# A robot's configuration


def nodes_of(content: bytes | str, folder: Path) -> dict[str, Parameters]:
    """What the nodes of a robot are told by a configuration."""
    file = folder / "my_robot.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    specs = robot(RobotOptions(config=file, checkpoint=SHIPPED_CHECKPOINT, record=folder / "bags"))
    assert robot_notice(specs, {}) and all(command(spec, {}) for spec in specs)
    return {spec.name: spec.parameters for spec in specs}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("arm: {preset: sawyer}\narm: {preset: ur5e}", "line 2: arm is there twice (first in line 1)"),
        (
            "arm:\n  preset: sawyer\n  workspace_high: [0.8, 0.25, 0.35]\n  workspace_high: [0.9, 0.45, 0.6]",
            "line 4: arm.workspace_high is there twice (first in line 3)",
        ),
        (
            "arm: {preset: sawyer, park: 2024-01-01}",
            "line 1: arm.park is '2024-01-01', a text: must be a list of 3 numb",
        ),
        ("arm: {preset: sawyer}\non: {}", "line 2: on is no node; these are: camera"),
        ("arm: {preset: sawyer}\nkamera: {}", "line 2: kamera is no node; did you mean camera?"),
        (
            "arm: {preset: sawyer, command_topic: 5}",
            "arm.command_topic is 5, a number: must be a text; put quotes around",
        ),
        ("arm: {preset: sawyer, joints: []}", "arm.joints is an empty list: must be a list of texts, one or more"),
        ("arm: {preset: sawyer, joints: [a, 2]}", "arm.joints[1] is 2, a number: must be a text; put quotes around"),
        ("arm: {preset: sawyer, description: 5}", "arm.description is 5, a number: must be a text"),
        ("arm: {preset: sawyer, tool_offset: [0, 0]}", "arm.tool_offset is a list of 2: must be a list of 3 numbers"),
        ("arm: {preset: sawyer, tool_offset: [0, 0, a]}", "arm.tool_offset[2] is 'a', a text: must be a number"),
        ("arm: {preset: sawyer, tool_offset: [0, 0, .nan]}", "arm.tool_offset[2] is .nan, a number: must be a number"),
        ("arm: {preset: sawyer, tool_offset: 0.12}", "arm.tool_offset is 0.12, a number: must be a list of 3 numbers"),
        ("arm: {preset: sawyer, rest: [[0]]}", "arm.rest[0] is a list of 1: must be a number"),
        (
            "arm:\n  preset: sawyer\n  tool_speed: -1",
            "line 3: arm.tool_speed is -1, a number: must be a number greater",
        ),
        ("arm: {preset: sawyer, tool_speed: 0.1 m/s}", "arm.tool_speed is '0.1 m/s', a text: must be a number"),
        ("arm: {preset: sawyer, tool_speed: 1,5}", "arm.5 is no parameter of arm"),
        ("arm: {preset: sawyer, tool_speed: yes}", "arm.tool_speed is yes, a truth value: must be a number"),
        ("arm: {preset: sawyer, tool_speed: 1" + "0" * 400 + "}", "arm.tool_speed is 1000"),
        ("arm: {preset: sawyer, heartbeat: 20}", "arm.heartbeat is 20, a number: must be a number from 0 to 5"),
        ("arm: {preset: sawyer, park: }", "arm.park has no value: must be a list of 3 numbers"),
        (
            "arm: {preset: sawyer, interface: position}",
            "arm.interface is 'position', a text: must be one of joint_traj",
        ),
        ("arm: {preset: sawyer, tool_sped: 1}", "arm.tool_sped is no parameter of arm; did you mean tool_speed?"),
        (
            "arm: {preset: sawyer}\ncamera:\n  source: no",
            "line 3: camera.source is no, a truth value: must be one of topic",
        ),
        ("arm: {preset: sawyer}\ncamera: {fps: 29.97}", "camera.fps is 29.97, a number: must be a whole number from 1"),
        (
            "arm: {preset: sawyer}\ncamera: {loop: 1}",
            "camera.loop is 1, a number: must be a truth value (true or false)",
        ),
        (
            "arm: {preset: sawyer}\ncamera: {serial: 12345}",
            "camera.serial is 12345, a number: must be a text; put quotes",
        ),
        ("arm: {preset: sawyer}\ncamera: {size: 99999999999999999999}", "camera.size is 9999999999"),
        ("arm: {preset: sawyer}\ncamera: [source, topic]", "line 2: camera is a list of 2: must be a mapping"),
        ("tool_speed: 0.1", "line 1: tool_speed is no node but a parameter of arm: put it below a node"),
        ("arm: sawyer", "line 1: arm is 'sawyer', a text: must be a mapping"),
        ("- arm", "line 1: the file is a list of 1: must be a mapping"),
        ("", "line 1: the file is empty: must be a mapping"),
        ("# nothing but comments", "line 1: the file is empty"),
        ("arm: {preset: sawyr}", "there is no arm preset 'sawyr'; did you mean sawyer?"),
        ("arm: {preset: " + "a" * 5000 + "}", "there is no arm preset 'aaaaaaa"),
        ("arm: {preset: " + "a" * 5000 + ".yaml}", "File name too long"),
        (b"arm: {preset: sawyer}\n# f\xfcr", "line 2: the byte 0xfc is not UTF-8"),
        ("arm: {preset: sawyer, rest: " + "[" * 5000 + "}", "more than 50 lists or mappings in one another"),
    ],
    ids=lambda value: repr(value[-24:]),
)
def test_a_bad_configuration_is_refused_by_file_line_key_and_value(
    tmp_path: Path, content: bytes | str, said: str
) -> None:
    with pytest.raises(BringupError) as error:
        nodes_of(content, tmp_path)
    text = str(error.value)
    assert text.startswith((f"configuration {tmp_path / 'my_robot.yaml'}: ", "arm preset ")) and said in text
    assert "\n" not in text and len(text) < 800


def test_whole_numbers_are_taken_where_numbers_are_wanted(tmp_path: Path) -> None:
    arm = nodes_of("arm: {preset: sawyer, tool_offset: [0, 0, 0.12], park: [0, 0, 0], tool_speed: 1}", tmp_path)["arm"]
    for name, right in (("tool_offset", [0.0, 0.0, 0.12]), ("park", [0.0, 0.0, 0.0])):
        assert arm[name] == right and all(isinstance(value, float) for value in arm[name])
    assert isinstance(arm["tool_speed"], float)
    camera = nodes_of("arm: {preset: sawyer}\ncamera: {exposure: 156, fps: 30.0, crop: [0, 0, 1, 1]}", tmp_path)[
        "camera"
    ]
    assert json.dumps(camera["exposure"]) == "156.0" and json.dumps(camera["fps"]) == "30"
    assert json.dumps(camera["crop"]) == "[0.0, 0.0, 1.0, 1.0]", "ROS 2 refuses lists that mix 0 and 0.5"


def test_a_section_whose_lines_are_all_commented_out_is_an_empty_one(tmp_path: Path) -> None:
    assert "source" not in nodes_of("arm: {preset: sawyer}\ncamera:\n#  source: topic\n", tmp_path)["camera"]


def test_a_checkpoint_that_pushes_gets_what_the_section_push_says_and_others_do_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "arm: {preset: sawyer, tool_speed: 0.2}\npush: {arm: {tool_speed: 0.1}, goal: {accept_grey: true}}\n"
    )
    reach, push = (read_parameters(file, ROBOT_NODES, task) for task in ("reach", "push"))
    assert reach == {"arm": {"preset": "sawyer", "tool_speed": 0.2}}
    assert push == {"arm": {"preset": "sawyer", "tool_speed": 0.1}, "goal": {"accept_grey": True}}


@pytest.mark.parametrize("task", ["reach", "push"])
def test_what_is_wrong_in_the_section_push_is_named_whatever_the_task(tmp_path: Path, task: TaskName) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("arm: {preset: sawyer}\npush:\n  arm:\n    tool_spede: 0.1\n")
    with pytest.raises(
        BringupError, match=r"mine\.yaml: line 4: push\.arm\.tool_spede is no parameter of arm; did you mean tool_speed"
    ):
        read_parameters(file, ROBOT_NODES, task)


def test_quality_of_service_of_ros_2_can_still_be_overridden(tmp_path: Path) -> None:
    name = "qos_overrides./camera/image_raw.subscription.depth"
    assert nodes_of(f"arm: {{preset: sawyer}}\ncamera: {{{name}: 5}}", tmp_path)["camera"][name] == 5


def test_a_text_reaches_the_node_as_it_is() -> None:
    texts = ["/data/für 😀/a.mp4", "no", "12", "a: b", 'say "x"']
    spec = NodeSpec("camera", "rig_robot.nodes.camera", {f"p{index}": text for index, text in enumerate(texts)})
    told = [argument.split(":=", 1)[1] for argument in command(spec, {}) if re.match(r"p\d:=", argument)]
    assert [yaml.safe_load(value) for value in told] == texts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tool_speed: 1\ntool_speed: 2", r"mine\.yaml: line 2: tool_speed is there twice"),
        ("arm: {tool_speed: 1}", r"mine\.yaml: line 1: arm is no parameter of an arm"),
        ("preset: sawyer", r"mine\.yaml: line 1: preset is no parameter of an arm"),
        (
            "joint_speed: [1, 0]",
            r"mine\.yaml: line 1: joint_speed\[1\] is 0, a number: must be a number greater than 0",
        ),
        ("", r"mine\.yaml: line 1: the file is empty"),
    ],
)
def test_a_bad_preset_is_refused_by_file_line_key_and_value(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(BringupError, match=f"arm preset .*{said}"):
        nodes_of("arm: {preset: mine.yaml}", tmp_path)


@pytest.mark.parametrize("preset", presets())
def test_every_preset_says_numbers_as_numbers(preset: str) -> None:
    for name, value in arm_parameters({"preset": preset}, Path("robot.yaml")).items():
        if ARM[name].kind is float:
            assert all(type(item) is float for item in (value if isinstance(value, list) else [value])), name


# The task

TASK = """
task:
  camera: {width: 640, height: 480, crop: [0.125, 0, 0.75, 1], image_size: 48}
  action:
    axes: [x, y]
    scale_m: 0.02
    period_s: 1
    fixed: {z: 0.15}
    tool_orientation: [0, 1, 0, 0]
  workspace: {low: [0.45, -0.2, 0.15], high: [0.75, 0.2, 0.15]}
"""


def task_of(content: str, folder: Path) -> Any:
    file = folder / "my_robot.yaml"
    file.write_text(content)
    return read_task(file)


def test_a_task_may_mix_whole_and_decimal_numbers(tmp_path: Path) -> None:
    task = task_of(TASK, tmp_path)
    assert task.camera.crop == (0.125, 0.0, 0.75, 1.0) and task.action.tool_orientation == (0.0, 1.0, 0.0, 0.0)
    assert isinstance(task.action.period_s, float) and task.action.axes == ("x", "y")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("640", "wide", "line 3: task.camera.width is 'wide', a text: must be a whole number"),
        ("640", "0", "line 3: task.camera.width is 0: must be above 0"),
        ("width: 640, ", "", "line 3: task.camera lacks width"),
        ("width", "widht", "line 3: task.camera.widht is no entry of it; did you mean width?"),
        ("0.125, 0,", "0.5, 0,", "line 3: task.camera.crop is [0.5, 0.0, 0.75, 1.0]: must be left, top, width, height"),
        ("0.125, 0,", "0.5,", "line 3: task.camera.crop is a list of 3: must be a list of 4 numbers"),
        ("[x, y]", "[x, x]", "line 5: task.action.axes is ['x', 'x']: must be one to three of x, y, z"),
        ("[x, y]", "[x, q]", "line 5: task.action.axes is ['x', 'q']: must be one to three of x, y, z"),
        ("[x, y]", "[]", "line 5: task.action.axes is an empty list"),
        (
            "{z: 0.15}",
            "{y: 0.15}",
            "line 8: task.action.fixed is {'y': 0.15}: must be a place [m] for each axis but x, y",
        ),
        ("0.02", "0", "line 6: task.action.scale_m is 0.0: must be above 0"),
        ("period_s: 1", "period_s: -1", "line 7: task.action.period_s is -1.0: must be above 0"),
        (
            "[0, 1, 0, 0]",
            "[0, 0, 0, 0]",
            "line 9: task.action.tool_orientation is [0.0, 0.0, 0.0, 0.0]: must be a quat",
        ),
        ("0.75, 0.2, 0.15", "0.25, 0.2, 0.15", "line 10: task.workspace.high is [0.25, 0.2, 0.15]: must be above low"),
        ("0.45, -0.2, 0.15", "0.45, -0.2, .inf", "line 10: task.workspace.low[2] is .inf, a number: must be a number"),
        ("low:", "low: [1, 2, 3], low:", "line 10: task.workspace.low is there twice"),
        ("task:", "task: nothing\nother:", "line 2: task is 'nothing', a text: must be a mapping"),
        ("task:", "tusk:", "has no section task"),
    ],
)
def test_a_bad_task_is_refused_by_file_line_key_and_value(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TASK
    with pytest.raises(TaskError) as error:
        task_of(TASK.replace(old, new, 1), tmp_path)
    assert str(error.value).startswith(f"configuration {tmp_path / 'my_robot.yaml'}") and said in str(error.value)


# What the files and documents suggest


def uncommented(text: str) -> str:
    """config/robot.yaml with its commented lines of YAML as lines of YAML."""
    return re.sub(r"^( *)#(?=\w+:|  +\w+:(?: |$))", r"\1", text, flags=re.MULTILINE)


def test_every_commented_line_of_the_file_to_edit_loads_when_uncommented(tmp_path: Path) -> None:
    text = share("config", "robot.yaml").read_text()
    content = uncommented(text)
    commented = re.findall(r"^ *#(?=\w+:|  +\w+:(?: |$))", text, flags=re.MULTILINE)
    said = parse_yaml(content, "config/robot.yaml").value
    assert len(commented) >= 18 and {"task", "arm", "camera"} <= set(said)
    assert {"park", "tool_offset", "heartbeat"} <= set(said["arm"]) and {"exposure", "device"} <= set(said["camera"])
    arm = nodes_of(content, tmp_path)["arm"]
    task = task_of(content, tmp_path)
    trained = read_config(locate(SHIPPED_CHECKPOINT)).workspace
    for box in (trained, task.workspace):
        assert all(ours <= theirs for ours, theirs in zip(arm["workspace_low"], box.low, strict=True))
        assert all(ours >= theirs for ours, theirs in zip(arm["workspace_high"], box.high, strict=True))
    corners = zip(arm["workspace_low"], arm["park"], arm["workspace_high"], strict=True)
    assert all(low < place < high for low, place, high in corners)


@pytest.mark.parametrize("name", ["robot.yaml", "sim.yaml"])
def test_each_commented_line_loads_when_uncommented_alone(tmp_path: Path, name: str) -> None:
    text = share("config", name).read_text()
    for found in re.finditer(r"^( +)#(\w+: )", text, flags=re.MULTILINE):
        one = text[: found.start()] + found.expand(r"\1\2") + text[found.end() :]
        (tmp_path / name).write_text(one)
        assert read_parameters(tmp_path / name, NODES)


def examples() -> Iterator[tuple[str, str]]:
    """Each YAML block of the documents."""
    for page in sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]):
        for found in re.finditer(r"^( *)```ya?ml\n(.*?)^\1```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            yield f"{page.name} line {page.read_text().count(chr(10), 0, found.start()) + 2}", textwrap.dedent(found[2])


EXAMPLES = dict(examples())


@pytest.mark.parametrize("place", EXAMPLES)
def test_every_example_of_the_documents_loads(tmp_path: Path, place: str) -> None:
    content = EXAMPLES[place]
    said = parse_yaml(content, place).value
    if not set(said) & {*ROBOT_NODES, "task", PUSH}:
        assert all("ros__parameters" in section for section in said.values()), "for another program, a ROS 2 node"
        return
    nodes_of(content if "arm" in said else content + "\narm: {preset: sawyer}\n", tmp_path)


def test_the_documents_have_examples() -> None:
    assert len(EXAMPLES) >= 4


# The nodes declare what the configuration may say


@pytest.mark.parametrize("node", NODES)
def test_a_configuration_is_checked_against_what_the_node_declares(node: str) -> None:
    found = list_parameters.of_node(node) | {
        each.name: each for each in list_parameters.declared(list_parameters.SHARED)
    }
    of_ros = {"use_sim_time", "start_type_description_service"}
    assert set(found) == set(PARAMETERS[node]) - of_ros, "rig_robot/bringup/parameters.py"
    for name, each in found.items():
        key = PARAMETERS[node][name]
        assert (key.kind, key.many, key.choices) == (each.kind, each.many, each.choices), name
        assert (key.low, key.high) == (each.low, each.high), name


def test_the_page_of_all_parameters_is_what_the_nodes_declare() -> None:
    assert set(list_parameters.MODULES) == set(NODES)
    assert list_parameters.PAGE.read_text() == list_parameters.page(), "run: python docs/list_parameters.py"
