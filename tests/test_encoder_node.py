"""The encoder node, as a process: latents are the checkpoint's own, named after their VAE; late listeners get goals."""

from collections.abc import Iterator

import numpy as np
import pytest
from ros_harness import Listener, NodeProcess, assert_realtime, node_process
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.messages import latents as latent
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import LATCHED, OBSERVATION
from rig_robot.vision.image_decoding import from_raw


@pytest.fixture(scope="module")
def encoder_node(checkpoint) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.encoder", {"checkpoint": str(checkpoint), "realtime_priority": 7}) as process:
        yield process


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)


class Bench:
    """Feeds the encoder and receives what it publishes."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.latents = listener.hear(Image, "rig/latent", OBSERVATION)
        self.goals = listener.hear(Image, "rig/goal/latent", LATCHED)
        self.pictures = listener.hear(Image, "rig/goal/reconstruction", LATCHED)
        self.observation = listener.node.create_publisher(Image, "rig/observation/image", OBSERVATION)
        self.goal = listener.node.create_publisher(Image, "rig/goal/image", LATCHED)
        for publisher in (self.observation, self.goal):
            listener.until(publisher.get_subscription_count, f"the encoder listens on {publisher.topic_name}")
        for topic in ("rig/latent", "rig/goal/latent", "rig/goal/reconstruction"):
            listener.until_heard(topic)
        listener.wait_until_discovered_by("encoder")
        listener.spin(0.3)  # the goal of the test before
        self.goals.clear()
        self.pictures.clear()

    def message(self, image: np.ndarray) -> Image:
        return rgb_to_image(image, self.listener.node.get_clock().now().to_msg(), "camera")


@pytest.fixture
def bench(encoder_node, listener) -> Bench:
    return Bench(listener)


def test_the_encoder_takes_real_time_priority_where_it_may(bench, encoder_node):
    assert_realtime(encoder_node)


def test_every_observation_becomes_the_checkpoints_latent_with_its_stamp(bench, checkpoint):
    encoder, config = Encoder(checkpoint), read_config(checkpoint)
    for seed in range(5):
        sent = bench.message(picture(seed))
        bench.latents.clear()
        bench.observation.publish(sent)
        bench.listener.until(lambda: bench.latents, "a latent")
        found = bench.latents[0]
        assert found.header.stamp == sent.header.stamp
        assert found.header.frame_id == f"vae/{config.vae_id}"
        assert (found.encoding, found.width, found.height) == ("32FC1", config.vae.latent_size, 2)
        mean, log_variance = encoder.encode(picture(seed))
        np.testing.assert_allclose(latent.from_message(found).mean, mean, atol=1e-5)
        np.testing.assert_allclose(latent.from_message(found).log_variance, log_variance, atol=1e-5)


def test_an_observation_of_the_wrong_size_or_bytes_is_passed_over(bench, encoder_node):
    bad = bench.message(np.zeros((40, 40, 3), np.uint8))
    cut = bench.message(picture(0))
    cut.data = cut.data[:-1]
    for message in (bad, cut, Image()):
        bench.observation.publish(message)
        bench.listener.spin(0.05)
    assert not bench.latents and encoder_node.running()
    bench.observation.publish(bench.message(picture(0)))
    bench.listener.until(lambda: bench.latents, "the next good one is encoded")


def test_a_goal_becomes_a_latent_and_a_picture_that_late_listeners_still_get(bench, checkpoint, listener):
    encoder = Encoder(checkpoint)
    sent = bench.message(picture(7))
    bench.goal.publish(sent)
    listener.until(lambda: bench.goals and bench.pictures, "goal latent and reconstruction")
    mean, _ = encoder.encode(picture(7))
    late = listener.hear(Image, "rig/goal/latent", LATCHED)
    listener.until(lambda: late, "a late listener hears the goal latent")
    for found in (bench.goals[0], late[0]):
        assert found.header.stamp == sent.header.stamp, "the stamp names the goal"
        np.testing.assert_allclose(latent.from_message(found).mean, mean, atol=1e-5)
    difference = from_raw(bench.pictures[0]).astype(int) - encoder.decode(mean)
    assert np.abs(difference).max() <= 1

    bench.goal.publish(bench.message(np.zeros((30, 30, 3), np.uint8)))
    listener.spin(0.2)
    assert len(bench.goals) == 1, "a goal that cannot be encoded leaves the old one"

    bench.goal.publish(bench.message(np.empty((0, 0, 3), np.uint8)))
    listener.until(lambda: len(bench.goals) == 2 and len(bench.pictures) == 2, "the goal is cleared")
    assert (bench.goals[1].width, bench.goals[1].height) == (0, 0)
    assert latent.from_message(bench.goals[1]).mean.size == 0
    assert bench.pictures[1].width == 0


def test_an_imagined_goal_is_a_sample_of_the_prior_with_its_picture(bench, checkpoint, listener):
    encoder = Encoder(checkpoint)
    samples = []
    for count in (1, 2):
        assert listener.call(Trigger, "encoder/imagine_goal").success
        listener.until(lambda n=count: len(bench.goals) == n and len(bench.pictures) == n, "an imagined goal")
        samples.append(latent.from_message(bench.goals[-1]).mean)
        difference = from_raw(bench.pictures[-1]).astype(int) - encoder.decode(samples[-1])
        assert np.abs(difference).max() <= 1
    assert not np.array_equal(*samples)


def test_a_checkpoint_that_was_tampered_with_is_refused_by_name(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in checkpoint.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "vae.safetensors").write_bytes(b"nonsense")
    with node_process("rig_robot.nodes.encoder", {"checkpoint": str(copy)}) as process:
        assert process.wait() == 2
        assert "vae.safetensors: sha256 is" in process.output() and "Traceback" not in process.output()
