"""Twin delayed deep deterministic policy gradient (TD3; Fujimoto et al. 2018), with the goal as an input everywhere."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.networks import Actor, Critic

TARGET_NOISE_CLIP = 0.5


def falling(progress: float) -> float:
    """Factor on a learning rate that falls linearly to 5 %; progress: 0 at the start of training, 1 at the end."""
    return 1 - 0.95 * progress


class Batch(NamedTuple):
    """Transitions with their goals and rewards; float32 tensors."""

    latent: Tensor
    """[B, L]"""
    action: Tensor
    """[B, A]"""
    next_latent: Tensor
    """[B, L]"""
    goal: Tensor
    """[B, L]"""
    reward: Tensor
    """[B], never above 0"""


class Td3(nn.Module):
    """Actor, twin critics, their targets and their optimisers."""

    def __init__(self, action_size: int, args: TrainArgs) -> None:
        super().__init__()
        self.args = args
        self.actor = Actor(args.latent_size, action_size, args.hidden)
        self.critics = nn.ModuleList(Critic(args.latent_size, action_size, args.hidden) for _ in range(2))
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), args.learning_rate, fused=True)
        self.critic_optimiser = torch.optim.Adam(self.critics.parameters(), args.learning_rate, fused=True)

    def set_progress(self, progress: float) -> None:
        """Let the learning rates fall; progress: 0 at the start of training, 1 at the end."""
        rate = self.args.learning_rate * falling(progress)
        for optimiser in (self.actor_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def target(self, batch: Batch, noise: Tensor) -> Tensor:
        """r + gamma Q'(s', pi'(s') + noise): float32 [B].

        No state ends the task, so every transition bootstraps. Rewards are never above 0, so no value is: the clamp
        takes that share of overestimation away.
        """
        noise = (noise * self.args.target_noise).clamp(-TARGET_NOISE_CLIP, TARGET_NOISE_CLIP)
        action = (self.target_actor(batch.next_latent, batch.goal) + noise).clamp(-1, 1)
        values = [critic(batch.next_latent, action, batch.goal) for critic in self.target_critics]
        return batch.reward + self.args.gamma * torch.minimum(*values).clamp(max=0)

    def update(self, batch: Batch, noise: Tensor, with_actor: bool) -> dict[str, Tensor]:
        """One gradient step (RIG, Algorithm 1, line 14); noise: standard normal [B, A]. Returns what to log."""
        with torch.no_grad():
            target = self.target(batch, noise)
        values = [critic(batch.latent, batch.action, batch.goal) for critic in self.critics]
        critic_loss = sum((value - target).square().mean() for value in values)
        self.critic_optimiser.zero_grad()
        critic_loss.backward()  # type: ignore[union-attr]
        self.critic_optimiser.step()
        log = {"td3/critic_loss": critic_loss.detach(), "td3/value": values[0].detach().mean()}  # type: ignore[union-attr]

        if with_actor:
            self.critics.requires_grad_(False)
            actor_loss = -self.critics[0](batch.latent, self.actor(batch.latent, batch.goal), batch.goal).mean()
            self.actor_optimiser.zero_grad()
            actor_loss.backward()
            self.actor_optimiser.step()
            self.critics.requires_grad_(True)
            log["td3/actor_loss"] = actor_loss.detach()
            with torch.no_grad():
                for source, copy_of_it in ((self.actor, self.target_actor), (self.critics, self.target_critics)):
                    torch._foreach_lerp_(list(copy_of_it.parameters()), list(source.parameters()), self.args.tau)
        return log
