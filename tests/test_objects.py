"""Seeing what can be pushed: slots find things in pictures, and contact tells which of them is the object."""

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
from rig_robot.inference.keypoint_architecture import grid, quadratic
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
from rig_robot.learning.representations.object_choice import (
    INDIFFERENT,
    RADIUS,
    Motion,
    between,
    explain,
    shown,
    smooth,
    table_maps,
)
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.training.evaluate import evaluate
from rig_robot.learning.training.train import robot_entries
from rig_robot.learning.vae.object_slots import ObjectSlots, SlotTrainer, ahead, k_means
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels
from rig_sim.push_world import TOOL_HIGH, TOOL_LOW

REACH = np.array([9.0, 12.0], np.float32)
SIDE = 32


def pushed(episodes: int = 20, steps: int = 100) -> tuple[ReplayBuffer, np.ndarray]:
    """Return a buffer of the places of a tool on straight ways, and the places [size, 2] of the disc that it pushes."""
    rng = np.random.default_rng(0)
    replay = ReplayBuffer(episodes * (steps + 1), 2, 2)
    tool, disc, way, places = np.zeros(2), np.array([3.0, 3.0]), np.zeros(2), []
    for _ in range(episodes):
        replay.start(tool)
        places.append(disc)
        for step in range(steps):
            if step % 20 == 0:
                aim = disc + rng.normal(0, 1, 2) if rng.random() < 0.5 else rng.uniform(-REACH, REACH)
                way = (aim - tool) / np.abs(aim - tool).max()
            tool = np.clip(tool + way, -REACH, REACH)
            away = disc - tool
            distance = max(float(np.linalg.norm(away)), 1e-6)
            disc = disc + max(0.0, RADIUS - distance) * away / distance
            if (np.abs(disc) > [6, 9]).any():  # somebody puts it back
                disc = rng.uniform([-5, -8], [5, 8])
            replay.append(way, tool)
            places.append(disc)
    return replay, np.array(places)


def in_picture(places: np.ndarray) -> np.ndarray:
    """Where a camera in front of the table sees places: right is y, down is x, what is far is smaller."""
    depth = 40.0 - places[:, 0]
    return np.stack((places[:, 1] / depth * 2, 20 / depth - 0.5), axis=1)


def test_contact_tells_the_pushed_thing_from_what_moves_by_itself_and_what_never_moves() -> None:
    replay, disc = pushed()
    tool, rng = replay.latents[: replay.size], np.random.default_rng(1)
    noise = rng.normal(0, 0.1, (4, replay.size, 2))

    def unexplained(places: np.ndarray) -> float | None:
        motion = Motion.of(places, tool, replay)
        return motion and motion.unexplained()

    known = unexplained(disc + noise[0])
    wanders = 6 * np.sin(np.cumsum(rng.normal(0, 0.03, (replay.size, 2)), axis=0))
    itself = unexplained(wanders + noise[1])
    assert known is not None and known < 0.5
    assert itself is None or itself > known + 0.2
    assert unexplained(np.full((replay.size, 2), 3.0) + noise[2]) is None, "it never moves"
    assert unexplained(tool + noise[3]) is None, "it is the arm"


def test_the_arm_s_own_points_tell_where_things_on_the_table_are() -> None:
    replay, disc = pushed()
    tool, rng = replay.latents[: replay.size], np.random.default_rng(1)
    elbow = in_picture(0.3 * tool + rng.normal(0, 1, tool.shape))
    points = np.stack((elbow, in_picture(tool) + rng.normal(0, 0.005, tool.shape)), axis=1)
    matrix = table_maps(points, tool)[0]
    errors = np.linalg.norm(quadratic(in_picture(disc)) @ matrix - disc, axis=1)
    assert np.median(errors) < 0.5  # of 18 by 24 actions


