"""Lists the nodes of each system and their parameters; `ros2 launch` and `rig` both read this."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rig_robot.bringup import practice_directory as practice_data
from rig_robot.bringup.arm_presets import ARM_MUST_SAY, arm_parameters, presets
from rig_robot.bringup.node_spec import BringupError, NodeSpec, Parameters, compose
from rig_robot.bringup.options import SHIPPED, SHIPPED_PUSHING, RobotOptions, SimOptions
from rig_robot.bringup.parameter_files import read_all
from rig_robot.bringup.task_config import in_space, read_task
from rig_robot.checkpoints.checkpoint import CURRENT, read_config, resolve
from rig_robot.checkpoints.config import CheckpointConfig, CheckpointError
from rig_robot.common import display
from rig_robot.common.output_paths import check_file, check_folder
from rig_robot.common.package_files import locate, share
from rig_robot.common.ros_names import check_namespace
from rig_robot.common.task_names import TASKS, TaskName

ROBOT_NODES = ("camera", "encoder", "goal", "policy", "arm", "recorder", "trainer", "receiver", "console")
NODES = ("sim", *ROBOT_NODES, "sim_goals", "sim_push_goals", "sim_practice", "sim_window")

PUSH_PRACTICE: dict[str, Parameters] = {
    "sim": {"put_back_after": 3.0},
    "policy": {"noise": 0.15, "epsilon": 0.03, "episode_steps": 100},
    "trainer": {"exploration_steps": 2500, "updates": 1, "fine_tune_every": 5},
}
"""Parameters that have other defaults where pushing is practised: of policy and trainer as `rig train --task push` has
them, and nobody puts the puck back at once"""


def simulation(options: SimOptions) -> list[NodeSpec]:
    """Return the nodes of the simulated system; of a practice once it is prepared (`prepare_practice`).

    Raises:
        BringupError: If the configuration, the checkpoint or a number is not usable.
    """
    if options.goals < -1:
        raise BringupError(f"goals is {options.goals}: must be a number of goals, 0 for no end, or -1 for none")
    for name, choices in (("axes", tuple(SHIPPED)), ("task", TASKS)):
        if (given := getattr(options, name)) not in choices:
            raise BringupError(f"{name} is {given}: must be {' or '.join(choices)}")
    for name in ("seed", "steps"):
        if getattr(options, name) < 0:
            raise BringupError(f"{name} is {getattr(options, name)}: must be 0 or more")
    if not options.headless and (why := display.missing()):
        raise BringupError(f"a window was asked for (--no-headless), but {why}")
    if options.steps and not options.practice:
        raise BringupError(f"steps is {options.steps}: only a practice has an end (--practice)")
    _check_outputs(options)
    checkpoint, trained = _checkpoint(options)
    task = _task(trained)
    config = _parameters(options, NODES, task)
    with_checkpoint = {"checkpoint": checkpoint}
    node = _maker(config, options)
    scene: Parameters = {"scene": options.scene, "scene_seed": options.seed}
    seen = scene | {"axes": "xyz" if "z" in trained.action.axes else "xy", "task": task}
    nodes = [
        node("sim", "rig_sim.robot_node", seen, vital=True, sends_frames=True),
        node("camera", "rig_robot.nodes.camera", with_checkpoint),
        node("encoder", "rig_robot.nodes.encoder", with_checkpoint),
        node("goal", "rig_robot.nodes.goal", with_checkpoint),
        node("policy", "rig_robot.nodes.policy", with_checkpoint),
        node("arm", "rig_robot.nodes.arm", with_checkpoint, vital=True),
    ]
    judge = {"environment": f"rig_sim:RigSawyer{task.capitalize()}{seen['axes'].upper()}-v0", "scene": options.scene}
    nodes += _learning(options, node, nodes, config, judge)
    if options.goals >= 0:
        shown: Parameters = {"goals": options.goals, "seed": options.seed}
        shown |= {name: str(path.absolute()) for name in ("json", "images") if (path := getattr(options, name))}
        shown |= with_checkpoint | scene
        kind = {"vital": True, "finishes": True, "sends_frames": True}
        if options.practice:
            module = "rig_sim.push_practice_node" if task == "push" else "rig_sim.practice_node"
            nodes.append(node("sim_practice", module, shown | {"steps": options.steps}, **kind))
        elif task == "push":
            nodes.append(node("sim_push_goals", "rig_sim.push_goals_node", shown, **kind))
        else:
            nodes.append(node("sim_goals", "rig_sim.goals_node", shown, **kind))
    if not options.headless:
        nodes.append(node("sim_window", "rig_sim.window_node"))
    nodes += _page(options, node, with_checkpoint)
    return compose(nodes) if options.composed else nodes


def robot(options: RobotOptions) -> list[NodeSpec]:
    """Return the nodes of a real robot; its arm's controller and perhaps its camera's driver run beside them.

    Of a practice once it is prepared (`prepare_practice`).

    Raises:
        BringupError: If the configuration, the arm's preset or the checkpoint is not usable.
    """
    _check_outputs(options)
    if not (options.checkpoint or options.practice):
        raise BringupError("no checkpoint: name one (--checkpoint), or let the robot learn its own (--practice)")
    checkpoint, trained = _checkpoint(options)
    with_checkpoint = {"checkpoint": checkpoint}
    config = _parameters(options, ROBOT_NODES, _task(trained))
    config["arm"] = arm = arm_parameters(config.get("arm", {}), options.config)
    if missing := [name for name in ARM_MUST_SAY if name not in arm]:
        raise BringupError(
            f"configuration {options.config}: the arm does not say {', '.join(missing)}: name a preset "
            f"(arm: {{preset: NAME}}, one of {', '.join(presets())}) or say them; no bound has a default"
        )
    node = _maker(config, options)
    takes_frames_from_a_driver = config.get("camera", {}).get("source", "topic") == "topic"
    # The arm refuses twists in another frame than its own.
    frame = {name: arm[name] for name in ("base_frame",) if name in arm}
    nodes = [
        node("camera", "rig_robot.nodes.camera", with_checkpoint | frame, sends_frames=not takes_frames_from_a_driver),
        node("encoder", "rig_robot.nodes.encoder", with_checkpoint),
        node("goal", "rig_robot.nodes.goal", with_checkpoint),
        node("policy", "rig_robot.nodes.policy", with_checkpoint | frame),
        node("arm", "rig_robot.nodes.arm", with_checkpoint, vital=True),
    ]
    nodes += _learning(options, node, nodes, config, {}, options.train)
    nodes += _page(options, node, with_checkpoint)
    return compose(nodes) if options.composed else nodes


def _page(options: SimOptions | RobotOptions, node: Callable[..., NodeSpec], parameters: Parameters) -> list[NodeSpec]:
    """Return the node of the operator's page, where one is asked for."""
    return [node("console", "rig_robot.nodes.console", parameters)] if options.page else []


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
        if options.task == "push" and options.checkpoint:  # looked at before it is copied
            _check_task(options.task, *_read_checkpoint(options.checkpoint))
        new = not (begun or options.checkpoint)
        task = read_task(options.config or share("config", "sim.yaml"), options.task) if new else None
        if task is not None and isinstance(options, SimOptions) and options.axes == "xyz" and options.config is None:
            if options.task == "push":
                raise BringupError("axes is xyz: pushing moves along xy, leave it out")
            task = in_space(task)
        practice_data.prepare(options.data, options.checkpoint, task, options.task)
    except ModuleNotFoundError as error:  # `ros2 launch` is run by the interpreter of ROS 2, which need not have torch
        raise BringupError(
            f"practice: a robot that learns from scratch begins with new networks, and {sys.executable} has no "
            f"{error.name}: let the interpreter that the package was built with run this, "
            'python "$(command -v ros2)" launch ... in its virtual environment, or name a checkpoint to begin with'
        ) from None
    except BringupError:
        raise
    except (ValueError, OSError) as error:
        raise BringupError(f"practice: {error}") from None


