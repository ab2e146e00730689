"""Checkpoints that are swapped while the simulated robot reaches goals: is anything mixed up, lost, or jerked?

    python benchmarks/swaps.py --swaps 200

Two trained checkpoints: the shipped one, and the same with its latent space turned, stretched and shifted, and policy
and decoder to match. They act alike, but a latent of one means something else to the other, so that any mix-up shows.
A running `rig sim --record` first reaches every goal without swaps, then the same goals again and again, while the two
take turns at random moments.

Nothing that a node says of itself counts: all is read back from the recorded bags. For each twist: the latent with its
stamp, the checkpoint whose VAE that names, the goal's latent of the same VAE; that checkpoint's policy is run on the
two and must give that twist, and both latents must be what its VAE makes of the recorded pictures. Any other twist is
mixed. An observation that has not exactly one latent is lost. A step is how far the commanded joint positions take the
tool in one action period. The last line is one JSON object; the exit status is 1 where anything was mixed or lost, or
where no swap is in the bags.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml
from standin.operator import Operator
from standin.system import Process

from rig_robot.bringup.environment import dds_profile
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.bringup.systems import share
from rig_robot.checkpoints.checkpoint import activate, read_config, read_tensors, save
from rig_robot.checkpoints.config import CheckpointConfig, PriorEntry
from rig_robot.common.message_fields import header_ns, values
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeInfo, find, messages
from rig_robot.vision.image_decoding import from_raw
from rig_sim.world import kinematics

NAMES = ("shipped", "turned")
EXACT = 1e-5
"""A twist [m/s] or a latent that differs by more was made of something else."""
TIMEOUT = 30.0


@dataclass
class Args:
    swaps: int = 200
    """How many."""
    goals: int = 70
    """Different goals, shown in the same order with and without swaps: as many as 200 swaps take, so that the largest
    step is that of as long a time."""
    goal_every: float = 3.0
    """Time between two goals [s]."""
    pause: float = 1.0
    """Time between two swaps, on average [s]."""
    seed: int = 0
    """Seed of the goals and of the moments."""
    directory: Path | None = None
    """Where checkpoints and bags go; kept. A folder for temporary files that goes, if not given."""


def turn(source: Path, target: Path, seed: int) -> None:
    """Save a checkpoint with other latents, z' = A z + b, that acts as another one does: A is turned and stretched."""
    rng = np.random.default_rng(seed)
    config = read_config(source)
    size = config.vae.latent_size
    orthogonal, _ = np.linalg.qr(rng.normal(size=(size, size)))
    a = orthogonal @ np.diag(rng.uniform(0.7, 1.4, size))
    b = rng.normal(size=size)
    back = np.linalg.inv(a)

    vae = {name: value.astype(np.float64) for name, value in read_tensors(source, config.vae).items()}
    head = max((name for name in vae if name.startswith("encoder.") and name.endswith(".weight")), key=_layer)
    bias = head.replace("weight", "bias")
    vae[head][:size], vae[bias][:size] = a @ vae[head][:size], a @ vae[bias][:size] + b  # the rest: log-variance
    vae["decoder.0.bias"] -= vae["decoder.0.weight"] @ back @ b
    vae["decoder.0.weight"] = vae["decoder.0.weight"] @ back

    policy = {
        name: value.astype(np.float64)
        for name, value in read_tensors(source, config.policy).items()
        if name.startswith("actor.")
    }
    first = policy["actor.layers.0.weight"]  # of z, and of g - z
    policy["actor.layers.0.bias"] -= first[:, :size] @ back @ b
    policy["actor.layers.0.weight"] = np.hstack((first[:, :size] @ back, first[:, size:] @ back))

    mean, covariance = (np.array(value) for value in (config.latent_prior.mean, config.latent_prior.covariance))
    prior = PriorEntry(tuple((a @ mean + b).tolist()), tuple(tuple(row) for row in (a @ covariance @ a.T).tolist()))
    scene = None if config.scene is None else read_tensors(source, config.scene)
    save(
        target,
        dataclasses.replace(config, latent_prior=prior, parent=source.name),
        *({name: value.astype(np.float32) for name, value in tensors.items()} for tensors in (vae, policy)),
        scene,
    )


def _layer(name: str) -> int:
    return int(name.split(".")[1])


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

    def __init__(self, root: Path) -> None:
        directories = {read_config(root / name).vae_id: root / name for name in NAMES}
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


