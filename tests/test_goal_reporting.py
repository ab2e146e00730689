"""Unknown and imagined goals are reported as such, so that everyone can tell which goal is in force.

Encoder, goal and policy node as processes, with a copy of the shipped checkpoint and a second one whose VAE is random.
If these tests fail, the arm may move to a rejected picture, or an imagined goal may be invisible or called shown.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from ros_harness import Listener, NodeProcess, node_process
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from test_cli import rig
from test_goal_check import SHIPPED, goals, grey
from test_image_decoding import png
from test_swap import Bench as SwapBench

from rig_robot.checkpoints.checkpoint import CURRENT, activate, read_config, read_tensors, save
from rig_robot.checkpoints.config import PicturesEntry
from rig_robot.common.message_fields import stamp_ns, values
from rig_robot.learning.vae.vae import Vae
from rig_robot.messages import latents as latent
from rig_robot.messages.diagnostics import ERROR, OK, WARN
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.imagined_goals import IMAGINED, comes_too_soon
from rig_robot.ros.qos import COMMAND, LATCHED
from rig_robot.vision.image_decoding import from_raw

OWN = goals("plain", 3)
NOISE = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
DEEP = QoSProfile(depth=20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root of two checkpoints: `known`, the shipped one, and `other`, whose VAE knows no picture."""
    root = tmp_path_factory.mktemp("checkpoints")
    shutil.copytree(SHIPPED, root / "known")
    config = read_config(SHIPPED)
    torch.manual_seed(0)
    random = Vae(48, config.vae.latent_size, config.vae.channels).state_dict()
    vae = {name: value.numpy() for name, value in random.items()}
    config = dataclasses.replace(config, pictures=PicturesEntry(1.0, 1.0, 0.1))
    save(root / "other", config, vae, read_tensors(SHIPPED, config.policy))
    return root


class System:
    """The three nodes, and everything in the test that listens to them and announces checkpoints."""

    def __init__(self, listener: Listener, root: Path) -> None:
        self.listener, self.root = listener, root
        self.swaps = SwapBench(listener, root)
        self.episodes = self.swaps.episodes
        self.latents = self.swaps.goals
        self.images = listener.hear(Image, "rig/goal/image", DEEP)
        self.statuses = listener.hear(DiagnosticStatus, "rig/goal/status", DEEP)
        self.sender = listener.node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", COMMAND)
        listener.until(lambda: self.sender.get_subscription_count() == 2, "the goal node listens")
        listener.until_heard("rig/goal/image", publishers=2)
        listener.until_heard("rig/goal/status")
        listener.wait_until_discovered_by("goal", "encoder", "policy")
        self.forget()

    def forget(self) -> None:
        self.listener.spin(0.2)
        for heard in (self.episodes, self.latents, self.images, self.statuses):
            heard.clear()

    def show(self, picture: np.ndarray) -> DiagnosticStatus:
        """Send a goal picture of observation size and return the answer."""
        data = png(picture)
        self.statuses.clear()
        self.sender.publish(CompressedImage(format="png", data=data))

        def answers() -> list[DiagnosticStatus]:
            return [status for status in self.statuses if told(status).get("bytes") == str(len(data))]

        self.listener.until(answers, "an answer")
        return answers()[0]

    def reset(self) -> None:
        """Put the nodes back into their state at the start."""
        self.listener.set_parameter("policy", "mode", "idle")
        if (self.root / CURRENT).resolve().name != "known":
            assert self.swaps.swap("known")[0].accepted
        for name in ("refuse_unknown", "accept_grey"):
            self.listener.set_parameter("goal", name, False)
        self.listener.call(Trigger, "goal/clear")
        self.swaps.close()

    def imagine(self) -> str:
        """Let the encoder imagine a goal, and return the goal's name."""
        answer = self.listener.call(Trigger, "encoder/imagine_goal")
        assert answer.success, answer.message
        return answer.message

    def started(self) -> list[tuple[str, str, str]]:
        """Mode, kind of goal and goal of each episode that has begun."""
        said = map(told, self.episodes)
        return [(one["mode"], one["goal_kind"], one["goal"]) for one in said if one["event"] == "start"]


