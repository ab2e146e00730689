"""Options of the two systems, in simulation and on a robot: those of `rig sim`, `rig robot` and the launch files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rig_robot.common.package_files import expanded
from rig_robot.common.scene_names import SceneName
from rig_robot.common.task_names import TaskName

SHIPPED = {"xy": "package://rig_robot/models/sawyer_reach_xy", "xyz": "package://rig_robot/models/sawyer_reach_xyz"}
"""Checkpoints for reaching that come with the package, by the axes that the tool moves along"""
SHIPPED_CHECKPOINT = SHIPPED["xy"]
SHIPPED_PUSHING = "package://rig_robot/models/sawyer_push"
"""The checkpoint for pushing that comes with the package"""

LogLevel = Literal["debug", "info", "warn", "error", "fatal"]


class _Options:
    """Options whose paths may begin with ~: `ros2 launch` and `--config=~/...` reach no shell that expands it."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if isinstance(path := getattr(self, field.name), Path):
                object.__setattr__(self, field.name, expanded(path))


@dataclass(frozen=True)
class SimOptions(_Options):
    """What a simulated system can be asked for."""

    checkpoint: str = ""
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Empty: the one that comes with the
    package; with --practice none at all, the robot learns from scratch."""
    config: Path | None = None
    """Parameters of the nodes; the package's config/sim.yaml when not given."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    practice: bool = False
    """Explore, learn to see, practise imagined goals and get better, with nobody there."""
    data: Path = Path("practice")
    """Directory of a practice: its checkpoints, recorded episodes and training state. It goes on where it was."""
    trains: str = ""
    """Namespaces of further robots, by commas, that practise for this one's trainer, each started with --trained-by."""
    trained_by: str = ""
    """Namespace of the robot whose trainer this one practises for, in the same --data; it has none of its own then."""
    steps: int = 0
    """Robot steps of practice before it ends and `goals` are shown; 0: until Ctrl-C."""
    record: Path | None = None
    """Folder for recorded episodes (a practice has its own); nothing is recorded when not given."""
    task: TaskName = "reach"
    """What is done, where no checkpoint says it: reach, or push a puck."""
    axes: Literal["xy", "xyz"] = "xy"
    """Along which axes the tool moves, where no checkpoint says it: in the plane or in space."""
    scene: SceneName = "plain"
    """What the camera sees beside the arm. cluttered: a moving box, changing light; colours: another table each minute;
    lab: cloths, things, people, a real camera; shifted: the camera looks 5 degrees lower, another table, less light."""
    goals: int = 0
    """Random goal images to show before ending with a summary; 0: until Ctrl-C, -1: none, you send the goals."""
    seed: int = 0
    """Seed of the random goals, and of a changing scene."""
    headless: bool = True
    """No window. `--no-headless` shows camera and goal side by side; it needs a display."""
    json: Path | None = None
    """File for the figures, written at the end."""
    images: Path | None = None
    """Folder for one picture a goal: start, goal, end."""
    params_file: Path | None = None
    """More parameters, over those of config: a file in the same form, or as `ros2 param dump` writes it."""
    use_sim_time: bool = False
    """Go by the time on /clock, which the simulation then gives."""
    log_level: LogLevel = "info"
    """Least severe of the messages that the nodes log."""
    page: bool = True
    """Serve the operator's page in a browser, at an address that is printed. `--no-page`: none."""
    composed: bool = False
    """Run camera, encoder, goal and policy node in one process: less memory and CPU. The arm node stays apart."""


@dataclass(frozen=True)
class RobotOptions(_Options):
    """What a real robot must be told: nothing here has a default that moves an arm."""

    config: Path
    """Parameters of the nodes: your edited copy of config/robot.yaml."""
    checkpoint: str = ""
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH. Only a practice may do without:
    it then goes on from its own, or learns from scratch."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    practice: bool = False
    """Record and learn on the job; `rig tell practice` begins."""
    data: Path = Path("practice")
    """Directory of a practice: its checkpoints, recorded episodes and training state. It goes on where it was."""
    trains: str = ""
    """Namespaces of further robots, by commas, that practise for this one's trainer, each started with --trained-by."""
    trained_by: str = ""
    """Namespace of the robot whose trainer this one practises for, in the same --data; it has none of its own then."""
    train: bool = True
    """Train on this computer. With --no-train the trainer node runs on another one of the same ROS domain."""
    task: TaskName = "reach"
    """What a robot learns that learns from nothing: reach, or push an object."""
    record: Path | None = None
    """Folder for recorded episodes (a practice has its own); nothing is recorded when not given."""
    params_file: Path | None = None
    """More parameters, over those of config: a file in the same form, or as `ros2 param dump` writes it."""
    use_sim_time: bool = False
    """Go by the time on /clock, where a simulator of your own gives it."""
    log_level: LogLevel = "info"
    """Least severe of the messages that the nodes log."""
    page: bool = True
    """Serve the operator's page in a browser, at an address that is printed. `--no-page`: none."""
    composed: bool = False
    """Run camera, encoder, goal and policy node in one process: less memory and CPU. The arm node stays apart."""
