"""Let a robot practise: `ros2 launch rig_robot practice.launch.py`; with `robot:=my_robot.yaml` a real one."""

import dataclasses

from launch import LaunchDescription
from rig_robot.bringup.launch_arguments import Argument, arguments, read
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.ros2_launch import System, description, real, simulated

_ROBOT = arguments(RobotOptions)
_SIMULATION = arguments(SimOptions, goals="30")
_ONLY_SIMULATED = ("steps", "goals", "axes", "scene", "json")

ARGUMENTS = {
    "robot": Argument("robot", "Your robot's configuration, an edited copy of config/robot.yaml; empty: simulation."),
    **{name: _ROBOT[name] for name in _ROBOT if name not in ("config", "practice", "record")},
    **{
        name: dataclasses.replace(_SIMULATION[name], text=f"In simulation: {_SIMULATION[name].text}")
        for name in _ONLY_SIMULATED
    },
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation` or `robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    if not given["robot"]:
        return simulated(read(SimOptions, given, practice=True), environment)
    return real(read(RobotOptions, given | {"config": given["robot"]}, practice=True), environment)
