"""Of `recovery.py`: the trainer is killed while it learns from episodes that appear one after the other."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import psutil
from killed_recorder import NAMESPACE
from standin.episodes import BEGIN, Recording, image, pose, twist
from standin.system import Process

import rig_sim  # noqa: F401  registers the environments
from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.shared_memory import sweep
from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, resolve
from rig_robot.checkpoints.config import CheckpointConfig
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.training.training_state import load_notes
from rig_robot.recording import topics
from rig_robot.ros.qos import LATCHED


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


def kill_trainer(kills: int, seed: int, folder: Path) -> int:
    """Kill the trainer again and again; return how much that is corrupt was published or kept."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    if not rclpy.ok():
        rclpy.init()
    rng = random.Random(seed)
    shipped = read_config(locate(SHIPPED_CHECKPOINT))
    small = TrainArgs(
        out=folder, vae_updates=100, rehearsal_updates=200, hidden=(32, 32), image_size=shipped.camera.image_size
    )
    root, work = folder / "checkpoints", folder / "trainer"
    root.mkdir()
    activate(blank.create(root / "untrained", shipped.camera, shipped.action, shipped.workspace, small))
    lessons = Lessons(folder / "lessons", shipped, seed)
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
        trainer = Process(command, dds_profile("small", os.environ))
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
