"""Choosing the object that can be pushed: slots find things in pictures, and contact tells which of them it is."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from untrained_to_push import learn_in_small_batches

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.inference.keypoint_architecture import quadratic
from rig_robot.learning.action_box import ActionBox
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
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.vae.object_slots import ObjectSlots, SlotTrainer, ahead, k_means
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels

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
    learn_in_small_batches(monkeypatch)
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
