"""RIG's loop around a model of the dynamics: explore, model, rehearse in the model, practise imagined goals.

The lines of Algorithm 1 (Nair, Pong et al. 2018, arXiv 1807.04742) are all there, but the policy is improved in the
model's imagination instead of on recorded transitions (lines 10 to 14): an object is touched in few of the steps that a
robot can take, and in as many imagined ones as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from rig_robot.inference.contact_seeking import ContactSeeking
from rig_robot.inference.places import Places
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.planning.dynamics import Dynamics, DynamicsTrainer
from rig_robot.learning.planning.rollouts import WANDERING, imagine, moments
from rig_robot.learning.planning.tracking import Tracker
from rig_robot.learning.planning.value_gradients import Moment, ValueGradients
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.representations.positions import Positions
from rig_robot.learning.rig import HELD_OUT_SEEDS
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

EXPLORE, SEE, SEEK, SEE_AGAIN, MODEL, REHEARSE, PRACTISE, FINISH = range(8)
UNIT = 100
"""Updates in a unit of modelling, rehearsing and finishing"""
SETS, EPISODES = 4, 256
"""Sets of imagined episodes that a unit's moments are drawn from, each in one network of the model; their size"""
FALLEN, LAST = 0.3, 0.05
"""The learning rate falls to these shares of its start: over the practice, and at the end of the run"""