class Run:
    """The system, whoever shows goals, and whoever announces checkpoints."""

    def __init__(self, args: Args, folder: Path, root: Path) -> None:
        config = yaml.safe_load(share("config", "sim.yaml").read_text())
        config["recorder"] = {"camera": "none"}
        (folder / "sim.yaml").write_text(yaml.safe_dump(config))
        arguments = ["--no-page", "--goals", "-1", "--checkpoint", str(root), "--record", str(folder / "episodes")]
        self.system = Process(["-m", "rig_robot.cli", "sim", "--config", str(folder / "sim.yaml"), *arguments], {})
        os.environ.update(dds_profile("camera", os.environ))  # after the system's start: each node gets its own
        self.operator = Operator(str(root))

        from rclpy.executors import SingleThreadedExecutor

        from rig_robot.checkpoint_delivery.announcer import Announcer
        from rig_robot.checkpoint_delivery.answers import Outcome
        from rig_robot.ros.node import RigNode

        self._node = RigNode("swapper")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._announcer = Announcer(self._node, root)
        self._outcomes: list[Outcome] = []
        self._args, self._random = args, random.Random(args.seed)
        low, high = np.array(self.operator.workspace.low), np.array(self.operator.workspace.high)
        places = np.random.default_rng(args.seed).uniform(low, high, (args.goals, 3))
        self._pictures = [self.operator.draw(place) for place in places]
        self._shown, self._next_goal = 0, 0.0

    def close(self) -> None:
        self.system.stop()
        self._executor.shutdown()
        self._node.destroy_node()
        self.operator.close()

    def begin(self) -> None:
        self.operator.make_ready()
        self.operator.until(lambda: self._node.count_publishers("rig/checkpoint/ready") >= 2, "encoder and policy")
        self.operator.until(lambda: self._node.count_subscribers("rig/episode"), "the recorder")
        self.operator.spin(1.0)

    def without(self) -> None:
        """Show every goal once, and the first one again."""
        while self._shown <= self._args.goals:
            self._spend(0.05)
        self._spend(self._args.goal_every)

    def swapping(self) -> float:
        """Swap at random moments; return how long a swap took, in the middle [s]."""
        self.operator.make_ready()
        self._next_goal = time.monotonic() + self._args.goal_every
        took = []
        for number in range(self._args.swaps):
            self._spend(self._random.uniform(0.0, 2.0 * self._args.pause))
            name, begin = NAMES[(number + 1) % 2], time.monotonic()
            self._outcomes.clear()
            self._announcer.announce(name, self._outcomes.append, TIMEOUT)
            while not self._outcomes:
                self._spend(0.005)
            if not self._outcomes[0].accepted:
                raise RuntimeError(f"swap {number + 1}: {self._outcomes[0].text}\n{self.system.output()[-3000:]}")
            took.append(time.monotonic() - begin)
        self._spend(self._args.goal_every)
        return float(np.median(took))

    def rest(self) -> int:
        """Let the last episode end, and show the first goal of the next part; return the time [ns]."""
        self.operator.set_mode("idle")
        self.operator.spin(2.0)
        self.operator.show(self._pictures[0])
        self._shown = 1
        self.operator.spin(1.0)
        return time.time_ns()

    def _spend(self, seconds: float) -> None:
        """Let time pass; goals go on."""
        if self.system.process.poll() is not None:
            raise RuntimeError(f"the system has ended; it says:\n{self.system.output()[-3000:]}")
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= self._next_goal:
                self._next_goal = max(now, self._next_goal + self._args.goal_every)
                self.operator.show(self._pictures[self._shown % len(self._pictures)])
                self._shown += 1
            self._executor.spin_once(timeout_sec=0.0)
            self.operator.spin(max(0.0, min(end - now, 0.01)))
            if time.monotonic() >= end:
                return


def measure(args: Args, folder: Path) -> dict[str, Any]:
    """Run, read back, and return the figures."""
    from rig_robot.common.package_files import locate

    root = folder / "checkpoints"
    root.mkdir(parents=True)
    source = locate(SHIPPED_CHECKPOINT)
    config: CheckpointConfig = read_config(source)
    scene = None if config.scene is None else read_tensors(source, config.scene)
    save(root / NAMES[0], config, read_tensors(source, config.vae), read_tensors(source, config.policy), scene)
    turn(root / NAMES[0], root / NAMES[1], args.seed)
    activate(root / NAMES[0])

    run = Run(args, folder, root)
    try:
        run.begin()
        run.without()
        until = run.rest()
        took = run.swapping()
        run.rest()
    finally:
        run.close()
    judge, parts = Judge(root), (Found(), Found())
    episodes, refused = find(folder / "episodes")
    for info in episodes:
        judge.learn_goals(info)
    for info in episodes:
        judge.read(info, parts[info.start_ns > until - 1_500_000_000])
    for _, why in refused:
        print(f"a bag cannot be read: {why}")
    for name, part in zip(("without swaps", "with swaps"), parts, strict=True):
        print(
            f"{name}: {part.twists} twists, {len(part.latents)} observations, {part.swaps} changes of the VAE in "
            f"the bags, dropped by the recorder: {dict(part.drops) or 'nothing'}"
        )
        print(f"largest step {part.largest_mm:.1f} mm; by the commanded velocities {part.fastest_mm:.1f} mm")
        print("\n".join([*part.mixed[:10], *part.lost[:10]]) or "nothing mixed, nothing lost")
    print(
        f"{len(episodes)} episodes; a swap takes {1000 * took:.0f} ms from its announcement to its being used (median)"
    )
    without, swapped = parts
    return {
        "swaps": args.swaps,
        "swaps_in_bags": swapped.swaps,
        "twists": swapped.twists,
        "mixed": len(without.mixed) + len(swapped.mixed),
        "observations": len(without.latents) + len(swapped.latents),
        "lost": len(without.lost) + len(swapped.lost),
        "largest_step_mm": round(swapped.largest_mm, 2),
        "largest_step_without_mm": round(without.largest_mm, 2),
    }


def main(args: Args) -> None:
    for name, value in (
        ("ROS_DOMAIN_ID", "96"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        ("OMP_NUM_THREADS", "1"),
    ):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_swaps_") as temporary:
        result = measure(args, args.directory or Path(temporary))
    print(json.dumps(result))
    sys.exit(bool(result["mixed"] or result["lost"] or not result["swaps_in_bags"]))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
