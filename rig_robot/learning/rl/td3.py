"""Twin delayed deep deterministic policy gradient (TD3; Fujimoto et al. 2018), with the goal as an input everywhere.

Nothing here knows what states and goals are made of: tool positions, pixels and latents are vectors alike.
"""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.actor_critic import Actor, Critic, Mlp, Predictor, Value
from rig_robot.learning.rl.flat_adam import Adam, side_by_side
from rig_robot.learning.rl.reward import reward, reward_gradient

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
    """Actor, twin critics, their targets and their optimisers; and V, which says what the actor is worth.

    .. note:: Values have a sharp tip where an action leads to the goal. A network rounds it off, and the arm stops
       anywhere within a centimetre. So a predictor says where an action heads, -||aim - g|| puts the tip there, and the
       critics learn what to add to it (docs/learning.md). Without `args.tip` the critics learn everything.
    """

    def __init__(self, latent_size: int, action_size: int, args: TrainArgs) -> None:
        super().__init__()
        self.args = args
        sizes = (latent_size, action_size, args.hidden)
        self.actor = Actor(*sizes)
        twins = [Critic(*sizes, args.layer_norm) for _ in range(2)]
        self.critics, self.critic_layers = nn.ModuleList(twins), [critic.layers for critic in twins]
        self.predictor = Predictor(*sizes)
        self.value = Value(latent_size, args.hidden, args.layer_norm)
        for regression in (self.critics, self.predictor, self.value):
            regression.requires_grad_(False)  # `fit` needs no autograd, and from the actor's loss nothing shall come
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics)
        rate = args.learning_rate
        self.actor_optimiser = Adam(self.actor.parameters(), rate)
        self.value_optimiser = Adam(self.value.parameters(), rate)
        evaluating = [*self.critics.parameters(), *(self.predictor.parameters() if args.tip else ())]
        self.critic_optimiser = Adam(evaluating, rate)
        self.followers = side_by_side(self.target_actor.parameters()), side_by_side(self.target_critics.parameters())

    def set_progress(self, progress: float) -> None:
        """Let the learning rates fall; progress: 0 at the start of training, 1 at the end."""
        rate = self.args.learning_rate * (falling(progress) if self.args.falling_rate else 1.0)
        for optimiser in (self.actor_optimiser, self.value_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def aim(self, latent: Tensor, action: Tensor) -> Tensor | None:
        """Where an action heads: what it alone comes to, whenever it takes effect, is `gain` of the way there; [B, L].

        An action in motion already (the same before) shows in one step all that it comes to.
        """
        if not self.args.tip:
            return None
        return latent + (self.predictor(latent, action, action) - latent) / self.args.gain

    def values(
        self, critics: Iterable[nn.Module], latent: Tensor, action: Tensor, goal: Tensor, aim: Tensor | None
    ) -> list[Tensor]:
        """Q(z, a, g) = critic + r(aim, g) for each critic; [B] each."""
        learnt = [critic(latent, action, goal) for critic in critics]
        if aim is None:
            return learnt
        tip = reward(aim, goal)
        return [value + tip for value in learnt]

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

    @torch.inference_mode()
    def update(self, batch: Batch, noise: Tensor, with_actor: bool) -> dict[str, Tensor]:
        """One gradient step (RIG, Algorithm 1, line 14); noise: standard normal [B, A]. Returns what to log.

        Minimises equation (1), 1/2 ||Q_w(s, a, g) - (r + gamma max_a' Q_w'(s', a', g))||^2; the maximum: see `target`.
        """
        latent, before, action, next_latent, goal, _ = batch
        wanted = self.target(batch, noise)
        aim = self.aim(latent, action)
        tip = 0.0 if aim is None else reward(aim, goal)
        to_learn, inputs = (wanted - tip).unsqueeze(1), Critic.inputs(latent, action, goal)
        slopes = iter(self.critic_optimiser.slopes)
        losses = [fit(layers, inputs, to_learn, slopes) for layers in self.critic_layers]
        log = {"critic_loss": losses[0] + losses[1], "q": wanted.mean()}
        if self.args.tip:
            inputs = Predictor.inputs(latent, before, action)
            log["prediction_loss"] = fit(self.predictor.layers, inputs, next_latent - latent, slopes)
        self.critic_optimiser.descend()
        if with_actor:
            log |= self.update_actor(latent, goal)
        return {f"td3/{name}": value for name, value in log.items()}

    def update_actor(self, latent: Tensor, goal: Tensor) -> dict[str, Tensor]:
        """One gradient step of the actor and of V, and of the targets after the rest; returns the losses."""
        left, weight = goal - latent, self.args.action_penalty
        inputs = torch.cat((latent, left), dim=1)
        action, kept = self.actor.layers.run(inputs)
        action = action.tanh_()
        q, slope = self.climb(latent, action, goal)
        penalty = weight * action.square().sum() / len(action)
        # The loss is the penalty less the mean of q; through tanh, whose derivative is 1 - tanh^2.
        slope = slope.neg_().add_(action, alpha=2 * weight).mul_(1 - action.square()).div_(len(action))
        self.actor.layers.gradients(kept, slope, self.actor_optimiser.slopes)
        self.actor_optimiser.descend()

        # V(s, g) = Q(s, pi(s, g), g)
        to_learn = q.sub(reward(latent, goal)).unsqueeze(1)
        value_loss = fit(self.value.layers, inputs, to_learn, iter(self.value_optimiser.slopes))
        self.value_optimiser.descend()
        for follower, optimiser in zip(self.followers, (self.actor_optimiser, self.critic_optimiser), strict=True):
            follower.lerp_(optimiser.vector[: len(follower)], self.args.tau)
        return {"actor_loss": penalty - q.mean(), "value_loss": value_loss}

    def climb(self, latent: Tensor, action: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Q(z, a, g) of the first critic, [B], and dQ/da, [B, A]."""
        size, actions = latent.shape[1], action.shape[1]
        layers = self.critic_layers[0]
        q, kept = layers.run(Critic.inputs(latent, action, goal))
        q, slope = q.squeeze(1), layers.gradients(kept, torch.ones_like(q), inputs=True)
        slope = slope[:, size : size + actions]
        if not self.args.tip:
            return q, slope
        moved, kept = self.predictor.layers.run(Predictor.inputs(latent, action, action))
        heading, left = moved / self.args.gain, goal - latent  # aim and goal, both as seen from the latent
        tip = reward(heading, left)
        direction = reward_gradient(heading, left, tip, self.args.gain)
        through = self.predictor.layers.gradients(kept, direction, inputs=True)
        return q + tip, slope + through[:, size : size + actions] + through[:, size + actions :]


def fit(network: Mlp, inputs: Tensor, wanted: Tensor, slopes: Iterator[Tensor]) -> Tensor:
    """The mean of ||network(inputs) - wanted||^2 over a batch, whose gradients go to the next of `slopes`.

    wanted: float32 [B, out].
    """
    found, kept = network.run(inputs)
    error = found - wanted
    network.gradients(kept, error * (2 / len(error)), list(islice(slopes, len(network.weights))))
    return error.square().sum() / len(error)
