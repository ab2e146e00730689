"""The whole system in simulation: `ros2 launch rig_robot sim.launch.py goals:=10`; `--show-args` explains them all."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from rig_robot.bringup import SHIPPED_CHECKPOINT, NodeSpec, SimOptions, simulation, simulation_environment
from rig_robot.shared_memory import sweep

ARGUMENTS = {
    "checkpoint": (
        SHIPPED_CHECKPOINT,
        "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH.",
    ),
    "config": ("", "Parameters of the nodes; the package's config/sim.yaml if empty."),
    "namespace": ("", "ROS namespace of all nodes."),
    "goals": ("0", "Random goal images to show before ending; 0: no end, -1: none, you send the goals."),
    "seed": ("0", "Seed of the random goals."),
    "headless": ("true", "No window; false shows what the camera sees, where there is a display."),
    "json": ("", "File for the figures, written at the end."),
    "images": ("", "Folder for one picture a goal: start, goal, end."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.simulation`."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_system)])


def _system(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: context.launch_configurations[name] for name in ARGUMENTS}
    options = SimOptions(
        checkpoint=given["checkpoint"],
        config=_path(given["config"]),
        namespace=given["namespace"],
        goals=int(given["goals"]),
        seed=int(given["seed"]),
        headless=given["headless"].lower() in ("true", "1", "yes"),
        json=_path(given["json"]),
        images=_path(given["images"]),
    )
    sweep()
    variables = simulation_environment(context.environment)
    entities: list[LaunchDescriptionEntity] = [
        RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: sweep() and None))
    ]
    if variables:
        told = " ".join(f"{name}={value}" for name, value in variables.items())
        entities.append(LogInfo(msg=f"simulation: {told}; set the same in another terminal to talk to it"))
    for spec in simulation(options):
        entities += _entities(spec, variables, dict(context.environment))
    return entities


def _entities(spec: NodeSpec, variables: dict[str, str], given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    node = Node(
        package="rig_robot",
        executable=spec.name,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[spec.parameters],
        additional_env={**variables, **spec.environment(given), "PYTHONUNBUFFERED": "1"},
        output="screen",
        respawn=not spec.vital,
        respawn_delay=1.0,
    )
    if not spec.vital:
        return [node]
    over = EmitEvent(event=Shutdown(reason=f"{spec.name} has ended"))
    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[over]))]


def _path(text: str) -> Path | None:
    return Path(text) if text else None
