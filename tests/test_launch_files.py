"""The launch files: `ros2 launch` starts the same nodes as `rig`, described once, and ends as `rig` does."""

import importlib.util
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig_robot.bringup.environment import DDS_VARIABLES, DISCOVERY
from rig_robot.bringup.node_spec import BringupError, NodeSpec
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import robot, robot_notice, simulation
from rig_robot.common.node_name_claim import claim
from rig_robot.common.package_files import share
from rig_robot.common.starter import VARIABLE

HAS_LAUNCH = importlib.util.find_spec("launch_ros") is not None


class _Recorded:
    """Stands for any entity of `launch`: it keeps what it was made of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture
def recorded_launch(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """`launch` and `launch_ros` whose entities only record their arguments: the file itself is what is tested.

    Where the real ones can be imported, `test_the_real_launch_...` below uses those.
    """
    monkeypatch.delitem(sys.modules, "rig_robot.bringup.ros2_launch", raising=False)
    names = {
        "launch": ("LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"),
        "launch.actions": (
            "DeclareLaunchArgument",
            "EmitEvent",
            "LogInfo",
            "OpaqueFunction",
            "RegisterEventHandler",
        ),
        "launch.event_handlers": ("OnProcessExit", "OnShutdown"),
        "launch.events": ("Shutdown",),
        "launch_ros": (),
        "launch_ros.actions": ("Node",),
    }
    kinds = types.SimpleNamespace()
    for module_name, classes in names.items():
        module = types.ModuleType(module_name)
        for name in classes:
            kind = type(name, (_Recorded,), {})
            setattr(module, name, kind)
            setattr(kinds, name, kind)
        monkeypatch.setitem(sys.modules, module_name, module)
    yield kinds
    sys.modules.pop("rig_robot.bringup.ros2_launch", None)  # made of the recorders


OF_ROS_2_ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {"numpy", "yaml", "rig_robot", "rig_sim", *sys.stdlib_module_names}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from pathlib import Path
from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.systems import prepare_practice, robot, robot_notice, simulation
from rig_robot.common.package_files import share
from rig_robot.bringup.shared_memory import sweep

place = "package://rig_robot/models/sawyer_reach_xy"
assert len(simulation(SimOptions())) == 8
prepare_practice(SimOptions(practice=True, data=Path("begun"), checkpoint=place))
assert len(simulation(SimOptions(practice=True, data=Path("begun")))) > 8
assert len(robot(RobotOptions(config=share("config", "robot.yaml"), checkpoint=place))) == 6
try:
    prepare_practice(SimOptions(practice=True, data=Path("new")))
except BringupError as error:
    print(error)
"""


def test_what_ros2_launch_runs_needs_no_package_that_ros_2_lacks(tmp_path: Path) -> None:
    """`ros2` of apt is run by /usr/bin/python3; torch and such are in an environment, with the nodes (README.md)."""
    command = [sys.executable, "-c", OF_ROS_2_ALONE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"practice: a robot that learns from scratch .* {re.escape(sys.executable)} has no torch: .*\n", done.stdout
    )


