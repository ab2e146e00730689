"""Several robots practise for one trainer: it learns from all and tells all, and one that dies holds nobody up."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from ros_harness import Listener, node_process
from std_msgs.msg import String
from test_checkpoint import write
from test_trainer_node import STEPS, System, parameters, record

from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.systems import prepare_practice, simulation
from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import AnswerState, Outcome, answer
from rig_robot.checkpoints.checkpoint import CURRENT, activate, resolve
from rig_robot.learning.checkpoint_io import untrained
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import EPISODES, LATCHED


def test_the_first_robot_has_the_trainer_and_the_others_record_beside_it(checkpoint: Path, tmp_path: Path) -> None:
    common: dict = {"checkpoint": str(checkpoint), "practice": True, "data": tmp_path}
    prepare_practice(SimOptions(**common))
    common["checkpoint"] = ""  # the practice goes on from its own
    first = {node.name: node for node in simulation(SimOptions(namespace="left", trains="right, /far/off", **common))}
    second = {node.name: node for node in simulation(SimOptions(namespace="right", trained_by="left", **common))}
    trainer = first["trainer"].parameters
    assert trainer["robots"] == ["right", "/far/off"]
    assert trainer["episodes"] == [str(tmp_path / name) for name in ("episodes", "episodes-right", "episodes-far-off")]
    assert not {"trainer", "receiver"} & second.keys()
    assert second["recorder"].parameters["directory"] == str(tmp_path / "episodes-right")
    assert first["recorder"].parameters["directory"] == str(tmp_path / "episodes")


def test_robots_may_begin_a_practice_from_nothing_in_the_same_moment(tmp_path: Path, monkeypatch) -> None:
    """Each would write the untrained checkpoint, and the second one's attempt would end it."""
    both, save = threading.Barrier(2), untrained.checkpoint.save

    def save_together(*given: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1.0)  # whoever would write beside another one waits for that here
        return save(*given)

    monkeypatch.setattr(untrained.checkpoint, "save", save_together)
    with ThreadPoolExecutor(2) as pool:
        options = SimOptions(practice=True, data=tmp_path)
        began = [pool.submit(prepare_practice, options) for _ in range(2)]
        for each in began:
            each.result()
    assert resolve(tmp_path / "checkpoints").name == "untrained"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"trains": "right", "practice": False}, "trains is right: only a practice has a trainer"),
        ({"trains": "left"}, "the namespace of this robot: name the other one's"),
        ({"trains": "no-name"}, "must be names of letters"),
        ({"trains": "right", "trained_by": "right"}, "has no trainer"),
        ({"trained_by": "right", "namespace": ""}, "give it --namespace"),
    ],
    ids=str,
)
def test_robots_that_could_not_practise_together_are_refused(
    given: dict, named: str, checkpoint: Path, tmp_path: Path
) -> None:
    options = {"namespace": "left", "practice": True, "checkpoint": str(checkpoint), "data": tmp_path} | given
    with pytest.raises((BringupError, ValueError), match=named):
        simulation(SimOptions(**options))


class Bench:
    """Announces to /left and /right, and answers for them."""

    def __init__(self, listener: Listener, root: Path) -> None:
        for seed, name in enumerate(("a", "b", "c")):
            write(root / name, seed=seed)
        activate(root / "a")
        self.listener, self.root, self.outcomes = listener, root, list[Outcome]()
        rclpy.init(args=["announcer", "--ros-args", "-r", "__ns:=/left"])
        self.node, self._executor = RigNode("announcer"), SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.announcer = Announcer(self.node, root, ["/right"])
        sides = ("/left", "/right")
        self.heard = {side: listener.hear(String, f"{side}/rig/checkpoint", LATCHED) for side in sides}
        self.answers = {
            side: listener.node.create_publisher(DiagnosticStatus, f"{side}/rig/checkpoint/ready", EPISODES)
            for side in sides
        }
        for side in sides:
            self.until(lambda side=side: self.node.count_publishers(f"{side}/rig/checkpoint/ready"), f"{side} is met")

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def until(self, condition, what: str) -> None:
        def turn() -> bool:
            self._executor.spin_once(timeout_sec=0.01)
            return bool(condition())

        self.listener.until(turn, what, 20.0)

    def announce(self, name: str, timeout_s: float = 20.0) -> None:
        self.outcomes.clear()
        self.announcer.announce(name, self.outcomes.append, timeout_s)
        for side, heard in self.heard.items():
            self.until(lambda heard=heard: heard and heard[-1].data == name, f"{side} hears of {name}")

    def say(self, side: str, state: AnswerState, name: str, why: str = "") -> None:
        self.answers[side].publish(answer("encoder", state, name, "", why))

    def current(self) -> str:
        return (self.root / CURRENT).resolve().name


