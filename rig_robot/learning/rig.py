"""Reinforcement learning with Imagined Goals: Algorithm 1 of Nair, Pong et al. 2018 (arXiv 1807.04742)."""

from collections.abc import Callable

import gymnasium
import numpy as np
import torch

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.relabeling import Prior, relabel
from rig_robot.learning.replay_buffer import ReplayBuffer
from rig_robot.learning.td3 import Batch, Td3, falling
from rig_robot.learning.vae import Vae, to_pixels
from rig_robot.learning.vae_training import VaeTrainer, encode_all, one_cycle

Log = dict[str, float]
EXPLORE, TRAIN_VAE, PRACTISE = range(3)
HELD_OUT_SEEDS = 2**30
"""Environment seeds from here on are for evaluation; training draws its own from below."""


class Rig:
    """Everything that learning changes.

    The randomness of a unit of work is drawn from the seed and the unit's number alone, so that a run that goes on
    after a kill ends as it would have without.
    """

    def __init__(self, args: TrainArgs, action_size: int, horizon: int, images: np.ndarray) -> None:
        """horizon: steps an episode; images: uint8 [frames(args, horizon), S, S, 3], room for what is seen."""
        torch.manual_seed(args.seed)
        self.args, self.action_size, self.horizon = args, action_size, horizon
        self.vae = Vae(args.image_size, args.latent_size, args.channels)
        self.vae_trainer = VaeTrainer(self.vae, args.beta)
        self.td3 = Td3(action_size, args)
        self.replay = ReplayBuffer(images, args.latent_size, action_size)
        self.prior = Prior(np.zeros(args.latent_size), np.eye(args.latent_size))
        self.explored = self.vae_epochs = self.episodes = 0
        """done so far: exploration episodes, passes of the first VAE training, practice episodes"""

    def run(self, env: gymnasium.Env, report: Callable[[Log], None]) -> None:
        """Algorithm 1. `report` is called after every unit of work (episode or pass), when the state is whole."""
        args, horizon, replay = self.args, self.horizon, self.replay
        unknown = np.zeros(args.latent_size, np.float32)

        while self.explored < args.exploration_steps // horizon:  # line 1: collect D by an exploration policy
            rng = self.rng(EXPLORE, self.explored)
            replay.start(self.reset(env, rng), unknown)
            for action in self.random_actions(rng):
                replay.append(action, env.step(action)[0]["image"], unknown)
            self.explored += 1
            report({})

        while self.vae_epochs < args.vae_epochs:  # line 2: train the VAE on D
            log = self.train_vae(self.rng(TRAIN_VAE, self.vae_epochs))
            self.vae_epochs += 1
            report(log)

        while self.episodes < args.online_steps // horizon:  # line 3
            rng = self.rng(PRACTISE, self.episodes)
            goal = self.prior.sample(rng, 1)[0]  # line 4: an imagined goal
            image = self.reset(env, rng)  # line 5
            latent = self.encode(image)
            replay.start(image, latent)
            for t in range(horizon):  # line 6
                action = self.explore(latent, goal, rng)  # line 7
                image = env.step(action)[0]["image"]  # line 8
                latent = self.encode(image)
                replay.append(action, image, latent)  # line 9
                log = self.learn(rng, self.episodes * horizon + t)  # lines 10 to 14
            self.episodes += 1
            if args.fine_tune_every and self.episodes % args.fine_tune_every == 0:
                log |= self.fine_tune(rng)  # line 16
            report(log)

    def learn(self, rng: np.random.Generator, step: int) -> Log:
        """One update of critics and, every so often, actor, on relabelled transitions."""
        args = self.args
        transitions = self.replay.sample(rng, args.batch)  # lines 10 and 11: R holds z and z' beside s and s'
        goals = relabel(rng, self.replay, transitions, self.prior, args.future, args.imagined)  # line 12
        rewards = -np.linalg.norm(transitions.next_latents - goals, axis=1)  # line 13
        _, latents, before, actions, next_latents = transitions
        arrays = (latents, before, actions, next_latents, goals, rewards)
        noise = torch.from_numpy(rng.standard_normal(actions.shape, dtype=np.float32))
        self.td3.set_progress(step / args.online_steps)
        batch = Batch(*map(torch.from_numpy, arrays))
        log = self.td3.update(batch, noise, with_actor=step % args.policy_delay == 0)  # line 14
        return {name: float(value) for name, value in log.items()}

    def train_vae(self, rng: np.random.Generator) -> Log:
        """One pass over D; after the last one, fit the prior."""
        args, images = self.args, self.explored_images()
        if self.vae_epochs == 0:
            self.vae.mean_image.copy_(torch.from_numpy(images.mean(axis=0, dtype=np.float64)).permute(2, 0, 1) / 255)
        batches = max(1, len(images) // args.vae_batch)
        for number, batch in enumerate(np.array_split(rng.permutation(len(images)), batches)):
            progress = (self.vae_epochs + number / batches) / args.vae_epochs
            log = self.vae_trainer.update(images[batch], args.vae_learning_rate * one_cycle(progress), rng)
        if self.vae_epochs + 1 == args.vae_epochs:
            self.encode_replay()
        return {name: float(value) for name, value in log.items()}

    def fine_tune(self, rng: np.random.Generator) -> Log:
        """Fine-tune the VAE on a mixture of D and R; then encode R and fit the prior anew.

        No latent outlives the VAE that made it. Policy and critics go on from where they are.
        """
        args, seen = self.args, self.explored_images()
        practised = self.replay.images[len(seen) : self.replay.size]
        rate = args.fine_tune_learning_rate * falling(self.episodes * self.horizon / args.online_steps)
        half = args.vae_batch // 2
        for _ in range(args.fine_tune_batches):
            batch = (seen[rng.integers(len(seen), size=half)], practised[rng.integers(len(practised), size=half)])
            log = self.vae_trainer.update(np.concatenate(batch), rate, rng)
        return {name: float(value) for name, value in log.items()} | {"vae/latents_moved": self.encode_replay()}

    def encode_replay(self) -> float:
        """Encode D and R with the VAE as it is now and fit the prior; returns how far latents moved, on average."""
        latents = self.replay.latents[: self.replay.size]
        encoded = encode_all(self.vae, self.replay.images[: self.replay.size])
        moved = float(np.linalg.norm(encoded - latents, axis=1).mean())
        latents[:] = encoded
        self.prior = Prior.fit(encoded)
        return moved

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> np.ndarray:
        """e(s): uint8 [S, S, 3] -> float32 [L]."""
        return self.vae.encode(to_pixels(image[None]))[0][0].numpy()

    @torch.inference_mode()
    def act(self, latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """pi(z, g): float32 [A] in [-1, 1]."""
        return self.td3.actor(torch.from_numpy(latent[None]), torch.from_numpy(goal[None]))[0].numpy()

    def explore(self, latent: np.ndarray, goal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The policy's action with noise, now and then a random one."""
        if rng.random() < self.args.epsilon:
            return rng.uniform(-1, 1, self.action_size).astype(np.float32)
        noise = rng.normal(0, self.args.noise, self.action_size)
        return np.clip(self.act(latent, goal) + noise, -1, 1).astype(np.float32)

    def random_actions(self, rng: np.random.Generator) -> np.ndarray:
        """An episode of sticky random actions: float32 [horizon, A]."""
        choices = rng.uniform(-1, 1, (-(-self.horizon // self.args.sticky), self.action_size))
        return np.repeat(choices, self.args.sticky, axis=0)[: self.horizon].astype(np.float32)

    def reset(self, env: gymnasium.Env, rng: np.random.Generator) -> np.ndarray:
        """A new episode's first image, uint8 [S, S, 3]."""
        return env.reset(seed=int(rng.integers(HELD_OUT_SEEDS)))[0]["image"]

    def rng(self, stage: int, unit: int) -> np.random.Generator:
        """The randomness of one unit of work."""
        return np.random.default_rng((self.args.seed, stage, unit))

    def explored_images(self) -> np.ndarray:
        """D so far: uint8 [N, S, S, 3]."""
        return self.replay.images[: self.explored * (self.horizon + 1)]


def frames(args: TrainArgs, horizon: int) -> int:
    """Frames that a whole run sees; horizon: steps an episode."""
    return (args.exploration_steps // horizon + args.online_steps // horizon) * (horizon + 1)
