"""Of `swaps.py`: what the bags say, recomputed from the pictures in them with the checkpoints' own networks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.message_fields import header_ns, values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeInfo, messages
from rig_robot.vision.image_decoding import from_raw
from rig_sim.world import kinematics

EXACT = 1e-5
"""A twist [m/s] or a latent that differs by more was made of something else."""


@dataclass
class Found:
    """What the bags say of one part of the run."""

    twists: int = 0
    mixed: list[str] = field(default_factory=list)
    latents: dict[int, int] = field(default_factory=dict)
    """how many an observation has, by its stamp [ns]; it may be in two bags, at the end of one and before the next"""
    vaes: dict[int, str] = field(default_factory=dict)
    """of the latents, by stamp"""
    largest_mm: float = 0.0
    """where commands took the tool within one action period, by the times of their publication"""
    fastest_mm: float = 0.0
    """the same by the velocities in the commands"""
    drops: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> list[str]:
        """Observations that have not exactly one latent."""
        return [f"observation of {stamp}: {count} latents" for stamp, count in self.latents.items() if count != 1]

    @property
    def swaps(self) -> int:
        """Changes of the VAE from one latent to the next."""
        return sum(before != after for before, after in pairwise(self.vaes[stamp] for stamp in sorted(self.vaes)))


class Judge:
    """Reads episodes back and recomputes what was done in them."""

    def __init__(self, checkpoints: list[Path]) -> None:
        directories = {read_config(directory).vae_id: directory for directory in checkpoints}
        self._encoders = {vae: Encoder(directory) for vae, directory in directories.items()}
        self._policies = {vae: Policy(directory) for vae, directory in directories.items()}
        self._kinematics = kinematics()
        self._goals: dict[int, list[tuple[str, np.ndarray]]] = {}
        self._goal_pictures: dict[int, np.ndarray] = {}

    def learn_goals(self, info: EpisodeInfo) -> None:
        """Keep the goals of an episode by their stamps: the next episode's bag may lack what came before it."""
        for role, _, message in messages(info, (topics.GOAL, topics.GOAL_LATENT)):
            if role == topics.GOAL and message.width:
                self._goal_pictures[header_ns(message)] = from_raw(message)
            elif message.width:
                self._goals.setdefault(header_ns(message), []).append(_latent(message))

    def read(self, info: EpisodeInfo, found: Found) -> None:
        """Add what one episode's bag says."""
        heard: dict[str, list[tuple[int, Any]]] = {}
        for role, at, message in messages(info, tuple(info.topics)):
            heard.setdefault(role, []).append((at, message))
        found.drops.update(info.drops)
        latents: dict[int, list[tuple[str, np.ndarray]]] = {}
        for _, message in heard[topics.LATENT]:
            latents.setdefault(header_ns(message), []).append(_latent(message))
        pictures = {header_ns(message): from_raw(message) for _, message in heard[topics.OBSERVATION]}
        goals, goal_picture = self._goals.get(info.goal_ns, []), self._goal_pictures.get(info.goal_ns)

        for stamp in pictures:
            if min(latents) <= stamp <= max(latents):  # at the edges, the other half is outside
                found.latents[stamp] = max(found.latents.get(stamp, 0), len(latents.get(stamp, [])))
        found.vaes.update({stamp: vae for stamp, several in latents.items() for vae, _ in several})

        for stamp, twist in self._twists(info, heard):
            found.twists += 1
            if wrong := self._wrong(info, twist, latents.get(stamp, []), pictures.get(stamp), goals, goal_picture):
                found.mixed.append(f"{info.id}: twist of {stamp}: {wrong}")
        found.largest_mm = max(found.largest_mm, self._largest_step(info, heard))
        found.fastest_mm = max(found.fastest_mm, self._fastest(info, heard))

    @staticmethod
    def _twists(info: EpisodeInfo, heard: dict[str, list[tuple[int, Any]]]) -> list[tuple[int, Any]]:
        """Those of this episode: what was said before its start belongs to the one before."""
        times = {"start": 0, "end": 2**63}
        for at, message in heard[topics.EPISODE]:
            if (said := values(message))["id"] == info.episode:
                times[said["event"]] = at
        twists = heard[topics.TWIST]
        return [(header_ns(m), m.twist.linear) for at, m in twists if times["start"] <= at <= times["end"]]

    def _wrong(
        self,
        info: EpisodeInfo,
        twist: Any,
        latents: list[tuple[str, np.ndarray]],
        picture: np.ndarray | None,
        goals: list[tuple[str, np.ndarray]],
        goal_picture: np.ndarray | None,
    ) -> str:
        """Say what a twist does not rest on; nothing if all is as it should be."""
        if len(latents) != 1 or picture is None:
            return f"{len(latents)} latents of its stamp, {'no' if picture is None else 'one'} observation"
        ((vae, mean),) = latents
        same = [goal for name, goal in goals if name == vae]
        if vae not in self._encoders or not same or goal_picture is None:
            return f"no goal by VAE {vae}"
        if (far := np.abs(self._encoders[vae].encode(picture)[0] - mean).max()) > EXACT:
            return f"its latent is not what VAE {vae} makes of the observation, but {far:.2g} from it"
        made = self._encoders[vae].encode(goal_picture)[0]
        if (far := max(np.abs(made - goal).max() for goal in same)) > EXACT:
            return f"its goal is not what VAE {vae} makes of the goal's picture, but {far:.2g} from it"
        speed = info.action.scale_m / info.action.period_s
        wanted = speed * self._policies[vae].act(mean, same[0])
        acted = np.array([getattr(twist, axis) for axis in info.action.axes])
        if (far := np.abs(acted - wanted).max()) > EXACT:
            return f"{acted} m/s; the policy of VAE {vae} says {wanted}"
        return ""

    def _largest_step(self, info: EpisodeInfo, heard: dict[str, list[tuple[int, Any]]]) -> float:
        """Farthest that the tool was commanded to go in one action period [mm]; no two commands are just that apart."""
        commands = heard.get(topics.COMMAND, [])
        times = np.array([at for at, _ in commands])
        points = [message.points[0] for _, message in commands]
        places = np.array([self._kinematics.forward(point.positions) for point in points])
        if not len(places):
            return 0.0
        period = round(1e9 * info.action.period_s)
        later = np.searchsorted(times, times + period)
        pairs = [(i, j) for i, j in enumerate(later) if j < len(times) and times[j] - times[i] < 1.2 * period]
        speeds = (float(np.linalg.norm(places[j] - places[i])) / (times[j] - times[i]) for i, j in pairs)
        return 1000.0 * period * max(speeds, default=0.0)

    def _fastest(self, info: EpisodeInfo, heard: dict[str, list[tuple[int, Any]]]) -> float:
        """Largest commanded velocity of the tool, as a step of one action period [mm]: no clock has a part in it."""
        points = [message.points[0] for _, message in heard.get(topics.COMMAND, [])]
        moment = 1e-4
        ways = (
            self._kinematics.forward(point.positions + moment * point.velocities)
            - self._kinematics.forward(point.positions)
            for point in points
        )
        return 1000.0 * info.action.period_s / moment * max((float(np.linalg.norm(way)) for way in ways), default=0.0)


def _latent(message: Any) -> tuple[str, np.ndarray]:
    """VAE and mean of a recorded latent."""
    return message.header.frame_id.removeprefix("vae/"), np.frombuffer(message.data.tobytes(), "<f4")[: message.width]
