"""Reinforcement learning with Imagined Goals: Algorithm 1 of Nair, Pong et al. 2018 (arXiv 1807.04742)."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations import make
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.implementations import make_td3
from rig_robot.learning.rl.relabeling import Shares, relabel
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.rl.reward import reward
from rig_robot.learning.rl.td3 import Batch

EXPLORE, LEARN_TO_SEE, REHEARSE, PRACTISE = range(4)
REHEARSAL_UNIT = 100
"""Updates in a unit of rehearsal"""
HELD_OUT_SEEDS = 2**30
"""Environment seeds from here on are for evaluation; training draws its own from below."""


class Rig:
    """Algorithm 1, and everything that it changes: representation, networks, replay buffer, prior.

    The randomness of a unit of work is drawn from the seed and the unit's number alone, so that a killed run that goes
    on ends as it would have ended otherwise.
    """

    progress = ("explored", "seen", "rehearsed", "episodes")

    def __init__(self, args: TrainArgs, box: ActionBox, horizon: int, images: np.ndarray) -> None:
        """Make new networks and an empty replay buffer.

        Args:
            args: Of the run.
            box: What the tool moves in.
            horizon: Steps of an episode.
            images: uint8 [frames(args, horizon), S, S, 3], room for all images.
        """
        torch.manual_seed(args.seed)
        self.args, self.action_size, self.horizon = args, box.size, horizon
        self.representation = make(args, box)
        size, action_size = self.representation.size, box.size
        self.td3 = make_td3(size, action_size, args)
        self.replay = ReplayBuffer(len(images), size, action_size, images)
        self.prior = Prior(np.zeros(size), np.eye(size))
        self.shares = Shares(args.future, args.imagined, args.replayed, args.hindsight)
        self.explored = self.seen = self.rehearsed = self.episodes = 0
        """units done so far: episodes of exploration, of learning to see, of rehearsal, episodes of practice"""

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All networks, by the names that a saved training state has for them."""
        return {"representation": self.representation, "td3": self.td3}

    @property
    def optimisers(self) -> dict[str, torch.optim.Adam]:
        """All optimisers, by the names that a saved training state has for them."""
        vae = (
            {"vae_optimiser": self.representation.trainer.optimiser} if isinstance(self.representation, Latent) else {}
        )
        return self.td3.optimisers | vae

    def run(self, env: gymnasium.Env, report: Callable[[Log], None]) -> None:
        """Run Algorithm 1; call `report` with the losses after every unit of work, when the state is whole."""
        args, horizon, replay = self.args, self.horizon, self.replay

        while self.explored < args.exploration_steps // horizon:  # line 1: collect D by an exploration policy
            rng = self.rng(EXPLORE, self.explored)
            explore(env, replay, args.sticky, horizon, rng)
            self.explored += 1
            report({})

        while self.seen < self.representation.units:  # line 2: train the VAE on D
            log = self.representation.fit(replay, self.seen, self.rng(LEARN_TO_SEE, self.seen))
            self.seen += 1
            if self.seen == self.representation.units:
                self.encode_replay()
            report(log)

        while self.rehearsed < args.rehearsal_updates // REHEARSAL_UNIT:  # lines 10 to 14, on what exploration gave
            rng = self.rng(REHEARSE, self.rehearsed)
            for number in range(REHEARSAL_UNIT):
                log = self.learn(rng, self.rehearsed * REHEARSAL_UNIT + number)
            self.rehearsed += 1
            report(log)

        while self.episodes < args.online_steps // horizon:  # line 3
            rng = self.rng(PRACTISE, self.episodes)
            goal = self.practice_goal(rng)  # line 4
            observation = reset(env, rng)  # line 5
            context, noise = observation["image"], np.zeros(self.action_size)
            latent = self.encode(observation, context)
            replay.start(latent, context, observation["observation"], goal)
            for t in range(horizon):  # line 6
                noise = self.next_noise(noise, rng)
                action = self.explore(latent, goal, noise, rng)  # line 7
                observation = env.step(action)[0]  # line 8
                latent = self.encode(observation, context)
                replay.append(action, latent, observation["image"], observation["observation"])  # line 9
                log = self.practise(rng, self.episodes * horizon + t)  # lines 10 to 14
            self.episodes += 1
            if args.fine_tune_every and self.episodes % args.fine_tune_every == 0:
                log |= self.fine_tune(rng)  # line 16
            report(log)

    def practise(self, rng: np.random.Generator, step: int) -> Log:
        """Do the updates that follow one step of practice, and return the losses of the last."""
        log: Log = {}
        for number in range(self.args.updates if step >= self.args.warm_up else 0):
            log = self.learn(rng, self.rehearsed * REHEARSAL_UNIT + step * self.args.updates + number)
        return log

    def learn(self, rng: np.random.Generator, update: int) -> Log:
        """Do the run's `update`-th update: the learning rates fall over all updates."""
        args = self.args
        self.td3.set_progress(min(1.0, update / (args.rehearsal_updates + args.online_steps * args.updates)))
        return self.improve(rng, with_actor=update % args.policy_delay == 0)

    def improve(self, rng: np.random.Generator, with_actor: bool) -> Log:
        """Update the critics, and the actor if `with_actor`, on relabelled transitions; return the losses."""
        args = self.args
        since = 0 if args.keep_exploration else self.explored
        transitions = self.replay.sample(rng, args.batch, since)  # lines 10 and 11: R holds z and z' beside s and s'
        goals = relabel(rng, self.replay, transitions, self.prior, self.shares)  # line 12
        rewards = reward(transitions.next_latents, goals)  # line 13
        _, latents, before, actions, next_latents = transitions
        arrays = (latents, before, actions, next_latents, goals, rewards)
        noise = torch.from_numpy(rng.standard_normal(actions.shape, dtype=np.float32))
        batch = Batch(*map(torch.from_numpy, arrays))
        log = self.td3.update(batch, noise, with_actor)  # line 14
        return {name: float(value) for name, value in log.items()}

    def fine_tune(self, rng: np.random.Generator) -> Log:
        """Fine-tune the VAE on a mixture of D and R; then encode R and fit the prior anew.

        No latent outlives the VAE that made it: imagined goals are decoded to pictures before, and encoded again after.
        Policy and critics go on from their weights.
        """
        vae = self.representation
        assert isinstance(vae, Latent)  # TrainArgs refuses fine-tuning otherwise
        goals = self.goal_pictures()
        progress = self.episodes * self.horizon / self.args.online_steps
        log = vae.fine_tune(self.replay, self.explored_frames, progress, rng, self.args.fine_tune_updates)
        return log | {"vae/latents_moved": self.encode_again(goals)}

    @property
    def explored_frames(self) -> int:
        """Number of frames of exploration; they are the first in the replay buffer."""
        return int(self.replay.first[self.explored]) if self.explored < len(self.replay.first) else self.replay.size

    def goal_pictures(self) -> np.ndarray:
        """Return the goals of all episodes, decoded by the present VAE: uint8 [episodes, S, S, 3]."""
        assert isinstance(self.representation, Latent)
        return self.representation.decode(self.replay.goals, self.replay.images[self.replay.first])

    def encode_again(self, goals: np.ndarray) -> float:
        """Encode goals, given as pictures, and all frames with the present VAE; return what `encode_replay` does."""
        replay, first = self.replay, self.replay.first
        replay.goals[:] = self.representation.encode(Frames(goals, replay.states[first], replay.images[first]))
        return self.encode_replay()

    def encode_replay(self) -> float:
        """Encode all frames with the present VAE and fit the prior; return the mean distance that latents moved."""
        self.representation.finish(self.replay)
        latents = self.replay.latents[: self.replay.size]
        encoded = self.representation.encode_all(self.replay)
        moved = float(np.linalg.norm(encoded - latents, axis=1).mean())
        latents[:] = encoded
        if self.args.prior == "fitted":
            self.prior = Prior.fit(encoded)
        return moved

    def practice_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Return an imagined goal, z_g ~ p(z) (line 4); or, to compare, a recorded frame's latent: float32 [L]."""
        if self.args.practice_goals == "imagined":
            return self.prior.sample(rng, 1)[0]
        return self.replay.latents[rng.integers(self.replay.size)]

    def encode(self, observation: dict[str, np.ndarray], context: np.ndarray) -> np.ndarray:
        """Return e(s) of an environment's observation: float32 [L]; context: [S, S, 3], the episode's first image."""
        state = observation["observation"].astype(np.float32)
        return self.representation.encode(Frames(observation["image"][None], state[None], context[None]))[0]

    @torch.inference_mode()
    def act(self, latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return pi(z, g): float32 [A] in [-1, 1]."""
        return self.td3.actor(torch.from_numpy(latent[None]), torch.from_numpy(goal[None]))[0].numpy()

    def explore(self, latent: np.ndarray, goal: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the policy's action with noise [A] or, with probability `args.epsilon`, a random action."""
        if rng.random() < self.args.epsilon:
            return rng.uniform(-1, 1, self.action_size).astype(np.float32)
        return np.clip(self.act(latent, goal) + noise, -1, 1).astype(np.float32)

    def next_noise(self, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the next step of an Ornstein-Uhlenbeck process (with theta 1: white noise): [A]."""
        return (1 - self.args.noise_theta) * noise + rng.normal(0, self.args.noise, self.action_size)

    def rng(self, stage: int, unit: int) -> np.random.Generator:
        """Return the randomness of one unit of work."""
        return np.random.default_rng((self.args.seed, stage, unit))


def explore(env: gymnasium.Env, replay: ReplayBuffer, sticky: int, horizon: int, rng: np.random.Generator) -> None:
    """Record one episode of sticky random actions into the buffer; its latents are filled when frames are encoded."""
    (actions_size,) = env.action_space.shape or ()
    choices = rng.uniform(-1, 1, (-(-horizon // sticky), actions_size))
    observation: dict[str, Any] = reset(env, rng)
    replay.start(0.0, observation["image"], observation["observation"])
    for action in np.repeat(choices, sticky, axis=0)[:horizon].astype(np.float32):
        observation = env.step(action)[0]
        replay.append(action, 0.0, observation["image"], observation["observation"])


def reset(env: gymnasium.Env, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Begin an episode and return its first observation."""
    return env.reset(seed=int(rng.integers(HELD_OUT_SEEDS)))[0]


def frames(args: TrainArgs, horizon: int) -> int:
    """Return the number of frames of a whole run; horizon: steps of an episode."""
    return (args.exploration_steps // horizon + args.online_steps // horizon) * (horizon + 1)
