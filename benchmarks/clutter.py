"""How near RIG comes to goals in scenes that change, and how far mere clutter moves its latents.

    python benchmarks/clutter.py --out runs/clutter

Every figure of reaching is of a run of its own and of 100 goals that training never saw; in `lab`, of rooms of kinds
that training never showed, too. The scene of a goal picture is another moment's than the robot's. Finished runs in
--out are kept, killed ones go on. Without reinforcement learning it measures for each representation, learned from the
same random steps in `cluttered`: how far its latent moves when only the clutter changes, in mm of tool motion; how far
off the tool is in the picture whose latent is nearest; and the error of a linear map from latent to tool.

The last line is one JSON object: scene, steps in all, `mean_mm` with one entry per seed; `shifted_before_mm`, how near
the shipped checkpoint comes from a camera that was turned, before any practice; and `invariance_mm`.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro

from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.scene_names import SceneName
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import PLAIN_VAE, EvalArgs, TrainArgs, preset
from rig_robot.learning.experiments.parallel_runs import Ended, sweep
from rig_robot.learning.rig import HELD_OUT_SEEDS, Rig, explore
from rig_robot.learning.rl.replay_buffer import Frames
from rig_robot.learning.training.evaluate import evaluate

XY, XYZ = "RigSawyerReachXY-v0", "RigSawyerReachXYZ-v0"
RUNS: dict[str, dict[str, dict[str, Any]]] = {
    "cluttered": {
        "2000": {"scene": "cluttered"},
        "400 random + 1600": {"scene": "cluttered", "exploration_steps": 400, "online_steps": 1_600},
        "2000, pixels": {"scene": "cluttered", "method": "pixels"},
        "2000, plain VAE": {"scene": "cluttered", "method": "rig-vae"},
        "2000, proprioception": {"scene": "cluttered", "anchor": "proprioception"},
    },
    "lab": {"2000": {"scene": "lab"}, "2000, proprioception": {"scene": "lab", "anchor": "proprioception"}},
    "plain": {
        "500": {"exploration_steps": 400, "online_steps": 100},
        "1000": {"exploration_steps": 750, "online_steps": 250},
        "15000": {"exploration_steps": 10_000, "online_steps": 5_000, "updates": 1},
    },
    "xyz_cluttered": {
        "5000": {"env": XYZ, "scene": "cluttered", "exploration_steps": 3_500, "online_steps": 1_500, "updates": 2}
    },
}
"""Task -> steps in all -> arguments of `rig train`"""
TARGETS = {
    ("cluttered", "2000"): 5,
    ("cluttered", "400 random + 1600"): 6,
    ("lab", "2000"): 8,
    ("plain", "1000"): 3.8,
    ("plain", "500"): 8,
    ("plain", "15000"): 1.3,
    ("xyz_cluttered", "5000"): 12,
}
"""Mean final distance that is asked for, at most [mm]"""
REPRESENTATIONS: dict[str, dict[str, Any]] = {
    "controllable": {},
    "controllable, by proprioception": {"anchor": "proprioception"},
    "plain VAE": PLAIN_VAE,
    "pixels": {"representation": "pixels", "latent_size": 64},
}
MEASURED: tuple[SceneName, ...] = ("cluttered", "colours", "lab")
PLACES, MOMENTS, STEP_MM = 100, 4, 20.0
"""Tool positions, pictures of each at different moments, and the motion by which latents are measured"""

Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Args:
    out: Path = Path("runs/clutter")
    """Directory for the runs and clutter.json."""
    seeds: int = 3
    """Runs of each: seeds 0, 1 ..."""
    tasks: tuple[str, ...] = tuple(RUNS)
    """Of reaching."""
    checkpoint: str = SHIPPED_CHECKPOINT
    """For the camera that was turned."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""


