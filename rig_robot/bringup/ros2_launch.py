"""Turns the nodes of a system into entities of `ros2 launch`, for the launch files. Needs a full ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch_ros.actions import Node

# mypy takes the folder launch/ for the package where that is not installed.
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity  # type: ignore[attr-defined]
from rig_robot.bringup.environment import simulation_environment
from rig_robot.bringup.launch_arguments import Argument, in_words_of_launch
from rig_robot.bringup.node_spec import BringupError, NodeSpec
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.process_runner import reason
from rig_robot.bringup.ros_environment import refuse_obstacles
from rig_robot.bringup.second_system import refuse_company
from rig_robot.bringup.shared_memory import sweep
from rig_robot.bringup.systems import prepare_practice, robot, robot_notice, simulation
from rig_robot.common.starter import starter_environment


class VitalNodeEnded(RuntimeError):
    """A node without which nothing works has ended; raised in an event handler, it makes `ros2 launch` end with 1."""


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


def description(
    arguments: Mapping[str, Argument], system: Callable[[dict[str, str], dict[str, str]], System]
) -> LaunchDescription:
    """Return a launch description that declares the arguments and then starts a system.

    Args:
        arguments: What may be given.
        system: Makes the system from what was given and from the user's environment. The options that its errors name
            are named in the words of `ros2 launch`.
    """
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.text,
            choices=list(argument.choices) or None,
        )
        for argument in arguments.values()
    ]

    def entities(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        given = {name: context.launch_configurations[name] for name in arguments}
        environment = dict(context.environment)
        try:
            made = system(given, environment)
        except ValueError as error:
            raise BringupError(in_words_of_launch(str(error), arguments.values())) from None
        return list(_entities(made, environment))

    return LaunchDescription([*declared, OpaqueFunction(function=entities)])


def simulated(options: SimOptions, environment: dict[str, str]) -> System:
    """Return the system in simulation, in a ROS domain of its own where the user's environment says nothing else."""
    prepare_practice(options)
    variables = simulation_environment(environment)
    told = " ".join(f"{name}={value}" for name, value in variables.items())
    notice = [f"simulation: {told}; set the same in another terminal to talk to it"] if told else []
    return System(simulation(options), variables, notice)


def real(options: RobotOptions, environment: dict[str, str]) -> System:
    """Return the system on a real robot."""
    prepare_practice(options)
    nodes = robot(options)
    return System(nodes, {}, robot_notice(nodes, environment))


def _entities(system: System, environment: dict[str, str]) -> Iterable[LaunchDescriptionEntity]:
    sweep()
    yield RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: sweep() and None))
    yield from (LogInfo(msg=line) for line in system.notice)

    def look(_: LaunchContext) -> None:
        everything = {**environment, **system.variables}
        refuse_obstacles(everything)
        refuse_company(system.nodes, everything, "namespace:=NAME")

    yield OpaqueFunction(function=look)  # before the nodes, and not when the arguments are only shown
    for spec in system.nodes:
        yield from _node(spec, system.variables, environment)


def _node(spec: NodeSpec, variables: dict[str, str], given: dict[str, str]) -> Iterable[LaunchDescriptionEntity]:
    given = {**given, **variables}
    node = Node(
        package="rig_robot",
        executable=spec.name,
        name=None if spec.parts else spec.name,  # it would rename them all
        namespace=spec.namespace,
        parameters=[spec.parameters],
        arguments=spec.part_words(),
        ros_arguments=spec.ros_arguments(given),
        additional_env={**variables, **starter_environment(), **spec.environment(given), "PYTHONUNBUFFERED": "1"},
        output="screen",
        respawn=not spec.vital,
        respawn_delay=1.0,
    )
    yield node
    if spec.vital:
        yield RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_end_with(spec)))


def _end_with(spec: NodeSpec) -> Callable[[Any, LaunchContext], list[LaunchDescriptionEntity] | None]:
    """Return what to do when a vital node has ended: end the system, well only if the node had finished its work."""

    def ended(event: Any, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if context.is_shutdown:
            return None
        if spec.finishes and event.returncode == 0:
            return [EmitEvent(event=Shutdown(reason=f"{spec.name} has finished"))]
        raise VitalNodeEnded(f"{spec.name} ended ({reason(event.returncode)}) and nothing works without it: stopping")

    return ended
