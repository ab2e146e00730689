"""Run a real robot: `ros2 launch rig_robot robot.launch.py config:=my_robot.yaml checkpoint:=DIRECTORY`."""

from launch import LaunchDescription
from rig_robot.bringup.launch_arguments import arguments, read
from rig_robot.bringup.options import RobotOptions
from rig_robot.bringup.ros2_launch import System, description, real

ARGUMENTS = arguments(RobotOptions)


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    return real(read(RobotOptions, given), environment)
