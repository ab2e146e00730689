"""Which nodes make a system, and how each is told apart: `ros2 launch` and `rig` both read this."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml

from rig_robot.bringup import practice_directory as practice_data
from rig_robot.bringup.task_config import SECTION, read_task
from rig_robot.checkpoints.checkpoint import CURRENT, CheckpointError, read_config, resolve
from rig_robot.common import display
from rig_robot.common.output_paths import check_file, check_folder
from rig_robot.common.package_files import SCHEME, locate, share

SHIPPED_CHECKPOINT = "package://rig_robot/models/sawyer_reach_xy"
SIMULATION_DOMAIN = "77"
"""ROS domain of simulations, unless the user has set ROS_DOMAIN_ID: they must not meet a real robot's topics."""

ROBOT_NODES = ("camera", "encoder", "goal", "policy", "arm", "recorder", "trainer", "receiver")
NODES = ("sim", *ROBOT_NODES, "sim_goals", "sim_practice", "sim_window")

ARM_MUST_SAY = (
    *("description", "joints", "tool", "rest", "workspace_low", "workspace_high"),
    *("table_height", "collision_margin", "tool_speed", "tool_acceleration", "turn_speed", "posture_speed"),
    *("approach_rate", "joint_speed", "joint_acceleration", "tracking_error", "singularity_slow", "singularity_stop"),
)
"""What an arm's preset or configuration must say: there is no default for a bound."""

DDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS 3 (Kilted) and 2 (Jazzy) look for their profile."""
BUILTIN_TRANSPORTS, DISCOVERY = "FASTDDS_BUILTIN_TRANSPORTS", "ROS_AUTOMATIC_DISCOVERY_RANGE"
"""By which transports Fast DDS sends where no profile says so; whom ROS 2 looks for."""

Parameters = dict[str, Any]
Scene = Literal["plain", "shifted"]


class BringupError(ValueError):
    """A system cannot be put together as asked; the text names what is wrong and what would be right."""


@dataclass(frozen=True)
class NodeSpec:
    """One node of a system.

    Attributes:
        name: ROS node name, and the executable's.
        module: Python module that `python -m` runs.
        parameters: What it is told beyond its defaults.
        namespace: ROS namespace.
        vital: Whether the system ends when it does; all others are started anew.
        finishes: Whether its exit with status 0 means that all is done.
        sends_frames: Whether it publishes camera frames, which need a large shared-memory segment.
    """

    name: str
    module: str
    parameters: Parameters = field(default_factory=dict)
    namespace: str = ""
    vital: bool = False
    finishes: bool = False
    sends_frames: bool = False

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables to add to the user's environment `given` for this node."""
        return {**quiet_threads(given), **dds_profile("camera" if self.sends_frames else "small", given)}

    def security(self, given: Mapping[str, str]) -> list[str]:
        """Return the ROS arguments that name this node's enclave where the environment `given` turns SROS2 on."""
        return ["--enclave", f"/rig/{self.name}"] if given.get("ROS_SECURITY_ENABLE") == "true" else []