def told(status: DiagnosticStatus) -> dict[str, str]:
    return values(status)


def stamps(messages: list[Image]) -> list[str]:
    return [str(stamp_ns(message.header.stamp)) for message in messages]


@contextlib.contextmanager
def encoder_of(root: Path) -> Iterator[NodeProcess]:
    with node_process("rig_robot.nodes.encoder", {"checkpoint": str(root)}) as process:
        yield process


@pytest.fixture(scope="module")
def nodes(root: Path) -> Iterator[None]:
    activate(root / "known")
    with (
        encoder_of(root),
        node_process("rig_robot.nodes.goal", {"checkpoint": str(root)}),
        node_process("rig_robot.nodes.policy", {"checkpoint": str(root)}),
    ):
        yield


@pytest.fixture
def system(nodes: None, listener: Listener, root: Path) -> Iterator[System]:
    with rclpy.init():
        system = System(listener, root)
        yield system
        system.reset()


def test_an_encoder_that_is_started_anew_goes_on_with_the_imagined_goal(listener, root):
    activate(root / "known")
    images = listener.hear(Image, "rig/goal/image", DEEP)
    latents = listener.hear(Image, "rig/goal/latent", LATCHED)
    with node_process("rig_robot.nodes.goal", {"checkpoint": str(root)}):
        listener.until_heard("rig/goal/image")
        with encoder_of(root):
            name = listener.call(Trigger, "encoder/imagine_goal").message
            listener.until(lambda: images and latents, "an imagined goal")
        latents.clear()
        with encoder_of(root):
            listener.until(lambda: latents, "the goal's latent, anew")
            assert stamps(latents) == [name] and latent.from_message(latents[0]).imagined
            listener.spin(0.3)
            assert stamps(images) == [name], "nobody is told of it as of another goal"


def test_an_unknown_or_grey_picture_is_never_a_plain_new_goal(system, tmp_path):
    listener = system.listener
    answer = system.show(OWN[0])
    assert (answer.level, told(answer)["known"]) == (OK, "True"), answer.message

    answer = system.show(NOISE)
    assert (answer.level, told(answer)["known"], told(answer)["accepted"]) == (WARN, "False", "True")
    assert "does not know" in answer.message and f"{float(told(answer)['times usual']):.1f} times" in answer.message
    file = tmp_path / "noise.png"
    cv2.imwrite(str(file), NOISE)
    done = rig("goal", file, "--timeout", 30)
    assert done.returncode == 0 and "does not know what it shows" in done.stdout, done.stdout + done.stderr

    old = told(system.show(OWN[0]))["goal"]
    assert listener.set_parameter("policy", "mode", "reach").successful
    system.forget()
    answer = system.show(grey(OWN[:1])[0])
    assert answer.level == ERROR and "no colour" in answer.message and "accept_grey" in answer.message
    assert listener.set_parameter("goal", "refuse_unknown", True).successful
    answer = system.show(NOISE)
    assert answer.level == ERROR and "refuse_unknown" in answer.message and "old goal stays" in answer.message
    assert told(answer)["goal"] == old
    camera = system.swaps.observations
    camera.publish(rgb_to_image(NOISE, listener.node.get_clock().now().to_msg(), "camera"))
    listener.spin(0.1)
    captured = listener.call(Trigger, "goal/capture")
    assert not captured.success and "does not know" in captured.message, "a view that the VAE does not know"
    listener.spin(0.3)
    assert not system.images and not system.latents and not system.episodes, "the old goal is in force everywhere"
    done = rig("goal", file, "--timeout", 30)
    assert done.returncode == 1 and "refused" in done.stdout

    assert listener.set_parameter("goal", "accept_grey", True).successful
    answer = system.show(grey(OWN[:1])[0])
    assert answer.level == WARN and "no colour" in answer.message, "taken because it was asked for, not in silence"