@pytest.mark.parametrize(
    ("shift", "scale", "unexplained"), [((0.0, 0.0), 1.0, 0.6), ((9.0, -4.0), 0.85, 0.6), ((18.0, -3.0), 0.85, 0.7)]
)
def test_contact_tells_where_a_thing_is_though_the_arm_s_points_are_above_the_table(
    shift: tuple[float, float], scale: float, unexplained: float
) -> None:
    replay, disc = pushed()
    tool, rng = replay.latents[: replay.size], np.random.default_rng(1)
    point = in_picture(scale * tool + np.array(shift)) + rng.normal(0, 0.003, tool.shape)
    maps = table_maps(point[:, None], tool)
    seen = in_picture(disc) + rng.normal(0, 0.003, disc.shape)
    found = explain(seen, maps, tool, replay)
    assert found is not None and found[0] < unexplained
    errors = np.linalg.norm(quadratic(seen) @ found[1] - disc, axis=1)
    assert np.median(errors) < 0.6  # of 18 by 24 actions
    wanders = in_picture(6 * np.sin(np.cumsum(rng.normal(0, 0.03, (replay.size, 2)), axis=0)))
    itself = explain(wanders, maps, tool, replay)
    assert itself is None or itself[0] > INDIFFERENT


def test_contact_tells_the_pushed_thing_though_another_one_hides_it_now_and_then() -> None:
    replay, disc = pushed()
    tool, rng = replay.latents[: replay.size], np.random.default_rng(1)
    maps = table_maps((in_picture(tool) + rng.normal(0, 0.003, tool.shape))[:, None], tool)
    seen, clear = in_picture(disc) + rng.normal(0, 0.003, disc.shape), np.ones(replay.size, bool)
    for start in rng.integers(replay.size - 8, size=replay.size // 40):  # a fifth of the pictures, eight at a time
        clear[start : start + 8] = False
    seen[~clear] = rng.uniform(-0.6, 0.6, (int((~clear).sum()), 2))
    found, misread = explain(shown(seen, clear, replay), maps, tool, replay), explain(seen, maps, tool, replay)
    assert found is not None and found[0] < 0.6
    assert misread is None or misread[0] > found[0] + 0.05
    assert (between(seen[:10], np.zeros(10, bool)) == seen[:10]).all(), "it was never seen"


def test_a_thing_that_is_hidden_for_a_moment_has_not_moved() -> None:
    points = np.zeros((50, 2))
    points[20:22] = 0.7
    assert (smooth(points) == 0).all()


def test_the_map_is_quadratic() -> None:
    assert quadratic(np.array([[2.0, 3.0]])).tolist() == [[1, 2, 3, 4, 6, 9]]


def test_k_means_finds_colours() -> None:
    rng = np.random.default_rng(0)
    colours = np.array([[0.9, 0.1, 0.8], [0.1, 0.1, 0.1], [0.2, 0.8, 0.3]])
    points = np.repeat(colours, 200, axis=0) + rng.normal(0, 0.02, (600, 3))
    centres = k_means(points, 3, rng)
    assert all(np.linalg.norm(centres - colour, axis=1).min() < 0.05 for colour in colours)


def discs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a small disc on a table and of a larger box that often stands before it, and where the disc is.

    The light changes after every ten of them.
    """
    rng = np.random.default_rng(0)
    points, boxes = rng.uniform(-0.7, 0.7, (2, count, 1, 1, 2))
    away = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, SIDE)]), axis=-1)
    inside = np.linalg.norm(away - points, axis=-1) < 0.15
    before = np.abs(away - boxes).max(axis=-1) < 0.25
    pictures = np.where(inside[..., None], [0.8, 0.1, 0.5], np.full(3, 0.7))
    pictures = np.where(before[..., None], [0.1, 0.2, 0.8], pictures)
    light = rng.uniform(0.6, 1.1, (count // 10, 1, 1, 3)).repeat(10, axis=0)
    return (255 * (pictures * light).clip(0, 1)).astype(np.uint8), points[:, 0, 0]


@pytest.mark.slow
def test_a_slot_finds_a_small_thing_that_nobody_has_named_beside_a_larger_one() -> None:
    torch.manual_seed(1)
    rng, updates = np.random.default_rng(1), 250
    images, points = discs(400)
    vae = SplitVae(SIDE, REACH.tolist(), 4)
    slots = ObjectSlots(SIDE, 5, 4)
    trainer = SlotTrainer(slots, vae)
    trainer.begin(images, images, rng)
    for number in range(updates):
        chosen = rng.integers(len(images), size=16)
        others, half = chosen - chosen % 10 + rng.integers(10, size=16), 2 * number / updates - 1
        trainer.update(images[chosen], images[others], 2e-3, 0.0, max(0.0, half), max(0.0, -half), rng)
    with torch.no_grad():
        found = slots(to_pixels(images)).numpy()
    errors = [float(np.median(np.linalg.norm(found[:, slot] - points, axis=1))) for slot in range(5)]
    assert min(errors) < 0.1, errors  # of a picture from -1 to 1; at random, and without guidance: about 0.7


@pytest.mark.parametrize("size", [SIDE, 29])
def test_what_a_template_gains_is_what_drawing_it_gains(size: int) -> None:
    torch.manual_seed(0)
    slots = ObjectSlots(size, 3, 4)
    pixels, background, scene = torch.rand(2, 3, size, size), torch.rand(2, 3, size, size), torch.randn(2, 4)
    with torch.no_grad():
        slots.colour.normal_()
        slots.light.weight.normal_(0, 0.1)
        gains = slots.gains(pixels, background, scene)
        for row, column in ((0, 0), (3, 5), (-1, -1)):
            maps = torch.zeros_like(gains)
            maps[:, 1, row, column] = 1
            drawn = slots.draw(background, maps, scene)
            before, after = ((picture - pixels).square().sum(dim=(1, 2, 3)) for picture in (background, drawn))
            torch.testing.assert_close(gains[:, 1, row, column], before - after, rtol=1e-3, atol=1e-3)


def test_a_slot_is_ahead_by_how_much_more_it_gains_than_the_best_other_one_or_none() -> None:
    gains = torch.tensor([[[[3.0, -1.0]], [[1.0, -2.0]], [[-4.0, -3.0]]]])
    assert ahead(gains).tolist() == [[[[2.0, -1.0]], [[-2.0, -2.0]], [[-7.0, -3.0]]]]
    assert ahead(gains[:, :1]).tolist() == [[[[3.0, -1.0]]]]


@pytest.mark.slow
def test_where_nothing_is_found_it_explores_more_instead_of_practising_and_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig_robot.learning.representations.objects.BATCH", 8)
    monkeypatch.setattr("rig_robot.learning.representations.objects.INDIFFERENT", 0.0)  # nothing cares for the tool
    env = gymnasium.make("RigSawyerPushXY-v0")
    tiny = {"seeking_steps": 0, "vae_updates": 25, "slot_updates": 25, "slots": 2}
    args = PushArgs(out=tmp_path, exploration_steps=200, online_steps=300, **tiny)
    box = ActionBox.of_environment(env.unwrapped)
    learner = PushLearner(args, box, 1, 100, np.zeros((frames(args, 100), 48, 48, 3), np.uint8))
    counts = []
    with pytest.raises(ValueError, match="nothing in 303 pictures moves where the tool pushes it: give more explo"):
        learner.run(env, lambda log: counts.append((learner.explored, learner.seen, learner.missed)))
    env.close()
    assert counts == [(1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 2, 0), (3, 2, 1), (3, 3, 1), (3, 4, 1)]
    assert {name: total for name, _, total, _ in learner.stages}["practise"] == 2  # half of it at least


def test_a_slot_that_was_chosen_gives_the_object_s_place(tmp_path: Path) -> None:
    env = gymnasium.make("RigSawyerPushXY-v0")
    args = PushArgs(out=tmp_path, slots=2)
    box = ActionBox.of_environment(env.unwrapped)
    learner = PushLearner(args, box, 1, 100, np.zeros((frames(args, 100), 48, 48, 3), np.uint8))
    observation, _ = env.reset(seed=0)
    env.close()
    representation = learner.representation
    assert not representation.found and (learner.tracker.encode(observation) == 0).all()
    representation.get_buffer("chosen").fill_(1)
    representation.get_buffer("matrix")[1, 0] = 5.0  # the first axis is five times what is right in the picture
    with torch.no_grad():
        point = representation.get_submodule("slots")(to_pixels(observation["image"][None]))[0, 1]
    assert learner.tracker.encode(observation)[2:] == pytest.approx([5 * float(point[0]), 0.0], abs=1e-5)


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
