"""`rig tell` carries out what a person asks of a running robot, or says what was not done and why."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from ros_harness import NO_CAMERA, node_process
from std_srvs.srv import SetBool, Trigger
from test_arm_node import PARAMETERS
from test_recorder_node import parameters as recorder_parameters
from test_trainer_node import parameters as trainer_parameters

from rig_robot.bringup.options import SHIPPED_CHECKPOINT


def tell(*words: str) -> tuple[int, str]:
    """Run `rig tell ...` as a person does; return exit status and output."""
    done = run(*words)
    return done.returncode, done.stdout + done.stderr


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig_robot.cli", "tell", *words], capture_output=True, text=True, timeout=60
    )


def until_told(answer: str, *words: str) -> None:
    """Repeat a request until the answer is as expected: a node may answer before its topics have arrived."""
    for _ in range(10):
        _, text = tell(*words)
        if answer in text:
            return
    raise AssertionError(f"`rig tell {' '.join(words)}` is answered: {text}")


@pytest.fixture(scope="module", autouse=True)
def robot() -> Iterator[None]:
    with (
        node_process("rig_sim.robot_node", NO_CAMERA),
        node_process("rig_robot.nodes.arm", PARAMETERS),
        node_process("rig_robot.nodes.policy", {"checkpoint": SHIPPED_CHECKPOINT}),
    ):
        yield


def test_every_word_of_rig_tell_does_what_it_says() -> None:
    assert "ROS_DOMAIN_ID" in os.environ, "the tests must not talk to anybody's robot"
    assert tell("park") == (1, "the arm is disarmed (after start): arm it first\n")
    until_told("armed", "arm")
    for word, answer in [("arm", "armed"), ("park", "park"), ("disarm", "disarmed"), ("stop", "emergency stop")]:
        status, text = tell(word)
        assert status == 0 and answer in text, text
    status, text = tell("arm")
    assert status == 1 and "reset it first" in text
    assert tell("reset")[0] == 0
    assert tell("reach") == (0, "mode reach\n") and tell("idle") == (0, "mode idle\n")


def test_recorder_and_trainer_are_told_by_name_and_the_words_without_a_name_still_work(
    tmp_path: Path, checkpoint: Path
) -> None:
    with (
        node_process("rig_robot.nodes.recorder", recorder_parameters(tmp_path / "episodes", checkpoint)),
        node_process("rig_robot.nodes.trainer", trainer_parameters(tmp_path)),
    ):
        for old, command, answer in [
            ("pause", ("recorder", "pause"), "nothing is recorded"),
            ("record", ("recorder", "resume"), "episodes are recorded"),
            ("rest", ("trainer", "pause"), "pauses after the present unit of work"),
            ("train", ("trainer", "resume"), "goes on"),
            ("fine-tune", ("trainer", "fine-tune"), "asked for"),
        ]:
            new = run(*command, "--timeout", "60")
            assert new.returncode == 0 and answer in new.stdout and not new.stderr, new
            deprecated = run(old, "--timeout", "60")
            assert deprecated.returncode == 0 and deprecated.stdout == new.stdout, deprecated
            (line,) = deprecated.stderr.splitlines()
            assert f"`rig tell {old}` is deprecated" in line and f"use `rig tell {' '.join(command)}`" in line


def test_a_robot_that_is_not_there_is_not_thought_stopped() -> None:
    status, text = tell("stop", "--namespace", "nobody", "--timeout", "1")
    assert status == 1 and "no service /nobody/arm/estop" in text


class FirstAnswersLost(Node):
    """Simulates an arm and a policy whose first answer to every request is lost."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("deaf", namespace="deaf", context=context)
        self.asked: list[str] = []
        for kind, name in [
            (Trigger, "arm/estop"),
            (SetBool, "arm/set_armed"),
            (SetParameters, "policy/set_parameters"),
        ]:
            service = self.create_service(kind, name, self._serve)
            service.send_response = partial(self._answer, service, service.send_response)

    def _serve(self, request: Any, response: Any) -> Any:
        if isinstance(request, SetParameters.Request):
            response.results = [SetParametersResult(successful=True)]
        else:
            response.success = True
        return response

    def _answer(self, service: Any, send: Callable[..., None], response: Any, header: Any) -> None:
        self.asked.append(service.service_name)
        if self.asked.count(service.service_name) > 1:
            send(response, header)


def test_a_lost_answer_is_asked_for_again_unless_the_arm_might_move_by_it() -> None:
    context = rclpy.Context()
    context.init()
    node, executor = FirstAnswersLost(context), SingleThreadedExecutor(context=context)
    executor.add_node(node)
    serving = threading.Thread(target=executor.spin)
    serving.start()
    there = ("--namespace", "deaf", "--timeout", "8")
    try:
        assert (*tell("stop", *there), node.asked) == (0, "\n", ["/deaf/arm/estop"] * 2)
        for word, service in [("arm", "/deaf/arm/set_armed"), ("practice", "/deaf/policy/set_parameters")]:
            node.asked.clear()
            status, text = tell(word, *there)
            assert status == 1 and text == f"{service} did not answer within 8 s; it may have done it all the same\n"
            assert node.asked == [service]
        assert tell("idle", *there) == (0, "mode idle\n") and tell("disarm", *there)[0] == 0
    finally:
        executor.shutdown()
        context.try_shutdown()
        serving.join()


def test_watching_is_a_heartbeat_whose_end_stops_the_arm_and_tells_what_the_arm_does() -> None:
    names = {"__ns": "/held", "joint_states": "/joint_states"}
    with node_process("rig_robot.nodes.arm", PARAMETERS | {"heartbeat": 1.0}, names):
        until_told("no operator heartbeat", "arm", "--namespace", "held")
        command = [sys.executable, "-m", "rig_robot.cli", "watch", "--namespace", "held"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
            assert watching.stdout is not None
            assert "disarmed: after start" in watching.stdout.readline()
            until_told("armed", "arm", "--namespace", "held")
            assert "waiting" in watching.stdout.readline()
            watching.send_signal(signal.SIGINT)
            output, _ = watching.communicate(timeout=30)
            assert watching.returncode == 0 and "Traceback" not in output, output
        time.sleep(1.0)
        assert tell("disarm", "--namespace", "held")[0] == 0
        assert "no operator heartbeat" in tell("arm", "--namespace", "held")[1]
