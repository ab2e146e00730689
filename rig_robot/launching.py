"""What the launch files share: the nodes of `bringup` as entities of `ros2 launch`. Needs a full ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch_ros.actions import Node

# mypy takes the folder launch/ for the package where that is not installed.
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity  # type: ignore[attr-defined]
from rig_robot.bringup import NodeSpec
from rig_robot.shared_memory import sweep


@dataclass(frozen=True)
class System:
    """What a launch file starts.

    Attributes:
        nodes: The nodes.
        variables: Environment variables for all of them.
        notice: Lines for the person who starts them.
    """

    nodes: list[NodeSpec]
    variables: dict[str, str]
    notice: list[str]


Arguments = dict[str, tuple[str | None, str]]
"""The arguments of a launch file: for each its default (None: it must be given) and a sentence."""


def description(arguments: Arguments, system: Callable[[dict[str, str], dict[str, str]], System]) -> LaunchDescription:
    """Return a launch description that declares the arguments and then starts a system.

    Args:
        arguments: What may be given.
        system: Makes the system from what was given and from the user's environment.
    """
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]

    def entities(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        given = {name: context.launch_configurations[name] for name in arguments}
        environment = dict(context.environment)
        return list(_entities(system(given, environment), environment))

    return LaunchDescription([*declared, OpaqueFunction(function=entities)])


def path(text: str) -> Path | None:
    """Return the path that an argument names; None where it is empty."""
    return Path(text) if text else None


def _entities(system: System, environment: dict[str, str]) -> Iterable[LaunchDescriptionEntity]:
    sweep()
    yield RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: sweep() and None))
    yield from (LogInfo(msg=line) for line in system.notice)
    for spec in system.nodes:
        yield from _node(spec, system.variables, environment)


def _node(spec: NodeSpec, variables: dict[str, str], given: dict[str, str]) -> Iterable[LaunchDescriptionEntity]:
    node = Node(
        package="rig_robot",
        executable=spec.name,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[spec.parameters],
        ros_arguments=spec.security(given),
        additional_env={**variables, **spec.environment(given), "PYTHONUNBUFFERED": "1"},
        output="screen",
        respawn=not spec.vital,
        respawn_delay=1.0,
    )
    yield node
    if spec.vital:
        over = EmitEvent(event=Shutdown(reason=f"{spec.name} has ended"))
        yield RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[over]))
