"""TD3 with goals: targets as the formula says, delayed actor, and a policy that reaches and then holds still.

What holds for the algorithm is tested on both implementations, and the two are compared step by step.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.fast_mlp import FastMlp
from rig_robot.learning.rl.fast_td3 import FastTd3
from rig_robot.learning.rl.reward import reward
from rig_robot.learning.rl.td3 import Batch, Td3

torch.set_num_threads(1)  # more fight with whatever else runs

BOTH = pytest.mark.parametrize("kind", [Td3, FastTd3])
ARGS = TrainArgs(out=Path("unused"), latent_size=2, hidden=(64, 64), learning_rate=2e-3, action_penalty=0.01)


def batch(rng: np.random.Generator, size: int) -> Batch:
    """A point in the plane that moves by a tenth of its actions, each half a step late; goals anywhere."""
    latent, goal, before, action = rng.uniform(-1, 1, (4, size, 2)).astype(np.float32)
    after = latent + 0.05 * before + 0.05 * action
    reward = -np.linalg.norm(after - goal, axis=1)
    return Batch(*map(torch.from_numpy, (latent, before, action, after, goal, reward)))


def random_batch(rng: np.random.Generator, size: int) -> Batch:
    """Transitions of latents of 3 numbers and actions of 2 that lead anywhere."""
    arrays = [rng.uniform(-1, 1, (size, width)).astype(np.float32) for width in (3, 2, 2, 3, 3)]
    return Batch(*map(torch.from_numpy, (*arrays, -np.linalg.norm(arrays[3] - arrays[4], axis=1))))


@BOTH
def test_target_is_the_smaller_critic_discounted_and_never_above_the_reward(kind: type[Td3]) -> None:
    torch.manual_seed(0)
    td3, data = kind(2, 2, ARGS), batch(np.random.default_rng(0), 32)
    for critic, bias in zip(td3.target_critics, (5.0, -5.0), strict=True):
        critic.layers[-1].bias.fill_(bias)
    action = td3.target_actor(data.next_latent, data.goal)
    expected = [critic(data.next_latent, action, data.goal) for critic in td3.target_critics]
    value = torch.stack(expected).min(0).values + reward(td3.aim(data.next_latent, action), data.goal)
    torch.testing.assert_close(td3.target(data, torch.zeros(32, 2)), data.reward + ARGS.gamma * value.clamp(max=0))
    for critic in td3.target_critics:
        critic.layers[-1].bias.fill_(100.0)
    torch.testing.assert_close(td3.target(data, torch.zeros(32, 2)), data.reward)


@BOTH
def test_actor_and_targets_are_updated_with_delay(kind: type[Td3]) -> None:
    torch.manual_seed(0)
    td3, rng = kind(2, 2, ARGS), np.random.default_rng(0)

    def snapshot() -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in td3.state_dict().items()}

    def changed(before: dict[str, torch.Tensor]) -> set[str]:
        return {name.split(".")[0] for name, now in td3.state_dict().items() if not torch.equal(now, before[name])}

    before = snapshot()
    td3.update(batch(rng, 32), torch.randn(32, 2), with_actor=False)
    assert changed(before) == {"critics", "predictor"}
    before = snapshot()
    td3.update(batch(rng, 32), torch.randn(32, 2), with_actor=True)
    assert changed(before) == {"critics", "predictor", "actor", "value", "target_actor", "target_critics"}


@BOTH
def test_learning_rate_falls_to_a_twentieth(kind: type[Td3]) -> None:
    td3 = kind(2, 2, ARGS)
    td3.set_progress(1.0)
    assert np.isclose(td3.actor_optimiser.param_groups[0]["lr"], 0.05 * ARGS.learning_rate)


@pytest.fixture(scope="module", params=[Td3, FastTd3])
def trained(request: pytest.FixtureRequest) -> Td3:
    torch.manual_seed(0)
    td3, rng, steps = request.param(2, 2, ARGS), np.random.default_rng(0), 1500
    for step in range(steps):
        td3.set_progress(step / steps)
        td3.update(batch(rng, 128), torch.from_numpy(rng.standard_normal((128, 2), dtype=np.float32)), step % 2 == 0)
    return td3


@pytest.mark.slow
def test_an_action_heads_for_more_than_it_covers(trained: Td3) -> None:
    data = batch(np.random.default_rng(1), 200)
    with torch.no_grad():
        aim = trained.aim(data.latent, data.action) - data.latent
    assert (aim - 0.1 * data.action / ARGS.gain).norm(dim=1).mean() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("late", "near"), [(0.0, 0.001), (0.5, 0.001), (1.0, 0.01)])
def test_it_reaches_and_then_holds_still_whatever_the_delay(trained: Td3, late: float, near: float) -> None:
    latent, goal = torch.from_numpy(np.random.default_rng(2).uniform(-0.9, 0.9, (2, 200, 2)).astype(np.float32))
    before = torch.zeros(200, 2)
    with torch.no_grad():
        for _ in range(40):
            action, previous = trained.actor(latent, goal), latent
            latent, before = latent + 0.1 * (late * before + (1 - late) * action), action
    # 0.1 is one action; at the start they are 0.9 apart.
    assert (latent - goal).norm(dim=1).mean() < near
    assert (latent - previous).norm(dim=1).mean() < 0.02


@pytest.mark.slow
def test_the_value_of_a_place_is_what_the_critic_says_of_the_policys_action_there(trained: Td3) -> None:
    data = batch(np.random.default_rng(3), 500)
    with torch.no_grad():
        action = trained.actor(data.latent, data.goal)
        aim = trained.aim(data.latent, action)
        (q,) = trained.values(trained.critics[:1], data.latent, action, data.goal, aim)
        v = trained.value(data.latent, data.goal)
    assert np.corrcoef(v, q)[0, 1] > 0.98
    assert (v - q).abs().mean() < 0.1 * q.std()
    assert np.corrcoef(v, -(data.latent - data.goal).norm(dim=1))[0, 1] > 0.9


@pytest.mark.parametrize(
    "changes", [{}, {"tip": False}, {"layer_norm": False}, {"falling_rate": False}, {"rest_at_goal": False}], ids=str
)
def test_the_fast_implementation_does_the_same_as_the_readable_one(changes: dict[str, Any]) -> None:
    args = dataclasses.replace(ARGS, **changes)
    both: list[Td3] = []
    for kind in (Td3, FastTd3):
        torch.manual_seed(0)
        both.append(kind(3, 2, args))
    readable, fast = both
    assert readable.state_dict().keys() == fast.state_dict().keys()
    assert all(torch.equal(tensor, fast.state_dict()[name]) for name, tensor in readable.state_dict().items())
    rng, steps = np.random.default_rng(0), 20
    for step in range(steps):
        data, noise = random_batch(rng, 64), torch.from_numpy(rng.standard_normal((64, 2), dtype=np.float32))
        for td3 in both:
            td3.set_progress(step / steps)
        logs = [td3.update(data, noise, step % 2 == 0) for td3 in both]
        torch.testing.assert_close(logs[1], logs[0], rtol=1e-4, atol=1e-5)
    moved = [td3.state_dict() for td3 in both]
    torch.testing.assert_close(dict(moved[1]), dict(moved[0]), rtol=1e-4, atol=1e-5)


@BOTH
def test_without_the_tip_the_value_is_the_critics_alone(kind: type[Td3]) -> None:
    torch.manual_seed(0)
    td3, data = kind(2, 2, dataclasses.replace(ARGS, tip=False)), batch(np.random.default_rng(0), 8)
    (value,) = td3.values(td3.critics[:1], data.latent, data.action, data.goal, td3.aim(data.latent, data.action))
    torch.testing.assert_close(value, td3.critics[0](data.latent, data.action, data.goal))
    log = td3.update(data, torch.zeros(8, 2), with_actor=True)
    assert "td3/prediction_loss" not in log and torch.isfinite(log["td3/actor_loss"])


@pytest.mark.parametrize("layer_norm", [True, False])
def test_gradients_by_hand_are_those_of_autograd(layer_norm: bool) -> None:
    torch.manual_seed(0)
    network = FastMlp(5, (16, 8), 3, layer_norm)
    plain = torch.nn.Sequential(*network)  # the same layers, run by torch itself
    x, slope = torch.randn(32, 5, requires_grad=True), torch.randn(32, 3)
    expected = torch.autograd.grad(plain(x), [*network.weights, x], slope)
    found = torch.autograd.grad(network(x), [*network.weights, x], slope)
    torch.testing.assert_close(network(x), plain(x))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("tip", "rests"), [(True, True), (False, True), (True, False)])
def test_the_actor_climbs_the_slope_of_the_value(tip: bool, rests: bool) -> None:
    torch.manual_seed(0)
    args = dataclasses.replace(ARGS, tip=tip, rest_at_goal=rests)
    td3, data = FastTd3(2, 2, args), batch(np.random.default_rng(0), 32)
    action = data.action.clone().requires_grad_()
    (value,) = td3.values(td3.critics[:1], data.latent, action, data.goal, td3.aim(data.latent, action))
    with torch.no_grad():
        q, slope = td3.climb(data.latent, data.action, data.goal)
    torch.testing.assert_close(q, value.detach())
    torch.testing.assert_close(slope, torch.autograd.grad(value.sum(), action)[0])
    action = td3.actor(data.latent, data.goal)
    (value,) = td3.values(td3.critics[:1], data.latent, action, data.goal, td3.aim(data.latent, action))
    loss = ARGS.action_penalty * action.square().sum(dim=1).mean() - value.mean()
    expected = torch.autograd.grad(loss, td3.actor.layers.weights)
    with torch.no_grad():
        td3.update_actor(data.latent, data.goal)
    torch.testing.assert_close(td3.actor_optimiser.slopes, list(expected))
