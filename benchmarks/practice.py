"""Does the robot learn on the job? From nothing to reached goal images, and back to them when the view has changed.

    python benchmarks/practice.py

Everything runs as `rig sim --practice` does: all nodes over DDS, episodes recorded as bags, the trainer in the
background, checkpoints swapped while the robot goes on.

1. From no checkpoint at all: explore, learn to see, practise imagined goals; then 30 goal images that nothing was
   trained on. `practice_curve.png` shows how near each published checkpoint came, over the robot steps behind it, and
   the untrained one, from which it began.
2. The shipped checkpoint in the plain scene and in the shifted one (camera turned by 5 degrees, another table, less
   light); then 20 episodes of practice there, and the same goals again.

Distances are the simulator's true ones, at the end of each goal. The last line is one JSON object: medians [mm].
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import tyro

import rig_sim  # noqa: F401  registers the environments
from rig_robot.checkpoints.checkpoint import CONFIG_FILE, read_config
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.common.output_paths import check_file
from rig_robot.learning.arguments import EvalArgs
from rig_robot.learning.training.evaluate import evaluate
from rig_robot.learning.training.plots import learning_curve

DOMAIN = "94"
"""ROS domain, where the user has set none."""
EPISODES = 20
"""of practice in the shifted scene"""
EPISODE_STEPS = 50


@dataclass
class Args:
    steps: int = 2500
    """Robot steps from scratch, exploration included."""
    goals: int = 30
    """Goal images of each evaluation."""
    seed: int = 1
    """Seed of the goals."""
    data: Path | None = None
    """Where the practices are kept (two folders); temporary if not given. A practice there goes on."""
    parts: tuple[int, ...] = (1, 2)
    """Which of the two to run."""
    picture: Path = Path("practice_curve.png")
    """The learning curve of the first."""


def main(args: Args) -> None:
    check_file("picture", args.picture)
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_practice_") as folder:
        data = (args.data or Path(folder)).absolute()
        result: dict[str, float | int] = {}
        if 1 in args.parts:
            result |= from_scratch(args, data / "scratch")
        if 2 in args.parts:
            result |= shifted(args, data / "shifted")
    print(json.dumps(result))


def from_scratch(args: Args, data: Path) -> dict[str, float | int]:
    """Run the first part."""
    found = sim(args, "--practice", "--data", str(data), "--steps", str(args.steps))
    untrained = evaluate(EvalArgs(str(data / "checkpoints" / "untrained"), goals=args.goals), gymnasium.make)
    history = [{"step": 0, **untrained}, *published(data / "checkpoints")]
    for entry in history:
        print(f"{entry['step']:6d} robot steps: mean {entry['mean_mm']:.1f}, median {entry['median_mm']:.1f} mm")
    learning_curve(args.picture, history, "the robot, exploration included")
    return {"from_scratch_median_mm": found["median_mm"], "robot_steps": found["robot_steps"]}


def shifted(args: Args, data: Path) -> dict[str, float | int]:
    """Run the second part."""
    before = sim(args)
    after_the_shift = sim(args, "--scene", "shifted")
    practice = ("--practice", "--data", str(data), "--checkpoint", "package://rig_robot/models/sawyer_reach_xy")
    if (data / "checkpoints").exists():
        practice = practice[:3]
    after = sim(args, "--scene", "shifted", *practice, "--steps", str(EPISODES * EPISODE_STEPS))
    found = {"shifted_before_mm": before, "shifted_mm": after_the_shift, "shifted_after_mm": after}
    for name, figures in found.items():
        print(f"{name}: median {figures['median_mm']}, mean {figures['mean_mm']}, p90 {figures['p90_mm']}")
    return {name: figures["median_mm"] for name, figures in found.items()}


def sim(args: Args, *options: str) -> dict[str, Any]:
    """Run `rig sim` with goals at its end; return their figures."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        shown = ("--goals", str(args.goals), "--seed", str(args.seed), "--json", str(figures))
        command = [sys.executable, "-m", "rig_robot.cli", "sim", *shown, *options]
        print(f"$ rig {' '.join(command[3:])}", flush=True)
        subprocess.run(command, check=True)
        return json.loads(figures.read_text())


def published(root: Path) -> list[dict[str, Any]]:
    """Return the figures of a practice's checkpoints, each with the robot steps behind it, in their order."""
    history = []
    for directory in sorted(path.parent for path in root.glob(f"*/{CONFIG_FILE}")):
        try:
            config = read_config(directory)
        except CheckpointError as error:
            print(error)
            continue
        if not directory.is_symlink() and config.trained and "mean_mm" in config.figures:
            history.append({"step": config.training["samples"], **config.figures})
    return sorted(history, key=lambda entry: entry["step"])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
