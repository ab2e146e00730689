"""Another checkpoint while the robot runs: encoder and policy as processes, observations streaming, real DDS.

What would be broken: a latent of one VAE acted on with a goal or a policy of another, a lost observation, a new episode
for an old goal, a bad checkpoint that stops a good one.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import COMPOSED, Listener, node_process
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_checkpoint import LATENT, config, write

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import Outcome
from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, read_tensors, save
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.common.message_fields import stamp_ns, values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.messages import latents as latent
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.node import RigNode
from rig_robot.ros.qos import EPISODES, LATCHED, OBSERVATION
from rig_robot.vision.image_decoding import from_raw

RELIABLE = QoSProfile(depth=200)
DEEP = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)


def make_root(root: Path) -> None:
    """a, b: of different VAEs. refitted: a's VAE, another policy. camera: as b, but of another one. flipped: broken."""
    for seed, name in enumerate(("a", "b", "flipped")):
        write(root / name, seed=10 + seed)
    vae = read_tensors(root / "a", read_config(root / "a").vae)
    torch.manual_seed(99)
    actor = {f"actor.{name}": value.numpy() for name, value in Actor(LATENT, 2, (8, 8)).state_dict().items()}
    save(root / "refitted", config(), vae, actor)
    other = dataclasses.replace(config(), camera=dataclasses.replace(config().camera, crop=(0.0, 0.0, 0.75, 1.0)))
    save(root / "camera", other, read_tensors(root / "b", read_config(root / "b").vae), actor)
    content = bytearray((root / "flipped" / "vae.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (root / "flipped" / "vae.safetensors").write_bytes(content)
    activate(root / "a")


class Bench:
    """Acts as camera, goal node and announcer, and receives all topics."""

    def __init__(self, listener: Listener, root: Path) -> None:
        self.listener, self.root = listener, root
        self.node = RigNode("announcer")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.announcer = Announcer(self.node, root)
        self.latents = listener.hear(Image, "rig/latent", DEEP)
        self.goals = listener.hear(Image, "rig/goal/latent", LATCHED)
        self.pictures = listener.hear(Image, "rig/goal/reconstruction", LATCHED)
        self.twists = listener.hear(TwistStamped, "rig/policy/twist", RELIABLE)
        self.episodes = listener.hear(DiagnosticStatus, "rig/episode", RELIABLE)
        self.answers = listener.hear(DiagnosticStatus, "rig/checkpoint/ready", RELIABLE)
        self.observations = listener.node.create_publisher(Image, "rig/observation/image", OBSERVATION)
        self.goal_images = listener.node.create_publisher(Image, "rig/goal/image", LATCHED)
        self.names = listener.node.create_publisher(String, "rig/checkpoint", LATCHED)
        for publisher in (self.observations, self.goal_images):
            listener.until(publisher.get_subscription_count, f"the encoder listens on {publisher.topic_name}")
        listener.until(lambda: self.names.get_subscription_count() >= 2, "both listen on rig/checkpoint")
        for topic in ("rig/latent", "rig/goal/latent", "rig/goal/reconstruction", "rig/policy/twist", "rig/episode"):
            listener.until_heard(topic)
        listener.until_heard("rig/checkpoint/ready", publishers=2)
        listener.until(self._announcer_has_met_them, "the announcer has met encoder and policy")
        listener.wait_until_discovered_by("encoder", "policy")
        for _ in range(10):
            self.listener.spin(0.03)
            self._executor.spin_once(timeout_sec=0.0)
        self.goals.clear()

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def _announcer_has_met_them(self) -> bool:
        self._executor.spin_once(timeout_sec=0.0)
        found = (self.node.count_publishers("rig/checkpoint/ready"), self.node.count_subscribers("rig/checkpoint"))
        return min(found) >= 2

    def message(self, image: np.ndarray) -> Image:
        return rgb_to_image(image, self.listener.node.get_clock().now().to_msg(), "camera")

    def show(self, seed: int) -> Image:
        """Publish a goal picture and wait until it is encoded."""
        sent = self.message(picture(seed))
        before = len(self.goals)
        self.goal_images.publish(sent)
        self.listener.until(lambda: len(self.goals) > before, "the goal's latent")
        self.listener.spin(0.1)
        return sent

    def frame(self, seed: int) -> int:
        """Publish one observation, at the pace of a 30 Hz camera, and wait for its latent; return its stamp."""
        begin = time.monotonic()
        sent, before = self.message(picture(seed)), len(self.latents)
        self.observations.publish(sent)
        self.listener.until(lambda: len(self.latents) > before, "the observation's latent")
        self._executor.spin_once(timeout_sec=0.0)
        self.listener.spin(max(0.0, 0.033 - (time.monotonic() - begin)))
        return stamp_ns(sent.header.stamp)

    def swap(self, name: str, timeout_s: float = 30.0) -> tuple[Outcome, list[int]]:
        """Announce a checkpoint; observations go on until the outcome is there. Gives it and their stamps."""
        outcomes: list[Outcome] = []
        self.announcer.announce(name, outcomes.append, timeout_s)
        stamps, end = [], time.monotonic() + 2 * timeout_s
        while not outcomes:
            assert time.monotonic() < end, f"no outcome of {name}"
            stamps.append(self.frame(len(stamps)))
        self._executor.spin_once(timeout_sec=0.0)
        return outcomes[0], stamps

    def say(self, name: str) -> None:
        """Publish a message as any other program could."""
        self.names.publish(String(data=name))
        for _ in range(5):
            self.listener.spin(0.1)

    def acting(self) -> tuple[str, str]:
        """Return the VAE of the next latent, and the current checkpoint."""
        self.frame(0)
        return self.latents[-1].header.frame_id, (self.root / CURRENT).resolve().name

    def last_refusal(self) -> str:
        return [m.message for m in self.answers if values(m)["state"] == "refused"][-1]


@pytest.fixture(scope="module", params=["separate", "composed"])
def root(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a root of checkpoints, and run the nodes that swap them: each a process, or all in one."""
    root = tmp_path_factory.mktemp("root")
    make_root(root)
    modules = ("rig_robot.nodes.encoder", "rig_robot.nodes.policy") if request.param == "separate" else (COMPOSED,)
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(node_process(module, {"checkpoint": str(root)}))
        yield root


@pytest.fixture
def bench(root: Path, listener: Listener) -> Iterator[Bench]:
    with rclpy.init():
        bench = Bench(listener, root)
        assert bench.swap("a")[0].accepted
        listener.spin(0.2)
        bench.goals.clear()
        bench.pictures.clear()
        yield bench
        listener.set_parameter("policy", "mode", "idle")
        bench.close()


def test_swaps_while_observations_stream_lose_none_and_mix_no_two_vaes(bench, root):
    goal = bench.show(500)
    assert bench.listener.set_parameter("policy", "mode", "reach").successful
    bench.listener.until(lambda: bench.episodes, "the episode has started")
    bench.latents.clear()
    bench.episodes.clear()
    stamps: list[int] = []
    for name in ("b", "a", "b", "a", "b"):
        outcome, during = bench.swap(name)
        assert outcome.accepted, outcome.text
        stamps += during + [bench.frame(seed) for seed in range(6)]
    bench.listener.spin(0.2)

    assert [stamp_ns(m.header.stamp) for m in bench.latents] == stamps, "each observation is encoded once, in order"
    by_vae = {read_config(root / name).vae_id: name for name in "ab"}
    encoders, policies = ({name: kind(root / name) for name in "ab"} for kind in (Encoder, Policy))
    seen = {stamp_ns(m.header.stamp): latent.from_message(m) for m in bench.latents}
    assert len(bench.twists) >= 12
    acted = set()
    for twist in bench.twists:
        found = seen[stamp_ns(twist.header.stamp)]
        name = by_vae[found.vae_id]
        acted.add(name)
        wanted = policies[name].act(found.mean, encoders[name].encode(picture(500))[0]) * 0.02 / 0.1
        np.testing.assert_allclose([twist.twist.linear.x, twist.twist.linear.y], wanted, atol=1e-5)
    assert acted == {"a", "b"}
    assert {stamp_ns(m.header.stamp) for m in bench.goals} == {stamp_ns(goal.header.stamp)}
    assert len({m.header.frame_id for m in bench.goals}) == 2
    assert not bench.episodes, "the same goal in the eyes of another VAE begins no new episode"


def test_an_imagined_goal_is_encoded_anew_from_its_picture(bench, root):
    assert bench.listener.call(Trigger, "encoder/imagine_goal").success
    bench.listener.until(lambda: bench.goals and bench.pictures, "the imagined goal")
    imagined, stamp = from_raw(bench.pictures[-1]), bench.goals[-1].header.stamp
    assert bench.swap("b")[0].accepted
    again = bench.listener.until(lambda: bench.goals[-1].header.frame_id != bench.goals[0].header.frame_id, "anew")
    assert again and bench.goals[-1].header.stamp == stamp
    np.testing.assert_allclose(
        latent.from_message(bench.goals[-1]).mean, Encoder(root / "b").encode(imagined)[0], atol=1e-5
    )


def test_another_policy_of_the_same_vae_acts_from_then_on(bench, root):
    bench.show(501)
    bench.listener.set_parameter("policy", "mode", "reach")
    assert bench.swap("refitted")[0].accepted
    bench.twists.clear()
    stamps = {bench.frame(seed): seed for seed in range(12)}
    assert bench.twists
    encoder, policy = Encoder(root / "a"), Policy(root / "refitted")
    for twist in bench.twists:
        seen = picture(stamps[stamp_ns(twist.header.stamp)])
        wanted = policy.act(encoder.encode(seen)[0], encoder.encode(picture(501))[0]) * 0.2
        np.testing.assert_allclose([twist.twist.linear.x, twist.twist.linear.y], wanted, atol=1e-5)


def test_a_flipped_byte_is_refused_by_name_before_and_after_it_is_current(bench, root):
    before = bench.acting()
    with pytest.raises(CheckpointError, match=r"flipped.*vae\.safetensors: sha256"):
        bench.announcer.announce("flipped", lambda _: None)
    assert bench.acting() == before
    activate(root / "flipped")  # without verifying it
    bench.answers.clear()
    bench.say("flipped")
    bench.listener.until(lambda: len(bench.answers) == 2, "both refuse")
    assert "sha256" in bench.last_refusal() and {m.name for m in bench.answers} == {"encoder", "policy"}
    assert bench.acting()[0] == before[0]
    activate(root / "a")


def test_another_camera_is_refused_by_name_and_the_former_is_current_again(bench):
    before = bench.acting()
    bench.answers.clear()
    outcome, _ = bench.swap("camera")
    assert not outcome.accepted and "camera.crop" in outcome.text and "a goes on" in outcome.text
    assert bench.acting() == before


def test_a_name_that_leads_elsewhere_is_refused(bench):
    before = bench.acting()
    for name in ("../a", "a/..", "", "/etc", "current"):
        bench.answers.clear()
        bench.say(name)
        assert "plain name" in bench.last_refusal() and repr(name) in bench.last_refusal()
    assert bench.acting() == before


def test_an_announcement_that_is_not_current_any_more_undoes_nothing(bench):
    assert bench.swap("b")[0].accepted
    before = bench.acting()
    bench.answers.clear()
    bench.say("a")  # what a latched topic may still say
    assert not bench.answers and bench.acting() == before
    assert bench.swap("a")[0].accepted, "rolled back, by somebody who means it"
    assert bench.acting()[1] == "a" and bench.acting()[0] != before[0]


def test_ctrl_c_does_not_lose_the_end_of_an_episode(listener, tmp_path):
    write(tmp_path / "tiny")
    for _ in range(2):
        with node_process(
            "rig_robot.nodes.policy", {"checkpoint": str(tmp_path / "tiny")}, {"__ns": "/end"}
        ) as process:
            episodes = listener.hear(DiagnosticStatus, "/end/rig/episode", RELIABLE)
            assert listener.set_parameter("/end/policy", "mode", "explore").successful
            listener.until(lambda episodes=episodes: episodes, "an episode has started")
            assert process.interrupt() == 0
            listener.until(lambda episodes=episodes: len(episodes) == 2, "its end is heard")


def test_a_checkpoint_that_no_node_loads_is_rolled_back_unless_a_person_has_chosen_another(listener, tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        write(tmp_path / name, seed=seed)
    activate(tmp_path / "a")
    listener.node.create_publisher(DiagnosticStatus, "rig/checkpoint/ready", EPISODES)  # but it never answers
    rclpy.init()
    executor = SingleThreadedExecutor()
    node = RigNode("announcer")
    executor.add_node(node)
    announcer = Announcer(node, tmp_path)

    def spin_until(condition) -> None:
        end = time.monotonic() + 30.0
        while not condition() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        assert condition()

    def current() -> str:
        return (tmp_path / CURRENT).resolve().name

    try:
        spin_until(lambda: node.count_publishers("rig/checkpoint/ready"))
        outcomes: list[Outcome] = []
        announcer.announce("b", outcomes.append, timeout_s=0.5)
        assert current() == "b"
        announcer.announce("c", outcomes.append, timeout_s=0.5)  # while b waits: a is what goes on
        spin_until(lambda: len(outcomes) == 2)
        assert not any(outcome.accepted for outcome in outcomes) and current() == "a"
        announcer.announce("b", outcomes.append, timeout_s=0.5)
        activate(tmp_path / "c")
        spin_until(lambda: len(outcomes) == 3)
        assert not outcomes[-1].accepted and "c was chosen" in outcomes[-1].text and current() == "c"
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
