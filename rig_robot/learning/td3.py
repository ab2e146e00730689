"""Twin delayed deep deterministic policy gradient (TD3; Fujimoto et al. 2018), with the goal as an input everywhere."""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.networks import Actor, Critic, Predictor

TARGET_NOISE_CLIP = 0.5


def falling(progress: float) -> float:
    """Factor on a learning rate that falls linearly to 5 %; progress: 0 at the start of training, 1 at the end."""
    return 1 - 0.95 * progress


class Batch(NamedTuple):
    """Transitions with their goals and rewards; float32 tensors."""

    latent: Tensor
    """[B, L]"""
    before: Tensor
    """[B, A], the action of the step before; 0 at the start of an episode"""
    action: Tensor
    """[B, A]"""
    next_latent: Tensor
    """[B, L]"""
    goal: Tensor
    """[B, L]"""
    reward: Tensor
    """[B], never above 0"""


class Td3(nn.Module):
    """Actor, twin critics, their targets and their optimisers.

    .. note:: Values have a sharp tip where an action leads to the goal. A network rounds it off, and the arm stops
       anywhere within a centimetre. So a predictor says where an action heads, -||aim - g|| puts the tip there, and the
       critics learn what to add to it (docs/learning.md).
    """

    def __init__(self, action_size: int, args: TrainArgs) -> None:
        super().__init__()
        self.args = args
        self.actor = Actor(args.latent_size, action_size, args.hidden)
        self.critics = nn.ModuleList(Critic(args.latent_size, action_size, args.hidden) for _ in range(2))
        self.predictor = Predictor(args.latent_size, action_size, args.hidden)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), args.learning_rate, fused=True)
        evaluating = [*self.critics.parameters(), *self.predictor.parameters()]
        self.critic_optimiser = torch.optim.Adam(evaluating, args.learning_rate, fused=True)

    def set_progress(self, progress: float) -> None:
        """Let the learning rates fall; progress: 0 at the start of training, 1 at the end."""
        rate = self.args.learning_rate * falling(progress)
        for optimiser in (self.actor_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def aim(self, latent: Tensor, action: Tensor) -> Tensor:
        """Where an action heads: what it alone comes to, whenever it takes effect, is `gain` of the way there; [B, L].

        An action in motion already (the same before) shows in one step all that it comes to.
        """
        return latent + (self.predictor(latent, action, action) - latent) / self.args.gain

    def values(
        self, critics: Iterable[nn.Module], latent: Tensor, action: Tensor, goal: Tensor, aim: Tensor
    ) -> list[Tensor]:
        """Q(z, a, g) = critic - ||aim - g|| for each critic; [B] each."""
        miss = torch.linalg.vector_norm(aim - goal, dim=1)
        return [critic(latent, action, goal) - miss for critic in critics]

    def target(self, batch: Batch, noise: Tensor) -> Tensor:
        """r + gamma Q'(s', pi'(s') + noise): float32 [B].

        No state ends the task, so every transition bootstraps. Rewards are never above 0, so no value is: the clamp
        takes that share of overestimation away.
        """
        noise = (noise * self.args.target_noise).clamp(-TARGET_NOISE_CLIP, TARGET_NOISE_CLIP)
        action = (self.target_actor(batch.next_latent, batch.goal) + noise).clamp(-1, 1)
        aim = self.aim(batch.next_latent, action)
        values = self.values(self.target_critics, batch.next_latent, action, batch.goal, aim)
        return batch.reward + self.args.gamma * torch.minimum(*values).clamp(max=0)

    def update(self, batch: Batch, noise: Tensor, with_actor: bool) -> dict[str, Tensor]:
        """One gradient step (RIG, Algorithm 1, line 14); noise: standard normal [B, A]. Returns what to log."""
        with torch.no_grad():
            target = self.target(batch, noise)
            aim = self.aim(batch.latent, batch.action)
        predicted = self.predictor(batch.latent, batch.before, batch.action)
        prediction_loss = (predicted - batch.next_latent).square().sum(dim=1).mean()
        values = self.values(self.critics, batch.latent, batch.action, batch.goal, aim)
        critic_loss = torch.stack([(value - target).square().mean() for value in values]).sum()
        self.critic_optimiser.zero_grad()
        (critic_loss + prediction_loss).backward()
        self.critic_optimiser.step()
        log = {"critic_loss": critic_loss, "value": values[0].mean(), "prediction_loss": prediction_loss}
        if with_actor:
            log["actor_loss"] = self.update_actor(batch)
        return {f"td3/{name}": value.detach() for name, value in log.items()}

    def update_actor(self, batch: Batch) -> Tensor:
        """One gradient step of the actor, and of the targets after the rest; returns the actor's loss."""
        self.critics.requires_grad_(False)
        self.predictor.requires_grad_(False)
        action = self.actor(batch.latent, batch.goal)
        (value,) = self.values(self.critics[:1], batch.latent, action, batch.goal, self.aim(batch.latent, action))
        loss = self.args.action_penalty * action.square().sum(dim=1).mean() - value.mean()
        self.actor_optimiser.zero_grad()
        loss.backward()
        self.actor_optimiser.step()
        self.critics.requires_grad_(True)
        self.predictor.requires_grad_(True)
        with torch.no_grad():
            for source, follower in ((self.actor, self.target_actor), (self.critics, self.target_critics)):
                torch._foreach_lerp_(list(follower.parameters()), list(source.parameters()), self.args.tau)
        return loss
