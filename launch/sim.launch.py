"""The whole system in simulation: `ros2 launch rig_robot sim.launch.py goals:=10`; `--show-args` explains them all."""

from launch import LaunchDescription
from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.ros2_launch import Arguments, System, description, options, simulated

ARGUMENTS: Arguments = {
    "checkpoint": (
        "",
        "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Empty: the package's own; with "
        "practice none at all.",
    ),
    "config": ("", "Parameters of the nodes; the package's config/sim.yaml if empty."),
    "namespace": ("", "ROS namespace of all nodes."),
    "practice": ("false", "Explore, learn to see, practise imagined goals and get better, with nobody there."),
    "data": ("practice", "Directory of a practice; it goes on where it was."),
    "steps": ("0", "Robot steps of practice before it ends and goals are shown; 0: no end."),
    "record": ("", "Folder for recorded episodes; nothing is recorded if empty (a practice has its own)."),
    "scene": ("plain", "What the camera sees beside the arm: plain or shifted."),
    "goals": ("0", "Random goal images to show before ending; 0: no end, -1: none, you send the goals."),
    "seed": ("0", "Seed of the random goals."),
    "headless": ("true", "No window; false shows camera and goal side by side and needs a display."),
    "json": ("", "File for the figures, written at the end."),
    "images": ("", "Folder for one picture a goal: start, goal, end."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    return simulated(options(SimOptions, given), environment)