def make_env(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers too, which have to register the environments first."""
    import rig_sim  # noqa: F401

    return gymnasium.make(name, **arguments)


def train_args(args: Args, task: str, steps: str, seed: int) -> TrainArgs:
    """Return the arguments of a run; only its last evaluation counts."""
    changes = {"exploration_steps": 1_500, "online_steps": 500} | RUNS[task][steps]
    method = changes.pop("method", "rig")
    name = f"{steps.replace(' ', '').replace(',', '-')}-{seed}"
    return preset(method, out=args.out / task / name, seed=seed, evaluate_every=changes["online_steps"], **changes)


def reach(args: Args) -> tuple[dict[str, dict[str, dict[str, list[float | None]]]], bool]:
    """Do the runs; return their mean distances, and whether all came to their end."""
    keys = [(task, steps, seed) for seed in range(args.seeds) for task in args.tasks for steps in RUNS[task]]
    runs = [train_args(args, *key) for key in keys]
    ended: dict[tuple[str, str, int], Ended] = dict(zip(keys, sweep(runs, make_env, args.jobs), strict=True))
    result: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    print(f"{'scene':14} {'steps in all':24} {'mean of each seed [mm]':24} median  at most  CPU s")
    for task in args.tasks:
        for steps in RUNS[task]:
            last = [
                end.history[-1] if (end := ended[task, steps, seed]).history else None for seed in range(args.seeds)
            ]
            means = [entry["mean_mm"] if entry else None for entry in last]
            result.setdefault(task, {})[steps] = {"mean_mm": means}
            whole = [entry for entry in last if entry]
            if whole:
                each = " ".join(f"{entry['mean_mm']:.1f}" for entry in whole)
                median = statistics.mean(entry["median_mm"] for entry in whole)
                target = TARGETS.get((task, steps))
                worst = max(entry["mean_mm"] for entry in whole)
                verdict = "" if target is None else f"{target:g} {'met' if worst <= target else 'MISSED'}"
                spent = statistics.mean(entry["cpu_seconds"] for entry in whole)
                print(f"{task:14} {steps:24} {each:24} {median:6.1f}  {verdict:10} {spent:5.0f}")
    return result, all(not end.error for end in ended.values())


class Pictures:
    """Pictures of the tool at places, each at several moments of its scene, and a step further at the same moments."""

    def __init__(self, scene: SceneName) -> None:
        env: Any = make_env(XY, scene=scene)
        world = env.unwrapped
        rng = np.random.default_rng(0)
        self.step = np.array([STEP_MM, STEP_MM, 0.0]) / np.sqrt(2) / 1000
        self.places = rng.uniform(world.workspace_low, world.workspace_high - self.step, (PLACES, 3))
        self.here, self.further = (
            np.stack([self._draw(env, *key, moved) for key in np.ndindex(PLACES, MOMENTS)])
            for moved in (0 * self.step, self.step)
        )
        env.close()

    def _draw(self, env: gymnasium.Env, place: int, moment: int, moved: np.ndarray) -> np.ndarray:
        seed = HELD_OUT_SEEDS + PLACES * moment + place
        options = {"start": self.places[place] + moved, "held_out": True}
        return env.reset(seed=seed, options=options)[0]["image"]

    def measure(self, encode: Encode) -> dict[str, float]:
        """Return how far clutter moves latents, and how well the tool can be read from them [mm]."""
        latents, further = encode(self.here), encode(self.further)
        unit = float(np.median(np.linalg.norm(further - latents, axis=1))) / STEP_MM
        by_place = latents.reshape(PLACES, MOMENTS, -1)
        apart = [by_place[:, i] - by_place[:, j] for i in range(MOMENTS) for j in range(i)]
        clutter = float(np.linalg.norm(apart, axis=-1).mean()) / unit
        places = 1000 * np.repeat(self.places[:, :2], MOMENTS, axis=0)
        number = np.arange(len(latents)) // MOMENTS
        known = np.c_[latents, np.ones(len(latents))]
        odd = number % 2 == 1
        found = known[~odd] @ np.linalg.lstsq(known[odd], places[odd], rcond=None)[0]
        distance = np.linalg.norm(latents[:, None] - latents[None], axis=2)
        distance[number[:, None] == number] = np.inf
        nearest = places[distance.argmin(axis=1)]
        return {
            "clutter": round(clutter, 1),
            "nearest": round(float(np.linalg.norm(nearest - places, axis=1).mean()), 1),
            "linear": round(float(np.linalg.norm(found - places[~odd], axis=1).mean()), 1),
        }


def invariance(seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every representation in every scene; the floor of `nearest` is that of true positions."""
    env = make_env(XY, scene="cluttered", action_delay=(0.02, 0.09))
    box, steps = ActionBox.of_environment(env.unwrapped), 2_000
    pictures = {scene: Pictures(scene) for scene in MEASURED}
    result: dict[str, dict[str, dict[str, float]]] = {}
    print(f"\n{'representation':32} {'scene':10} clutter  nearest  linear  [mm]")
    for name, changes in REPRESENTATIONS.items():
        args = preset("rig", out=Path(tempfile.gettempdir()), exploration_steps=steps, fine_tune_every=0, **changes)
        rig = Rig(args, box, 50, np.zeros((steps // 50 * 51, args.image_size, args.image_size, 3), np.uint8))
        for episode in range(steps // 50):
            explore(env, rig.replay, args.sticky, 50, np.random.default_rng((seed, 0, episode)))
        for unit in range(rig.representation.units):
            rig.representation.fit(rig.replay, unit, np.random.default_rng((seed, 1, unit)))

        def encode(images: np.ndarray, rig: Rig = rig) -> np.ndarray:
            return rig.representation.encode(Frames(images, np.zeros((len(images), 3), np.float32), images))

        for scene in MEASURED:
            found = pictures[scene].measure(encode)
            result.setdefault(name, {})[scene] = found
            print(
                f"{name:32} {scene:10} {found['clutter']:7.1f}  {found['nearest']:7.1f}  {found['linear']:6.1f}",
                flush=True,
            )
    env.close()
    return result


def main(args: Args) -> int:
    reached, whole = reach(args)
    print("\nthe shipped checkpoint, camera turned by 5 degrees, before any practice:")
    shifted = evaluate(EvalArgs(checkpoint=args.checkpoint, scene="shifted"), make_env)
    result = {**reached, "shifted_before_mm": shifted["mean_mm"], "invariance_mm": invariance()}
    (args.out / "clutter.json").write_text(json.dumps(result) + "\n")
    print(json.dumps(result))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, description=__doc__)))
