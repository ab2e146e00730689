"""Which candidates may be published: the shipped pair, whole and damaged, in its own view and in another."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.practice import acceptance_criteria as criteria
from rig_robot.learning.representations.latent import IMAGINED, Latent
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.actor_critic import Actor
from rig_robot.learning.vae.measures import active_units, knows_view, vae_loss
from rig_robot.learning.vae.vae import Vae

DATA = Path(__file__).parent / "data"
PLACES = 60
XY = (0, 1)
Pair = tuple[Vae, Actor]


def check_vae(present: Vae | None, candidate: Vae, images: np.ndarray, least_units: int) -> criteria.Decision:
    """Return the decision on a VAE by its figures on images."""
    before, found = (
        vae and criteria.VaeFigures(vae_loss(vae, images, 20.0), active_units(vae, images))
        for vae in (present, candidate)
    )
    assert found is not None
    return criteria.check_vae(before, found, len(images), least_units)


def knows(vae: Vae, rig: Rig, images: np.ndarray) -> bool:
    return knows_view(vae, rig.prior.sample(np.random.default_rng(0), IMAGINED), images)


@pytest.fixture(scope="module")
def shipped() -> Rig:
    """Return what a checkpoint with a plain VAE holds."""
    directory = DATA / "plain_vae"
    config = read_config(directory)
    box = ActionBox.of_entries(config.action, config.workspace)
    rig = Rig(restore.arguments(config, Path()), box, 1, np.zeros((1, 48, 48, 3), np.uint8))
    restore.load(directory, config, rig)
    return rig


@pytest.fixture
def pair(shipped: Rig) -> Pair:
    """Return a copy of the shipped pair, for the test to change."""
    assert isinstance(shipped.representation, Latent)
    return copy.deepcopy(shipped.representation.vae), copy.deepcopy(shipped.td3.actor)


@pytest.fixture(scope="module")
def view() -> Iterator[Callable[[str], tuple[np.ndarray, np.ndarray]]]:
    """Return a function: scene name to images, uint8 [N, S, S, 3], of the tool anywhere, and its positions [N, 3]."""
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def look(scene: str) -> tuple[np.ndarray, np.ndarray]:
        if scene not in seen:
            env: Any = gymnasium.make("RigSawyerReachXY-v0", scene=scene).unwrapped
            env.reset(seed=1)
            places = np.random.default_rng(1).uniform(env.workspace_low, env.workspace_high, (PLACES, 3))
            seen[scene] = np.stack([env.render_goal(place) for place in places]), places
            env.close()
        return seen[scene]

    yield look


def test_the_view_that_a_vae_learnt_is_told_from_a_camera_that_was_turned(shipped: Rig, pair: Pair, view) -> None:
    """Also where the arm holds still, and whatever part of the table it keeps to."""
    vae, _ = pair
    images, places = view("plain")
    assert knows(vae, shipped, images)
    assert knows(vae, shipped, images[:1].repeat(5, axis=0))
    for side in (places[:, 1] > 0, places[:, 1] < 0):
        assert knows(vae, shipped, images[side])
    images, _ = view("shifted")
    assert not knows(vae, shipped, images)
    assert not knows(vae, shipped, images[:1].repeat(5, axis=0))


def test_a_collapsed_vae_is_refused_even_as_the_first_one(pair: Pair, view) -> None:
    vae, _ = pair
    images, _ = view("plain")
    assert check_vae(None, vae, images, 2).accepted and check_vae(vae, vae, images, 2).accepted
    collapsed = copy.deepcopy(vae)
    with torch.no_grad():
        collapsed.encoder[-1].weight.zero_()  # type: ignore[union-attr,operator]
    for present in (None, vae):
        verdict = check_vae(present, collapsed, images, 2)
        assert not verdict.accepted and "collapsed: 0 active" in verdict.reason


def test_a_vae_of_one_direction_is_too_little_for_an_arm_that_moves_along_two(pair: Pair, view) -> None:
    vae, _ = pair
    images, _ = view("plain")
    with torch.no_grad():
        head = vae.encoder[-1].weight  # type: ignore[union-attr]
        head[1:4] = 0  # type: ignore[index,operator]
    assert active_units(vae, images) == 1
    assert not check_vae(None, vae, images, 2).accepted and check_vae(None, vae, images, 1).accepted


def test_a_vae_that_sees_held_out_images_worse_is_refused(pair: Pair, view) -> None:
    vae, _ = pair
    images, _ = view("plain")
    worse = copy.deepcopy(vae)
    with torch.no_grad():
        worse.mean_image += 0.05
    verdict = check_vae(vae, worse, images, 2)
    assert not verdict.accepted
    assert verdict.figures["held_out_loss"] > 1.02 * verdict.figures["held_out_loss_before"]
    assert check_vae(worse, vae, images, 2).accepted


@pytest.mark.parametrize("measured", [True, False])
def test_a_vae_whose_latents_turned_under_the_policy_is_refused(pair: Pair, view, measured: bool) -> None:
    """As fine-tuning the VAE alone may turn them: each number still says as much, and the arm goes astray."""
    vae, actor = pair
    images, places = view("plain")
    known = places if measured else np.full_like(places, np.nan)
    turned = copy.deepcopy(vae)
    with torch.no_grad():
        for rows in (turned.encoder[-1].weight, turned.encoder[-1].bias):  # type: ignore[union-attr]
            rows[:4] = rows[:4].roll(1, 0)  # type: ignore[index,operator]
    astray = criteria.check_actions((vae, actor), (turned, actor), images, known, XY)
    assert not astray.accepted, astray.reason
    assert criteria.check_actions((vae, actor), (vae, actor), images, known, XY).accepted


def test_a_pair_that_points_to_the_goal_replaces_one_that_is_lost_in_a_new_view(pair: Pair, view) -> None:
    """By measured places alone: it shall act unlike the present one there."""
    lost, (images, places) = pair, view("shifted")
    at = {
        image.tobytes(): torch.from_numpy(place[:2] * 20).float() for image, place in zip(images, places, strict=True)
    }

    class PositionVae(Vae):
        def encode(self, pixels: torch.Tensor, context: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
            seen = (pixels.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).contiguous().numpy()
            latents = torch.stack([at[image.tobytes()] for image in seen])
            return latents, latents

    class StraightToGoal(Actor):
        def forward(self, latent: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
            return torch.tanh(goal - latent)

    found = PositionVae(48, 2, (8, 16, 32)), StraightToGoal(2, 2, (8,))
    better = criteria.check_actions(lost, found, images, places, XY)
    assert better.accepted and better.figures["angle_deg"] < 45 < better.figures["angle_before_deg"]
    assert not criteria.check_actions(found, lost, images, places, XY).accepted


def test_a_candidate_may_reach_worse_by_chance_and_no_more() -> None:
    before = {"goals": 30, "mean_mm": 10.0, "median_mm": 9.0}
    assert criteria.check_reaching(before, before | {"mean_mm": 11.4}).accepted
    assert not criteria.check_reaching(before, before | {"mean_mm": 11.6}).accepted
    near = before | {"mean_mm": 1.0}
    assert criteria.check_reaching(near, before | {"mean_mm": 1.9}).accepted
    assert not criteria.check_reaching(near, before | {"mean_mm": 2.1}).accepted
    assert criteria.check_reaching(None, before).accepted
