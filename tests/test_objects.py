"""A robot with an object: its checkpoint, where it remembers what is hidden, and which goals it imagines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, SimOptions
from rig_robot.bringup.systems import BringupError, simulation
from rig_robot.checkpoints.checkpoint import read_config, read_entries
from rig_robot.checkpoints.compatibility import require_same_robot
from rig_robot.checkpoints.config import CheckpointError
from rig_robot.inference.keypoint_architecture import grid
from rig_robot.inference.latent import Latent
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.inference.object_memory import UNSURE, ObjectMemory, is_sure
from rig_robot.inference.object_network import PREFIX, SURE, ObjectNetwork, clearness, object_shapes
from rig_robot.inference.places import Places
from rig_robot.inference.policy_pairs import Pairs
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import EvalArgs
from rig_robot.learning.checkpoint_io import push_export
from rig_robot.learning.checkpoint_io.restore import arguments
from rig_robot.learning.planning.push_learner import PushLearner, frames
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.replay_buffer import Frames
from rig_robot.learning.training.evaluate import evaluate
from rig_robot.learning.training.train import robot_entries
from rig_robot.learning.vae.vae import to_pixels
from rig_sim.push_world import TOOL_HIGH, TOOL_LOW


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> tuple[PushLearner, Any, Path]:
    """A learner that has seen hardly anything but has a slot and a map, and its checkpoint."""
    env: Any = gymnasium.make("RigSawyerPushXY-v0").unwrapped
    out = tmp_path_factory.mktemp("objects")
    args = PushArgs(out=out, slots=3, hidden=(16,))
    images = np.zeros((frames(args, 100), 48, 48, 3), np.uint8)
    learner = PushLearner(args, ActionBox.of_environment(env), 1, 100, images)
    for number in range(20):
        seen = env.reset(seed=number)[0]
        learner.replay.start(np.random.default_rng(number).normal(size=4), seen["image"], seen["observation"])
    representation = learner.representation
    assert isinstance(representation, ObjectLatent)
    representation.chosen.fill_(1)
    for matrix in (representation.matrix, representation.back):
        matrix.copy_(torch.randn(6, 2))
    representation.controllable.finish(learner.replay)
    with torch.no_grad():
        heights = representation.slots.heights(to_pixels(learner.replay.images[:20]))[:, 1].flatten(1).numpy()
    # Half of the pictures show the object clearly.
    representation.usual[0] = float(np.median(clearness(heights, grid(48))[:, 0])) / SURE
    push_export.write(out / "checkpoint", learner, robot_entries(env, 48), {}, {})
    env.close()
    return learner, env, out / "checkpoint"


def test_the_robot_sees_and_does_what_was_learned(learner: tuple[PushLearner, Any, Path]) -> None:
    trained, _, checkpoint = learner
    encoder, policy = Encoder(checkpoint), Policy(checkpoint)
    assert encoder.config.format == 4 and encoder.config.vae.objects == 1
    for number in range(5):
        image = trained.replay.images[number]
        seen = trained.tracker.encode({"image": image, "observation": np.zeros(4)})
        assert encoder.encode(image)[0] == pytest.approx(seen, abs=1e-3)
        goal = np.random.default_rng(number).normal(size=4).astype(np.float32)
        assert policy.act(seen, goal) == pytest.approx(trained.act(seen, goal), abs=1e-4)


def test_an_object_that_the_arm_hides_is_where_it_was_last_seen_until_somebody_puts_it_elsewhere() -> None:
    memory = ObjectMemory(2)
    unseen = np.array([1.0, 2.0, 50.0, 50.0], np.float32)
    assert memory.fill(unseen, sure=False).tolist() == unseen.tolist(), "it was never seen"
    memory.fill(np.array([0.0, 0.0, 3.0, 4.0], np.float32), sure=True)
    assert memory.fill(unseen, sure=False).tolist() == [1.0, 2.0, 3.0, 4.0]
    memory.forget()
    assert memory.fill(unseen, sure=False).tolist() == unseen.tolist()


def test_the_robot_and_training_agree_on_which_pictures_show_the_object(
    learner: tuple[PushLearner, Any, Path],
) -> None:
    trained, _, checkpoint = learner
    encoder, images = Encoder(checkpoint), trained.replay.images[:20]
    sure = trained.representation.look(Frames(images, np.zeros((20, 4), np.float32), images))[1]
    assert 0 < sure.sum() < 20, "some do, some do not"
    assert [is_sure(encoder.encode(image)[1], 2) for image in images] == sure.tolist()


def test_the_policy_remembers_for_each_vae_where_the_object_was(learner: tuple[PushLearner, Any, Path]) -> None:
    policy = Policy(learner[2])
    pairs = Pairs("pushes", policy)
    clear, hidden = np.full(4, -8.0, np.float32), np.array([-8.0, -8.0, UNSURE, UNSURE], np.float32)
    seen = np.array([0.0, 0.0, 3.0, 4.0], np.float32)
    assert pairs.remembering(Latent(policy.vae_id, seen, clear)).mean.tolist() == seen.tolist()
    misread = np.array([1.0, 1.0, 9.0, 9.0], np.float32)
    assert pairs.remembering(Latent(policy.vae_id, misread, hidden)).mean.tolist() == [1.0, 1.0, 3.0, 4.0]
    assert pairs.remembering(Latent("other", misread, hidden)).mean.tolist() == misread.tolist()


def test_a_hidden_object_is_between_where_it_was_seen_before_and_after(learner: tuple[PushLearner, Any, Path]) -> None:
    latents = np.zeros((30, 4), np.float32)
    latents[:10, 2:], latents[10:20, 2:], latents[20:, 2:] = (2.0, 0.0), (99.0, 99.0), (4.0, 0.0)
    sure = np.ones(30, bool)
    sure[10:20] = False
    settled = learner[0].representation.settled(latents, sure)
    assert (np.diff(settled[:, 2]) >= 0).all() and settled[:, 2].max() == 4.0 and (settled[:, 3] == 0).all()
    assert settled[14, 2] == pytest.approx(3.0, abs=0.2)


def test_an_object_is_drawn_where_its_place_is() -> None:
    tensors = {name: np.zeros(shape, np.float32) for name, shape in object_shapes(48, 4, 2).items()}
    tensors[f"{PREFIX}to_points"][1, 0] = tensors[f"{PREFIX}to_points"][2, 1] = 0.1
    network, grey = ObjectNetwork(tensors, 48), np.full((48, 48, 3), 0.2, np.float32)
    for place, middle in (((0.0, 0.0), (23.5, 23.5)), ((5.0, -2.0), (35.0, 18.9))):
        drawn = network.draw(grey, np.array(place), np.zeros(4, np.float32))
        rows, columns = np.nonzero((drawn != grey).any(axis=2))
        assert len(rows) == 12 * 12 and (columns.mean(), rows.mean()) == pytest.approx(middle, abs=0.6)
    assert (network.draw(grey, np.array([1e3, 0.0]), np.zeros(4, np.float32)) == grey).all(), "it is not in the picture"


def test_a_checkpoint_that_pushes_runs_in_its_own_world(learner: tuple[PushLearner, Any, Path], tmp_path: Path) -> None:
    _, _, checkpoint = learner
    nodes = {node.name: node.parameters for node in simulation(SimOptions(checkpoint=str(checkpoint)))}
    assert nodes["sim"]["task"] == "push" and "sim_push_goals" in nodes and "sim_goals" not in nodes
    low, high = (np.array(nodes["arm"][f"workspace_{end}"]) for end in ("low", "high"))
    assert (low <= TOOL_LOW).all() and (high >= TOOL_HIGH).all() and low[2] > 0.2, "the peg ends above the table"
    result = evaluate(EvalArgs(str(checkpoint), goals=1), gymnasium.make)
    assert result["goals"] == 1 and "both_50mm" in result
    with pytest.raises(CheckpointError, match="was trained to push, expected one to reach"):
        arguments(read_config(checkpoint), tmp_path)
    with pytest.raises(BringupError, match="was trained to reach, and task is push"):
        simulation(SimOptions(checkpoint=SHIPPED_CHECKPOINT, task="push"))


def test_a_running_robot_does_not_take_a_checkpoint_of_another_task(learner: tuple[PushLearner, Any, Path]) -> None:
    pushes = read_config(learner[2])
    reaches = dataclasses.replace(pushes, vae=dataclasses.replace(pushes.vae, objects=0))
    with pytest.raises(CheckpointError, match=r"of another robot, camera or task: vae.objects is 0, running is 1"):
        require_same_robot("other", reaches, pushes)


def test_imagined_goals_are_where_tool_and_object_were_seen_and_not_in_each_other(
    learner: tuple[PushLearner, Any, Path],
) -> None:
    trained, _, checkpoint = learner
    encoder, places, rng = Encoder(checkpoint), trained.places(), np.random.default_rng(0)
    goals = np.array([encoder.imagine(rng) for _ in range(200)])
    assert (goals >= places.low).all() and (goals <= places.high).all()
    assert (np.linalg.norm(goals[:, :2] - goals[:, 2:], axis=1) >= places.apart).all()
    assert np.ptp(goals, axis=0) == pytest.approx(places.high - places.low, rel=0.1), "evenly, not around the middle"


def test_places_too_small_for_both_do_not_keep_anybody_waiting() -> None:
    corner = np.zeros(4, np.float32)
    assert Places(corner, corner + 1, 50.0, 2).sample(np.random.default_rng(0), 3).shape == (3, 4)


@pytest.mark.parametrize(
    ("places", "named"),
    [
        (None, "places is None, expected one where there are objects"),
        ({"low": [0, 0, 0], "high": [1, 1, 1], "apart": 1}, "places.low is .*, expected 4 numbers"),
        ({"low": [2, 0, 0, 0], "high": [1, 1, 1, 1], "apart": 1}, "places.low is .*, expected 4 numbers"),
        ({"low": [0, 0, 0, 0], "high": [1, 1, 1, 1], "apart": -1}, "places.apart is -1.0"),
        ({"low": [0, 0, 0, 0], "high": [1, 1, 1, 1e9], "apart": 1}, "places.high is "),
    ],
)
def test_places_that_are_none_are_refused(
    learner: tuple[PushLearner, Any, Path], tmp_path: Path, places: dict | None, named: str
) -> None:
    config = json.loads((learner[2] / "config.json").read_text()) | {"places": places}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=named):
        read_entries(tmp_path / "config.json")


def peak(*tops: tuple[int, float]) -> np.ndarray:
    """A map [1, pixels] of the heights that its places have; elsewhere it is 0."""
    heights = np.zeros((1, 24 * 24), np.float32)
    for place, height in tops:
        heights[0, place] = height
    return heights


def test_a_picture_without_the_object_or_with_two_is_told_from_one_with_it() -> None:
    places = grid(48)
    one, none, two = (
        clearness(map_, places)[0] for map_ in (peak((200, 20), (201, 18)), peak((200, 3)), peak((50, 20), (400, 19)))
    )
    assert one.tolist() == [20, 0] and none.tolist() == [3, 0] and two.tolist() == [20, 19]


def test_a_latent_without_room_for_the_object_is_refused(
    learner: tuple[PushLearner, Any, Path], tmp_path: Path
) -> None:
    _, _, checkpoint = learner
    config = json.loads((checkpoint / "config.json").read_text())
    for objects in (2, -1):
        config["vae"]["objects"] = objects
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=rf"vae.objects is {objects}, expected 0, or 1"):
            read_entries(tmp_path / "config.json")