class PushLearner:
    """Representation, model, policy and replay buffer of one run.

    The randomness of a unit of work is drawn from the seed and the unit's number alone, so that a killed run that goes
    on ends as it would have ended otherwise.
    """

    explored = seen = missed = sought = seen_again = modelled = rehearsed = episodes = finished = 0
    progress = ("explored", "seen", "missed", "sought", "seen_again", "modelled", "rehearsed", "episodes", "finished")
    """Units done so far; missed: first looks that found nothing"""

    def __init__(
        self,
        args: PushArgs,
        box: ActionBox,
        objects: int,
        horizon: int,
        images: np.ndarray,
        state_size: int | None = None,
        room: float = 0.0,
    ) -> None:
        """Make new networks and an empty replay buffer.

        Args:
            args: Of the run.
            box: What the tool moves in.
            objects: How many objects there are.
            horizon: Steps of an episode.
            images: uint8 [frames(args, horizon), S, S, 3], room for all images.
            state_size: Numbers of a recorded state, the tool's place first; None: places of tool and objects.
            room: See `Places.fit`.
        """
        torch.manual_seed(args.seed)
        self.args, self.horizon, self.box, self._room = args, horizon, box, room
        self.representation: ObjectLatent | Positions
        if args.representation == "positions":
            self.representation = Positions(box, objects)
        elif objects == 1:
            self.representation = ObjectLatent(args, box)
        else:
            raise ValueError(f"representation is objects, which finds one object; there are {objects}")
        size = self.representation.size
        self.dynamics = Dynamics(box.reach.tolist(), objects, args.members, args.model_hidden)
        self.modelling = DynamicsTrainer(self.dynamics, args.model_learning_rate)
        self.agent = ValueGradients(
            self.dynamics,
            args.hidden,
            args.horizon,
            args.gamma,
            args.tool_weight,
            args.learning_rate,
            args.rest_at_goal,
        )
        self.prior = Prior(np.zeros(size), np.eye(size))
        self.replay = ReplayBuffer(len(images), size, box.size, images, state_size=state_size or size)
        self.tracker = Tracker(self.representation)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All networks, by the names that a saved training state has for them."""
        return {"representation": self.representation, "dynamics": self.dynamics, "agent": self.agent}

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """All optimisers, by the names that a saved training state has for them."""
        own: dict[str, torch.optim.Optimizer] = {"dynamics_optimiser": self.modelling.optimiser}
        return own | self.agent.optimisers | self.representation.optimisers

    @property
    def stages(self) -> list[tuple[str, int, int, str]]:
        """The stages in their order: name, units done, units in all, what a unit is."""
        args, units = self.args, self.representation.units
        more = explored_again(args, self.horizon, self.missed)
        return [
            ("explore", self.explored, args.exploration_steps // self.horizon + more, "episode"),
            ("learn to see", self.seen, units * (1 + self.missed), "unit"),
            ("seek contact", self.sought, args.seeking_steps // self.horizon if units else 0, "episode"),
            ("learn to see again", self.seen_again, units if args.seeking_steps else 0, "unit"),
            ("model", self.modelled, args.model_updates // UNIT, "unit"),
            ("rehearse", self.rehearsed, args.rehearsal_updates // UNIT, "unit"),
            ("practise", self.episodes, args.online_steps // self.horizon - more, "episode"),
            ("finish", self.finished, args.finishing_updates // UNIT, "unit"),
        ]

    def run(self, env: gymnasium.Env, report: Callable[[Log], None]) -> None:
        """Do all that is left; call `report` with the losses after every unit of work, when the state is whole."""
        while not self._look(env, report):
            self.missed += 1
        _, _, sought, seen_again, modelled, rehearsed, episodes, finished = (total for _, _, total, _ in self.stages)
        while self.sought < sought:
            self.explore(env, self.rng(SEEK, self.sought), self.args.aimed if self.representation.found else 0.0)
            self.sought += 1
            report({})
        while self.seen_again < seen_again:
            log = self.see(self.seen_again, self.rng(SEE_AGAIN, self.seen_again))
            self.seen_again += 1
            report(log)
        if not self.representation.found:
            raise ValueError(
                f"nothing in {self.replay.size} pictures moves where the tool pushes it: give more exploration_steps, "
                "or look whether the camera sees the object"
            )
        while self.modelled < modelled:
            log = self.model(self.rng(MODEL, self.modelled), UNIT)
            self.modelled += 1
            report(log)
        while self.rehearsed < rehearsed:
            log = self.improve(self.rng(REHEARSE, self.rehearsed), UNIT, 1.0, anything=self.rehearsed == 0)
            self.rehearsed += 1
            report(log)
        while self.episodes < episodes:  # line 3
            rng = self.rng(PRACTISE, self.episodes)
            self.practise(env, rng)
            log = self.model(rng, self.args.episode_model_updates)
            progress = self.episodes / episodes
            log |= self.improve(rng, self.args.updates, 1.0 + (FALLEN - 1.0) * progress)
            self.episodes += 1
            report(log)
        while self.finished < finished:
            share = 1.0 + (LAST - 1.0) * self.finished / finished
            log = self.improve(self.rng(FINISH, self.finished), UNIT, share)
            self.finished += 1
            report(log)

    def _look(self, env: gymnasium.Env, report: Callable[[Log], None]) -> bool:
        """Explore (line 1) and learn to see (line 2); return False if both are to go on with half as much again.

        They are where nothing was found that the tool pushes, as long as this leaves half of the practice.
        """
        (_, _, explored, _), (_, _, seen, _) = self.stages[:2]
        while self.explored < explored:
            aimed = self.args.aimed if self.args.representation == "positions" else 0.0
            self.explore(env, self.rng(EXPLORE, self.explored), aimed)
            self.explored += 1
            report({})
        while self.seen < seen:
            log = self.see(self.seen % self.representation.units, self.rng(SEE, self.seen))
            self.seen += 1
            report(log)
        steps = explored_again(self.args, self.horizon, self.missed + 1) * self.horizon
        # Once contact was sought (a run that goes on), the first look is past, whatever the second one found.
        return self.representation.found or self.sought > 0 or not 0 < steps <= self.args.online_steps // 2

    def see(self, unit: int, rng: np.random.Generator) -> Log:
        """Do a unit of learning to see (line 2); after the last one, encode all that was recorded."""
        log = self.representation.fit(self.replay, unit, rng)
        if unit + 1 == self.representation.units:
            parts = (np.split(part, self.replay.first[1:]) for part in self.representation.encode_all(self.replay))
            settled = np.concatenate([self.representation.settled(*episode) for episode in zip(*parts, strict=True)])
            self.replay.latents[: self.replay.size] = settled
        return log

    def explore(self, env: gymnasium.Env, rng: np.random.Generator, aimed: float) -> None:
        """Record an episode of straight motions, a share of them aimed at an object (line 1)."""
        observation = self._begin(env, rng)
        seeking = ContactSeeking(self.places() if aimed and self.explored else self._box(), aimed)
        latent = self.tracker.track(observation)
        self.replay.start(latent, observation["image"], observation["observation"])
        for _ in range(self.horizon):
            # Until images tell more, only the tool's place is known, as any robot knows it from its joints.
            known = latent if aimed else self._measured(observation)
            observation, latent = self._step(env, seeking.action(known, rng))
        self._settle()

    def practise(self, env: gymnasium.Env, rng: np.random.Generator) -> None:
        """Record an episode towards an imagined goal (lines 4 to 9)."""
        places = self.places()
        goal = places.sample(rng, 1)[0]
        seeking = ContactSeeking(places, self.args.aimed)
        observation = self._begin(env, rng)
        latent = self.tracker.track(observation)
        self.replay.start(latent, observation["image"], observation["observation"], goal)
        for _ in range(self.horizon):
            if not seeking.left and rng.random() < self.args.epsilon:
                seeking.begin(latent, rng, aimed=True)
            action = self.act(latent, goal) + rng.normal(0, self.args.noise, self.representation.axes)
            action = seeking.action(latent, rng) if seeking.left else np.clip(action, -1, 1).astype(np.float32)
            observation, latent = self._step(env, action)
        self._settle()

    def model(self, rng: np.random.Generator, updates: int) -> Log:
        """Fit the model to all that was recorded."""
        return self.modelling.fit(self.replay, updates, self.args.model_batch, rng) if updates else {}

    def improve(self, rng: np.random.Generator, updates: int, rate: float, anything: bool = False) -> Log:
        """Update policy and value in the model; rate: share of the learning rate.

        anything: Imagine random episodes instead of the policy's.
        """
        if not updates:
            return {}
        args, places = self.args, self.places()
        self.agent.set_rate(rate * args.learning_rate)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        given = (self.agent, self.dynamics, self.replay, places, EPISODES, rng, 1.0 if anything else WANDERING)
        sets = [imagine(*given) for _ in range(SETS)]
        log: dict[str, torch.Tensor] = {}
        for _ in range(updates):
            drawn = [moments(rollouts, args.batch // SETS, args.hindsight, rng) for rollouts in sets]
            start = Moment(*map(torch.cat, zip(*drawn, strict=True)))
            member = int(rng.integers(self.dynamics.members))
            log = self.agent.update(self.dynamics, start, member, generator)
        return {f"agent/{name}": float(value) for name, value in log.items()}

    def places(self) -> Places:
        """Return where tool and objects were seen so far."""
        return Places.fit(self.replay.latents[: self.replay.size], self.box.reach, self._room)

    @torch.inference_mode()
    def act(self, latent: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return pi(z, g): float32 [A] in [-1, 1]."""
        return self.agent.actor(torch.from_numpy(latent[None]), torch.from_numpy(goal[None]))[0].numpy()

    def rng(self, stage: int, unit: int) -> np.random.Generator:
        """Return the randomness of one unit of work."""
        return np.random.default_rng((self.args.seed, stage, unit))

    def _box(self) -> Places:
        """Return the places before anything was seen: the tool's box, for objects, too."""
        wide = np.tile(self.box.reach, 1 + self.representation.objects)
        return Places(-wide, wide, 0.0, self.representation.axes)

    def _measured(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """Return a latent [L] that has only the tool's measured place right."""
        latent = np.zeros(self.representation.size, np.float32)
        place = observation["observation"][: self.representation.axes]
        latent[: self.representation.axes] = (place - (self.box.low + self.box.high) / 2) / self.box.action_m
        return latent

    def _begin(self, env: gymnasium.Env, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Begin an episode; objects stay where the one before left them, as on a robot."""
        options: dict[str, Any] = {}
        if self.replay.size:
            options["puck"] = self.replay.states[self.replay.size - 1, self.representation.axes :]
        self.tracker.begin()
        return env.reset(seed=int(rng.integers(HELD_OUT_SEEDS)), options=options)[0]

    def _settle(self) -> None:
        """Replace the newest episode's latents by what the whole of it tells of each moment."""
        newest = slice(self.replay.first[-1], self.replay.size)
        self.replay.latents[newest] = self.representation.settled(self.replay.latents[newest], self.tracker.sure)

    def _step(self, env: gymnasium.Env, action: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        observation = env.step(action)[0]
        latent = self.tracker.track(observation)
        self.replay.append(action, latent, observation["image"], observation["observation"])
        return observation, latent


def explored_again(args: PushArgs, horizon: int, missed: int) -> int:
    """Return the episodes of exploration that were added, instead of practice, after so many looks found nothing."""
    return missed * (args.exploration_steps // horizon // 2)


def frames(args: PushArgs, horizon: int) -> int:
    """Return the number of frames of a whole run; horizon: steps of an episode."""
    seeking = args.seeking_steps if args.representation == "objects" else 0
    return sum(steps // horizon for steps in (args.exploration_steps, seeking, args.online_steps)) * (horizon + 1)
