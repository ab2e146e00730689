"""Hindsight experience replay (HER; Andrychowicz et al. 2017, Algorithm 1) around a deep Q-network (DQN).

The relabelling is that of `rig train` (relabeling.py): HER works with any off-policy learner. The network is given
goals as there (UVFA, actor_critic.py), with hindsight and without.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rig_robot.learning.baselines.bit_flipping import BitFlipping, reward
from rig_robot.learning.rl.fast_mlp import FastMlp
from rig_robot.learning.rl.relabeling import Strategy, hindsight_frames
from rig_robot.learning.rl.replay_buffer import ReplayBuffer


@dataclass(frozen=True)
class DqnArgs:
    """Learn to flip bits until they are those of the goal."""

    bits: int = 40
    """n: bits of a state, and steps of an episode at most."""
    strategy: Strategy | Literal["none"] = "future"
    """Where hindsight goals come from; none: a DQN that keeps the goals of the games."""
    k: int = 4
    """Hindsight goals per goal of a game: k / (k + 1) of every batch have a new goal."""
    seed: int = 0
    """Seed of networks, games and exploration."""

    cycles: int = 400
    """How often games are played and learned from."""
    games: int = 16
    """Episodes per cycle, all played at once."""
    updates: int = 40
    """Gradient steps per cycle."""
    batch: int = 256
    """Transitions per gradient step."""
    hidden: tuple[int, ...] = (256,)
    """Widths of the hidden layers."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    gamma: float = 0.98
    """Discount per step."""
    polyak: float = 0.7
    """Share of the target network that stays, per cycle. With the paper's 0.95, a value needs 20 cycles to be passed on
    by one flip, and the goal is 20 flips away."""
    epsilon: float = 0.2
    """Share of random actions."""

    evaluate_every: int = 20
    """Cycles between two evaluations."""
    evaluation_games: int = 200
    """Games of an evaluation; they are not those of training."""


class Evaluation(NamedTuple):
    """A point of the learning curve."""

    episodes: int
    """episodes played before the evaluation"""
    success: float
    """share of games in which the goal is reached without exploration, 0 to 1"""


class QNetwork(nn.Module):
    """Q(s, a, g) for all actions at once."""

    def __init__(self, bits: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = FastMlp(2 * bits, hidden, bits)

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        """Return the value of flipping each bit: float32 [B, n]; state, goal: float32 [B, n]."""
        return self.layers(torch.cat((state, goal - state), dim=1))


class Dqn:
    """The off-policy learner A of Algorithm 1; hindsight is no part of it."""

    def __init__(self, args: DqnArgs) -> None:
        self.args = args
        self.network = QNetwork(args.bits, args.hidden)
        self.target_network = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), args.learning_rate, fused=True)

    @torch.inference_mode()
    def act(self, state: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the best actions: int64 [B]."""
        return self.network(torch.from_numpy(state), torch.from_numpy(goal)).argmax(dim=1).numpy()

    def update(self, state: Tensor, action: Tensor, rewards: Tensor, next_state: Tensor, goal: Tensor) -> float:
        """Take one gradient step and return the loss; states and goals [B, n], action int64 [B], rewards [B]."""
        with torch.no_grad():
            ahead = self.target_network(next_state, goal).amax(dim=1)
            # A reward of 0 means that the goal is reached and the game over. The paper clips targets to possible ones.
            target = rewards + self.args.gamma * (rewards < 0) * ahead
            target = target.clamp(-1 / (1 - self.args.gamma), 0)
        value = self.network(state, goal).gather(1, action[:, None]).squeeze(1)
        loss = functional.mse_loss(value, target)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def follow(self) -> None:
        """Let the target network follow the network."""
        with torch.no_grad():
            for follower, leader in zip(self.target_network.parameters(), self.network.parameters(), strict=True):
                follower.lerp_(leader, 1 - self.args.polyak)


def learn(args: DqnArgs) -> Iterator[Evaluation]:
    """Run Algorithm 1 of HER; yield each point of the learning curve."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    learner = Dqn(args)
    replay = ReplayBuffer(args.cycles * args.games * (args.bits + 1), args.bits, 1, state_size=0)
    for cycle in range(args.cycles):
        if cycle % args.evaluate_every == 0:
            yield Evaluation(cycle * args.games, success(learner, args))
        play(rng, learner, replay, args)
        for _ in range(args.updates):
            learner.update(*sample(rng, replay, args))
        learner.follow()
    yield Evaluation(args.cycles * args.games, success(learner, args))


def play(rng: np.random.Generator, learner: Dqn, replay: ReplayBuffer, args: DqnArgs) -> None:
    """Play episodes with the environment's goals and the behaviour policy, and store them."""
    env = BitFlipping(args.bits, args.games)
    state, goal = env.reset(rng)
    states, actions, playing = [state], [], []
    while not env.over.all():
        playing.append(~env.over)
        random = rng.random(args.games) < args.epsilon
        action = np.where(random, rng.integers(args.bits, size=args.games), learner.act(state, goal))
        state, *_ = env.step(action)
        states.append(state)
        actions.append(action)
    lengths = np.sum(playing, axis=0)
    for game in np.flatnonzero(lengths):
        replay.start(states[0][game], goal=goal[game])
        for step in range(lengths[game]):
            replay.append(actions[step][game], states[step + 1][game])


def sample(rng: np.random.Generator, replay: ReplayBuffer, args: DqnArgs) -> tuple[Tensor, ...]:
    """Draw a batch of (s, a, r, s', g), with k of k + 1 goals replaced in hindsight and rewards for the new goals."""
    batch = replay.sample(rng, args.batch)
    goals = replay.goals[replay.episode[batch.frames]]
    if args.strategy != "none":
        chosen = rng.random(args.batch) < args.k / (args.k + 1)
        goals[chosen] = replay.latents[hindsight_frames(rng, replay, batch.frames[chosen], args.strategy)]
    rewards = reward(batch.next_latents, goals)
    actions = batch.actions[:, 0].astype(np.int64)
    return tuple(map(torch.from_numpy, (batch.latents, actions, rewards, batch.next_latents, goals)))


def success(learner: Dqn, args: DqnArgs) -> float:
    """Return the share of games won without exploration; always the same games."""
    env = BitFlipping(args.bits, args.evaluation_games)
    state, goal = env.reset(seed=10_000 + args.seed)
    while not env.over.all():
        state, *_ = env.step(learner.act(state, goal))
    return float((reward(state, goal) == 0).mean())
