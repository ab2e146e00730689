"""Recording all of a running simulation, raw camera pictures (640x480, 30 Hz) too: what is missing, what it costs.

    python benchmarks/recording.py --minutes 10

Runs `rig sim --record`, which reaches one random goal after the other, and listens to the simulation itself for the
stamp of every frame that it has sent. Afterwards every bag is read back: a frame that was sent while an episode was
open and that is not in its bag is missing, whatever the recorder says of itself. Needs 1.7 GB of disk a minute
(--directory), which it gives back. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tyro
import yaml
from standin.system import Process

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.systems import share
from rig_robot.common.message_fields import header_ns
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeInfo, find, messages

FRAME_NS = 1_000_000_000 // 30
START_TIMEOUT = 60.0
"""Time that the first episode gets to begin [s]."""


@dataclass
class Args:
    minutes: float = 10.0
    """How long, from the first frame of the first episode."""
    camera: str = "raw"
    """Camera pictures: raw, jpeg or none."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    directory: Path | None = None
    """Where the bags go for the time being; the system's folder for temporary files if not given."""


class Witness:
    """Hears the stamp of every frame that the simulation has sent, on a topic of a few bytes."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import TimeReference

        rclpy.init()
        self._executor = SingleThreadedExecutor()
        node = Node("witness")
        self._executor.add_node(node)
        self.stamps: list[int] = []
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(TimeReference, "sim/camera/time_reference", self._take, qos)

    def _take(self, message) -> None:
        self.stamps.append(header_ns(message))

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def missing_frames(info: EpisodeInfo, sent: np.ndarray) -> tuple[int, int]:
    """How many frames were sent while an episode was open, and how many of them its bag lacks.

    Args:
        info: The episode.
        sent: int64 [N] stamps of the frames [ns].
    """
    there = np.array([header_ns(message) for _, _, message in messages(info, (topics.CAMERA,))], np.int64)
    if not len(there):
        return 0, 0
    during = sent[(sent >= there.min()) & (sent <= there.max())]
    return len(during), int((~np.isin(during, there)).sum())


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", "94"), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_recording_", dir=args.directory) as folder:
        config = Path(folder) / "sim.yaml"
        content = yaml.safe_load(share("config", "sim.yaml").read_text())
        content["recorder"] = {"camera": args.camera}
        config.write_text(yaml.safe_dump(content))
        root = Path(folder) / "episodes"
        arguments = ["--config", str(config), "--record", str(root), "--checkpoint", args.checkpoint]
        system = Process(["-m", "rig_robot.cli", "sim", "--no-page", *arguments], {})
        try:
            os.environ.update(dds_profile("small", os.environ))
            witness = Witness()
            end = time.monotonic() + START_TIMEOUT
            while not (root.is_dir() and any(root.glob(".*.recording"))):
                witness.spin(0.5)
                if time.monotonic() > end or system.process.poll() is not None:
                    sys.exit(f"no episode begins; the system says:\n{system.output()[-3000:]}")
            recorder = system.nodes()["recorder"]
            before, begin = recorder.cpu_times(), time.monotonic()
            largest = 0
            while (ran := time.monotonic() - begin) < 60.0 * args.minutes:
                witness.spin(min(1.0, 60.0 * args.minutes - ran))
                largest = max(largest, recorder.memory_info().rss)
            after, ran = recorder.cpu_times(), time.monotonic() - begin
        except psutil.NoSuchProcess:
            sys.exit(f"the recorder has ended; the system says:\n{system.output()[-3000:]}")
        finally:
            system.stop()
        infos, refused = find(root)
        sent = np.array(witness.stamps, np.int64)
        frames = [missing_frames(info, sent) for info in infos]
        size = sum(info.file.stat().st_size for info in infos)
    drops = {role: sum(info.drops.get(role, 0) for info in infos) for info in infos for role in info.drops}
    cpu = (after.user + after.system - before.user - before.system) / ran
    seconds = sum(info.duration_s for info in infos)
    for role in sorted({role for info in infos for role in info.messages}):
        count = sum(info.messages.get(role, 0) for info in infos)
        print(f"{role:24} {count:8} messages, {count / seconds:6.1f} a second, {drops.get(role, 0)} dropped")
    print(f"{len(infos)} episodes, {seconds:.0f} s of {ran:.0f}, {size / seconds / 1e6:.1f} MB/s")
    print(f"the recorder takes {100 * cpu:.0f} % of a core and {largest / 2**20:.0f} MiB of memory")
    for path, why in refused:
        print(f"{path.name} cannot be read: {why}")
    figures = {
        "minutes": round(ran / 60, 2),
        "episodes": len(infos),
        "unreadable": len(refused),
        "dropped": sum(drops.values()),
        "frames": sum(count for count, _ in frames),
        "frames_missing": sum(count for _, count in frames),
        "cpu_percent": round(100 * cpu, 1),
    }
    print(json.dumps(figures))
    sys.exit(1 if figures["dropped"] or figures["frames_missing"] or refused or not infos else 0)


if __name__ == "__main__":
    main(tyro.cli(Args))
