"""What makes a system: its nodes, their parameters and environment, and what is refused before anything starts."""

import json
import shutil
from pathlib import Path

import pytest
from test_robot_configuration import robot_config

from rig_robot.bringup import environment
from rig_robot.bringup.node_spec import COMPOSED, BringupError
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions, SimOptions
from rig_robot.bringup.process_runner import command
from rig_robot.bringup.systems import prepare_practice, robot, simulation
from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.common.package_files import NotFound, locate, share


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
