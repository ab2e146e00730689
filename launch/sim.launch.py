"""Run the whole system in simulation: `ros2 launch rig_robot sim.launch.py goals:=10`; see `--show-args`."""

from launch import LaunchDescription
from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.ros2_launch import Arguments, System, description, options, simulated

ARGUMENTS: Arguments = {
    "checkpoint": (
        "",
        "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. If empty: the package's "
        "own, or with practice none.",
    ),
    "config": ("", "Parameters of the nodes; the package's config/sim.yaml if empty."),
    "namespace": ("", "ROS namespace of all nodes."),
    "practice": ("false", "Explore, train the VAE, practise imagined goals and improve the policy, unattended."),
    "data": (
        "practice",
        "Directory for checkpoints, episodes and training state; practice continues from what is there.",
    ),
    "steps": ("0", "Robot steps of practice, after which goals are shown; 0: practise until Ctrl-C."),
    "record": ("", "Folder for recorded episodes; if empty, only practice records, in its own directory."),
    "task": ("reach", "What is done where no checkpoint says it: reach, or push a puck."),
    "axes": ("xy", "Axes that the tool moves along where no checkpoint says it: xy or xyz."),
    "scene": ("plain", "Scene around the arm: plain, cluttered, colours, lab, or shifted (docs/simulation.md)."),
    "goals": (
        "0",
        "Number of random goal images to show before ending; 0: until Ctrl-C; -1: none, you send the goals.",
    ),
    "seed": ("0", "Seed of the random goals."),
    "headless": ("true", "No window; false shows camera image and goal side by side and needs a display."),
    "json": ("", "JSON file for the results, written at the end."),
    "images": ("", "Folder for one picture per goal: start, goal and end."),
    "page": ("true", "Serve the operator's page in a browser, at an address that is printed; false: none."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.systems.simulation`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    return simulated(options(SimOptions, given), environment)
