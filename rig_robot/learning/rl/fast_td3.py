"""TD3 as `td3.py` has it, faster on small networks (docs/speed.md).

Every gradient is written out by formula, so that no graph of autograd is built, and each Adam steps all its parameters
as one vector. `tests/test_td3.py` compares the results with those of `td3.py`: whoever changes a loss there changes its
gradient here, too, or trains with `--implementation readable`.
"""

from collections.abc import Iterator
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.actor_critic import Actor, Critic, Predictor
from rig_robot.learning.rl.fast_mlp import FastMlp
from rig_robot.learning.rl.flat_adam import Adam, side_by_side
from rig_robot.learning.rl.reward import reward, reward_gradient
from rig_robot.learning.rl.td3 import Batch, Td3


class FastTd3(Td3):
    """The same networks, losses and steps as `Td3`, without autograd."""

    mlp = FastMlp
    actor_optimiser: Adam
    value_optimiser: Adam
    critic_optimiser: Adam

    def __init__(self, latent_size: int, action_size: int, args: TrainArgs) -> None:
        super().__init__(latent_size, action_size, args)
        for regression in (self.critics, self.predictor, self.value):
            regression.requires_grad_(False)  # `fit` needs no autograd, and the actor's loss must not reach them
        self.critic_layers = [_layers(critic) for critic in self.critics]
        self.followers = side_by_side(self.target_actor.parameters()), side_by_side(self.target_critics.parameters())

    def make_optimisers(self) -> None:
        """Make the same optimisers, each on one vector."""
        rate = self.args.learning_rate
        self.actor_optimiser = Adam(self.actor.parameters(), rate)
        self.value_optimiser = Adam(self.value.parameters(), rate)
        self.critic_optimiser = Adam(self.critic_parameters(), rate)

    def reset_optimisers(self) -> None:
        """Make the optimisers forget all former steps."""
        for optimiser in (self.actor_optimiser, self.critic_optimiser, self.value_optimiser):
            optimiser.reset()

    @torch.inference_mode()
    def update(self, batch: Batch, noise: Tensor, with_actor: bool) -> dict[str, Tensor]:
        """Take one gradient step: see `Td3.update`."""
        return super().update(batch, noise, with_actor)

    def update_critics(self, batch: Batch, noise: Tensor) -> dict[str, Tensor]:
        """Take one step of both critics and of the predictor: see `Td3.update_critics`."""
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
            log["prediction_loss"] = fit(_layers(self.predictor), inputs, next_latent - latent, slopes)
        self.critic_optimiser.descend()
        return log

    def update_actor(self, latent: Tensor, goal: Tensor) -> dict[str, Tensor]:
        """Take one step of the actor and of V: see `Td3.update_actor`."""
        weight = self.args.action_penalty
        inputs, actor = Actor.inputs(latent, goal), _layers(self.actor)
        wish, kept = actor.run(inputs)
        if self.actor.rest_at_goal:
            at_goal, kept_there = actor.run(Actor.inputs(latent, latent))
            wish = wish - at_goal
        action = wish.tanh_()
        q, slope = self.climb(latent, action, goal)
        penalty = weight * action.square().sum() / len(action)
        # The loss is the penalty less the mean of q; through tanh, whose derivative is 1 - tanh^2.
        slope = slope.neg_().add_(action, alpha=2 * weight).mul_(1 - action.square()).div_(len(action))
        slopes = self.actor_optimiser.slopes
        actor.gradients(kept, slope, slopes)
        if self.actor.rest_at_goal:
            # Apart: a bias that cancels must cancel exactly, since Adam would take rounding errors for a slope.
            there = [torch.empty_like(weight) for weight in actor.weights]
            actor.gradients(kept_there, slope, there)
            for of_goal, of_rest in zip(slopes, there, strict=True):
                of_goal.sub_(of_rest)
        self.actor_optimiser.descend()

        # V(s, g) = Q(s, pi(s, g), g)
        to_learn = q.sub(reward(latent, goal)).unsqueeze(1)
        value_loss = fit(_layers(self.value), inputs, to_learn, iter(self.value_optimiser.slopes))
        self.value_optimiser.descend()
        return {"actor_loss": penalty - q.mean(), "value_loss": value_loss}

    def update_targets(self) -> None:
        """Let the target networks follow: see `Td3.update_targets`."""
        for follower, optimiser in zip(self.followers, (self.actor_optimiser, self.critic_optimiser), strict=True):
            follower.lerp_(optimiser.vector[: len(follower)], self.args.tau)

    def climb(self, latent: Tensor, action: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Return Q(z, a, g) of the first critic, float32 [B], and dQ/da, float32 [B, A]."""
        size, actions = latent.shape[1], action.shape[1]
        layers = self.critic_layers[0]
        q, kept = layers.run(Critic.inputs(latent, action, goal))
        q, slope = q.squeeze(1), layers.gradients(kept, torch.ones_like(q), inputs=True)
        slope = slope[:, size : size + actions]
        if not self.args.tip:
            return q, slope
        predictor = _layers(self.predictor)
        moved, kept = predictor.run(Predictor.inputs(latent, action, action))
        heading, left = moved / self.args.gain, goal - latent  # aim and goal, both as seen from the latent
        tip = reward(heading, left)
        direction = reward_gradient(heading, left, tip, self.args.gain)
        through = predictor.gradients(kept, direction, inputs=True)
        return q + tip, slope + through[:, size : size + actions] + through[:, size + actions :]


def fit(network: FastMlp, inputs: Tensor, wanted: Tensor, slopes: Iterator[Tensor]) -> Tensor:
    """Return the mean of ||network(inputs) - wanted||^2 over a batch; write its gradients to the next of `slopes`.

    wanted: float32 [B, out].
    """
    found, kept = network.run(inputs)
    error = found - wanted
    network.gradients(kept, error * (2 / len(error)), list(islice(slopes, len(network.weights))))
    return error.square().sum() / len(error)


def _layers(module: nn.Module) -> FastMlp:
    return cast(FastMlp, module.layers)