def _check_outputs(options: SimOptions | RobotOptions) -> None:
    """Refuse what could not be written at the end, before the work whose result it is, or would not be written at all.

    Raises:
        BringupError, BadOutput: If there is such a thing.
    """
    _check_fleet(options)
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


def _check_fleet(options: SimOptions | RobotOptions) -> None:
    """Refuse robots that could not practise for one trainer.

    Raises:
        BringupError: Names the option and what would be right.
    """
    for name in ("trains", "trained_by"):
        given = getattr(options, name)
        if given and not options.practice:
            raise BringupError(f"{name} is {given}: only a practice has a trainer (--practice)")
        for namespace in _names(given):
            check_namespace(namespace)
            if namespace.strip("/") == options.namespace.strip("/"):
                raise BringupError(f"{name} is {given}, the namespace of this robot: name the other one's")
    if options.trains and options.trained_by:
        raise BringupError(
            f"trained_by is {options.trained_by}: this robot has no trainer that trains {options.trains}"
        )
    if options.trained_by and not options.namespace.strip("/"):
        raise BringupError("trained_by needs a namespace of this robot's own: give it --namespace")


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


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
    if options.trained_by:
        folder = practice_data.episodes_of(options.data, options.namespace)
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
    if data and train and not options.trained_by:
        members = _names(options.trains)
        episodes = [data.episodes, *(practice_data.episodes_of(options.data, name) for name in members)]
        places: Parameters = {"checkpoints": str(data.checkpoints), "work": str(data.trainer)}
        places |= {"episodes": [str(path) for path in episodes]} | ({"robots": members} if members else {})
        nodes.append(node("trainer", "rig_robot.nodes.trainer", places | judge))
    elif data and not options.trained_by:
        nodes.append(node("receiver", "rig_robot.nodes.checkpoint_receiver", {"checkpoints": str(data.checkpoints)}))
    return nodes


