"""The trainer node, as a process: episodes on disk in, a checkpoint that the system is asked to take out."""

import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from ros_harness import Listener, node_process
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import SetBool, Trigger

from rig_robot.checkpoint_delivery.answers import AnswerState, answer
from rig_robot.checkpoint_delivery.chunk_protocol import CHUNKS, read_header
from rig_robot.checkpoints.checkpoint import activate, read_config, resolve
from rig_robot.common.message_fields import values
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.rl.replay_buffer import ABOUT
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.recording import topics
from rig_robot.ros.qos import EPISODES, LATCHED

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import ACTION, BEGIN, CAMERA, PERIOD, WORKSPACE, Recording, image, twist, write

EYE = dataclasses.replace(CAMERA, image_size=32)
TINY = {"channels": (4, 8, 8), "hidden": (32, 32), "batch": 32, "vae_batch": 32, "vae_updates": 150, "beta": 1.0}
TINY |= {"rehearsal_updates": 100, "vae_learning_rate": 5e-3, "image_size": 32}
STEPS = 35


def frame(x: float, y: float) -> np.ndarray:
    """uint8 [32, 32, 3]: a block somewhere on a grey table; x and y in [0, 1]."""
    picture = np.full((32, 32, 3), 90, np.uint8)
    column, row = round(x * 22), round(y * 22)
    picture[row : row + 10, column : column + 10] = (250, 200, 40)
    return picture


def record(root: Path, name: str, seed: int, mode: str = "explore") -> None:
    """Record an episode of a block that moves as the twists say."""
    recording = Recording(root, name, mode=mode, goal="0", goal_kind="none", camera=json.dumps(dataclasses.asdict(EYE)))
    rng = np.random.default_rng(seed)
    place, action = rng.uniform(0, 1, 2), np.zeros(2)
    for number in range(STEPS):
        stamp = BEGIN + (1000 * seed + number) * PERIOD
        if number % 5 == 0:
            action = rng.uniform(-1, 1, 2)
        recording.say(topics.OBSERVATION, image(stamp, frame(*place)), stamp + 10**6)
        recording.say(topics.TWIST, twist(stamp, *(0.2 * action)), stamp + 4 * 10**6)
        place = np.clip(place + 0.1 * action, 0, 1)
    recording.close()


def parameters(data: Path, **others: object) -> dict[str, object]:
    root = data / "checkpoints"
    activate(blank.create(root / "untrained", EYE, ACTION, WORKSPACE, TrainArgs(out=root, **TINY)))
    (data / "episodes").mkdir(exist_ok=True)
    places = {"checkpoints": str(root), "work": str(data / "trainer"), "episodes": [str(data / "episodes")]}
    return places | {"exploration_steps": 8 * STEPS, "fine_tune_every": 0} | others


