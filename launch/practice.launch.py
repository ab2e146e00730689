"""Let a robot practise: `ros2 launch rig_robot practice.launch.py`; with `robot:=my_robot.yaml` a real one."""

from launch import LaunchDescription
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.ros2_launch import Arguments, System, description, options, path, real, simulated

ARGUMENTS: Arguments = {
    "robot": ("", "Your robot's configuration, an edited copy of config/robot.yaml; the simulation if empty."),
    "data": (
        "practice",
        "Directory for checkpoints, episodes and training state; practice continues from what is there.",
    ),
    "checkpoint": ("", "Checkpoint to start from; if empty, the robot learns from scratch."),
    "namespace": ("", "ROS namespace of all nodes."),
    "train": ("true", "Train on the robot's computer; false where the trainer node runs on another one."),
    "steps": ("0", "In simulation: robot steps of practice, after which goals are shown; 0: practise until Ctrl-C."),
    "goals": ("30", "In simulation: number of random goal images to show at the end."),
    "axes": ("xy", "In simulation, where no checkpoint says it: axes that the tool moves along, xy or xyz."),
    "scene": (
        "plain",
        "In simulation: scene around the arm, plain, cluttered, colours, lab or shifted (docs/simulation.md).",
    ),
    "json": ("", "In simulation: JSON file for the results, written at the end."),
    "page": ("true", "Serve the operator's page in a browser, at an address that is printed; false: none."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation` or `robot`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    configuration = path(given["robot"])
    if configuration is None:
        return simulated(options(SimOptions, given, practice=True), environment)
    return real(options(RobotOptions, given, config=configuration, practice=True), environment)