@pytest.fixture
def bench(listener: Listener, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(listener, tmp_path)
    yield made
    made.close()


def test_all_must_run_on_a_checkpoint_that_is_accepted(bench: Bench) -> None:
    bench.announce("b")
    bench.say("/left", AnswerState.ACTIVE, "b")
    for _ in range(30):
        bench.until(lambda: True, "a turn")
    assert not bench.outcomes, "/right has not answered"
    bench.say("/right", AnswerState.ACTIVE, "b")
    bench.until(lambda: bench.outcomes, "an outcome")
    assert bench.outcomes[0].accepted and bench.current() == "b"


def test_what_one_of_them_rejects_all_give_back(bench: Bench) -> None:
    bench.announce("b")
    bench.say("/left", AnswerState.ACTIVE, "b")
    bench.say("/right", AnswerState.REFUSED, "b", "another camera")
    bench.until(lambda: bench.outcomes, "an outcome")
    assert not bench.outcomes[0].accepted and "of /right refused b: another camera" in bench.outcomes[0].text
    assert bench.current() == "a"
    for side, heard in bench.heard.items():
        bench.until(lambda heard=heard: heard[-1].data == "a", f"{side} hears that a goes on")


def test_one_that_says_nothing_holds_nobody_up(bench: Bench) -> None:
    bench.announce("b", timeout_s=1.0)
    bench.say("/left", AnswerState.ACTIVE, "b")
    bench.until(lambda: bench.outcomes, "an outcome")
    assert bench.outcomes[0].accepted and "but for /right" in bench.outcomes[0].text and bench.current() == "b"


def test_one_that_has_died_is_not_waited_for(bench: Bench) -> None:
    bench.listener.node.destroy_publisher(bench.answers.pop("/right"))
    bench.until(lambda: not bench.node.count_publishers("/right/rig/checkpoint/ready"), "/right is gone")
    bench.announce("c")
    bench.say("/left", AnswerState.ACTIVE, "c")
    bench.until(lambda: bench.outcomes, "an outcome")
    assert bench.outcomes[0].accepted and bench.current() == "c"


@pytest.mark.slow
def test_one_trainer_learns_from_two_robots_and_tells_both(tmp_path: Path, listener: Listener) -> None:
    given = parameters(tmp_path, robots=["right"])
    others = tmp_path / "episodes-right"
    others.mkdir()
    given["episodes"] = [str(tmp_path / "episodes"), str(others)]
    system = System(listener)
    said = listener.hear(DiagnosticStatus, "/right/rig/trainer/progress", LATCHED)
    announced = listener.hear(String, "/right/rig/checkpoint", LATCHED)
    for number in range(8):
        record((tmp_path / "episodes", others)[number % 2], f"E{number}", number)
    with node_process("rig_robot.nodes.trainer", given):
        system.until("the episodes of both are taken", 120, episodes=8, explore="enough")
        assert system.now()["steps"] == str(8 * STEPS)
        listener.until(lambda: announced and system.announced, "both hear of a checkpoint", 240)
        assert announced[-1].data == system.announced[-1].data == resolve(tmp_path / "checkpoints").name
        assert said and said[-1].name == "trainer"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"robots": ["no-name"]}, "namespace is '/no-name'"),
        ({"deliver": "topic", "robots": ["right"]}, "expected none"),
    ],
    ids=str,
)
def test_a_trainer_refuses_robots_that_it_could_not_tell(given: dict, named: str, tmp_path: Path) -> None:
    with node_process("rig_robot.nodes.trainer", parameters(tmp_path, **given)) as node:
        assert node.wait() == 2 and named in node.output()
