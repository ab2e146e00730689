"""Parameter files as ROS 2 writes them reach the same nodes as our own form, and nothing in them is passed over."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.parameter import parameter_value_to_python
from ros_harness import Listener, node_process

from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions, SimOptions
from rig_robot.bringup.parameter_files import read_all, read_parameters
from rig_robot.bringup.parameters import PARAMETERS
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import NODES, ROBOT_NODES, robot, simulation
from rig_robot.common.package_files import share


def read(content: str, folder: Path, namespace: str = "") -> dict[str, dict[str, Any]]:
    file = folder / "my.yaml"
    file.write_text(content)
    return read_parameters(file, NODES, namespace=namespace)


@pytest.mark.parametrize(
    "content",
    [
        "arm: {tool_speed: 0.1}",
        "arm: {ros__parameters: {tool_speed: 0.1}}",
        "/left/arm: {ros__parameters: {tool_speed: 0.1}}",
        "left: {arm: {ros__parameters: {tool_speed: 0.1}}}",
        "/left: {arm: {ros__parameters: {tool_speed: 0.1}}}",
        "/**/arm: {ros__parameters: {tool_speed: 0.1}}",
        "/*/arm: {ros__parameters: {tool_speed: 0.1}}",
        "/**: {ros__parameters: {tool_speed: 0.1}}",
        "/left/**: {ros__parameters: {tool_speed: 0.1}}",
        "/**: {arm: {ros__parameters: {tool_speed: 0.1}}}",
    ],
)
def test_every_form_says_the_same_of_a_node(tmp_path: Path, content: str) -> None:
    said = {node: given for node, given in read(content, tmp_path, "left").items() if given}
    assert said == {"arm": {"tool_speed": 0.1}}


def test_what_stands_for_all_nodes_reaches_those_that_take_it(tmp_path: Path) -> None:
    said = read("/**: {ros__parameters: {use_sim_time: true, base_frame: world}}", tmp_path)
    assert set(said) == set(NODES) and all(given["use_sim_time"] is True for given in said.values())
    assert {node for node, given in said.items() if "base_frame" in given} == {"arm", "policy", "camera"}


def test_of_two_sections_the_last_one_counts_as_in_ros_2(tmp_path: Path) -> None:
    wide, narrow = "/**: {ros__parameters: {rate: 50}}\n", "/arm: {ros__parameters: {rate: 200.0}}\n"
    assert read(wide + narrow, tmp_path)["arm"] == {"rate": 200.0}
    assert read(narrow + wide, tmp_path)["arm"] == {"rate": 50.0}


def test_of_several_robots_in_a_file_each_takes_its_own(tmp_path: Path) -> None:
    content = "".join(f"/{name}/arm: {{ros__parameters: {{rate: {rate}}}}}\n" for name, rate in RATES.items())
    for name, rate in RATES.items():
        assert read(content, tmp_path, name)["arm"] == {"rate": rate}


RATES = {"left": 50.0, "right": 200.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("/arm: {ros__parameters: {tool_speed: 0.1}}", "line 1: /arm is no node of this system, whose namespace is /l"),
        ("\n/right/**: {ros__parameters: {rate: 50}}", "line 2: /right/** is no node of this system"),
        ("/left/amr: {ros__parameters: {rate: 50}}", "line 1: /left/amr is no node"),
        ("polcy: {ros__parameters: {noise: 0}}", "line 1: polcy is no node; did you mean policy?"),
        ("/left/arm: {rate: 50}", "/left/arm.rate stands beside or without ros__parameters"),
        ("/left/arm:", "line 1: /left/arm has no ros__parameters"),
        ("/left/arm: 3", "line 1: /left/arm has no ros__parameters"),
        ("/**: {ros__parameters: {tool_sped: 1}}", "tool_sped is no parameter of"),
        ("/**: {ros__parameters: {tool_speed: fast}}", "tool_speed is 'fast', a text: must be a number greater than 0"),
        ("arm: {ros__parameters: {rate: 50, ros__parameters: {rate: 60}}}", "no parameter of arm"),
        ("/left/arm: {ros__parameters: {a: {b: 1}}}", "a.b is no parameter of arm"),
        ("/left/arm: {ros__parameters: 5}", "/left/arm.ros__parameters is 5, a number: must be a mapping"),
    ],
)
def test_a_section_that_would_reach_no_node_is_refused_by_file_and_line(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(BringupError) as error:
        read(content, tmp_path, "left")
    assert said in str(error.value) and str(error.value).startswith(f"configuration {tmp_path / 'my.yaml'}: line ")


def test_qos_overrides_may_be_nested_as_a_dump_has_them(tmp_path: Path) -> None:
    nested = {"qos_overrides": {"/camera/image_raw": {"subscription": {"depth": 5}}}}
    said = read(yaml.safe_dump({"/camera": {"ros__parameters": nested}}), tmp_path)
    assert said["camera"] == {"qos_overrides./camera/image_raw.subscription.depth": 5}


def test_pushing_takes_its_section_in_either_form(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("arm: {rate: 50}\npush: {/arm: {ros__parameters: {rate: 200}}}")
    assert read_parameters(tmp_path / "my.yaml", NODES)["arm"] == {"rate": 50.0}
    assert read_parameters(tmp_path / "my.yaml", NODES, "push")["arm"] == {"rate": 200.0}


def test_a_second_file_counts_more_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    first, second = tmp_path / "robot.yaml", tmp_path / "mine" / "more.yaml"
    first.write_text("arm: {preset: sawyer, description: a.urdf, rate: 50}")
    second.write_text("/**: {ros__parameters: {description: b.urdf}}")
    said = read_all([first, second], ROBOT_NODES)["arm"]
    assert said == {"preset": "sawyer", "description": str(tmp_path / "mine" / "b.urdf"), "rate": 50.0}
    specs = robot(RobotOptions(first, SHIPPED_CHECKPOINT, params_file=second))
    arm = next(spec for spec in specs if spec.name == "arm").parameters
    assert arm["description"] == said["description"] and arm["rate"] == 50.0 and "preset" not in arm


def test_simulated_time_is_given_by_the_simulation_and_taken_by_all_others() -> None:
    told = {spec.name: spec.parameters for spec in simulation(SimOptions(use_sim_time=True))}
    assert told["sim"]["publish_clock"] is True and "use_sim_time" not in told["sim"]
    assert all(given["use_sim_time"] is True for name, given in told.items() if name != "sim")
    assert not any("use_sim_time" in spec.parameters for spec in simulation(SimOptions()))


def test_a_log_level_reaches_every_node() -> None:
    for spec in simulation(SimOptions(log_level="warn")):
        line = command(spec, {})
        assert line[line.index("--log-level") + 1] == "warn"
    assert not any("--log-level" in command(spec, {}) for spec in simulation(SimOptions()))


def dumped(listener: Listener, node: str) -> str:
    """What `ros2 param dump` writes of a running node: the same services, the same nesting."""
    names = sorted(listener.call(ListParameters, f"{node}/list_parameters").result.names)
    values = listener.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=names)).values
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = parameter_value_to_python(value)
    return yaml.dump({f"/{node}": {"ros__parameters": tree}}, default_flow_style=False)


@pytest.mark.parametrize("node", ["arm", "camera", "goal", "policy", "receiver", "recorder"])
def test_what_ros2_param_dump_writes_of_a_node_can_be_given_back(
    listener: Listener, checkpoint: Path, tmp_path: Path, node: str
) -> None:
    spec = next(spec for spec in simulated(checkpoint, tmp_path) if spec.name == node)
    with node_process(spec.module, spec.parameters):
        text = dumped(listener, node)
    file = tmp_path / f"{node}.yaml"
    file.write_text(text)
    said = read_parameters(file, NODES)[node]
    own = {name: value for name, value in said.items() if not name.startswith("qos_overrides.")}
    written = yaml.safe_load(text)[f"/{node}"]["ros__parameters"]
    assert own == {name: value for name, value in written.items() if name != "qos_overrides"}
    assert set(own) == set(PARAMETERS[node]), "every parameter of the node, and no other"
    assert (len(said) > len(own)) is (node != "recorder"), "QoS overrides are parameters, too"
    assert spec.parameters.items() <= said.items()
    with node_process(spec.module, said):
        assert dumped(listener, node) == text


def simulated(checkpoint: Path, folder: Path) -> list[Any]:
    """A simulation's nodes, and the receiver of a robot whose trainer is elsewhere."""
    (folder / "robot.yaml").write_text("arm: {preset: sawyer}")
    specs = simulation(SimOptions(str(checkpoint), record=folder / "bags"))
    root = folder / "data" / "checkpoints"
    root.mkdir(parents=True)
    (root / checkpoint.name).symlink_to(checkpoint)
    (root / "current").symlink_to(checkpoint.name)
    practising = RobotOptions(folder / "robot.yaml", practice=True, data=folder / "data", train=False)
    return specs + [spec for spec in robot(practising) if spec.name == "receiver"]


def test_the_package_s_own_files_are_read_as_before() -> None:
    said = read_parameters(share("config", "sim.yaml"), NODES)
    assert said["arm"]["park"] == [0.6, 0.0, 0.3] and said["policy"] == {"base_frame": "base"}
