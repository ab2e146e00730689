"""How much sooner two robots learn to reach goal images than one, from nothing, by the clock.

    python benchmarks/fleet.py

Simulated robots practise over DDS as `rig sim --practice` has them do: one with its trainer, and then two in one domain
for one trainer, in turn. Measured is the time from the start of the processes until a checkpoint is published that
comes within 5 mm of its goals (median of the trainer's 30), and the part of it until the robots had explored enough.
Two robots halve the exploring; learning is one thread and takes as long as before, longer where robots and trainer
share too few cores. A robot needs about half a core and the trainer one, so `cores` stands beside the figures.

The last line is one JSON object: for one and two robots the medians of `seconds`, `exploring_seconds` and the
`robot_steps` in the checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
import yaml
from practice import published

DOMAIN = "95"
"""ROS domain, where the user has set none."""
EXPLORED = "steps were explored: learning to see"
"""What the trainer logs when the robots have explored enough"""
LONGEST = 1800.0
"""Longest practice [s]."""
ROBOTS = {"one": ("left",), "two": ("left", "right")}
"""Namespaces of the robots; the first one has the trainer."""


@dataclass
class Args:
    within_mm: float = 5.0
    """Median distance to the goals that ends a practice."""
    repeats: int = 1
    """Practices of each kind; the medians are told."""
    camera_rate: float = 10.0
    """Frames a second of each simulated camera; the policy takes ten."""
    out: Path | None = None
    """Where the practices are kept; temporary if not given."""


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in ROBOTS}
    with tempfile.TemporaryDirectory(prefix="rig_fleet_") as temporary:
        for repeat in range(args.repeats):
            for kind, robots in ROBOTS.items():
                found[kind].append(practise((args.out or Path(temporary)) / f"{kind}-{repeat}", robots, args))
                print(f"{kind}: {found[kind][-1]}", flush=True)
    medians = {
        kind: {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}
        for kind, runs in found.items()
    }
    print(json.dumps({"cores": len(os.sched_getaffinity(0)), **medians}))


def practise(folder: Path, robots: tuple[str, ...], args: Args) -> dict[str, float]:
    """Let robots practise until a checkpoint is good enough.

    Raises:
        SystemExit: If a robot ended before, or none was good enough in time.
    """
    folder.mkdir(parents=True)
    began = time.monotonic()
    systems = [start(folder, robots, number, args) for number in range(len(robots))]
    exploring = None
    try:
        while (seconds := time.monotonic() - began) < LONGEST:
            time.sleep(0.5)
            if ended := [name for name, system in zip(robots, systems, strict=True) if system.poll() is not None]:
                raise SystemExit(f"{', '.join(ended)} ended: see {folder}")
            if exploring is None and EXPLORED in (folder / f"{robots[0]}.log").read_text(errors="replace"):
                exploring = seconds
            good = [e for e in published(folder / "data" / "checkpoints") if e["median_mm"] <= args.within_mm]
            if good:
                figures = {"seconds": seconds, "exploring_seconds": exploring or seconds}
                return {name: round(value, 1) for name, value in figures.items()} | {"robot_steps": good[0]["step"]}
        raise SystemExit(f"no checkpoint came within {args.within_mm} mm in {LONGEST:.0f} s: see {folder}")
    finally:
        for system in systems:
            system.send_signal(signal.SIGINT)
        for system in systems:
            system.wait(60)


def start(folder: Path, robots: tuple[str, ...], number: int, args: Args) -> subprocess.Popen[bytes]:
    """Start one of some robots that practise together; its log stands in the folder."""
    parameters = folder / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({"sim": {"camera_rate": args.camera_rate}}))
    together = ["--trained-by", robots[0]] if number else ["--trains", ",".join(robots[1:])] if robots[1:] else []
    command = [sys.executable, "-m", "rig_robot.cli", "sim", "--practice", "--data", str(folder / "data"), *together]
    command += ["--namespace", robots[number], "--seed", str(number), "--params-file", str(parameters), "--no-page"]
    with (folder / f"{robots[number]}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
