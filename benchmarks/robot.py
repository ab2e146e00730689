"""`rig robot` reaches what goal images show, on a robot that shares no code with the simulation's.

    python benchmarks/robot.py
    python benchmarks/robot.py --practice 2500 --goals 30

Runs the nodes of `rig robot` on the stand-in of `benchmarks/standin`: a joint trajectory controller written from
ros2_control's documentation, and a RealSense that is software. Random goals are sent as images on the topic, one after
the other, and judged by the tool's true position, which comes from the physics and not from any topic of the robot's.
Prints a line a goal and the figures; the last line is one JSON object.

With --practice the robot begins with no checkpoint at all: it explores, learns to see and practises as `rig robot
--practice` does, its trainer judging by held-out frames, since there is no simulation to judge in; then come the goals.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from diagnostic_msgs.msg import DiagnosticStatus
from standin.operator import Operator
from standin.system import PRACTICE, Bench

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.practice_directory import prepare
from rig_robot.bringup.process_runner import Runner
from rig_robot.bringup.task_config import read_task
from rig_robot.common.output_paths import check_folder
from rig_robot.common.package_files import share
from rig_robot.ros.qos import EPISODES, LATCHED

DOMAIN = "95"
"""ROS domain, where the user has set none."""


@dataclass
class Args:
    goals: int = 100
    """Random goals."""
    seed: int = 0
    """Seed of the goals."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    practice: int = 0
    """Robot steps of practice, from nothing, before the goals are shown; 0: none."""
    images: Path | None = None
    """Folder for one picture a goal: start, goal, end."""


def practise(args: Args) -> None:
    """Be the person who arms the robot, lets it practise, and waits until the trainer has learned from all of it."""
    os.environ.update(dds_profile("small", os.environ))
    operator = Operator(args.checkpoint)
    steps: dict[str, int] = {}
    progress: dict[str, str] = {}

    def count(message: DiagnosticStatus) -> None:
        said = {item.key: item.value for item in message.values}
        steps[said["id"]] = int(said["steps"])

    def follow(message: DiagnosticStatus) -> None:
        told = progress.get("checkpoint")
        progress.update({item.key: item.value for item in message.values})
        if progress["checkpoint"] != told:
            print(f"{progress['steps']} steps recorded: {progress['checkpoint']}; {message.message}", flush=True)

    try:
        operator.node.create_subscription(DiagnosticStatus, "rig/episode", count, EPISODES)
        operator.node.create_subscription(DiagnosticStatus, "rig/trainer/progress", follow, LATCHED)
        operator.make_ready()
        operator.set_mode("practice")
        operator.until(lambda: sum(steps.values()) >= args.practice, "practice", timeout=args.practice)
        operator.set_mode("idle")
        operator.spin(5.0)
        operator.until(lambda: progress["phase"] == "waiting", "end of the training", timeout=300.0)
        operator.spin(1.0)
    finally:
        operator.close()


def main(args: Args) -> None:
    check_folder("images", args.images)
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_robot_") as folder:
        if args.practice:
            data = prepare(Path(folder) / "practice", "", read_task(share("config", "sim.yaml")))
            args.checkpoint = str(data.checkpoints)
            bench = Bench(args.checkpoint, {PRACTICE: str(data.checkpoints.parent)})
            try:
                practise(args)
            except BaseException:
                bench.close()
                raise
        else:
            bench = Bench(args.checkpoint)
        figures = Path(folder) / "figures.json"
        judge = {"checkpoint": args.checkpoint, "goals": args.goals, "seed": args.seed, "json": str(figures)}
        if args.images is not None:
            judge["images"] = str(args.images.absolute())
        nodes = [
            NodeSpec("truth", "standin.truth_node", vital=True),
            NodeSpec("goals", "rig_sim.goals_node", judge, vital=True, finishes=True, sends_frames=True),
        ]
        try:
            status = Runner(nodes, bench.environment).run()
            if status != 0 or not figures.exists():
                print(f"the goals were not finished; the robot says:\n{bench.output()[-5000:]}", file=sys.stderr)
                sys.exit(status or 1)
        finally:
            bench.close()
        print(json.dumps(json.loads(figures.read_text())))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
