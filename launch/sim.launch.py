"""The whole system in simulation: `ros2 launch rig_robot sim.launch.py goals:=10`; `--show-args` explains them all."""

from launch import LaunchDescription
from rig_robot.bringup import SHIPPED_CHECKPOINT, SimOptions, simulation, simulation_environment
from rig_robot.launching import Arguments, System, description, path

ARGUMENTS: Arguments = {
    "checkpoint": (
        SHIPPED_CHECKPOINT,
        "Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH.",
    ),
    "config": ("", "Parameters of the nodes; the package's config/sim.yaml if empty."),
    "namespace": ("", "ROS namespace of all nodes."),
    "goals": ("0", "Random goal images to show before ending; 0: no end, -1: none, you send the goals."),
    "seed": ("0", "Seed of the random goals."),
    "headless": ("true", "No window; false shows what the camera sees, where there is a display."),
    "json": ("", "File for the figures, written at the end."),
    "images": ("", "Folder for one picture a goal: start, goal, end."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; the nodes are those of `rig_robot.bringup.simulation`."""
    return description(ARGUMENTS, _system)


def _system(given: dict[str, str], environment: dict[str, str]) -> System:
    options = SimOptions(
        checkpoint=given["checkpoint"],
        config=path(given["config"]),
        namespace=given["namespace"],
        goals=int(given["goals"]),
        seed=int(given["seed"]),
        headless=given["headless"].lower() in ("true", "1", "yes"),
        json=path(given["json"]),
        images=path(given["images"]),
    )
    variables = simulation_environment(environment)
    told = " ".join(f"{name}={value}" for name, value in variables.items())
    notice = [f"simulation: {told}; set the same in another terminal to talk to it"] if told else []
    return System(simulation(options), variables, notice)