def test_a_new_vae_checks_the_goal_again_and_ends_a_goal_that_would_be_refused(system):
    listener = system.listener
    system.show(OWN[1])
    listener.set_parameter("policy", "mode", "reach")
    system.forget()
    assert system.swaps.swap("other")[0].accepted
    listener.until(lambda: system.statuses, "the verdict of the new VAE")
    answer = system.statuses[0]
    assert (answer.level, told(answer)["source"], told(answer)["known"]) == (WARN, "swap", "False")
    assert not system.images, "the goal is the same"

    assert system.swaps.swap("known")[0].accepted
    listener.until(lambda: len(system.statuses) == 2, "the verdict of the first VAE")
    assert (system.statuses[1].level, told(system.statuses[1])["known"]) == (OK, "True")

    listener.set_parameter("goal", "refuse_unknown", True)
    system.forget()
    assert system.swaps.swap("other")[0].accepted
    listener.until(lambda: system.images, "the goal is ended")
    assert system.images[-1].width == 0
    listener.until(lambda: told(system.episodes[-1])["why"] == "goal cleared", "the arm goes nowhere any more")
    listener.until(lambda: system.statuses, "the reason")
    assert "refused by VAE" in system.statuses[-1].message and told(system.statuses[-1])["goal"] == "none"


def test_an_imagined_goal_is_seen_where_goals_are_seen_and_called_imagined(system, root):
    listener = system.listener
    listener.set_parameter("policy", "mode", "reach")
    system.forget()
    name = system.imagine()
    listener.until(lambda: system.images and system.statuses and system.episodes and system.latents, "the goal")
    assert stamps(system.images) == [name] and system.images[0].header.frame_id == IMAGINED
    assert from_raw(system.images[0]).shape == (48, 48, 3)
    said = told(system.statuses[0])
    assert (system.statuses[0].message, said["source"], said["goal"]) == ("imagined goal", "imagined", name)
    assert system.started() == [("reach", "imagined", name)]
    assert latent.from_message(system.latents[0]).imagined
    listener.spin(0.3)
    assert stamps(system.latents) == [name], "what comes back from the goal node is no second goal"

    shown = told(system.show(OWN[0]))["goal"]
    listener.until(lambda: len(system.started()) == 2, "an episode of the goal that was shown")
    assert system.started()[1] == ("reach", "shown", shown)
    assert not listener.call(Trigger, "encoder/imagine_goal").success, "what is shown is not replaced at once"
    listener.spin(1.0)
    system.forget()
    name = system.imagine()
    listener.until(lambda: stamps(system.images) == [name], "a second later it may be")
    listener.until(lambda: system.started() == [("reach", "imagined", name)], "its episode")

    assert system.swaps.swap("other")[0].accepted
    listener.spin(0.3)
    assert stamps(system.images) == [name] and len(system.started()) == 1, "another VAE: the same goal"
    assert latent.from_message(system.latents[-1]).imagined

    listener.set_parameter("policy", "mode", "idle")
    system.forget()
    listener.set_parameter("policy", "mode", "reach")
    listener.until(system.started, "an episode of the goal that is still there")
    assert system.started() == [("reach", "imagined", name)]


def test_a_goal_imagined_on_request_in_practice_is_practised_and_not_called_shown(system):
    listener = system.listener
    listener.set_parameter("policy", "mode", "practice")
    listener.until(system.started, "practice")
    name = system.imagine()
    listener.until(lambda: [one for one in system.started() if one[2] == name], "an episode of that goal")
    assert {(mode, kind) for mode, kind, _ in system.started()} == {("practice", "imagined")}
    shown = told(system.show(OWN[2]))["goal"]
    listener.until(lambda: system.started()[-1] == ("reach", "shown", shown), "a person comes first")


@pytest.mark.parametrize(("imagined", "shown", "too_soon"), [(10.0, 9.5, True), (10.0, 10.5, True), (10.0, 8.9, False)])
def test_goals_of_the_same_moment_are_ordered_alike_by_all(imagined: float, shown: float, too_soon: bool) -> None:
    assert comes_too_soon(imagined, shown) is too_soon
