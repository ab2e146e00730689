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

import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import gymnasium
import numpy as np
import psutil
import tyro
from rosbags.highlevel import AnyReader
from standin.episodes import BEGIN, Recording, image, pose, twist
from standin.system import Process

import rig_sim  # noqa: F401  registers the environments
from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.shared_memory import sweep
from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, resolve
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.message_fields import header_ns, stamp_ns
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.training.training_state import load_notes
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
class Args:
    kills: int = 100
    """How often, recorder and trainer together."""
    seed: int = 0
    """Seed of the moments."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """Checkpoint that the stack is said to run."""


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
    """Start the recorder as the bring-up does."""
    parameters = {"directory": str(root), "checkpoint": checkpoint, "min_free": 0.1}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return Process(
        ["-m", "rig_robot.nodes.recorder", "--ros-args", "-r", f"__ns:=/{NAMESPACE}", *arguments],
        dds_profile("small", {}),
    )


def kill_recorder(kills: int, args: Args, root: Path) -> tuple[int, int]:
    """Kill the recorder again and again; return how many episodes were lost and how many are half there."""
    rng = random.Random(args.seed)
    os.environ.update(dds_profile("camera", os.environ))
    stack, recordings = Stack(args.seed), Recordings(root)
    root.mkdir()
    lives: list[tuple[float, float]] = []
    for number in range(kills):
        recorder = start(root, args.checkpoint)
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
    recorder = start(root, args.checkpoint)
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


class Lessons:
    """Episodes of the simulation, as a recorder would have written them, that appear one after the other."""

    def __init__(self, root: Path, config: CheckpointConfig, seed: int) -> None:
        self._root, self._config = root, config
        self._env = gymnasium.make("rig_sim:RigSawyerReachXY-v0", image_size=config.camera.image_size).unwrapped
        self._rng = np.random.default_rng(seed)
        self.written = 0
        root.mkdir()

    def write(self, mode: str) -> None:
        """Write an episode of 40 steps: random directions, each held for 10."""
        entries = {name: json.dumps(asdict(getattr(self._config, name))) for name in ("camera", "action", "workspace")}
        name = f"{self.written:05d}"
        recording = Recording(self._root, name, mode=mode, goal="0", goal_kind="none", **entries)
        seen = self._env.reset(seed=int(self._rng.integers(2**30)))[0]
        full = self._config.action.scale_m / self._config.action.period_s
        for number in range(40):
            if number % 10 == 0:
                action = self._rng.uniform(-1, 1, len(self._config.action.axes)).astype(np.float32)
            stamp = BEGIN + self.written * 60 * 10**9 + round(1e9 * number * self._config.action.period_s)
            place = dict(zip(self._config.action.axes, seen["observation"], strict=False))
            where = [float(place.get(axis, self._config.action.fixed.get(axis, 0.0))) for axis in "xyz"]
            recording.say(topics.OBSERVATION, image(stamp, seen["image"]), stamp)
            recording.say(topics.POSE, pose(stamp, *where), stamp)
            recording.say(topics.TWIST, twist(stamp, float(full * action[0]), float(full * action[1])), stamp + 1)
            seen = self._env.step(action)[0]
        recording.close()
        self.written += 1


class Checkpoints:
    """The root of checkpoints, looked through after every kill, and what was announced."""

    def __init__(self, root: Path, work: Path) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.node import Node
        from std_msgs.msg import String

        self._root, self._work = root, work
        self.node = Node("checkpoints", namespace=NAMESPACE)
        self.node.create_subscription(String, "rig/checkpoint", self._hear, LATCHED)
        self.node.create_subscription(DiagnosticStatus, "rig/trainer/progress", self._follow, LATCHED)
        self.phase = self.explore = ""
        """what the trainer does, and whether it wants exploration"""
        self.published: set[str] = set()
        """names of checkpoints that have been announced or were found current"""
        self.corrupt: set[str] = set()
        self._taken = self._steps = 0

    def _hear(self, message) -> None:
        self.published.add(message.data)
        self._verify(message.data)

    def _follow(self, message) -> None:
        said = {item.key: item.value for item in message.values}
        self.phase, self.explore = said["phase"], said["explore"]

    def _verify(self, name: str) -> None:
        try:
            read_config(self._root / name)
            for network in (Encoder, Policy):
                network(self._root / name)
        except (ValueError, OSError) as error:
            print(f"checkpoint {name}: {error}")
            self.corrupt.add(name)

    def look(self) -> None:
        """Verify all that is there under a name, and the training state."""
        for path in self._root.iterdir():
            if not path.name.startswith("."):
                self._verify(path.name)
        if CURRENT not in self.corrupt:
            self.published.add(resolve(self._root).name)
        for broken in self._work.glob("*.broken"):
            print(f"the training state was set aside: {broken.name}")
            self.corrupt.add(broken.name)
        notes = load_notes(self._work) if self._work.is_dir() else None
        if notes is None:
            return
        if len(notes["taken"]) < self._taken or notes["updates"] < self._steps:
            print(f"training went back: {len(notes['taken'])} episodes after {self._taken}")
            self.corrupt.add("state")
        self._taken, self._steps = len(notes["taken"]), notes["updates"]

    def progress(self) -> str:
        return f"{self._taken} episodes taken, {self._steps} updates, {len(self.published) - 1} checkpoints published"


def _let_work(trainer: Process, executor, checkpoints: Checkpoints, lessons: Lessons, cpu_s: float) -> None:
    """Let time pass until the trainer has had so much of a core [s]; whenever it waits, there is another lesson."""
    process, begin = psutil.Process(trainer.process.pid), time.monotonic()
    checkpoints.phase = "starting"
    while time.monotonic() - begin < 60.0 + 10.0 * cpu_s:
        executor.spin_once(timeout_sec=0.1)
        if checkpoints.phase == "waiting":
            checkpoints.phase = "reading"
            lessons.write("explore" if checkpoints.explore == "wanted" else "practice")
        if trainer.process.poll() is not None:
            sys.exit(f"the trainer has ended by itself; it says:\n{trainer.output()[-3000:]}")
        if sum(process.cpu_times()[:2]) > cpu_s:
            return
    sys.exit(
        f"the trainer has not worked for {cpu_s:.0f} s within ten times as long; it says:\n{trainer.output()[-3000:]}"
    )


def kill_trainer(kills: int, args: Args, folder: Path) -> int:
    """Kill the trainer again and again; return how much that is corrupt was published or kept."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    if not rclpy.ok():
        rclpy.init()
    rng = random.Random(args.seed)
    shipped = read_config(locate(SHIPPED_CHECKPOINT))
    small = TrainArgs(
        out=folder, vae_updates=100, rehearsal_updates=200, hidden=(32, 32), image_size=shipped.camera.image_size
    )
    root, work = folder / "checkpoints", folder / "trainer"
    root.mkdir()
    activate(blank.create(root / "untrained", shipped.camera, shipped.action, shipped.workspace, small))
    lessons = Lessons(folder / "lessons", shipped, args.seed)
    for _ in range(6):
        lessons.write("explore")
    checkpoints = Checkpoints(root, work)
    executor = SingleThreadedExecutor()
    executor.add_node(checkpoints.node)
    parameters = {
        "checkpoints": str(root),
        "work": str(work),
        "episodes": f"['{folder / 'lessons'}']",
        "exploration_steps": 200,
        "fine_tune_every": 2,
        "updates": 1,
    }
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    command = ["-m", "rig_robot.nodes.trainer", "--ros-args", "-r", f"__ns:=/{NAMESPACE}", *arguments]
    phases: Counter[str] = Counter()
    for number in range(kills + 1):
        trainer = Process(command, dds_profile("small", {}))
        _let_work(trainer, executor, checkpoints, lessons, rng.uniform(2.0, 14.0) if number < kills else 30.0)
        if number < kills:
            trainer.process.kill()
            trainer.process.wait()
            phases[checkpoints.phase] += 1
        else:
            trainer.stop()
        sweep(young=0.0)
        checkpoints.look()
        if number % 10 == 9:
            print(f"{number + 1} kills, {checkpoints.progress()}", flush=True)
    print(f"trainer: {kills} kills; {checkpoints.progress()}; killed while {dict(phases.most_common())}")
    if len(checkpoints.published) < 2:  # the first is the untrained one
        sys.exit(f"no checkpoint was published, so nothing was shown; the trainer says:\n{trainer.output()[-3000:]}")
    return len(checkpoints.corrupt)


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", "94"), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_recovery_") as folder:
        lost, half = kill_recorder(args.kills - args.kills // 2, args, Path(folder) / "episodes")
        corrupt = kill_trainer(args.kills // 2, args, Path(folder))
    figures = {"kills": args.kills, "episodes_lost": lost, "episodes_half": half, "corrupt_published": corrupt}
    print(json.dumps(figures))
    sys.exit(1 if lost or half or corrupt else 0)


if __name__ == "__main__":
    main(tyro.cli(Args))
