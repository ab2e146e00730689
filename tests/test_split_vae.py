"""The split VAE: the actions alone make its controllable latent, and clutter does not move it."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import rig_sim  # noqa: F401  (registers the environment)
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.learning.vae.augmentation import augment
from rig_robot.learning.vae.split_trainer import Path, SetPoint, SplitVaeTrainer
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import to_pixels
from rig_robot.learning.vae.vae_trainer import one_cycle

REACH = (5.0, 5.0)
SIDE = 48


def path(actions: np.ndarray, before: np.ndarray, steps: np.ndarray) -> Path:
    return Path(torch.from_numpy(actions), torch.from_numpy(steps), torch.from_numpy(before))


def moved(start: np.ndarray, actions: np.ndarray, late: float) -> tuple[np.ndarray, np.ndarray]:
    """Return set points [T + 1, 2] and places [T + 1, 2] of a tool whose actions [T, 2] partly take effect late."""
    targets = [start]
    for action in actions:
        targets.append(np.clip(targets[-1] + action, -np.array(REACH), REACH))
    target = np.stack(targets)
    return target, np.concatenate((target[:1], target[1:] - late * np.diff(target, axis=0)))


def test_the_set_point_stops_at_the_walls_as_the_arm_does() -> None:
    rng, model = np.random.default_rng(0), SetPoint(torch.tensor(REACH))
    with torch.no_grad():
        model.late.copy_(torch.logit(torch.tensor(0.3)))
    for _ in range(20):
        actions = rng.uniform(-1, 1, (1, 2)).repeat(12, axis=0) * 1.5  # straight ahead, mostly into a wall
        _, places = moved(rng.uniform(-4, 4, 2), actions, 0.3)
        first, second = 1, 11
        given = path(
            actions[None, first:second].astype(np.float32),
            actions[None, first - 1].astype(np.float32),
            np.array([second - first]),
        )
        found = model(torch.from_numpy(places[None, first]).float(), given)[0].detach().numpy()
        np.testing.assert_allclose(found, places[second], atol=1e-5)


def test_a_pair_may_be_shorter_than_the_longest_or_one_frame_twice() -> None:
    model = SetPoint(torch.tensor(REACH))
    actions = np.zeros((2, 10, 2), np.float32)
    actions[0, :2] = (1.0, 0.5)
    given = path(actions, np.zeros((2, 2), np.float32), np.array([2, 0]))
    start = torch.tensor([[0.0, 0.0], [3.0, -2.0]])
    found = model(start, given).detach()
    torch.testing.assert_close(found[1], start[1])
    torch.testing.assert_close(found[0], torch.tensor([1.5, 0.75]))  # half of the second action is late


def test_augmented_pictures_differ_in_all_but_where_things_are() -> None:
    pixels = torch.rand(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    still = augment(pixels, pixels, 0.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(still, pixels)
    one, again = (augment(pixels, pixels, 1.0, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, again) and one.min() >= 0 and one.max() <= 1
    other = augment(pixels, pixels, 1.0, torch.Generator().manual_seed(2))
    assert ((one - pixels).abs().mean(dim=(1, 2, 3)) > 0.02).all() and (
        (one - other).abs().mean(dim=(1, 2, 3)) > 0.02
    ).all()
    kept = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(one.numpy(), pixels.numpy(), strict=True)]
    assert np.median(kept) > 0.6, "a picture is still to be recognised"


class Room:
    """Episodes of a white square that goes as it is told, in rooms of other colours, and a box that goes about."""

    def __init__(self, episodes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.actions = np.repeat(rng.uniform(-1, 1, (episodes, 5, 2)), 6, axis=1).astype(np.float32)
        walks = [moved(rng.uniform(-4, 4, 2), actions, 0.0)[1] for actions in self.actions]
        self.places = np.stack(walks).astype(np.float32)  # [E, 31, 2]
        self.images = np.stack([self._draw(walk, rng) for walk in self.places])

    def _draw(self, walk: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        images = np.empty((len(walk), SIDE, SIDE, 3), np.uint8)
        images[:] = rng.integers(20, 120, 3)
        box, colour = rng.integers(0, 36, 2), rng.integers(0, 200, 3)
        for image, place in zip(images, walk, strict=True):
            box = np.clip(box + rng.integers(-2, 3, 2), 0, 36)
            image[box[0] : box[0] + 10, box[1] : box[1] + 10] = colour
            left, top = np.round(24 + 3.6 * place - 4).astype(int)
            image[top : top + 8, left : left + 8] = 255
        return images


@pytest.fixture(scope="module")
def trained() -> SplitVae:
    """Return a split VAE that has seen sixty rooms, after a quarter of the updates of `rig train`."""
    torch.manual_seed(0)
    rng, room = np.random.default_rng(0), Room(60, 0)
    vae = SplitVae(SIDE, REACH, 8, (8, 16, 16))
    vae.mean_image.copy_(to_pixels(room.images.reshape(-1, SIDE, SIDE, 3)).mean(dim=0))
    trainer = SplitVaeTrainer(vae, SetPoint(vae.reach), 1.0, 500.0, "actions")
    for step in range(300):
        episode, steps = rng.integers(60, size=32), rng.integers(0, 11, 32)
        first = rng.integers(1, 20, 32)
        actions = np.stack([room.actions[e, f : f + 10] for e, f in zip(episode, first, strict=True)])
        actions = actions * (np.arange(10) < steps[:, None])[..., None]
        images = np.concatenate((room.images[episode, first], room.images[episode, first + steps]))
        given = path(actions.astype(np.float32), room.actions[episode, first - 1], steps)
        contexts = room.images[episode, rng.integers(31, size=32)]
        trainer.update(images, contexts, given, 2e-3 * one_cycle(step / 300), rng, min(1.0, step / 90))
    return vae.eval()


@torch.inference_mode()
@pytest.mark.slow
def test_latents_are_the_tools_place_in_actions_whatever_else_there_is(trained: SplitVae) -> None:
    """In rooms that it never saw, without any position in training: the walls give the zero, the actions the unit."""
    room = Room(10, 1)
    found = trained.controllable(to_pixels(room.images.reshape(-1, SIDE, SIDE, 3))).numpy()
    off = np.linalg.norm(found - room.places.reshape(-1, 2), axis=1)
    assert np.median(off) < 0.7 and np.mean(off) < 1.0, f"{np.median(off):.2f}, {np.mean(off):.2f} actions"


@torch.inference_mode()
@pytest.mark.slow
def test_the_arm_is_redrawn_where_c_says_in_the_room_that_u_says(trained: SplitVae) -> None:
    room = Room(10, 1)
    here, there = to_pixels(room.images[:, 0]), to_pixels(room.images[:, -1])
    swapped = trained.decode(trained.controllable(here), there)
    apart = [e for e in range(10) if np.linalg.norm(room.places[e, 0] - room.places[e, -1]) > 3]
    assert len(apart) >= 3
    right, wrong = ((swapped[apart] - frame[apart]).square().mean() for frame in (here, there))
    assert right < wrong, f"{right:.4f}, {wrong:.4f}: the square is where the context had it"
    other = trained.decode(trained.controllable(here), here.flip(0))
    assert ((other - swapped).square().mean(dim=(1, 2, 3)) > 1e-3).any(), "the room is the context's"


@pytest.mark.parametrize("axis", [0, 1])
def test_the_shipped_latent_moves_as_evenly_as_the_tool(axis: int) -> None:
    """Where it jumped from pixel to pixel of its maps, the arm trembled at its goal: most of a step for 1 mm."""
    env: Any = gymnasium.make("RigSawyerReachXY-v0")
    middle = (env.unwrapped.workspace_low + env.unwrapped.workspace_high) / 2
    places = middle + np.outer(np.arange(-20, 21) / 1000, np.eye(3)[axis])
    images = [env.reset(seed=0, options={"start": place})[0]["image"] for place in places]
    env.close()
    encoder = Encoder(locate(SHIPPED_CHECKPOINT))
    steps = np.linalg.norm(np.diff([encoder.encode(image)[0] for image in images], axis=0), axis=1)
    even = 0.001 / encoder.config.action.scale_m
    assert np.median(steps) == pytest.approx(even, rel=0.25), "one unit of c is an action"
    assert np.quantile(steps, 0.9) < 2 * even and np.quantile(steps, 0.1) > 0.3 * even
