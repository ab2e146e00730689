"""200 checkpoint swaps while the arm reaches goals: is a frame lost, are two VAEs ever mixed up, does the arm jump?

    python benchmarks/swaps.py

Runs `rig sim` with the recorder, shows goal images, and goes from one checkpoint to another and back, once a second.
The other is the shipped one in another latent space: turned, stretched and moved by an affine map that is folded into
encoder, decoder and actor. It acts alike, but a latent of the one means something else to the other.

What happened is read from the recorded bags alone. For each twist: the latent of the frame that it rests on, the VAE
that this comes from, the goal's latent of that same VAE, and what that VAE's own policy makes of the two. Mixed: twists
that are not that. Lost: observations without a latent, or with two. Step: the furthest that the measured tool came in
one period, beside the same without swaps. The last line is one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from standin.operator import Operator
from standin.system import Process

from rig_robot import latent
from rig_robot.bringup import SHIPPED_CHECKPOINT, dds_profile
from rig_robot.learning.checkpoint import PriorEntry, activate, read_config, read_tensors, resolve, save
from rig_robot.learning.inference import Policy
from rig_robot.practice_data import prepare
from rig_robot.recording import topics
from rig_robot.recording.episode import find, header_ns, messages, values

DOMAIN = "92"
"""ROS domain, where the user has set none."""
OTHER = "other"
GOAL_EVERY = 3.0
"""Time between two goals [s]."""
SAME = 1e-4
"""Two speeds that differ by less than this are the same [m/s]."""


@dataclass
class Args:
    swaps: int = 200
    """How many."""
    every: float = 1.0
    """Time between two swaps [s]."""
    without: float = 60.0
    """Time without swaps before, to compare with [s]."""
    seed: int = 0
    """Seed of the goals and of the other latent space."""


def main(args: Args) -> None:
    for name, value in (("ROS_DOMAIN_ID", DOMAIN), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="rig_swaps_") as folder:
        data = prepare(Path(folder), SHIPPED_CHECKPOINT, None)
        first = resolve(data.checkpoints)
        transform(first, data.checkpoints / OTHER, np.random.default_rng(args.seed))
        begin, taken = swap(args, data.checkpoints, data.episodes, (first.name, OTHER))
        result = judge(data.checkpoints, data.episodes, begin)
    print(json.dumps({"swaps": taken, **result}))
    sys.exit(bool(result["mixed"] or result["lost"] or taken < args.swaps))


def transform(source: Path, target: Path, rng: np.random.Generator) -> None:
    """Write a checkpoint that acts as another does, in a latent space w = M z + t of its own."""
    config = read_config(source)
    size = config.vae.latent_size
    matrix = np.linalg.qr(rng.normal(size=(size, size)))[0] * rng.uniform(0.7, 1.5, size)
    inverse, shift = np.linalg.inv(matrix), rng.normal(size=size)
    vae, policy = (dict(read_tensors(source, entry)) for entry in (config.vae, config.policy))
    head = max(name for name in vae if name.startswith("encoder.") and vae[name].shape[:1] == (2 * size,))
    head = head.rsplit(".", 1)[0]
    weight, bias = (vae[f"{head}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    weight[:size], bias[:size] = matrix @ weight[:size], matrix @ bias[:size] + shift
    down = vae["decoder.0.weight"].astype(np.float64) @ inverse
    vae |= {f"{head}.weight": weight, f"{head}.bias": bias, "decoder.0.weight": down}
    vae["decoder.0.bias"] = vae["decoder.0.bias"] - down @ shift
    # The actor sees z and g - z.
    layer = policy["actor.layers.0.weight"].astype(np.float64)
    here, there = layer[:, :size] @ inverse, layer[:, size:] @ inverse
    policy["actor.layers.0.weight"] = np.hstack((here, there))
    policy["actor.layers.0.bias"] = policy["actor.layers.0.bias"] - here @ shift
    mean = matrix @ np.array(config.latent_prior.mean) + shift
    covariance = matrix @ np.array(config.latent_prior.covariance) @ matrix.T
    prior = PriorEntry(tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())))
    config = dataclasses.replace(config, latent_prior=prior, parent=source.name)
    tensors = [{name: value.astype(np.float32) for name, value in part.items()} for part in (vae, policy)]
    save(target, config, *tensors, None if config.scene is None else read_tensors(source, config.scene))
    activate(source)


def swap(args: Args, root: Path, bags: Path, names: tuple[str, str]) -> tuple[int, int]:
    """Let the system reach goals, first without swaps, then with; return when those began [ns], and how many came."""
    command = ["sim", "--goals", "-1", "--checkpoint", str(root), "--record", str(bags)]
    system = Process(["-m", "rig_robot.cli", *command], {})
    os.environ.update(dds_profile("camera", os.environ))
    operator = Operator(str(root))
    rng = random.Random(args.seed)
    workspace = operator.workspace
    shown = 0.0

    def spend(seconds: float) -> None:
        nonlocal shown
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if time.monotonic() - shown > GOAL_EVERY:
                shown = time.monotonic()
                place = [rng.uniform(low, high) for low, high in zip(workspace.low, workspace.high, strict=True)]
                operator.show(operator.draw(np.array(place)))
            operator.spin(0.02)

    try:
        from rig_robot.announcing import Announcer, Outcome
        from rig_robot.ros import RigNode

        node = RigNode("swaps")
        operator.add(node)
        announcer = Announcer(node, root)
        operator.make_ready()
        spend(args.without)
        begin, taken = time.time_ns(), 0
        for number in range(args.swaps):
            outcomes: list[Outcome] = []
            announcer.announce(names[(number + 1) % 2], outcomes.append)
            began = time.monotonic()
            while not outcomes:
                spend(0.02)
            taken += outcomes[0].accepted
            if not outcomes[0].accepted:
                print(outcomes[0].text)
            spend(args.every - (time.monotonic() - began))
        spend(1.0)
    except BaseException:
        print(system.output()[-3000:], file=sys.stderr)
        raise
    finally:
        system.stop()
        operator.close()
    return begin, taken


def judge(root: Path, bags: Path, begin: int) -> dict[str, Any]:
    """Say what the bags tell; begin: of the swaps [ns]."""
    policies = {policy.vae_id: policy for policy in (Policy(path) for path in root.glob("*") if not path.is_symlink())}
    episodes, refused = find(bags)
    for path, why in refused:
        print(f"{path.name} refused: {why}")
    observed: set[int] = set()
    latents: dict[int, dict[bytes, latent.Latent]] = {}
    twists: dict[int, tuple[str, np.ndarray]] = {}
    goals: dict[tuple[str, str], latent.Latent] = {}
    poses: dict[int, np.ndarray] = {}
    gaps: list[tuple[int, int]] = []
    roles = (topics.OBSERVATION, topics.LATENT, topics.TWIST, topics.GOAL_LATENT, topics.POSE, topics.EPISODE)
    for info in episodes:
        goal = ""
        heard: list[int] = []
        for role, at, message in messages(info, roles):
            if role == topics.EPISODE:
                said = values(message)
                goal = said["goal"] if said["id"] == info.episode and said["event"] == "start" else ""
            elif role == topics.POSE:
                place = message.pose.position
                poses[header_ns(message)] = np.array([place.x, place.y, place.z])
            elif role == topics.OBSERVATION:
                observed.add(header_ns(message))
                heard.append(at)
            elif role == topics.LATENT:
                latents.setdefault(header_ns(message), {})[bytes(message.data)] = latent.from_message(message)
            elif role == topics.GOAL_LATENT and message.width:
                found = latent.from_message(message)
                goals[found.vae_id, str(header_ns(message))] = found
            elif role == topics.TWIST and goal:
                linear = message.twist.linear
                twists[header_ns(message)] = goal, np.array([linear.x, linear.y, linear.z])
        gaps.append((min(heard), max(heard)))
    # What was seen while no bag was open, or as one was closed, is not told of.
    told = [stamp for stamp in observed if any(start <= stamp <= end - 200_000_000 for start, end in gaps)]
    lost = sum(len(latents.get(stamp, ())) != 1 for stamp in told)
    mixed = sum(not fits(policies, latents.get(stamp, {}), goals, *twist) for stamp, twist in twists.items())
    each = {
        vae_id: sum(vae_id == next(iter(found.values())).vae_id for found in latents.values()) for vae_id in policies
    }
    period = next(iter(policies.values())).config.action.period_s
    before, after = (step(poses, period, *span) for span in ((0, begin), (begin, 2**63)))
    print(f"{len(episodes)} episodes, {len(twists)} twists, latents of each VAE: {each}")
    return {
        "mixed": mixed,
        "twists": len(twists),
        "observations": len(told),
        "lost": lost,
        "largest_step_mm": round(after, 2),
        "largest_step_without_mm": round(before, 2),
    }


def fits(
    policies: dict[str, Policy],
    seen: dict[bytes, latent.Latent],
    goals: dict[tuple[str, str], latent.Latent],
    goal: str,
    velocity: np.ndarray,
) -> bool:
    """Return whether a twist is what the policy of its latent's own VAE makes of that and of the goal in force."""
    found = next(iter(seen.values()), None)
    if found is None or (found.vae_id, goal) not in goals:
        return False
    policy = policies[found.vae_id]
    action = policy.config.action
    wanted = np.zeros(3)
    axes = ["xyz".index(axis) for axis in action.axes]
    wanted[axes] = policy.act(found.mean, goals[found.vae_id, goal].mean) * action.scale_m / action.period_s
    return bool(np.abs(wanted - velocity).max() < SAME)


def step(poses: dict[int, np.ndarray], period: float, start: int, end: int) -> float:
    """Return the furthest that the tool came in one period [mm]."""
    stamps = np.array(sorted(stamp for stamp in poses if start <= stamp < end))
    places = np.stack([poses[stamp] for stamp in stamps])
    later = np.searchsorted(stamps, stamps + round(1e9 * period))
    whole = (later < len(stamps)) & (stamps[np.minimum(later, len(stamps) - 1)] - stamps < 1.2e9 * period)
    return 1000.0 * float(np.linalg.norm(places[later[whole]] - places[whole], axis=1).max())


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
