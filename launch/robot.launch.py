"""Run a real robot: `ros2 launch rig_robot robot.launch.py config:=my_robot.yaml checkpoint:=DIRECTORY`."""

from launch import LaunchDescription
from rig_robot.bringup.options import RobotOptions
from rig_robot.bringup.ros2_launch import Arguments, System, description, options, real

ARGUMENTS: Arguments = {
    "config": (None, "Parameters of the nodes: your edited copy of config/robot.yaml."),
    "checkpoint": (
        "",
        "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Not needed for practice.",
    ),
    "namespace": ("", "ROS namespace of all nodes."),
    "practice": ("false", "Record and learn while the robot works; `rig tell practice` starts it."),
    "data": (
        "practice",
        "Directory for checkpoints, episodes and training state; practice continues from what is there.",
    ),
    "train": ("true", "Train on this computer; false where the trainer node runs on another one."),
    "record": ("", "Folder for recorded episodes; if empty, only practice records, in its own directory."),
    "page": ("true", "Serve the operator's page in a browser, at an address that is printed; false: none."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    return real(options(RobotOptions, given), environment)