def load_launch_file(system: str) -> types.ModuleType:
    file = share("launch", f"{system}.launch.py")
    spec = importlib.util.spec_from_file_location(f"{system}_launch", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launched(system: str, **arguments: str) -> list[Any]:
    """The entities that the launch file of a system makes with these arguments beside its defaults."""
    module = load_launch_file(system)
    description = module.generate_launch_description()
    declared, function = description.args[0][:-1], description.args[0][-1]
    given = {entity.args[0]: entity.kwargs["default_value"] for entity in declared}
    given |= arguments
    context = types.SimpleNamespace(launch_configurations=given, environment=dict(os.environ))
    return function.kwargs["function"](context)


def nodes_of(entities: list[Any]) -> list[Any]:
    return [entity for entity in entities if type(entity).__name__ == "Node"]


def as_command(node: Any) -> dict[str, Any]:
    """What a recorded `launch_ros.actions.Node` runs."""
    return {
        "name": node.kwargs["name"],
        "executable": node.kwargs["executable"],
        "namespace": node.kwargs["namespace"],
        "parameters": node.kwargs["parameters"][0],
        "parts": node.kwargs["arguments"],
        "remappings": node.kwargs.get("remappings", []),
        "vital": not node.kwargs["respawn"],
        "security": node.kwargs["ros_arguments"],
    }


def from_command_line(spec: NodeSpec) -> dict[str, Any]:
    """What the runner's command line says, read back from the line itself."""
    arguments = command(spec, os.environ)
    remappings = [arguments[i + 1] for i, argument in enumerate(arguments) if argument == "-r"]
    names = dict(remapping.split(":=") for remapping in remappings)
    parameters = dict(arguments[i + 1].split(":=", 1) for i, argument in enumerate(arguments) if argument == "-p")
    return {
        "name": names.pop("__node", None),
        "executable": executable_of(arguments[2]),
        "namespace": names.pop("__ns", "").strip("/"),
        "parameters": {name: yaml.safe_load(value) for name, value in parameters.items()},
        "parts": arguments[3 : arguments.index("--ros-args")],
        "remappings": list(names.items()),
        "vital": spec.vital,
        "security": arguments[arguments.index("--ros-args") + 1 : arguments.index("-r")],
    }


def executable_of(module: str) -> str:
    """The console script that runs `module`, by the package's own entry points."""
    from importlib.metadata import entry_points

    scripts = {script.value: script.name for script in entry_points(group="console_scripts")}
    return scripts[f"{module}:main"].removeprefix("rig-")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({}, {}),
        ({"namespace": "left", "goals": "3", "seed": "7"}, {"namespace": "left", "goals": 3, "seed": 7}),
        ({"goals": "-1"}, {"goals": -1}),
        ({"images": "out", "json": "f"}, {"images": Path("out"), "json": Path("f")}),
        ({"record": "bags"}, {"record": Path("bags")}),
        ({"use_sim_time": "true", "log_level": "debug"}, {"use_sim_time": True, "log_level": "debug"}),
        ({"composed": "true", "namespace": "left"}, {"composed": True, "namespace": "left"}),
    ],
)
def test_launch_and_runner_start_the_same_nodes(
    recorded_launch, checkpoint: Path, arguments: dict, options: dict
) -> None:
    nodes = nodes_of(launched("sim", checkpoint=str(checkpoint), **arguments))
    specs = simulation(SimOptions(checkpoint=str(checkpoint), **options))
    assert [as_command(node) for node in nodes] == [from_command_line(spec) for spec in specs]


