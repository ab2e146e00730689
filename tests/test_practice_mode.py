"""Practice, with encoder and policy as processes: what an unattended robot does, and when it stops.

What would be broken: a robot that explores for ever or never, that waits for ever, that lets a person wait, or that
swaps checkpoints within an episode.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from ros_harness import COMPOSED, Listener, node_process
from sensor_msgs.msg import Image
from std_msgs.msg import String
from test_checkpoint import LATENT, config, write
from test_swap import Bench, picture

from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, save
from rig_robot.common.message_fields import stamp_ns, values
from rig_robot.inference.latent import Latent
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.vae.vae import Vae
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import LATCHED, OBSERVATION, STATE

STEPS = 5
"""of an episode"""


@pytest.fixture(params=["separate", "composed"])
def bench(tmp_path: Path, listener: Listener, request: pytest.FixtureRequest) -> Iterator[Bench]:
    torch.manual_seed(5)
    vae = {name: value.numpy() for name, value in Vae(48, LATENT, (4, 4, 4)).state_dict().items()}
    actor = {f"actor.{name}": value.numpy() for name, value in Actor(LATENT, 2, (8, 8)).state_dict().items()}
    save(tmp_path / "untrained", dataclasses.replace(config(), training={"samples": 0}), vae, actor)
    for seed, name in enumerate(("first", "second")):
        write(tmp_path / name, seed=seed)
    activate(tmp_path / "untrained")
    parameters = {"checkpoint": str(tmp_path)}
    with contextlib.ExitStack() as stack:
        if request.param == "separate":
            stack.enter_context(node_process("rig_robot.nodes.encoder", parameters))
            stack.enter_context(node_process("rig_robot.nodes.policy", parameters | {"episode_steps": STEPS}))
        else:
            words = ["policy", f"episode_steps:={STEPS}"]
            stack.enter_context(node_process(COMPOSED, parameters, words=words))
        stack.enter_context(rclpy.init())
        bench = Bench(listener, tmp_path)
        yield bench
        bench.close()


def events(bench: Bench) -> list[dict[str, str]]:
    return [values(message) for message in bench.episodes]


def frames(bench: Bench, episodes: int, kind: str, most: int = 400) -> None:
    """Let observations come until so many episodes of a kind have ended."""
    for seed in range(most):
        ended = [said for said in events(bench) if said["event"] == "end" and said["goal_kind"] == kind]
        if len(ended) >= episodes:
            return
        bench.frame(seed)
    raise AssertionError(f"after {most} observations not {episodes} episodes of {kind}: {events(bench)}")


def test_practice_explores_waits_learns_reaches_imagined_goals_and_lets_a_person_go_first(bench, listener):
    progress = listener.node.create_publisher(DiagnosticStatus, "rig/trainer/progress", LATCHED)
    poses = listener.node.create_publisher(PoseStamped, "rig/ee_pose", STATE)
    assert not listener.node.count_subscribers("rig/ee_pose"), "nobody listens a hundred times a second in vain"
    assert listener.set_parameter("policy", "mode", "practice").successful
    listener.until(poses.get_subscription_count, "the policy listens to the tool's pose while it explores")

    frames(bench, 2, "none")
    said = events(bench)
    assert {(one["mode"], one["goal_kind"], one["checkpoint"]) for one in said} == {("explore", "none", "untrained")}
    assert [one["steps"] for one in said if one["event"] == "end"] == [str(STEPS)] * 2
    gaps = np.diff([stamp_ns(twist.header.stamp) for twist in bench.twists][1:])
    # Half a period at the least, and three frames of 33 ms each time where nothing delays them.
    assert gaps.min() >= 50e6 and np.median(gaps) > 60e6, "paced by the stamps of what is seen"

    progress.publish(diagnostic("trainer", OK, "learns", {"explore": "enough"}))
    frames(bench, 3, "none")
    before = len(bench.twists)
    for seed in range(15):
        bench.frame(seed)
    assert len(bench.twists) == before and events(bench)[-1]["event"] == "end", "it waits for the trainer"

    assert bench.swap("first")[0].accepted
    bench.episodes.clear()
    frames(bench, 2, "imagined")
    said = events(bench)
    assert {(one["mode"], one["checkpoint"]) for one in said} == {("practice", "first")}
    assert len({one["goal"] for one in said}) >= 2, "one imagined goal after the other"
    listener.until(
        lambda: not listener.node.count_subscribers("rig/ee_pose"), "it no longer listens to the tool's pose"
    )

    bench.episodes.clear()
    outcome, _ = bench.swap("second")
    assert outcome.accepted
    frames(bench, 3, "imagined")
    by_id: dict[str, set[str]] = {}
    for one in events(bench):
        by_id.setdefault(one["id"], set()).add(one["checkpoint"])
    assert all(len(names) == 1 for names in by_id.values()), "a new checkpoint comes between episodes"
    assert events(bench)[-1]["checkpoint"] == "second" and (bench.root / CURRENT).resolve().name == "second"

    shown = bench.show(700)
    listener.until(
        lambda: any((one["event"], one["goal_kind"]) == ("start", "shown") for one in events(bench)),
        "its episode begins",
    )
    bench.episodes.clear()
    bench.twists.clear()
    stamps = {bench.frame(seed): seed for seed in range(40)}  # longer than an episode of practice
    assert not bench.episodes, "what a person shows lasts"
    encoder, policy = Encoder(bench.root / "second"), Policy(bench.root / "second")
    goal = encoder.encode(picture(700))[0]
    assert len(bench.twists) > STEPS
    for twist in bench.twists:
        stamp = stamp_ns(twist.header.stamp)
        if stamp in stamps:
            wanted = 0.2 * policy.act(encoder.encode(picture(stamps[stamp]))[0], goal)
            np.testing.assert_allclose([twist.twist.linear.x, twist.twist.linear.y], wanted, atol=1e-5)
    assert latent.from_message(bench.goals[-1]).vae_id == read_config(bench.root / "second").vae_id

    bench.goal_images.publish(bench.message(np.empty((0, 0, 3), np.uint8)))
    frames(bench, 1, "imagined")
    ended = events(bench)[0]
    assert (ended["event"], ended["goal_kind"], ended["why"]) == ("end", "shown", "goal cleared")
    assert ended["goal"] == str(stamp_ns(shown.header.stamp))

    progress.publish(diagnostic("trainer", OK, "a view that is new", {"explore": "wanted"}))
    bench.episodes.clear()
    frames(bench, 1, "none")
    assert events(bench)[-1]["mode"] == "explore", "a trained robot explores, too, when its trainer wants it"


def test_an_encoder_that_comes_back_with_another_checkpoint_does_not_stop_an_episode_for_ever(listener, tmp_path):
    for seed, name in enumerate(("first", "second")):
        write(tmp_path / name, seed=seed)
    activate(tmp_path / "first")
    parameters = {"checkpoint": str(tmp_path), "episode_steps": 1000}
    with node_process("rig_robot.nodes.policy", parameters):
        episodes = listener.hear(DiagnosticStatus, "rig/episode", QoSProfile(depth=50))
        answers = listener.hear(DiagnosticStatus, "rig/checkpoint/ready", QoSProfile(depth=50))
        latents = listener.node.create_publisher(Image, "rig/latent", OBSERVATION)
        names = listener.node.create_publisher(String, "rig/checkpoint", LATCHED)
        listener.until(lambda: latents.get_subscription_count() and names.get_subscription_count(), "the policy")
        assert listener.set_parameter("policy", "mode", "explore").successful
        listener.until(lambda: episodes, "an episode has started")
        activate(tmp_path / "second")
        names.publish(String(data="second"))
        listener.spin(1.0)

        def swaps() -> list[DiagnosticStatus]:
            return [answer for answer in answers if values(answer)["checkpoint"] == "second"]

        assert not swaps(), "no swap within an episode"
        found = Latent(read_config(tmp_path / "second").vae_id, *np.zeros((2, LATENT), np.float32))
        for _ in range(20):
            latents.publish(latent.to_message(found, listener.node.get_clock().now().to_msg()))
            listener.spin(0.033)
        said = [values(message) for message in episodes]
        assert [one["event"] for one in said] == ["start", "end", "start"]
        assert said[-1]["checkpoint"] == "second" and len(swaps()) == 1
