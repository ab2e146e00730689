"""`kill -9` at random moments: is a whole episode lost, half an episode there, or anything corrupt published?

    python benchmarks/recovery.py --kills 100

First the recorder, for half of the kills: this process plays the rest of the stack over real DDS (30 frames of 320x240
and 30 observations a second, 10 twists, 90 joint states, episodes of 0.5 to 3 s), and the recorder is killed from 0.2
to 12 s after its start, so also while it starts, recovers and closes. After each kill and at the end:

lost: an episode that was whole and is gone or has changed; one that was open on the disk and is neither recovered nor
set aside by name; one that a recorder heard from beginning to end, and that lacks a twist which its metadata do not
count as dropped. (The first that a recorder hears of does not count there: it may have met the others in the middle.)
half: a directory that looks like an episode and cannot be read from its first to its last message.

It also prints how much of a killed episode's end was missing at the worst.

Then the trainer, for the other half: it learns from nothing from episodes of the simulation (random actions; the next
appears as soon as it waits), with small networks, so that it publishes often, and is killed after 2 to 14 s of work.
Corrupt: a checkpoint that is there under its name or was announced, and that cannot be read and verified; a `current`
that is none; a training state that the next life cannot go on from. A run in which nothing was published has shown
nothing, and fails.

The last line is one JSON object; the exit status is 1 where anything but the number of kills is not 0.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from killed_recorder import kill_recorder
from killed_trainer import kill_trainer

from rig_robot.bringup.options import SHIPPED_CHECKPOINT


@dataclass
class Args:
    kills: int = 100
    """How often, recorder and trainer together."""
    seed: int = 0
    """Seed of the moments."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint that the stack is said to run."""


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", "94"), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_recovery_") as folder:
        lost, half = kill_recorder(args.kills - args.kills // 2, args.seed, args.checkpoint, Path(folder) / "episodes")
        corrupt = kill_trainer(args.kills // 2, args.seed, Path(folder))
    figures = {"kills": args.kills, "episodes_lost": lost, "episodes_half": half, "corrupt_published": corrupt}
    print(json.dumps(figures))
    sys.exit(1 if lost or half or corrupt else 0)


if __name__ == "__main__":
    main(tyro.cli(Args))
