"""Learning on the job: `ros2 launch rig_robot practice.launch.py`; with `robot:=my_robot.yaml` on a real robot."""

from launch import LaunchDescription
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.ros2_launch import Arguments, System, description, options, path, real, simulated

ARGUMENTS: Arguments = {
    "robot": ("", "Your robot's configuration, an edited copy of config/robot.yaml; the simulation if empty."),
    "data": ("practice", "Directory of the practice: checkpoints, episodes, training state. It goes on where it was."),
    "checkpoint": ("", "Checkpoint to begin with; if empty, the robot learns from scratch."),
    "namespace": ("", "ROS namespace of all nodes."),
    "train": ("true", "Train on the robot's computer; false where the trainer node runs on another one."),
    "steps": ("0", "In simulation: robot steps of practice before it ends and goals are shown; 0: no end."),
    "goals": ("30", "In simulation: random goal images to show at the end."),
    "scene": ("plain", "In simulation: what the camera sees beside the arm: plain or shifted."),
    "json": ("", "In simulation: file for the figures, written at the end."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation` or `robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    configuration = path(given["robot"])
    if configuration is None:
        return simulated(options(SimOptions, given, practice=True), environment)
    return real(options(RobotOptions, given, config=configuration, practice=True), environment)
