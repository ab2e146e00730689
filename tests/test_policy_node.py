"""The policy node, as a process: acts when told to, on fresh latents of its own VAE, once a period; on nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import Image

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.message_fields import stamp_ns, values
from rig_robot.inference.latent import Latent, no_goal
from rig_robot.inference.numpy_networks import Policy
from rig_robot.messages import latents as latent
from rig_robot.ros.qos import LATCHED, OBSERVATION

FRAME_NS = 33_333_333
RELIABLE = QoSProfile(depth=50)


@pytest.fixture(scope="module")
def policy_node(checkpoint) -> Iterator[NodeProcess]:
    # Asked to start in mode reach, which it must not do.
    with node_process("rig_robot.nodes.policy", {"checkpoint": str(checkpoint), "mode": "reach"}) as process:
        yield process


class Bench:
    """Acts as the encoder and receives what the policy publishes."""

    def __init__(self, listener: Listener, checkpoint) -> None:
        self.listener = listener
        self.vae_id = read_config(checkpoint).vae_id
        self.size = read_config(checkpoint).vae.latent_size
        self.twists = listener.hear(TwistStamped, "rig/policy/twist", RELIABLE)
        self.episodes = listener.hear(DiagnosticStatus, "rig/episode", RELIABLE)
        self.health = listener.hear(DiagnosticArray, "/diagnostics", 10)
        self.progress = listener.hear(DiagnosticStatus, "rig/goal/progress", LATCHED)
        self.latents = listener.node.create_publisher(Image, "rig/latent", OBSERVATION)
        self.goals = listener.node.create_publisher(Image, "rig/goal/latent", LATCHED)
        for publisher in (self.latents, self.goals):
            listener.until(publisher.get_subscription_count, f"the policy listens on {publisher.topic_name}")
        listener.until_heard("rig/policy/twist")
        listener.until_heard("rig/episode")
        listener.wait_until_discovered_by("policy")

    def now_ns(self) -> int:
        return self.listener.node.get_clock().now().nanoseconds

    def latent(self, seed: int, stamp_ns: int, vae_id: str | None = None, size: int | None = None) -> Image:
        mean = np.random.default_rng(seed).normal(size=self.size if size is None else size).astype(np.float32)
        stamp = TwistStamped().header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        return latent.to_message(Latent(vae_id or self.vae_id, mean, np.zeros_like(mean)), stamp)

    def frames(self, count: int, jitter_ns: int = 0, age_ns: int = 0, vae_id: str | None = None) -> list[Image]:
        """Send so many latents at the pace of a 30 Hz camera."""
        rng = np.random.default_rng(0)
        start = self.now_ns()
        sent = []
        for number in range(count):
            captured = start + number * FRAME_NS + int(rng.integers(-jitter_ns, jitter_ns + 1))
            self.listener.spin(max(0.0, 1e-9 * (captured - self.now_ns())))
            sent.append(self.latent(100 + number, captured - age_ns, vae_id))
            self.latents.publish(sent[-1])
        self.listener.spin(0.1)
        return sent

    def set_mode(self, mode: str):
        return self.listener.set_parameter("policy", "mode", mode)

    def set_goal(self, message: Image) -> None:
        self.goals.publish(message)
        self.listener.spin(0.15)

    def events(self) -> list[tuple[str, str, str]]:
        """Return (event, mode, goal) of every episode message."""
        return [tuple(values(m)[key] for key in ("event", "mode", "goal")) for m in self.episodes]

    def last_health(self) -> str:
        found = [m.status[0].message for m in self.health if m.status[0].name == "policy"]
        return found[-1] if found else ""


@pytest.fixture
def bench(policy_node, listener, checkpoint) -> Iterator[Bench]:
    bench = Bench(listener, checkpoint)
    yield bench
    bench.set_mode("idle")
    bench.set_goal(latent.to_message(no_goal(bench.vae_id), listener.node.get_clock().now().to_msg()))


def test_it_starts_idle_whatever_the_parameters_say_and_a_latched_goal_moves_nothing(bench, policy_node):
    bench.set_goal(bench.latent(1, bench.now_ns()))
    bench.frames(6)
    assert not bench.twists and not bench.episodes
    shown = bench.listener.call(GetParameters, "policy/get_parameters", GetParameters.Request(names=["mode"]))
    assert shown.values[0].string_value == "idle"
    assert "idle after every start" in policy_node.output()


def test_every_third_frame_of_30_hz_is_acted_on_with_the_checkpoints_action(bench, checkpoint):
    goal = bench.latent(1, bench.now_ns())
    bench.set_goal(goal)
    assert bench.set_mode("reach").successful
    sent = bench.frames(30, jitter_ns=5_000_000)
    assert 9 <= len(bench.twists) <= 11
    stamps = {stamp_ns(message.header.stamp): message for message in sent}
    policy = Policy(checkpoint)
    for twist in bench.twists:
        frame = stamps[stamp_ns(twist.header.stamp)]
        action = policy.act(latent.from_message(frame).mean, latent.from_message(goal).mean)
        linear, angular = twist.twist.linear, twist.twist.angular
        np.testing.assert_allclose([linear.x, linear.y], action * 0.02 / 0.1, atol=1e-6)
        assert linear.z == angular.x == angular.y == angular.z == 0.0
        assert twist.header.frame_id == "base"
    gaps = np.diff([stamp_ns(twist.header.stamp) for twist in bench.twists][2:])
    assert gaps.min() > 80e6 and gaps.max() < 120e6


def test_an_episode_starts_and_ends_with_the_goal_and_the_mode(bench):
    bench.set_mode("reach")
    first, second = bench.now_ns(), bench.now_ns() + 1
    bench.set_goal(bench.latent(1, first))
    bench.frames(4)
    bench.set_goal(bench.latent(2, second))
    bench.set_mode("idle")
    bench.set_mode("reach")
    bench.set_goal(latent.to_message(no_goal(bench.vae_id), TwistStamped().header.stamp))
    bench.listener.spin(0.2)
    assert bench.events() == [
        ("start", "reach", str(first)),
        ("end", "reach", str(first)),
        ("start", "reach", str(second)),
        ("end", "reach", str(second)),
        ("start", "reach", str(second)),
        ("end", "reach", str(second)),
    ]
    ids = [values(m)["id"] for m in bench.episodes]
    assert ids[0::2] == ids[1::2] and len(set(ids)) == 3
    bench.twists.clear()
    bench.frames(4)
    assert not bench.twists, "without a goal nothing moves"


def test_latents_of_another_vae_are_not_acted_on_and_the_refusal_is_said_once(bench, policy_node):
    bench.set_goal(bench.latent(1, bench.now_ns()))
    bench.set_mode("reach")
    bench.frames(12, vae_id="00c0ffee")
    assert not bench.twists
    assert policy_node.output().count("00c0ffee") == 1
    bench.listener.until(lambda: "00c0ffee" in bench.last_health(), "the mismatch on /diagnostics")
    bench.frames(4)
    assert bench.twists, "latents of its own VAE are acted on again"


def test_a_goal_of_another_vae_ends_the_episode_and_is_refused(bench, policy_node):
    bench.set_goal(bench.latent(1, bench.now_ns()))
    bench.set_mode("reach")
    bench.set_goal(bench.latent(1, bench.now_ns(), vae_id="0badf00d"))
    bench.twists.clear()
    bench.frames(6)
    assert not bench.twists and bench.events()[-1][0] == "end"
    assert "0badf00d" in policy_node.output()


@pytest.mark.parametrize(("age_s", "said"), [(0.4, "older than 0.3 s"), (-0.2, "future")])
def test_latents_of_another_time_are_not_acted_on(bench, policy_node, age_s, said):
    bench.set_goal(bench.latent(1, bench.now_ns()))
    bench.set_mode("reach")
    bench.frames(6, age_ns=int(1e9 * age_s))
    assert not bench.twists
    assert said in policy_node.output()


def test_broken_latents_are_refused_and_the_node_goes_on(bench, policy_node):
    bench.set_goal(bench.latent(1, bench.now_ns()))
    bench.set_mode("reach")

    def broken(**fields: object) -> Image:
        message = bench.latent(1, bench.now_ns())
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    nan = bench.latent(1, bench.now_ns())
    nan.data[:4] = type(nan.data)("B", np.float32(np.nan).tobytes())
    for message in (nan, broken(data=b"123"), broken(encoding="rgb8"), broken(width=2**31), Image()):
        message.header.stamp = bench.listener.node.get_clock().now().to_msg()
        bench.latents.publish(message)
        bench.listener.spin(0.12)
    bench.latents.publish(bench.latent(1, bench.now_ns(), size=bench.size + 1))
    bench.listener.spin(0.12)
    assert not bench.twists and policy_node.running()
    bench.frames(6)
    assert bench.twists


def test_an_unknown_mode_is_refused_by_name(bench):
    result = bench.set_mode("fly")
    assert not result.successful and "idle, explore, practice, reach" in result.reason
    assert not bench.listener.set_parameter("policy", "base_frame", "world").successful
    assert not bench.listener.set_parameter("policy", "max_age", -1.0).successful


def test_ctrl_c_ends_the_episode_and_the_process_with_status_0(listener, checkpoint):
    with node_process("rig_robot.nodes.policy", {"checkpoint": str(checkpoint)}, {"__ns": "/other"}) as process:
        episodes = listener.hear(DiagnosticStatus, "/other/rig/episode", RELIABLE)
        goals = listener.node.create_publisher(Image, "/other/rig/goal/latent", LATCHED)
        vae_id = read_config(checkpoint).vae_id
        goal = Latent(vae_id, np.zeros(3, np.float32), np.zeros(3, np.float32))
        goals.publish(latent.to_message(goal, listener.node.get_clock().now().to_msg()))
        assert listener.set_parameter("/other/policy", "mode", "reach").successful
        listener.until(lambda: episodes, "the episode has started")
        assert process.interrupt() == 0
        listener.until(lambda: len(episodes) == 2, "the episode has ended")
        assert "Traceback" not in process.output()


def test_progress_says_what_becomes_of_a_goal_and_why_nothing_does(bench, listener, checkpoint):
    def told() -> tuple[str, str]:
        said = values(bench.progress[-1])
        return said["state"], said["goal"]

    goal = bench.latent(1, bench.now_ns())
    name = str(stamp_ns(goal.header.stamp))
    bench.set_goal(goal)
    listener.until(lambda: "mode is idle, not reach" in bench.progress[-1].message, "that the policy is idle")
    bench.set_mode("reach")
    bench.frames(6)
    listener.until(lambda: told() == ("going", name), "that it goes")
    assert float(values(bench.progress[-1])["distance"]) > 0
    for _ in range(10):  # the tool is where the goal has it
        there = latent.to_message(latent.from_message(goal), listener.node.get_clock().now().to_msg())
        bench.latents.publish(there)
        listener.spin(0.1)
    listener.until(lambda: told() == ("reached", name), "that it is reached")
    assert float(values(bench.progress[-1])["tool [mm]"]) == 0.0
    listener.until(lambda: told() == ("blind", name), "that no latents arrive")
    assert bench.progress[-1].level == DiagnosticStatus.WARN
    bench.set_goal(latent.to_message(no_goal(bench.vae_id), listener.node.get_clock().now().to_msg()))
    listener.until(lambda: told() == ("waiting", "0"), "that there is no goal")