def test_a_simulation_keeps_to_this_machine_by_its_profiles(
    recorded_launch, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in (*DDS_VARIABLES, DISCOVERY):
        monkeypatch.delenv(variable, raising=False)
    nodes = nodes_of(launched("sim", checkpoint=str(checkpoint)))
    assert nodes
    for environment in (node.kwargs["additional_env"] for node in nodes):
        profile = next(Path(environment[variable]) for variable in DDS_VARIABLES if variable in environment)
        assert (profile.parent.name, environment[DISCOVERY]) == ("local", "SYSTEM_DEFAULT")


@pytest.mark.parametrize("real", [False, True])
def test_launch_and_runner_start_the_same_practice(
    recorded_launch, checkpoint: Path, tmp_path: Path, real: bool
) -> None:
    config, data = share("config", "robot.yaml"), tmp_path / "data"
    given = {"data": str(data), "checkpoint": str(checkpoint)} | ({"robot": str(config)} if real else {"steps": "500"})
    nodes = nodes_of(launched("practice", **given))
    if real:
        specs = robot(RobotOptions(config, practice=True, data=data))
    else:
        specs = simulation(SimOptions(practice=True, data=data, steps=500, goals=30))
    assert [as_command(node) for node in nodes] == [from_command_line(spec) for spec in specs]
    assert {"recorder", "trainer"} <= {spec.name for spec in specs}


@pytest.mark.parametrize(("namespace", "secure"), [("", False), ("left", True)])
def test_launch_and_runner_start_the_same_robot(
    recorded_launch, monkeypatch: pytest.MonkeyPatch, checkpoint: Path, namespace: str, secure: bool
) -> None:
    if secure:
        monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    config = share("config", "robot.yaml")
    entities = launched("robot", checkpoint=str(checkpoint), config=str(config), namespace=namespace)
    specs = robot(RobotOptions(config, str(checkpoint), namespace))
    assert [as_command(node) for node in nodes_of(entities)] == [from_command_line(spec) for spec in specs]
    enclaves = [["--enclave", f"/rig/{spec.name}"] if secure else [] for spec in specs]
    assert [as_command(node)["security"] for node in nodes_of(entities)] == enclaves
    told = [entity.kwargs["msg"] for entity in entities if type(entity).__name__ == "LogInfo"]
    assert told == robot_notice(specs, os.environ)


@pytest.mark.parametrize(
    ("system", "given", "said"),
    [
        ("sim", {"goals": "abc"}, r"^goals:=abc: goals must be a whole number$"),
        ("sim", {"headless": "perhaps"}, r"^headless:=perhaps: headless must be true or false$"),
        ("sim", {"steps": "3"}, r"only a practice has an end \(practice:=true\)$"),
        ("practice", {"goals": "2.5"}, r"^goals:=2\.5: goals must be a whole number$"),
        (
            "robot",
            {"config": "my.yaml"},
            r"name one \(checkpoint:=\), or let the robot learn its own \(practice:=true\)$",
        ),
    ],
)
def test_a_launch_file_s_error_names_the_argument_as_one_gives_it(
    recorded_launch, checkpoint: Path, system: str, given: dict, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        launched(system, **({"checkpoint": str(checkpoint)} if system == "sim" else {}), **given)


@pytest.mark.parametrize("system", ["sim", "robot", "practice"])
def test_a_launch_file_declares_the_choices_of_its_arguments(recorded_launch, system: str) -> None:
    *declared, _ = load_launch_file(system).generate_launch_description().args[0]
    choices = {entity.args[0]: entity.kwargs["choices"] for entity in declared}
    assert choices["log_level"] == ["debug", "info", "warn", "error", "fatal"] and choices["namespace"] is None
    assert {"params_file", "use_sim_time"} <= set(choices)
    for entity in declared:
        default = entity.kwargs["default_value"]
        assert entity.kwargs["choices"] is None or default in entity.kwargs["choices"], entity.args[0]


def test_launch_ends_with_an_error_when_a_vital_node_has_and_well_when_the_work_is_done(
    recorded_launch, checkpoint: Path
) -> None:
    entities = launched("sim", checkpoint=str(checkpoint))
    handlers = {
        entity.args[0].kwargs["target_action"].kwargs["name"]: entity.args[0].kwargs["on_exit"]
        for entity in entities
        if type(entity).__name__ == "RegisterEventHandler" and "on_exit" in entity.args[0].kwargs
    }
    assert set(handlers) == {"sim", "arm", "sim_goals"}
    runs, stops = types.SimpleNamespace(is_shutdown=False), types.SimpleNamespace(is_shutdown=True)
    # launch reports what a handler raises and ends with status 1; a Shutdown event ends it with 0.
    for name, status in (("arm", -9), ("arm", 0), ("sim", 1), ("sim_goals", 1), ("sim_goals", -11)):
        with pytest.raises(RuntimeError, match=f"{name} ended .* and nothing works without it"):
            handlers[name](types.SimpleNamespace(returncode=status), runs)
        assert handlers[name](types.SimpleNamespace(returncode=status), stops) is None
    [over] = handlers["sim_goals"](types.SimpleNamespace(returncode=0), runs)
    assert type(over).__name__ == "EmitEvent"


def test_launch_looks_for_another_system_before_its_nodes_and_names_itself_to_them(
    recorded_launch, checkpoint: Path
) -> None:
    entities = launched("sim", checkpoint=str(checkpoint), namespace="left")
    kinds = [type(entity).__name__ for entity in entities]
    assert kinds.index("OpaqueFunction") < kinds.index("Node")
    for node in nodes_of(entities):
        assert node.kwargs["additional_env"][VARIABLE].split()[0] == str(os.getpid())
    look = entities[kinds.index("OpaqueFunction")].kwargs["function"]
    look(None)
    with claim("/left/goal", os.environ), pytest.raises(BringupError, match=r"/left/goal\. .*namespace:=NAME"):
        look(None)


@pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed here (it comes with a full ROS 2)")
def test_the_real_launch_describes_the_same_nodes(checkpoint: Path) -> None:
    from launch_ros.actions import Node

    from launch import LaunchContext

    context = LaunchContext()
    for entity in load_launch_file("sim").generate_launch_description().entities:
        context.launch_configurations["checkpoint"] = str(checkpoint)
        made = entity.visit(context)
    nodes = [entity for entity in made or () if isinstance(entity, Node)]
    assert [node.node_executable for node in nodes] == [spec.name for spec in simulation(SimOptions(str(checkpoint)))]
