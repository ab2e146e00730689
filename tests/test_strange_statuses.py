"""Statuses are read by many nodes and published by anybody: none that makes no sense ends a node that reads it."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from ros_harness import Listener, node_process
from test_recorder_node import parameters as recorder_parameters

from rig_robot.messages.typed_status import INSTALLED
from rig_robot.ros.qos import LATCHED

MESSAGES = 400
TOPICS = (
    "rig/arm/status",
    "rig/goal/status",
    "rig/goal/progress",
    "rig/trainer/progress",
    "rig/checkpoint/ready",
    "rig/episode",
)
STATES = ("armed", "estopped", "going", "reached", "stalled", "ready", "active", "refused", "current")
WORDS = {
    "state": STATES,
    "source": ("image_in", "image_in/compressed", "swap"),
    "event": ("start", "end"),
    "mode": ("reach", "practice", "explore"),
    "explore": ("wanted", "enough"),
    "known": ("True", "False", "None"),
}
KEYS = (
    *("reason", "rests_on", "goal", "distance", "tool [mm]", "object [mm]", "seconds", "exact", "times usual", "bytes"),
    *("id", "why", "checkpoint", "vae", "phase", "step", "of", "eta_s", "steps", "episodes", "goal_kind", "accepted"),
    *("td3/critic_loss", "vae/squared_error", "critic_loss"),
)
NONSENSE = ("", "nan", "-inf", "1e999", "-1", "0x10", str(2**80), "..", "../../x", "/", "\n", "ü" * 300, "{}", "None")


def strange(chance: random.Random) -> DiagnosticStatus:
    """Return a status of known keys, most of whose values make no sense."""
    said = {key: chance.choice(words) for key, words in WORDS.items() if chance.random() < 0.7}
    said |= {key: chance.choice(NONSENSE) for key in (*KEYS, *WORDS) if chance.random() < 0.3 and key not in said}
    status = DiagnosticStatus(level=bytes([chance.choice((0, 1, 2, 3, 77))]), name=chance.choice(("", "arm", "goal")))
    status.message = chance.choice(NONSENSE)
    status.values = [KeyValue(key=key, value=value) for key, value in said.items()]
    chance.shuffle(status.values)
    return status


def test_no_status_that_makes_no_sense_ends_a_node_that_reads_it(
    listener: Listener, checkpoint: Path, tmp_path: Path
) -> None:
    nodes = {
        "goal": {"checkpoint": str(checkpoint)},
        "encoder": {"checkpoint": str(checkpoint)},
        "policy": {"checkpoint": str(checkpoint), "mode": "reach"},
        "recorder": recorder_parameters(tmp_path / "episodes", checkpoint),
        "console": {"checkpoint": str(checkpoint), "port": 0},
        **({"typed_status": {}} if INSTALLED else {}),
    }
    chance = random.Random(0)
    with ExitStack() as stack:
        started = {
            # Under other names: a node of the next test that met these while they end would give way to them.
            f"strange_{name}": stack.enter_context(
                node_process(f"rig_robot.nodes.{name}", given, {"__node": f"strange_{name}"})
            )
            for name, given in nodes.items()
        }
        publishers = [listener.node.create_publisher(DiagnosticStatus, topic, LATCHED) for topic in TOPICS]
        listener.wait_until_discovered_by(*started)
        for _ in range(MESSAGES):
            chance.choice(publishers).publish(strange(chance))
            listener.spin(0.005)
        listener.spin(0.5)
        ended = {name: node.output()[-2000:] for name, node in started.items() if node.process.poll() is not None}
        assert not ended, ended
        listener.wait_until_discovered_by(*started)  # each still answers