class System:
    """Receives the trainer's messages, and acts as an encoder and a policy that load what it announces."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.said = listener.hear(DiagnosticStatus, "rig/trainer/progress", LATCHED)
        self.announced = listener.hear(String, "rig/checkpoint", LATCHED)
        self.answers = listener.node.create_publisher(DiagnosticStatus, "rig/checkpoint/ready", EPISODES)

    def now(self) -> dict[str, str]:
        return values(self.said[-1]) if self.said else {}

    def until(self, what: str, timeout_s: float = 60, **wanted: object) -> None:
        def is_so() -> bool:
            found = self.now()
            return all(found.get(name) == str(value) for name, value in wanted.items())

        self.listener.until(is_so, f"{what}: {wanted}; it is {self.now()}", timeout_s)


@pytest.fixture
def system(listener: Listener) -> Iterator[System]:
    yield System(listener)


def ask(listener: Listener, service: str, train: bool | None = None) -> str:
    if train is None:
        response = listener.call(Trigger, f"trainer/{service}")
    else:
        response = listener.call(SetBool, f"trainer/{service}", SetBool.Request(data=train))
    assert response.success
    return response.message


def test_what_is_recorded_becomes_a_checkpoint_that_the_system_is_asked_to_take(tmp_path: Path, system: System) -> None:
    """Bad episodes are refused by name and the rest is used; pausing pauses; a refusal leaves the old one."""
    given, episodes = parameters(tmp_path), tmp_path / "episodes"
    listener = system.listener
    for number in range(4):
        record(episodes, f"E{number}", number)
    write(episodes, "other_robot", 5)  # sees 16x16
    (episodes / "empty").mkdir()
    cut = write(episodes, "cut", 5)
    data = next(cut.glob("*.mcap"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with node_process("rig_robot.nodes.trainer", given) as process:
        system.until("episodes are taken, bad ones too", episodes=7, phase="waiting", explore="wanted")
        assert system.now()["steps"] == str(4 * STEPS)
        for name in ("other_robot", "empty", "cut"):
            assert f"episode {name} is left out" in process.output()
        assert "camera.image_size is 16, not 32" in process.output()

        ask(listener, "train", False)
        for number in range(4, 8):
            record(episodes, f"E{number}", number)
        system.until("taken while it is paused, not learned from", episodes=11, phase="paused", explore="enough")
        listener.spin(1.0)
        assert system.now()["checkpoint"] == "untrained" and not system.announced

        ask(listener, "train", True)
        listener.until(lambda: system.announced, "a checkpoint is announced", 90)
        name = system.announced[-1].data
        directory = resolve(tmp_path / "checkpoints")
        assert directory.name == name, "it is current before it is announced"
        config = read_config(directory)
        assert config.parent == "untrained" and config.training["samples"] == 8 * STEPS
        assert config.figures["active_units"] >= 2
        system.answers.publish(answer("encoder", AnswerState.ACTIVE, name, config.vae_id, "switched"))
        system.until("it has heard that the system runs on it", checkpoint=name, phase="waiting")

        # One that the running system refuses: the one before is current again.
        system.announced.clear()
        ask(listener, "fine_tune")
        listener.until(lambda: system.announced or "not published" in process.output(), "another one", 60)
        if system.announced:
            later = system.announced[-1].data
            system.answers.publish(answer("policy", AnswerState.REFUSED, later, "", "a test says no"))
            listener.until(lambda: "a test says no" in process.output(), "the trainer has heard it")
            system.until("goes on from the one before", checkpoint=name, phase="waiting")
        assert resolve(tmp_path / "checkpoints").name == name
        assert list((tmp_path / "trainer" / "tensorboard").iterdir())
        assert process.interrupt() == 0


def test_one_bad_episode_buffer_or_bag_of_pictures_never_stops_all_learning(tmp_path: Path, system: System) -> None:
    old, pictures = tmp_path / "buffer", tmp_path / "pictures.mcap"
    old.mkdir()
    (old / ABOUT).write_text("{}")
    pictures.write_bytes(b"\x89MCAP0\r\nbroken")
    given, episodes = parameters(tmp_path, old=[str(old)], pictures=[str(pictures)]), tmp_path / "episodes"
    for name in ("E0", "dated", "E1"):
        record(episodes, name, int(name[-1]) if name[0] == "E" else 7)
    metadata = episodes / "dated" / "metadata.yaml"
    text, count = re.subn("ros_distro:.*", "ros_distro: 2024-13-45", metadata.read_text())
    assert count == 1
    metadata.write_text(text)
    (episodes / "circle").symlink_to("circle")
    with node_process("rig_robot.nodes.trainer", given) as process:
        system.until("what is bad is left out, the rest is taken", episodes=5, steps=2 * STEPS, phase="waiting")
        said = process.output()
        for words in (
            "episode dated is left out: ",
            "ros_distro is '2024-13-45', expected the name of a ROS distribution",
            "episode circle is left out: ",
            "episode buffer is left out: ",
            "pictures.mcap is not a bag that can be read",
        ):
            assert words in said
        assert "trying again" not in said and "Traceback" not in said


def test_an_episode_that_is_being_copied_from_elsewhere_is_taken_once_it_is_whole(
    tmp_path: Path, system: System
) -> None:
    given, source, target = parameters(tmp_path), tmp_path / "robot" / "E0", tmp_path / "episodes" / "E0"
    source.parent.mkdir()
    record(source.parent, "E0", 0)
    with node_process("rig_robot.nodes.trainer", given) as process:
        system.until("it is up", phase="waiting")
        target.mkdir()
        file = next(source.glob("*.mcap"))
        (target / file.name).write_bytes(file.read_bytes()[:5000])
        system.listener.spin(2.5)  # it looks every second
        shutil.copytree(source, target, dirs_exist_ok=True)
        system.until("it is taken", episodes=1, steps=STEPS)
        assert "left out" not in process.output()


def test_it_says_which_checkpoint_root_it_misses(tmp_path: Path) -> None:
    given = parameters(tmp_path) | {"checkpoints": str(tmp_path / "nowhere")}
    with node_process("rig_robot.nodes.trainer", given) as process:
        assert process.wait() == 2
        assert "nowhere" in process.output() and "Traceback" not in process.output()


def test_it_learns_only_when_nobody_else_wants_to_run_and_pauses_when_it_is_told(
    tmp_path: Path, system: System
) -> None:
    with node_process("rig_robot.nodes.trainer", parameters(tmp_path)) as process:
        system.until("it is up", phase="waiting")
        policies = [
            int(line.split()[40 - 2])  # field 41, counted behind the name
            for task in Path(f"/proc/{process.process.pid}/task").iterdir()
            for line in [(task / "stat").read_text().rsplit(")", 1)[1]]
        ]
        assert 5 in policies, "SCHED_IDLE"
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            assert policies.count(0) >= 1, "services answer at the ordinary priority"

        assert "pauses" in ask(system.listener, "train", False)
        system.until("paused", phase="paused")
        ask(system.listener, "stop")
        system.until("stopped", phase="stopped")
        ask(system.listener, "train", True)
        system.until("goes on", phase="waiting")
        assert process.running()


def test_where_no_path_is_shared_checkpoints_go_by_topic_and_become_current_here_when_they_are_there(
    tmp_path: Path, system: System
) -> None:
    for number in range(8):
        record(tmp_path / "episodes", f"E{number}", number)
    listener = system.listener
    heard = listener.hear(UInt8MultiArray, "rig/checkpoint/chunk", CHUNKS)
    answers = listener.node.create_publisher(DiagnosticStatus, "rig/checkpoint/received", 10)
    with node_process("rig_robot.nodes.trainer", parameters(tmp_path, deliver="topic")):
        listener.until(lambda: len(heard) >= 3, "a checkpoint in pieces", 90)
        name = read_header(heard[0]).checkpoint
        assert resolve(tmp_path / "checkpoints").name == "untrained" and not system.announced
        answers.publish(diagnostic("receiver", OK, "it runs", {"checkpoint": name, "state": "current"}))
        system.until("it has heard that the robot runs on it", checkpoint=name, phase="waiting")
        assert resolve(tmp_path / "checkpoints").name == name