def simulation_notice(options: SimOptions, nodes: list[NodeSpec], variables: Mapping[str, str]) -> list[str]:
    """Return what a person should read when a simulation starts.

    Args:
        options: What was asked for.
        nodes: The system.
        variables: Environment variables that are set for it, since the user has set none.
    """
    push = any(node.parameters.get("task") == "push" for node in nodes)
    count = f"{options.goals} goal pictures" if options.goals else "one goal picture after the other"
    does = f"is shown {count}, and {'pushes a puck' if push else 'reaches'} until its camera sees the same"
    does = "practises by itself" if options.practice else "waits for your goals" if options.goals < 0 else does
    domain = "" if "ROS_DOMAIN_ID" in variables else f"ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID', '0')} "
    rig, space = f"  {domain}rig", f" --namespace {options.namespace.strip('/')}" if options.namespace else ""
    lines = [f"a simulated arm {does}; Ctrl-C ends it", "in another terminal, with the same virtual environment:"]
    lines.append(f"{rig} watch{space}: what arm, goal and trainer do")
    if options.goals < 0 and not options.practice:
        lines.append(f"{rig} tell arm{space} and {rig.strip()} tell reach{space}: let it go to goals")
        lines.append(f"{rig} goal {'PICTURE' if push else '--example 3'} --wait{space}: send one")
    lines.append(f"{rig} tell stop{space}: the emergency stop; rig tell reset ends it")
    if variables:
        told = " ".join(f"{name}={value}" for name, value in variables.items())
        lines.append(f"  programs of your own meet it with {told}")
    return lines


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


def _checkpoint(options: SimOptions | RobotOptions) -> tuple[str, CheckpointConfig]:
    """Return the checkpoint, or the root of those, that the nodes load, and what it says."""
    own = SHIPPED[options.axes if isinstance(options, SimOptions) else "xy"]
    place = options.checkpoint or (SHIPPED_PUSHING if options.task == "push" else own)
    if options.practice:
        place = str(practice_data.of(options.data).checkpoints)
    directory, config = _read_checkpoint(place)
    _check_task(options.task, directory, config)
    return str(directory), config


def _read_checkpoint(place: str) -> tuple[Path, CheckpointConfig]:
    """Return a checkpoint, or the root of those, and what it says.

    Raises:
        BringupError: If there is none.
    """
    # Of several the nodes get the root: one that is started anew loads what is current by then.
    place = place.removesuffix("/").removesuffix(f"/{CURRENT}")
    try:
        directory = locate(place)
        return directory, read_config(resolve(directory))
    except (CheckpointError, ValueError) as error:
        raise BringupError(f"checkpoint: {error}") from None


def _check_task(asked: TaskName, directory: Path, config: CheckpointConfig) -> None:
    """Refuse a checkpoint that reaches where pushing is asked for."""
    if asked == "push" and _task(config) != "push":
        raise BringupError(f"checkpoint: {directory} was trained to reach, and task is push: name one that pushes")


def _task(config: CheckpointConfig) -> TaskName:
    """Return what a checkpoint was trained to do."""
    return "push" if config.vae.objects else "reach"


def _files(options: SimOptions | RobotOptions) -> list[Path]:
    """Return the parameter files that are asked for; a later one counts more."""
    config = options.config or share("config", "sim.yaml")
    return [config, options.params_file] if options.params_file else [config]


def _parameters(options: SimOptions | RobotOptions, nodes: tuple[str, ...], task: TaskName) -> dict[str, Parameters]:
    """Return what the configuration says of each node, over what is usual for the task."""
    config = read_all(_files(options), nodes, task, options.namespace)
    usual = PUSH_PRACTICE if task == "push" and options.practice else {}
    return config | {node: usual[node] | config.get(node, {}) for node in usual if node in nodes}


def _maker(config: dict[str, Parameters], options: SimOptions | RobotOptions) -> Callable[..., NodeSpec]:
    """Return a function that makes a node of its name, its module and what it is told beyond the configuration."""
    check_namespace(options.namespace)

    def node(name: str, module: str, parameters: Parameters | None = None, **kind: Any) -> NodeSpec:
        told = config.get(name, {}) | (parameters or {})
        if options.use_sim_time:  # the simulation gives the time, and the others take it
            told |= {"publish_clock" if name == "sim" else "use_sim_time": True}
        return NodeSpec(name, module, told, options.namespace.strip("/"), log_level=options.log_level, **kind)

    return node
