"""The composed process, as a process: what it does is what its nodes do as processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import COMPOSED, Listener, NodeProcess, node_process, user_environment
from sensor_msgs.msg import Image

from rig_robot.bringup.environment import dds_profile, hears_only_others
from rig_robot.bringup.node_spec import COMPOSED as NODES
from rig_robot.common.message_fields import stamp_ns
from rig_robot.messages.images import rgb_to_image
from rig_robot.nodes import composed as composed_module
from rig_robot.nodes.composed import read_arguments, split
from rig_robot.ros.qos import OBSERVATION

STREAM = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


class Bench:
    """Acts as the camera's driver, and hears what each node of the process publishes."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.observations = listener.hear(Image, "rig/observation/image", STREAM)
        self.latents = listener.hear(Image, "rig/latent", STREAM)
        self.twists = listener.hear(TwistStamped, "rig/policy/twist", QoSProfile(depth=100))
        self.health = listener.hear(DiagnosticArray, "/diagnostics", 50)
        self.frames = listener.node.create_publisher(Image, "camera/image_raw", OBSERVATION)
        self.own = listener.node.create_publisher(Image, "rig/observation/image", OBSERVATION)
        for publisher in (self.frames, self.own):
            listener.until(publisher.get_subscription_count, f"somebody listens on {publisher.topic_name}")
        for topic in ("rig/latent", "rig/policy/twist"):
            listener.until_heard(topic)
        listener.wait_until_discovered_by("camera", "encoder", "policy")

    def show(self, count: int, side: tuple[int, int] = (48, 64), own: bool = False) -> list[int]:
        """Publish frames of noise, as the driver or as a camera node of one's own; return their stamps [ns]."""
        stamps = []
        for seed in range(count):
            noise = np.random.default_rng(seed).integers(0, 255, (*side, 3), np.uint8)
            message = rgb_to_image(noise, self.listener.node.get_clock().now().to_msg(), "camera")
            (self.own if own else self.frames).publish(message)
            stamps.append(stamp_ns(message.header.stamp))
            self.listener.spin(0.05)
        self.listener.spin(0.3)
        return stamps

    def show_all(self, count: int, heard: list[Image], *side: tuple[int, int], own: bool = False) -> list[int]:
        """Show frames until as many are heard: a machine that stands still for a moment loses some, as a camera."""
        for _ in range(3):
            for messages in (self.observations, self.latents, self.twists):
                messages.clear()
            sent = self.show(count, *side, own=own)
            if len(heard) >= count:
                break
        return sent


@pytest.fixture(scope="module", params=["in memory", "by DDS"])
def composed(checkpoint: Path, request: pytest.FixtureRequest) -> Iterator[NodeProcess]:
    """Run the composed process with its own DDS profile, and with one of the user's that knows nothing of it."""
    environment = dds_profile("small", user_environment()) if request.param == "by DDS" else None
    with node_process(COMPOSED, {"checkpoint": str(checkpoint)}, environment=environment) as process:
        yield process


@pytest.fixture
def bench(composed: NodeProcess, listener: Listener) -> Bench:
    return Bench(listener)


def stamps(messages: list) -> list[int]:
    return [stamp_ns(message.header.stamp) for message in messages]


def test_a_frame_becomes_one_observation_one_latent_and_a_twist_and_others_hear_them(bench: Bench) -> None:
    assert bench.listener.set_parameter("policy", "mode", "explore").successful
    sent = bench.show_all(20, bench.observations)
    assert stamps(bench.observations) == sent
    assert stamps(bench.latents) == sent, "each observation is encoded once: it does not come by DDS as well"
    assert bench.twists and set(stamps(bench.twists)) <= set(sent)
    assert bench.listener.set_parameter("policy", "mode", "idle").successful


def test_nodes_of_other_processes_are_heard_as_ever(bench: Bench) -> None:
    sent = bench.show_all(5, bench.latents, (48, 48), own=True)
    assert stamps(bench.latents) == sent


def test_the_graph_and_the_diagnostics_know_four_nodes(bench: Bench, composed: NodeProcess) -> None:
    bench.listener.spin(1.5)
    names = {status.name for message in bench.health for status in message.status}
    assert names >= set(NODES)
    assert {name for name in bench.listener.node.get_node_names() if name in NODES} == set(NODES)
    said = "messages between these nodes go by DDS" in composed.output()
    assert said == ("config/dds/local/small.xml" in Path(f"/proc/{composed.process.pid}/environ").read_text())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_at_a_signal(how: signal.Signals, checkpoint: Path, listener: Listener) -> None:
    namespace = f"end_{how.name}"
    with node_process(COMPOSED, {"checkpoint": str(checkpoint)}, {"__ns": f"/{namespace}"}) as process:
        listener.until_heard(f"{namespace}/rig/policy/twist")
        process.process.send_signal(how)
        assert process.wait(30) == 0 and "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["camara", "source:=topic"], "'camara': expected NODE PARAMETER:=VALUE ..., with NODE one of camera, encoder"),
        (["camera", "sorce:=topic"], "CameraNode: parameter sorce is unknown to node camera: did you mean source?"),
        (["policy", "max_age:=99.0"], "PolicyNode: parameter max_age"),
        (["encoder", "checkpoint:=/nowhere"], "EncoderNode: /nowhere"),
        (
            ["policy", "qos_overrides./bad/rig/latent.subscription.durability:=transient_local"],
            "PolicyNode: qos_overrides of /bad/rig/latent: its publisher does not fit its subscription",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_node_s_name(checkpoint: Path, words: list[str], named: str) -> None:
    everything = [word for name in NODES for word in (name, f"checkpoint:={checkpoint}")]
    done = subprocess.run(
        [sys.executable, "-m", COMPOSED, *everything, *words, "--ros-args", "-r", "__ns:=/bad"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | dds_profile("composed", user_environment()),
        check=False,
    )
    assert done.returncode == 2 and named in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "deprecated" not in done.stderr, done.stderr


def test_what_stands_behind_a_node_is_its_own() -> None:
    assert tuple(composed_module.NODES) == NODES
    read = read_arguments(["camera", "a:=1", "policy", "b:=x:=y", "camera", "c:=2"])
    assert read["camera"] == ["--ros-args", "-p", "a:=1", "-p", "c:=2"]
    assert read["policy"] == ["--ros-args", "-p", "b:=x:=y"] and read["goal"] == ["--ros-args"]
    with pytest.raises(ValueError, match="'source:=topic': expected NODE PARAMETER:=VALUE"):
        read_arguments(["source:=topic"])


def test_arguments_for_ros_end_where_ros_2_says() -> None:
    words, for_ros = split(
        ["camera", "a:=1", "--ros-args", "-p", "b:=2", "--", "goal", "c:=3", "--ros-args", "-r", "x:=y"]
    )
    assert words == ["camera", "a:=1", "goal", "c:=3"]
    assert for_ros == ["--ros-args", "-p", "b:=2", "--", "--ros-args", "-r", "x:=y"]


def test_messages_are_handed_on_in_memory_only_where_dds_does_not_bring_them_as_well() -> None:
    for given in ({}, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}):
        assert all(hears_only_others(dds_profile(name, given)) for name in ("composed", "composed_camera"))
    assert not hears_only_others({}) and not hears_only_others(dds_profile("small", {}))
    assert not hears_only_others(dds_profile("composed", {}) | {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
