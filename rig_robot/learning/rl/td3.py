"""Twin delayed deep deterministic policy gradient (TD3; Fujimoto et al. 2018), with the goal as an input everywhere.

This is the version to read and to change: autograd and `torch.optim.Adam`, in the order of the paper's Algorithm 1.
`fast_td3.py` computes the same by formula and is what `rig train` runs unless told `--implementation readable`.

Nothing here knows what states and goals are made of: tool positions, pixels and latents are vectors alike.
"""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.rl.actor_critic import Actor, Critic, Mlp, Predictor, Value
from rig_robot.learning.rl.reward import reward

TARGET_NOISE_CLIP = 0.5


def falling(progress: float) -> float:
    """Return the factor on a learning rate, falling linearly from 1 to 0.05; progress: 0 at the start, 1 at the end."""
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
       anywhere within a centimetre. So a predictor says where an action heads (`aim`), the reward of being there,
       -||aim - g||, puts the tip at the goal, and the critics learn what to add to it (docs/learning.md). Without
       `args.tip` the critics learn everything.
    """

    mlp: type[Mlp] = Mlp
    """layers of all networks"""

    def __init__(self, latent_size: int, action_size: int, args: TrainArgs) -> None:
        super().__init__()
        self.args, self.action_size = args, action_size
        sizes = (latent_size, action_size, args.hidden)
        self.actor = Actor(*sizes, self.mlp, args.rest_at_goal)
        self.critics = nn.ModuleList(Critic(*sizes, args.layer_norm, self.mlp) for _ in range(2))
        self.predictor = Predictor(*sizes, self.mlp)
        self.value = Value(latent_size, args.hidden, args.layer_norm, self.mlp)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.make_optimisers()

    def make_optimisers(self) -> None:
        """Make an Adam (Kingma and Ba 2015) for the actor, one for the value, and one for critics and predictor."""
        rate = self.args.learning_rate
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), rate)
        self.value_optimiser = torch.optim.Adam(self.value.parameters(), rate)
        self.critic_optimiser = torch.optim.Adam(self.critic_parameters(), rate)

    def critic_parameters(self) -> list[nn.Parameter]:
        """Return what the critics' loss is minimised over: also the predictor's parameters, where there is a tip."""
        return [*self.critics.parameters(), *(self.predictor.parameters() if self.args.tip else ())]

    @property
    def optimisers(self) -> dict[str, torch.optim.Adam]:
        """All optimisers, by the names that a saved training state has for them."""
        names = ("actor_optimiser", "critic_optimiser", "value_optimiser")
        return {name: getattr(self, name) for name in names}

    def reset_optimisers(self) -> None:
        """Make the optimisers forget all former steps."""
        for optimiser in self.optimisers.values():
            optimiser.state.clear()

    def set_progress(self, progress: float) -> None:
        """Set the learning rates, which fall; progress: 0 at the start of training, 1 at the end."""
        rate = self.args.learning_rate * (falling(progress) if self.args.falling_rate else 1.0)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def update(self, batch: Batch, noise: Tensor, with_actor: bool) -> dict[str, Tensor]:
        """Take one gradient step (RIG, Algorithm 1, line 14) and return the losses to log.

        Args:
            batch: Transitions.
            noise: Standard normal, float32 [B, A], for the smoothing of the target policy.
            with_actor: Whether it is the turn of actor, value and targets ("delayed": every `args.policy_delay` steps).
        """
        log = self.update_critics(batch, noise)
        if with_actor:
            log |= self.update_actor(batch.latent, batch.goal)
            self.update_targets()
        return {f"td3/{name}": value.detach() for name, value in log.items()}

    def update_critics(self, batch: Batch, noise: Tensor) -> dict[str, Tensor]:
        """Take one step of both critics towards the target, and of the predictor towards what happened.

        Minimises equation (1), 1/2 ||Q_w(s, a, g) - (r + gamma max_a' Q_w'(s', a', g))||^2, but for the factor; the
        maximum: see `target`.
        """
        wanted = self.target(batch, noise)
        with torch.no_grad():  # the critics' loss does not teach the predictor
            aim = self.aim(batch.latent, batch.action)
        values = self.values(self.critics, batch.latent, batch.action, batch.goal, aim)
        loss = functional.mse_loss(values[0], wanted) + functional.mse_loss(values[1], wanted)
        log = {"critic_loss": loss, "q": wanted.mean()}
        if self.args.tip:
            predicted = self.predictor(batch.latent, batch.before, batch.action)
            log["prediction_loss"] = (predicted - batch.next_latent).square().sum(dim=1).mean()
            loss = loss + log["prediction_loss"]
        _descend(self.critic_optimiser, loss)
        return log

    @torch.no_grad()
    def target(self, batch: Batch, noise: Tensor) -> Tensor:
        """Return y = r + gamma min_i Q'_i(s', pi'(s') + noise): float32 [B]. noise: standard normal [B, A].

        The noise smooths the target policy, and the lesser of the two target critics holds overestimation down (TD3's
        Algorithm 1). No state ends the task, so every transition bootstraps. Rewards are never above 0, so no value is:
        the clamp takes that share of overestimation away.
        """
        noise = (noise * self.args.target_noise).clamp(-TARGET_NOISE_CLIP, TARGET_NOISE_CLIP)
        action = (self.target_actor(batch.next_latent, batch.goal) + noise).clamp(-1, 1)
        aim = self.aim(batch.next_latent, action)
        values = self.values(self.target_critics, batch.next_latent, action, batch.goal, aim)
        return batch.reward + self.args.gamma * torch.minimum(*values).clamp(max=0)

    def aim(self, latent: Tensor, action: Tensor) -> Tensor | None:
        """Return where an action heads, float32 [B, L]; None without a tip.

        That is the place of which the action alone, whenever it takes effect, covers a share of `args.gain`. The
        predictor is told that the action before was the same: an action in motion already shows all that it comes to
        within one step.
        """
        if not self.args.tip:
            return None
        return latent + (self.predictor(latent, action, action) - latent) / self.args.gain

    def values(
        self, critics: Iterable[nn.Module], latent: Tensor, action: Tensor, goal: Tensor, aim: Tensor | None
    ) -> list[Tensor]:
        """Return Q(z, a, g) = critic(z, a, g) + r(aim, g) for each critic: float32 [B] each."""
        learnt = [critic(latent, action, goal) for critic in critics]
        if aim is None:
            return learnt
        tip = reward(aim, goal)
        return [value + tip for value in learnt]

    def update_actor(self, latent: Tensor, goal: Tensor) -> dict[str, Tensor]:
        """Take one step of the actor up the first critic, and of V towards what that critic says of the actor.

        The gradient is the deterministic policy gradient: dQ/da through dpi/dw (TD3's Algorithm 1).
        """
        action = self.actor(latent, goal)
        (q,) = self.values(self.critics[:1], latent, action, goal, self.aim(latent, action))
        penalty = self.args.action_penalty * action.square().sum(dim=1).mean()
        actor_loss = penalty - q.mean()
        _descend(self.actor_optimiser, actor_loss)

        value_loss = functional.mse_loss(self.value(latent, goal), q.detach())  # V(s, g) = Q(s, pi(s, g), g)
        _descend(self.value_optimiser, value_loss)
        return {"actor_loss": actor_loss, "value_loss": value_loss}

    @torch.no_grad()
    def update_targets(self) -> None:
        """Let the target networks follow: w' <- tau w + (1 - tau) w'."""
        for target, network in ((self.target_actor, self.actor), (self.target_critics, self.critics)):
            for follower, leader in zip(target.parameters(), network.parameters(), strict=True):
                follower.lerp_(leader, self.args.tau)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step down the gradient of a loss."""
    optimiser.zero_grad()  # the actor's loss left gradients in the critics, too
    loss.backward()
    optimiser.step()
