"""`rig robot` reaches what goal images show, on a robot that shares no code with the simulation's.

    python benchmarks/robot.py

Runs the nodes of `rig robot` on the stand-in of `benchmarks/standin`: a joint trajectory controller written from
ros2_control's documentation, and a RealSense that is software. Random goals are sent as images on the topic, one after
the other, and judged by the tool's true position, which comes from the physics and not from any topic of the robot's.
Prints a line a goal and the figures; the last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from standin.system import Bench

from rig_robot.bringup import SHIPPED_CHECKPOINT, NodeSpec
from rig_robot.runner import Runner

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
    images: Path | None = None
    """Folder for one picture a goal: start, goal, end."""


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    bench = Bench(args.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
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
