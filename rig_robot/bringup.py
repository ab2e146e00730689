"""Which nodes make a system, and how each is told apart: `ros2 launch` and `rig` both read this."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from rig_robot.learning.checkpoint import CheckpointError, read_config, resolve
from rig_robot.resources import locate, share

SHIPPED_CHECKPOINT = "package://rig_robot/checkpoints/sawyer_reach_xy"
SIMULATION_DOMAIN = "77"
"""ROS domain of simulations, unless the user has set ROS_DOMAIN_ID: they must not meet a real robot's topics."""

DDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS 3 (Kilted) and 2 (Jazzy) look for their profile."""

Parameters = dict[str, Any]


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


def quiet_threads(given: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give each process one thread for its arithmetic: more would starve the other nodes."""
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {name: value for name, value in wanted.items() if name not in given}


def dds_profile(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that names the Fast DDS profile `camera` or `small`; none where the user has set one."""
    if any(variable in given for variable in DDS_VARIABLES):
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

    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    config: Path | None = None
    """Parameters of the nodes; the package's config/sim.yaml when not given."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    goals: int = 0
    """Random goal images to show before ending with a summary; 0: until Ctrl-C, -1: none, you send the goals."""
    seed: int = 0
    """Seed of the random goals."""
    headless: bool = True
    """No window. With a display, `--no-headless` shows camera and goal side by side."""
    json: Path | None = None
    """File for the figures, written at the end."""
    images: Path | None = None
    """Folder for one picture a goal: start, goal, end."""


def simulation(options: SimOptions) -> list[NodeSpec]:
    """Return the nodes of the simulated system.

    Raises:
        BringupError: If the configuration, the checkpoint or a number is not usable.
    """
    if options.goals < -1:
        raise BringupError(f"goals is {options.goals}: must be a number of goals, 0 for no end, or -1 for none")
    if options.seed < 0:
        raise BringupError(f"seed is {options.seed}: must be 0 or more")
    try:
        checkpoint = resolve(locate(options.checkpoint))
        axes = read_config(checkpoint).action.axes
    except (CheckpointError, ValueError) as error:
        raise BringupError(f"checkpoint: {error}") from None
    config = read_parameters(options.config or share("config", "sim.yaml"), NODES)
    namespace = options.namespace.strip("/")
    with_checkpoint = {"checkpoint": str(checkpoint)}

    def node(name: str, module: str, parameters: Parameters | None = None, **kind: bool) -> NodeSpec:
        return NodeSpec(name, module, {**config.get(name, {}), **(parameters or {})}, namespace, **kind)

    nodes = [
        node("sim", "rig_sim.robot_node", {"axes": "xyz" if "z" in axes else "xy"}, vital=True, sends_frames=True),
        node("camera", "rig_robot.nodes.camera", with_checkpoint),
        node("encoder", "rig_robot.nodes.encoder", with_checkpoint),
        node("goal", "rig_robot.nodes.goal", with_checkpoint),
        node("policy", "rig_robot.nodes.policy", with_checkpoint),
        node("arm", "rig_robot.nodes.arm", with_checkpoint, vital=True),
    ]
    if options.goals >= 0:
        shown: Parameters = {"goals": options.goals, "seed": options.seed, "headless": options.headless}
        shown |= {name: str(path.absolute()) for name in ("json", "images") if (path := getattr(options, name))}
        nodes.append(
            node(
                "sim_goals", "rig_sim.goals_node", with_checkpoint | shown, vital=True, finishes=True, sends_frames=True
            )
        )
    return nodes


NODES = ("sim", "camera", "encoder", "goal", "policy", "arm", "sim_goals")


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
    if unknown := sorted(set(content) - set(nodes)):
        raise BringupError(f"configuration {file}: {', '.join(unknown)} is no node; these are: {', '.join(nodes)}")
    return content
