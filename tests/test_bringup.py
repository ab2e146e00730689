"""What `rig sim` and `ros2 launch` start is the same system, described once."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig_robot.bringup import environment
from rig_robot.bringup.node_spec import COMPOSED, BringupError, NodeSpec
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions, SimOptions
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import prepare_practice, robot, robot_notice, simulation
from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.common.node_name_claim import claim
from rig_robot.common.package_files import NotFound, locate, share
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
from rig_robot.bringup.systems import prepare_practice, robot, simulation
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


@pytest.fixture
def begun(checkpoint: Path, tmp_path: Path) -> Path:
    """A practice that began with a checkpoint."""
    prepare_practice(SimOptions(str(checkpoint), practice=True, data=tmp_path / "data"))
    return tmp_path / "data"


def test_a_practice_begins_with_a_copy_and_goes_on_from_its_own(checkpoint: Path, begun: Path) -> None:
    root = begun / "checkpoints"
    assert read_config(root) == read_config(checkpoint) and resolve(root).parent == root
    prepare_practice(SimOptions(practice=True, data=begun))
    with pytest.raises(BringupError, match=f"{begun} holds a practice"):
        prepare_practice(SimOptions(str(checkpoint), practice=True, data=begun))


def test_the_nodes_of_a_practice_load_what_is_current_when_they_start(begun: Path) -> None:
    root = str(begun / "checkpoints")
    specs = {spec.name: spec.parameters for spec in simulation(SimOptions(practice=True, data=begun))}
    assert {specs[name]["checkpoint"] for name in ("camera", "encoder", "goal", "policy", "arm", "recorder")} == {root}
    assert specs["trainer"]["checkpoints"] == root
    assert specs["trainer"]["episodes"] == [specs["recorder"]["directory"]] == [str(begun / "episodes")]
    linked = simulation(SimOptions(f"{root}/current"))
    assert {spec.parameters["checkpoint"] for spec in linked if spec.name == "policy"} == {root}


def test_a_practice_from_nothing_gets_what_the_configuration_says_of_the_task(tmp_path: Path) -> None:
    from rig_sim.env import SawyerReachEnv

    prepare_practice(SimOptions(practice=True, data=tmp_path))
    config = read_config(tmp_path / "checkpoints")
    world = SawyerReachEnv()
    assert not config.trained
    assert (config.camera.width, config.camera.height) == world.camera_size
    assert config.camera.crop == world.crop and config.camera.image_size == world.image_size
    assert config.action.axes == world.axes and config.action.scale_m == world.action_scale
    assert config.action.period_s == world.period
    assert list(config.action.tool_orientation) == world.tool_orientation.tolist()
    assert list(config.workspace.low) == world.workspace_low.tolist()
    assert list(config.workspace.high) == world.workspace_high.tolist()
    world.close()


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("", "no section task"),
        ("task: {camera: {width: 640}}", "task"),
        ("task: 3", "task"),
    ],
)
def test_a_practice_from_nothing_without_a_task_is_refused(tmp_path: Path, task: str, named: str) -> None:
    config = robot_config(tmp_path, "{preset: sawyer}", task)
    with pytest.raises(BringupError, match=named):
        prepare_practice(RobotOptions(config, practice=True, data=tmp_path / "data"))


def test_a_trainer_elsewhere_leaves_a_receiver_here(begun: Path, tmp_path: Path) -> None:
    options = RobotOptions(robot_config(tmp_path, "{preset: sawyer}"), practice=True, data=begun, train=False)
    names = [spec.name for spec in robot(options)]
    assert names[-3:] == ["recorder", "receiver", "console"]


def test_a_robot_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BringupError, match="--checkpoint"):
        robot(RobotOptions(robot_config(tmp_path, "{preset: sawyer}")))


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


def test_only_processes_that_send_frames_get_the_large_segment(checkpoint: Path) -> None:
    profiles = {
        spec.name: {
            Path(value).name for name, value in spec.environment({}).items() if name in environment.DDS_VARIABLES
        }.pop()
        for spec in simulation(SimOptions(str(checkpoint)))
    }
    large = {name for name, profile in profiles.items() if profile == "camera.xml"}
    assert large == {"sim", "sim_goals"} and set(profiles.values()) == {"camera.xml", "small.xml"}


@pytest.mark.parametrize("page", [False, True])
def test_a_composed_system_has_the_same_nodes_with_the_same_parameters_in_fewer_processes(
    checkpoint: Path, page: bool
) -> None:
    separate = simulation(SimOptions(str(checkpoint), namespace="left", page=page))
    together = simulation(SimOptions(str(checkpoint), namespace="left", page=page, composed=True))
    assert [node for process in together for node in process.nodes] == separate
    assert [process.name for process in together][:3] == ["sim", "composed", "arm"]
    [one] = [process for process in together if process.parts]
    assert not one.vital and one.namespace == "left"
    assert tuple(part.name for part in one.parts) == COMPOSED
    line = command(one, {})
    assert not any("__node" in word for word in line), "it would rename all of them"
    assert line[line.index("encoder") + 1] == f'checkpoint:="{checkpoint}"'
    assert Path(one.environment({})[environment.DDS_VARIABLES[0]]).name == "composed.xml"


def test_a_composed_process_that_owns_the_camera_gets_the_large_segment(checkpoint: Path, tmp_path: Path) -> None:
    config = robot_config(tmp_path, "{preset: sawyer}", "camera: {source: v4l2}")
    [one] = [spec for spec in robot(RobotOptions(config, str(checkpoint), composed=True)) if spec.parts]
    assert Path(one.environment({})[environment.DDS_VARIABLES[0]]).name == "composed_camera.xml"


def test_what_the_user_has_set_stays() -> None:
    mine = {"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml", "ROS_DOMAIN_ID": "5", "OMP_NUM_THREADS": "4"}
    assert environment.dds_profile("camera", mine) == {}
    assert environment.simulation_environment(mine) == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    assert "OMP_NUM_THREADS" not in environment.quiet_threads(mine)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"goals": -2}, "-2"),
        ({"seed": -1}, "-1"),
        ({"checkpoint": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"checkpoint": "package://no_such_package/x"}, "no_such_package"),
        ({"config": Path("/nowhere.yaml")}, "nowhere.yaml"),
        ({"steps": -5}, "-5"),
        ({"steps": 500}, "--practice"),
    ],
)
def test_a_bad_option_is_refused_by_name_before_anything_starts(checkpoint: Path, options: dict, named: str) -> None:
    with pytest.raises(BringupError, match=named):
        simulation(SimOptions(**({"checkpoint": str(checkpoint)} | options)))


@pytest.mark.parametrize("content", ["arms: {}", "arm: 3", "- arm", "arm: [", ""])
def test_a_bad_configuration_file_is_refused_by_name(checkpoint: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(BringupError, match=r"mine\.yaml"):
        simulation(SimOptions(str(checkpoint), config=file))


def test_a_damaged_checkpoint_is_refused_before_anything_starts(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(checkpoint, damaged)
    config = json.loads((damaged / "config.json").read_text())
    config["vae"]["sha256"] = "0" * 64
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(BringupError, match="damaged"):
        simulation(SimOptions(str(damaged)))


def test_a_checkpoint_under_its_name_of_the_version_before_is_found_and_the_new_name_is_told() -> None:
    with pytest.warns(FutureWarning, match="package://rig_robot/models/sawyer_reach_xy"):
        assert locate("package://rig_robot/checkpoints/sawyer_reach_xy") == locate(SHIPPED_CHECKPOINT)
    with pytest.warns(FutureWarning, match="package://rig_robot/models"):
        assert locate("package://rig_robot/checkpoints") == locate(SHIPPED_CHECKPOINT).parent


def test_files_of_the_packages_are_found() -> None:
    assert share("config", "sim.yaml").is_file() and share("config", "dds", "camera.xml").is_file()
    assert locate("package://rig_sim/assets/sawyer.xml").is_file()
    with pytest.raises(NotFound, match="nothing_like_this"):
        share("config", "nothing_like_this.yaml")
    with pytest.raises(NotFound, match=r"no_such\.xml"):
        locate("package://rig_sim/assets/no_such.xml")


@pytest.mark.parametrize(("axes", "fixed"), [(["x", "y"], {"z": 0.15}), (["x", "y", "z"], {})])
def test_the_simulated_camera_is_the_one_that_the_checkpoint_was_trained_with(
    tmp_path: Path, axes: list[str], fixed: dict[str, float]
) -> None:
    trained = shutil.copytree(locate(SHIPPED_CHECKPOINT), tmp_path / "trained")
    config = json.loads((trained / "config.json").read_text())
    config["action"] |= {"axes": axes, "fixed": fixed}
    (trained / "config.json").write_text(json.dumps(config))
    nodes = {node.name: node for node in simulation(SimOptions(checkpoint=str(trained)))}
    assert nodes["sim"].parameters["axes"] == "".join(axes)


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
