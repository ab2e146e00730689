"""Of `recovery.py`: the recorder is killed while this process plays the rest of the stack."""

from __future__ import annotations

import hashlib
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader
from standin.system import Process

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.shared_memory import sweep
from rig_robot.common.message_fields import header_ns, stamp_ns
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.messages.images import rgb_to_image
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeInfo, find, messages
from rig_robot.recording.episode_writer import open_name
from rig_robot.recording.transitions import read_segments
from rig_robot.ros.qos import COMMAND, EPISODES, LATCHED, OBSERVATION

FRAME = 1.0 / 30.0
NAMESPACE = f"recovery_{os.getpid()}"
"""of all topics: a test or another benchmark that happens to run in the same ROS domain is not heard"""
SETTLED = 1.5
"""An episode that ended so long before a kill [s] must be whole."""


@dataclass
class Published:
    """An episode as it was published."""

    name: str
    began: float
    """steady clock [s]"""
    twists: list[int] = field(default_factory=list)
    """stamps [ns]"""
    ended: float = float("inf")


class Stack:
    """Everything but the recorder: what a robot publishes while it goes from goal to goal."""

    def __init__(self, seed: int) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from geometry_msgs.msg import TwistStamped
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from sensor_msgs.msg import Image, JointState

        rclpy.init()
        self._twist, self._joints_type = TwistStamped, JointState
        self._node = Node("stack", namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._random = random.Random(seed)
        publish = self._node.create_publisher
        self._frames = publish(Image, "camera/image_raw", OBSERVATION)
        self._observations = publish(Image, "rig/observation/image", OBSERVATION)
        self._twists = publish(TwistStamped, "rig/policy/twist", COMMAND)
        self._joints = publish(JointState, "joint_states", COMMAND)
        self._status = publish(DiagnosticStatus, "rig/arm/status", LATCHED)
        self._events = publish(DiagnosticStatus, "rig/episode", EPISODES)
        self._status.publish(diagnostic("arm", OK, "moving", {"state": "moving"}))
        rng = np.random.default_rng(seed)
        self._pictures = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(5)]
        self._small = [np.ascontiguousarray(picture[:48, :48]) for picture in self._pictures]
        self._ticks = 0
        self._due = time.monotonic()
        self._change = 0.0
        self.episodes: list[Published] = []

    def spend(self, seconds: float) -> None:
        """Let time pass, and publish what is due."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= self._due:
                self._due = max(now, self._due + FRAME)
                self._tick(now)
            self._executor.spin_once(timeout_sec=max(0.0, min(end, self._due) - time.monotonic()))

    def _tick(self, now: float) -> None:
        stamp = self._node.get_clock().now().to_msg()
        self._ticks += 1
        if now >= self._change:
            self._turn(now)
        self._frames.publish(rgb_to_image(self._pictures[self._ticks % 5], stamp, "camera"))
        self._observations.publish(rgb_to_image(self._small[self._ticks % 5], stamp, "camera"))
        for _ in range(3):
            joints = self._joints_type(position=[0.1] * 7)
            joints.header.stamp = stamp
            self._joints.publish(joints)
        if self._ticks % 3 == 0 and self.episodes and self.episodes[-1].ended > now:
            twist = self._twist()
            twist.header.stamp = stamp
            twist.twist.linear.x = 0.1
            self._twists.publish(twist)
            self.episodes[-1].twists.append(stamp_ns(stamp))

    def _turn(self, now: float) -> None:
        """End an episode, or begin one; often the next begins at once."""
        if self.episodes and self.episodes[-1].ended > now:
            self.episodes[-1].ended = now
            self._say("end")
            self._change = now + self._random.choice([0.0, 0.0, 0.3])
        else:
            self.episodes.append(Published(f"{len(self.episodes):05d}-episode", now))
            self._say("start")
            self._change = now + self._random.uniform(0.5, 3.0)

    def _say(self, event: str) -> None:
        values = {"id": self.episodes[-1].name, "event": event, "mode": "reach", "goal": 0, "why": "done"}
        self._events.publish(diagnostic("episode", OK, event, values))


class Recordings:
    """The folder of episodes, looked through after every kill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole: dict[str, str] = {}
        """sha256 of the file of every episode that has been there"""
        self.killed: dict[str, int] = {}
        """episodes that a kill has found open, and when that was [ns]"""
        self.lost: set[str] = set()
        self.half: set[str] = set()
        self.missing: list[float] = []
        """of each recovered episode, how much before the kill it ends [s]"""

    def look(self, killed_ns: int) -> None:
        """Note what is there after a kill [ns], and what is wrong with it."""
        for path in self.root.glob(open_name("*")):
            self.killed.setdefault(path.name.removeprefix(".").removesuffix(".recording"), killed_ns)
        good, refused = find(self.root, known=list(self.whole))
        self.half |= {path.name for path, _ in refused if not path.name.endswith(".broken")}
        for info in good:
            try:
                with AnyReader([info.directory]) as reader:
                    count = 0
                    for connection, _, data in reader.messages():
                        reader.deserialize(data, connection.msgtype)
                        count += 1
                read_segments(info)
            except Exception as error:  # whatever a reader stumbles over
                print(f"{info.id}: {error}")
                self.half.add(info.id)
                continue
            if count != sum(info.messages.values()):
                self.half.add(info.id)
            self.whole[info.id] = hashlib.sha256(info.file.read_bytes()).hexdigest()
            if info.recovered:
                self.missing.append(1e-9 * (self.killed[info.id] - info.start_ns) - info.duration_s)
        for name, digest in self.whole.items():
            file = self.root / name / f"{name}_0.mcap"
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                self.lost.add(name)

    def final(self) -> None:
        """After the last recorder has recovered what was left: each that was ever open must be somewhere."""
        self.look(0)
        there = {path.name.removesuffix(".broken") for path in self.root.iterdir()}
        self.lost |= {name for name in self.killed if name not in there}
        self.half |= {path.name for path in self.root.glob(open_name("*"))}

    def twists(self, episode: str) -> set[int]:
        """Stamps of the twists that were recorded of an episode, in all its parts [ns]."""
        infos = self._parts(episode)
        return {header_ns(message) for info in infos for _, _, message in messages(info, (topics.TWIST,))}

    def dropped(self, episode: str) -> int:
        """How many twists of an episode its metadata say are missing."""
        return sum(info.drops.get(topics.TWIST, 0) for info in self._parts(episode))

    def _parts(self, episode: str) -> list[EpisodeInfo]:
        names = [name for name in self.whole if name == episode or name.startswith(f"{episode}-")]
        return [info for info in find(self.root)[0] if info.id in names]