def quiet_threads(given: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give each process one thread for its arithmetic: more would starve the other nodes."""
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {name: value for name, value in wanted.items() if name not in given}


def dds_profile(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that names a Fast DDS profile: `camera`, `small` or `udp`.

    None where the user has set one, or has said by which transports to send, which a profile would override.
    """
    if any(variable in given for variable in (*DDS_VARIABLES, BUILTIN_TRANSPORTS)):
        return {}
    return {_dds_variable(): str(share("config", "dds", f"{name}.xml"))}


def _dds_variable() -> str:
    """Return where this ROS 2's Fast DDS looks for its profile: version 3 reads both, but complains of the old one."""
    try:
        jazzy = int(version("rclpy").split(".")[0]) < 9
    except PackageNotFoundError:
        jazzy = False
    return DDS_VARIABLES[jazzy]


def simulation_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that keep a simulation to this machine and in a domain of its own, where the user set none."""
    given = os.environ if given is None else given
    wanted = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": SIMULATION_DOMAIN}
    return {name: value for name, value in wanted.items() if name not in given}


@dataclass(frozen=True)
class SimOptions:
    """What a simulated system can be asked for."""

    checkpoint: str = ""
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Empty: the one that comes with the
    package; with --practice none at all, the robot learns from scratch."""
    config: Path | None = None
    """Parameters of the nodes; the package's config/sim.yaml when not given."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    practice: bool = False
    """Explore, learn to see, practise imagined goals and get better, with nobody there."""
    data: Path = Path("practice")
    """Directory of a practice: its checkpoints, recorded episodes and training state. It goes on where it was."""
    steps: int = 0
    """Robot steps of practice before it ends and `goals` are shown; 0: until Ctrl-C."""
    record: Path | None = None
    """Folder for recorded episodes (a practice has its own); nothing is recorded when not given."""
    scene: Scene = "plain"
    """What the camera sees beside the arm; shifted: the camera looks 5 degrees lower, another table, less light."""
    goals: int = 0
    """Random goal images to show before ending with a summary; 0: until Ctrl-C, -1: none, you send the goals."""
    seed: int = 0
    """Seed of the random goals."""
    headless: bool = True
    """No window. `--no-headless` shows camera and goal side by side; it needs a display."""
    json: Path | None = None
    """File for the figures, written at the end."""
    images: Path | None = None
    """Folder for one picture a goal: start, goal, end."""


def simulation(options: SimOptions) -> list[NodeSpec]:
    """Return the nodes of the simulated system; of a practice once it is prepared (`prepare_practice`).

    Raises:
        BringupError: If the configuration, the checkpoint or a number is not usable.
    """
    if options.goals < -1:
        raise BringupError(f"goals is {options.goals}: must be a number of goals, 0 for no end, or -1 for none")
    for name in ("seed", "steps"):
        if getattr(options, name) < 0:
            raise BringupError(f"{name} is {getattr(options, name)}: must be 0 or more")
    if not options.headless and (why := display.missing()):
        raise BringupError(f"a window was asked for (--no-headless, headless:=false), but {why}")
    if options.steps and not options.practice:
        raise BringupError(f"steps is {options.steps}: only a practice has an end (--practice)")
    _check_outputs(options)
    checkpoint, axes = _checkpoint(options)
    config = read_parameters(options.config or share("config", "sim.yaml"), NODES)
    with_checkpoint = {"checkpoint": checkpoint}
    node = _maker(config, options.namespace)
    scene: Parameters = {"scene": options.scene}
    seen = scene | {"axes": "xyz" if "z" in axes else "xy"}
    nodes = [
        node("sim", "rig_sim.robot_node", seen, vital=True, sends_frames=True),
        node("camera", "rig_robot.nodes.camera", with_checkpoint),
        node("encoder", "rig_robot.nodes.encoder", with_checkpoint),
        node("goal", "rig_robot.nodes.goal", with_checkpoint),
        node("policy", "rig_robot.nodes.policy", with_checkpoint),
        node("arm", "rig_robot.nodes.arm", with_checkpoint, vital=True),
    ]
    judge = {"environment": f"rig_sim:RigSawyerReach{seen['axes'].upper()}-v0", "scene": options.scene}
    nodes += _learning(options, node, nodes, config, judge)
    if options.goals >= 0:
        shown: Parameters = {"goals": options.goals, "seed": options.seed}
        shown |= {name: str(path.absolute()) for name in ("json", "images") if (path := getattr(options, name))}
        shown |= with_checkpoint | scene
        kind = {"vital": True, "finishes": True, "sends_frames": True}
        if options.practice:
            nodes.append(node("sim_practice", "rig_sim.practice_node", shown | {"steps": options.steps}, **kind))
        else:
            nodes.append(node("sim_goals", "rig_sim.goals_node", shown, **kind))
    if not options.headless:
        nodes.append(node("sim_window", "rig_sim.window_node"))
    return nodes


@dataclass(frozen=True)
class RobotOptions:
    """What a real robot must be told: nothing here has a default that moves an arm."""

    config: Path
    """Parameters of the nodes: your edited copy of config/robot.yaml."""
    checkpoint: str = ""
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Only a practice may do without:
    it then goes on from its own, or learns from scratch."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    practice: bool = False
    """Record and learn on the job; `rig tell practice` begins."""
    data: Path = Path("practice")
    """Directory of a practice: its checkpoints, recorded episodes and training state. It goes on where it was."""
    train: bool = True
    """Train on this computer. With --no-train the trainer node runs on another one of the same ROS domain."""
    record: Path | None = None
    """Folder for recorded episodes (a practice has its own); nothing is recorded when not given."""


def robot(options: RobotOptions) -> list[NodeSpec]:
    """Return the nodes of a real robot; its arm's controller and perhaps its camera's driver run beside them.

    Of a practice once it is prepared (`prepare_practice`).

    Raises:
        BringupError: If the configuration, the arm's preset or the checkpoint is not usable.
    """
    _check_outputs(options)
    if not (options.checkpoint or options.practice):
        raise BringupError("no checkpoint: name one (--checkpoint), or let the robot learn its own (--practice)")
    checkpoint, _ = _checkpoint(options)
    with_checkpoint = {"checkpoint": checkpoint}
    config = read_parameters(options.config, ROBOT_NODES)
    config["arm"] = arm = arm_parameters(config.get("arm", {}), options.config)
    if missing := [name for name in ARM_MUST_SAY if name not in arm]:
        raise BringupError(
            f"configuration {options.config}: the arm does not say {', '.join(missing)}: name a preset "
            f"(arm: {{preset: NAME}}, one of {', '.join(presets())}) or say them; no bound has a default"
        )
    node = _maker(config, options.namespace)
    takes_frames_from_a_driver = config.get("camera", {}).get("source", "topic") == "topic"
    # The arm refuses twists in another frame than its own.
    frame = {name: arm[name] for name in ("base_frame",) if name in arm}
    nodes = [
        node("camera", "rig_robot.nodes.camera", with_checkpoint, sends_frames=not takes_frames_from_a_driver),
        node("encoder", "rig_robot.nodes.encoder", with_checkpoint),
        node("goal", "rig_robot.nodes.goal", with_checkpoint),
        node("policy", "rig_robot.nodes.policy", with_checkpoint | frame),
        node("arm", "rig_robot.nodes.arm", with_checkpoint, vital=True),
    ]
    return nodes + _learning(options, node, nodes, config, {}, options.train)


def prepare_practice(options: SimOptions | RobotOptions) -> None:
    """Make a practice's directory ready, where one is asked for. To be called before the nodes are listed.

    Whether what else is asked for can be written is looked at first: a new practice takes its time.

    Raises:
        BringupError: If the directory, the checkpoint or the task is not usable.
    """
    _check_outputs(options)
    if not options.practice:
        return
    try:
        begun = (practice_data.of(options.data).checkpoints / CURRENT).exists()
        task = None if begun or options.checkpoint else read_task(options.config or share("config", "sim.yaml"))
        practice_data.prepare(options.data, options.checkpoint, task)
    except ModuleNotFoundError as error:  # `ros2 launch` is run by the interpreter of ROS 2, which need not have torch
        raise BringupError(
            f"practice: a robot that learns from scratch begins with new networks, and {sys.executable} has no "
            f"{error.name}: let the interpreter that the package was built with run this, "
            'python "$(command -v ros2)" launch ... in its virtual environment, or name a checkpoint to begin with'
        ) from None
    except (ValueError, OSError) as error:
        raise BringupError(f"practice: {error}") from None


def _check_outputs(options: SimOptions | RobotOptions) -> None:
    """Refuse what could not be written at the end, before the work whose result it is, or would not be written at all.

    Raises:
        BringupError, BadOutput: If there is such a thing.
    """
    if options.practice:
        if options.record is not None:
            raise BringupError(
                f"record is {options.record}: a practice records in {options.data}/episodes, leave it out"
            )
        check_folder("data", options.data)
    check_folder("record", options.record)
    if not isinstance(options, SimOptions):
        return
    for name in ("json", "images"):
        if options.goals < 0 and getattr(options, name) is not None:
            raise BringupError(
                f"{name} is {getattr(options, name)}: with goals {options.goals} none are shown or judged"
            )
    check_file("json", options.json)
    check_folder("images", options.images)


def _learning(
    options: SimOptions | RobotOptions,
    node: Callable[..., NodeSpec],
    others: list[NodeSpec],
    config: dict[str, Parameters],
    judge: Parameters,
    train: bool = True,
) -> list[NodeSpec]:
    """Return the nodes that record and learn, as far as asked for; judge: how the trainer tells good from bad."""
    data = practice_data.of(options.data) if options.practice else None
    folder = data.episodes if data else options.record
    if folder is None:
        return []
    parameters = {spec.name: spec.parameters for spec in others}
    arm, camera = parameters["arm"], parameters["camera"]
    taken = {"topic": "camera_topic", "transport": "transport"} if camera.get("source", "topic") == "topic" else {}
    recorded: Parameters = {
        "directory": str(folder.expanduser().absolute()),
        "checkpoint": arm["checkpoint"],
        "stack": json.dumps(parameters),
        **{name: arm[name] for name in ("interface", "command_topic", "joint_states_topic") if name in arm},
        **{theirs: camera[name] for name, theirs in taken.items() if name in camera},
    }
    nodes = [node("recorder", "rig_robot.nodes.recorder", recorded)]
    if data and train:
        places = {"checkpoints": str(data.checkpoints), "episodes": [str(data.episodes)], "work": str(data.trainer)}
        nodes.append(node("trainer", "rig_robot.nodes.trainer", places | judge))
    elif data:
        nodes.append(node("receiver", "rig_robot.nodes.checkpoint_receiver", {"checkpoints": str(data.checkpoints)}))
    return nodes


def robot_notice(nodes: list[NodeSpec], given: Mapping[str, str]) -> list[str]:
    """Return what a person should read when a real robot's nodes start in the environment `given`."""
    arm = next(node for node in nodes if node.name == "arm")
    root = f"/{arm.namespace}/" if arm.namespace else "/"
    domain = given.get("ROS_DOMAIN_ID", "0")
    joints = arm.parameters["joints"]
    topic = arm.parameters.get("command_topic", "")
    where = topic if topic.startswith("/") else root + topic if topic else "its usual topic"
    interface = arm.parameters.get("interface", "joint_trajectory")
    namespace = f" --namespace {arm.namespace}" if arm.namespace else ""
    recorder = next((node.parameters["directory"] for node in nodes if node.name == "recorder"), None)
    learns = any(node.name in ("trainer", "receiver") for node in nodes)
    recorded = [f"records every episode in {recorder}"] if recorder else []
    practice = [f"  learn: ROS_DOMAIN_ID={domain} rig tell practice{namespace}, until rig tell idle"] if learns else []
    return [
        f"arm: {Path(arm.parameters['description']).stem}, joints {joints[0]} to {joints[-1]}",
        f"commands: {interface} on {where}, ROS domain {domain}",
        *recorded,
        "nothing moves until you arm it. Have the hardware's stop in your hand, then, in another terminal:",
        f"  goal:  ROS_DOMAIN_ID={domain} rig goal PICTURE{namespace}",
        f"  reach: ROS_DOMAIN_ID={domain} rig tell reach{namespace}",
        *practice,
        f"  arm:   ROS_DOMAIN_ID={domain} rig tell arm{namespace}",
        f"  stop:  ROS_DOMAIN_ID={domain} rig tell stop{namespace}, or Ctrl-C here",
    ]


def presets() -> list[str]:
    """Return the names of the arms that come with the package."""
    return sorted(file.stem for file in share("config", "arms").glob("*.yaml"))


def arm_parameters(given: Parameters, file: Path) -> Parameters:
    """Return an arm's parameters: what the preset that it names says, replaced by what it says itself.

    Args:
        given: The arm's entry of the configuration.
        file: The configuration; a preset or description with a relative path is looked for beside the file that
            names it.

    Raises:
        BringupError: If there is no such preset.
    """
    said = _with_description(given, file)
    if (preset := said.pop("preset", None)) is None:
        return said
    source = _preset_file(str(preset), file)
    try:
        content = yaml.safe_load(source.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BringupError(f"arm preset {source}: {error}") from None
    if not isinstance(content, dict):
        raise BringupError(f"arm preset {source}: must be a mapping of the arm's parameters")
    return _with_description(content, source) | said


def _preset_file(preset: str, file: Path) -> Path:
    if preset.endswith((".yaml", ".yml")):
        return file.parent / preset
    if preset not in presets():
        raise BringupError(
            f"configuration {file}: there is no arm preset {preset!r}; there are {', '.join(presets())}, "
            "or the path of your own YAML file"
        )
    return share("config", "arms", f"{preset}.yaml")


def _with_description(parameters: Parameters, file: Path) -> Parameters:
    """Return a copy in which a description with a relative path has become one that is found from anywhere."""
    description = parameters.get("description")
    if not isinstance(description, str) or description == "topic" or description.startswith(SCHEME):
        return dict(parameters)
    return parameters | {"description": str((file.parent / Path(description).expanduser()).absolute())}


def _checkpoint(options: SimOptions | RobotOptions) -> tuple[str, tuple[str, ...]]:
    """Return the checkpoint, or the root of those, that the nodes load, and the axes that it moves along."""
    place = options.checkpoint or SHIPPED_CHECKPOINT
    if options.practice:
        place = str(practice_data.of(options.data).checkpoints)
    # Of several the nodes get the root: one that is started anew loads what is current by then.
    place = place.removesuffix("/").removesuffix(f"/{CURRENT}")
    try:
        directory = locate(place)
        return str(directory), read_config(resolve(directory)).action.axes
    except (CheckpointError, ValueError) as error:
        raise BringupError(f"checkpoint: {error}") from None


def _maker(config: dict[str, Parameters], namespace: str) -> Callable[..., NodeSpec]:
    """Return a function that makes a node of its name, its module and what it is told beyond the configuration."""

    def node(name: str, module: str, parameters: Parameters | None = None, **kind: bool) -> NodeSpec:
        return NodeSpec(name, module, {**config.get(name, {}), **(parameters or {})}, namespace.strip("/"), **kind)

    return node


def read_parameters(file: Path, nodes: tuple[str, ...]) -> dict[str, Parameters]:
    """Read a configuration file: for each node its parameters.

    Raises:
        BringupError: If it is not that, or names a node that there is not.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BringupError(f"configuration {file}: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise BringupError(f"configuration {file}: must be a mapping of node names to mappings of parameters")
    content.pop(SECTION, None)
    if unknown := sorted(set(content) - set(nodes)):
        raise BringupError(f"configuration {file}: {', '.join(unknown)} is no node; these are: {', '.join(nodes)}")
    return content
