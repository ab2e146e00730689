"""A real robot: `ros2 launch rig_robot robot.launch.py config:=my_robot.yaml checkpoint:=DIRECTORY`."""

from pathlib import Path

from launch import LaunchDescription
from rig_robot.bringup import RobotOptions, robot, robot_notice
from rig_robot.launching import Arguments, System, description

ARGUMENTS: Arguments = {
    "config": (None, "Parameters of the nodes: your edited copy of config/robot.yaml."),
    "checkpoint": (None, "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."),
    "namespace": ("", "ROS namespace of all nodes."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    nodes = robot(RobotOptions(Path(given["config"]), given["checkpoint"], given["namespace"]))
    return System(nodes, {}, robot_notice(nodes, environment))