def start(root: Path, checkpoint: str) -> Process:
    """Start the recorder as the bring-up does, but with this process's DDS profile."""
    parameters = {"directory": str(root), "checkpoint": checkpoint, "min_free": 0.1}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return Process(["-m", "rig_robot.nodes.recorder", "--ros-args", "-r", f"__ns:=/{NAMESPACE}", *arguments], {})


def kill_recorder(kills: int, seed: int, checkpoint: str, root: Path) -> tuple[int, int]:
    """Kill the recorder again and again; return how many episodes were lost and how many are half there."""
    rng = random.Random(seed)
    os.environ.update(dds_profile("camera", os.environ))
    stack, recordings = Stack(seed), Recordings(root)
    root.mkdir()
    lives: list[tuple[float, float]] = []
    for number in range(kills):
        recorder = start(root, checkpoint)
        begin = time.monotonic()
        stack.spend(rng.choice([rng.uniform(0.2, 5.0), rng.uniform(0.2, 5.0), rng.uniform(5.0, 12.0)]))
        killed_ns = time.time_ns()
        recorder.process.kill()
        recorder.process.wait()
        lives.append((begin, time.monotonic()))
        sweep(young=0.0)
        recordings.look(killed_ns)
        if number % 10 == 9:
            print(f"{number + 1} kills, {len(recordings.whole)} episodes whole", flush=True)
    recorder = start(root, checkpoint)
    stack.spend(5.0)
    recorder.stop()
    recordings.final()
    followed = 0
    for begin, end in lives:
        whole = [episode for episode in stack.episodes if begin < episode.began and episode.ended + SETTLED < end]
        missing = [set(episode.twists) - recordings.twists(episode.name) for episode in whole]
        heard = next((number for number, twists in enumerate(missing) if len(twists) < len(whole[number].twists)), None)
        for episode, twists in zip(whole[heard + 1 :], missing[heard + 1 :], strict=True) if heard is not None else ():
            followed += 1
            if twists:
                dropped = recordings.dropped(episode.name)
                print(f"{episode.name} lacks {len(twists)} of its {len(episode.twists)} twists, and says {dropped}")
                if len(twists) > dropped:
                    recordings.lost.add(episode.name)
    aside = len(list(root.glob("*.broken")))
    print(
        f"recorder: {kills} kills; {len(stack.episodes)} episodes published, {len(recordings.whole)} recorded, "
        f"{len(recordings.missing)} of them recovered, {aside} set aside; {followed} heard from beginning to end"
    )
    if recordings.missing:
        print(f"of a killed episode's end, at most {max(recordings.missing):.2f} s are missing")
    return len(recordings.lost), len(recordings.half)
