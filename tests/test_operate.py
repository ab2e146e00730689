"""`rig tell`: what a person says to a running robot is done, and what is not done is said."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from ros_harness import node_process
from test_arm_node import PARAMETERS

from rig_robot.bringup import SHIPPED_CHECKPOINT


def tell(*words: str) -> tuple[int, str]:
    """Exit status and output of `rig tell ...`, as a person runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "rig_robot.cli", "tell", *words], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def until_told(answer: str, *words: str) -> None:
    """Ask again until it is answered so: a node may answer before it has heard its topics."""
    for _ in range(10):
        _, text = tell(*words)
        if answer in text:
            return
    raise AssertionError(f"`rig tell {' '.join(words)}` is answered: {text}")


@pytest.fixture(scope="module", autouse=True)
def robot() -> Iterator[None]:
    with (
        node_process("rig_sim.robot_node"),
        node_process("rig_robot.nodes.arm", PARAMETERS),
        node_process("rig_robot.nodes.policy", {"checkpoint": SHIPPED_CHECKPOINT}),
    ):
        yield


def test_the_words_do_what_they_say() -> None:
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


def test_a_robot_that_is_not_there_is_not_thought_stopped() -> None:
    status, text = tell("stop", "--namespace", "nobody", "--timeout", "1")
    assert status == 1 and "no service /nobody/arm/estop" in text


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
            output, _ = watching.communicate(timeout=10)
            assert watching.returncode == 0 and "Traceback" not in output, output
        time.sleep(1.0)
        assert tell("disarm", "--namespace", "held")[0] == 0
        assert "no operator heartbeat" in tell("arm", "--namespace", "held")[1]
