"""Run the whole system in simulation: `ros2 launch rig_robot sim.launch.py goals:=10`; see `--show-args`."""

from launch import LaunchDescription
from rig_robot.bringup.launch_arguments import arguments, read
from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.ros2_launch import System, description, simulated

ARGUMENTS = arguments(SimOptions)


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    return simulated(read(SimOptions, given), environment)
