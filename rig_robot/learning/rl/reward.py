"""The reward, in one place: minus the distance between the latent that an action led to and the latent of the goal.

To change the reward, change `reward` and its derivative `reward_gradient`, which the fast TD3 needs; a test compares
the two. `Rig.improve` rewards transitions by it, and `Td3.values` and `Value` add it to what their networks give.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)


def reward(achieved: Array, goal: Array) -> Array:
    """Return r = -||z' - z_g|| of each row, never above 0: float32 [B], in numpy or torch as the arguments.

    RIG (Nair, Pong et al. 2018, arXiv 1807.04742), section 4.2 with the Euclidean distance; Algorithm 1, line 13.

    Args:
        achieved: z', the latents that were reached: float32 [B, L].
        goal: z_g: float32 [B, L].
    """
    if isinstance(achieved, Tensor):
        return -torch.linalg.vector_norm(achieved - goal, dim=1)
    return -np.linalg.norm(achieved - goal, axis=1)


def reward_gradient(achieved: Tensor, goal: Tensor, found: Tensor, per: float = 1.0) -> Tensor:
    """Return dr/dx, float32 [B, L], where z' = x / per + what does not depend on x; by default x is z' itself.

    Args:
        achieved: z': float32 [B, L].
        goal: z_g: float32 [B, L].
        found: r = reward(achieved, goal): float32 [B].
        per: How far x must change for z' to change by one.
    """
    # d -||v|| / dv = -v / ||v||; at the goal itself, where the norm has a kink, the gradient is (nearly) 0.
    return (achieved - goal) / (per * found).clamp(max=-1e-12).unsqueeze(1)


def weighted_reward(achieved: Tensor, goal: Tensor, axes: int, tool_weight: float) -> Tensor:
    """Return minus the distances of the objects, added, and of the tool, weighted: float32 [...].

    In one norm of tool and objects, policies soon care for the tool alone, which is where it should be without touching
    anything ("arm matching").

    Args:
        achieved: z', [tool, object, object ...] of `axes` numbers each: float32 [..., L].
        goal: z_g: float32 [..., L].
        axes: Numbers of each thing.
        tool_weight: How much the tool's distance counts; where there are no objects, it counts alone.
    """
    ways = (achieved - goal).unflatten(-1, (-1, axes)).norm(dim=-1)
    if ways.shape[-1] == 1:
        return -ways[..., 0]
    return -(ways[..., 1:].sum(dim=-1) + tool_weight * ways[..., 0])
