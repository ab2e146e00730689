"""The node that says statuses as typed messages, where `rig_robot_interfaces` is installed; else it says what to do."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from ros_harness import Listener, NodeProcess, node_process

from rig_robot.messages.diagnostics import ERROR, OK, WARN, diagnostic
from rig_robot.messages.typed_status import INSTALLED, TYPED
from rig_robot.ros.qos import LATCHED

installed = pytest.mark.skipif(not INSTALLED, reason="not compiled here: make interfaces")


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.typed_status") as process:
        yield process


def heard(listener: Listener, topic: str, status: DiagnosticStatus) -> Any:
    """Publish a status, and return the typed one."""
    typed = listener.hear(TYPED[topic][0], f"{topic}/typed", LATCHED)
    publisher = listener.node.create_publisher(DiagnosticStatus, topic, LATCHED)
    listener.until(publisher.get_subscription_count, f"{topic} is heard")

    def same() -> Any:
        return [message for message in typed if message.text == status.message]

    publisher.publish(status)
    return listener.until(same, f"{topic}/typed")[-1]


@installed
def test_the_arm_s_state_has_a_number_a_reason_and_the_frame_it_rests_on(node: NodeProcess, listener: Listener) -> None:
    values = {"state": "estopped", "reason": "the page", "rests_on": 12_000_000_034}
    found = heard(listener, "rig/arm/status", diagnostic("arm", ERROR, "emergency stop", values))
    assert (found.state, found.armed, found.reason) == (found.ESTOPPED, False, "the page")
    assert (found.rests_on.sec, found.rests_on.nanosec) == (12, 34)
    values = {"state": "moving", "reason": "", "rests_on": 0}
    found = heard(listener, "rig/arm/status", diagnostic("arm", OK, "armed", values))
    assert found.armed and found.state == found.MOVING


@installed
def test_a_goal_s_progress_has_its_distances_and_what_is_unknown_is_no_number(
    node: NodeProcess, listener: Listener
) -> None:
    values = {"state": "going", "goal": 17, "distance": "2.5", "tool [mm]": "50.0", "exact": True, "seconds": "1.5"}
    found = heard(listener, "rig/goal/progress", diagnostic("goal progress", OK, "going: 50 mm off", values))
    assert (found.state, found.goal, found.tool_mm, found.exact) == (found.GOING, 17, 50.0, True)
    assert math.isnan(found.object_mm)


@installed
def test_an_answer_to_a_goal_says_whether_it_was_accepted_and_known(node: NodeProcess, listener: Listener) -> None:
    values = {"source": "image_in", "accepted": True, "goal": "17", "known": "False", "times usual": "5.90"}
    found = heard(listener, "rig/goal/status", diagnostic("goal", WARN, "new goal, but", values))
    assert found.accepted and found.doubtful and found.familiar == found.UNKNOWN
    assert found.goal == 17 and round(found.times_usual, 2) == 5.9
    values = {"source": "image_in", "accepted": False, "goal": "none"}
    found = heard(listener, "rig/goal/status", diagnostic("goal", ERROR, "refused", values))
    assert not found.accepted and found.goal == 0 and found.familiar == found.UNDECIDED


@installed
def test_what_the_trainer_does_is_said_with_its_numbers(node: NodeProcess, listener: Listener) -> None:
    values = {"phase": "practising", "step": 3, "of": 5, "eta_s": "12", "steps": 400, "episodes": 8}
    values |= {"checkpoint": "practice-000400", "explore": "enough", "td3/q": "-2.5"}
    found = heard(listener, "rig/trainer/progress", diagnostic("trainer", OK, "practises", values))
    assert (found.phase, found.step, found.of, found.eta) == ("practising", 3, 5, 12.0)
    assert (found.steps, found.episodes, found.explore, found.trouble) == (400, 8, False, False)


@installed
def test_a_status_that_is_none_is_passed_over_and_told(node: NodeProcess, listener: Listener) -> None:
    heard(listener, "rig/arm/status", diagnostic("arm", OK, "before", {"state": "moving", "reason": "", "rests_on": 0}))
    publisher = listener.node.create_publisher(DiagnosticStatus, "rig/arm/status", LATCHED)
    listener.until(publisher.get_subscription_count, "the node listens")
    publisher.publish(diagnostic("arm", OK, "no state", {}))
    listener.until(lambda: "a status is not as expected" in node.output(), "it is told")
    for rests_on in ("soon", 2**80, -1, "nan"):
        values = {"state": "moving", "reason": "", "rests_on": rests_on}
        publisher.publish(diagnostic("arm", OK, "numbers that no stamp has", values))
    heard(listener, "rig/arm/status", diagnostic("arm", OK, "after", {"state": "moving", "reason": "", "rests_on": 0}))


@pytest.mark.skipif(INSTALLED, reason="compiled here")
def test_without_the_package_it_says_how_to_get_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rig_robot.nodes.typed_status"],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
    )
    assert ended.returncode == 2 and "make interfaces" in ended.stderr
