"""Checkpoints that are swapped while the simulated robot reaches goals: is anything mixed up, lost, or jerked?

    python benchmarks/swaps.py --swaps 200

Two trained checkpoints: the shipped one, and the same with its latent space turned, stretched and shifted, and policy
and decoder to match. They act alike, but a latent of one means something else to the other, so that any mix-up shows.
A running `rig sim --record` first reaches every goal without swaps, then the same goals again and again, while the two
take turns at random moments.

Nothing that a node says of itself counts: all is read back from the recorded bags. For each twist: the latent with its
stamp, the checkpoint whose VAE that names, the goal's latent of the same VAE; that checkpoint's policy is run on the
two and must give that twist, and both latents must be what its VAE makes of the recorded pictures. Any other twist is
mixed. An observation that has not exactly one latent is lost. A step is how far the commanded joint positions take the
tool in one action period. The last line is one JSON object; the exit status is 1 where anything was mixed or lost, or
where no swap is in the bags.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml
from standin.operator import Operator
from standin.system import Process
from swap_judge import Found, Judge
from turned_checkpoint import turn

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.systems import share
from rig_robot.checkpoints.checkpoint import activate, read_config, read_tensors, save
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.recording.episode_reader import find

NAMES = ("shipped", "turned")
TIMEOUT = 30.0


@dataclass
class Args:
    swaps: int = 200
    """How many."""
    goals: int = 70
    """Different goals, shown in the same order with and without swaps: as many as 200 swaps take, so that the largest
    step is that of as long a time."""
    goal_every: float = 3.0
    """Time between two goals [s]."""
    pause: float = 1.0
    """Time between two swaps, on average [s]."""
    seed: int = 0
    """Seed of the goals and of the moments."""
    directory: Path | None = None
    """Where checkpoints and bags go; kept. A folder for temporary files that goes, if not given."""


class Run:
    """The system, whoever shows goals, and whoever announces checkpoints."""

    def __init__(self, args: Args, folder: Path, root: Path) -> None:
        config = yaml.safe_load(share("config", "sim.yaml").read_text())
        config["recorder"] = {"camera": "none"}
        (folder / "sim.yaml").write_text(yaml.safe_dump(config))
        arguments = ["--no-page", "--goals", "-1", "--checkpoint", str(root), "--record", str(folder / "episodes")]
        self.system = Process(["-m", "rig_robot.cli", "sim", "--config", str(folder / "sim.yaml"), *arguments], {})
        os.environ.update(dds_profile("camera", os.environ))  # after the system's start: each node gets its own
        self.operator = Operator(str(root))

        from rclpy.executors import SingleThreadedExecutor

        from rig_robot.checkpoint_delivery.announcer import Announcer
        from rig_robot.checkpoint_delivery.answers import Outcome
        from rig_robot.ros.node import RigNode

        self._node = RigNode("swapper")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._announcer = Announcer(self._node, root)
        self._outcomes: list[Outcome] = []
        self._args, self._random = args, random.Random(args.seed)
        low, high = np.array(self.operator.workspace.low), np.array(self.operator.workspace.high)
        places = np.random.default_rng(args.seed).uniform(low, high, (args.goals, 3))
        self._pictures = [self.operator.draw(place) for place in places]
        self._shown, self._next_goal = 0, 0.0

    def close(self) -> None:
        self.system.stop()
        self._executor.shutdown()
        self._node.destroy_node()
        self.operator.close()

    def begin(self) -> None:
        self.operator.make_ready()
        self.operator.until(lambda: self._node.count_publishers("rig/checkpoint/ready") >= 2, "encoder and policy")
        self.operator.until(lambda: self._node.count_subscribers("rig/episode"), "the recorder")
        self.operator.spin(1.0)

    def without(self) -> None:
        """Show every goal once, and the first one again."""
        while self._shown <= self._args.goals:
            self._spend(0.05)
        self._spend(self._args.goal_every)

    def swapping(self) -> float:
        """Swap at random moments; return how long a swap took, in the middle [s]."""
        self.operator.make_ready()
        self._next_goal = time.monotonic() + self._args.goal_every
        took = []
        for number in range(self._args.swaps):
            self._spend(self._random.uniform(0.0, 2.0 * self._args.pause))
            name, begin = NAMES[(number + 1) % 2], time.monotonic()
            self._outcomes.clear()
            self._announcer.announce(name, self._outcomes.append, TIMEOUT)
            while not self._outcomes:
                self._spend(0.005)
            if not self._outcomes[0].accepted:
                raise RuntimeError(f"swap {number + 1}: {self._outcomes[0].text}\n{self.system.output()[-3000:]}")
            took.append(time.monotonic() - begin)
        self._spend(self._args.goal_every)
        return float(np.median(took))

    def rest(self) -> int:
        """Let the last episode end, and show the first goal of the next part; return the time [ns]."""
        self.operator.set_mode("idle")
        self.operator.spin(2.0)
        self.operator.show(self._pictures[0])
        self._shown = 1
        self.operator.spin(1.0)
        return time.time_ns()

    def _spend(self, seconds: float) -> None:
        """Let time pass; goals go on."""
        if self.system.process.poll() is not None:
            raise RuntimeError(f"the system has ended; it says:\n{self.system.output()[-3000:]}")
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= self._next_goal:
                self._next_goal = max(now, self._next_goal + self._args.goal_every)
                self.operator.show(self._pictures[self._shown % len(self._pictures)])
                self._shown += 1
            self._executor.spin_once(timeout_sec=0.0)
            self.operator.spin(max(0.0, min(end - now, 0.01)))
            if time.monotonic() >= end:
                return


def measure(args: Args, folder: Path) -> dict[str, Any]:
    """Run, read back, and return the figures."""
    from rig_robot.common.package_files import locate

    root = folder / "checkpoints"
    root.mkdir(parents=True)
    source = locate(SHIPPED_CHECKPOINT)
    config: CheckpointConfig = read_config(source)
    scene = None if config.scene is None else read_tensors(source, config.scene)
    save(root / NAMES[0], config, read_tensors(source, config.vae), read_tensors(source, config.policy), scene)
    turn(root / NAMES[0], root / NAMES[1], args.seed)
    activate(root / NAMES[0])

    run = Run(args, folder, root)
    try:
        run.begin()
        run.without()
        until = run.rest()
        took = run.swapping()
        run.rest()
    finally:
        run.close()
    judge, parts = Judge([root / name for name in NAMES]), (Found(), Found())
    episodes, refused = find(folder / "episodes")
    for info in episodes:
        judge.learn_goals(info)
    for info in episodes:
        judge.read(info, parts[info.start_ns > until - 1_500_000_000])
    for _, why in refused:
        print(f"a bag cannot be read: {why}")
    for name, part in zip(("without swaps", "with swaps"), parts, strict=True):
        print(
            f"{name}: {part.twists} twists, {len(part.latents)} observations, {part.swaps} changes of the VAE in "
            f"the bags, dropped by the recorder: {dict(part.drops) or 'nothing'}"
        )
        print(f"largest step {part.largest_mm:.1f} mm; by the commanded velocities {part.fastest_mm:.1f} mm")
        print("\n".join([*part.mixed[:10], *part.lost[:10]]) or "nothing mixed, nothing lost")
    print(
        f"{len(episodes)} episodes; a swap takes {1000 * took:.0f} ms from its announcement to its being used (median)"
    )
    without, swapped = parts
    return {
        "swaps": args.swaps,
        "swaps_in_bags": swapped.swaps,
        "twists": swapped.twists,
        "mixed": len(without.mixed) + len(swapped.mixed),
        "observations": len(without.latents) + len(swapped.latents),
        "lost": len(without.lost) + len(swapped.lost),
        "largest_step_mm": round(swapped.largest_mm, 2),
        "largest_step_without_mm": round(without.largest_mm, 2),
    }


def main(args: Args) -> None:
    for name, value in (
        ("ROS_DOMAIN_ID", "96"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        ("OMP_NUM_THREADS", "1"),
    ):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_swaps_") as temporary:
        result = measure(args, args.directory or Path(temporary))
    print(json.dumps(result))
    sys.exit(bool(result["mixed"] or result["lost"] or not result["swaps_in_bags"]))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
