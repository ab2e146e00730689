"""The reward: the same in numpy and torch, highest at the goal, and with the derivative that autograd finds."""

import numpy as np
import pytest
import torch

from rig_robot.learning.rl.reward import reward, reward_gradient


def pair() -> tuple[np.ndarray, np.ndarray]:
    achieved, goal = np.random.default_rng(0).normal(size=(2, 50, 4)).astype(np.float32)
    return achieved, goal


def test_numpy_and_torch_give_the_same_reward_which_is_0_at_the_goal_and_below_elsewhere() -> None:
    achieved, goal = pair()
    found = reward(achieved, goal)
    assert found.shape == (50,) and found.dtype == np.float32 and (found < 0).all()
    torch.testing.assert_close(reward(torch.from_numpy(achieved), torch.from_numpy(goal)), torch.from_numpy(found))
    assert not reward(goal, goal).any()


@pytest.mark.parametrize("per", [1.0, 0.6])
def test_the_gradient_by_formula_is_that_of_autograd(per: float) -> None:
    achieved, goal = map(torch.from_numpy, pair())
    x = torch.zeros_like(achieved, requires_grad=True)
    (expected,) = torch.autograd.grad(reward(achieved + x / per, goal).sum(), x)
    torch.testing.assert_close(reward_gradient(achieved, goal, reward(achieved, goal), per), expected)


def test_the_gradient_at_the_goal_itself_is_finite() -> None:
    _, goal = map(torch.from_numpy, pair())
    assert torch.equal(reward_gradient(goal, goal, reward(goal, goal)), torch.zeros_like(goal))
