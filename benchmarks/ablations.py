"""What quick learning with a plain VAE rests on: final distance after 1,000 steps with one thing at a time left out.

    python benchmarks/ablations.py --out runs/ablations

Every figure is of runs of their own, 750 random steps and 250 of practice, 100 goals that training never saw. Finished
runs in --out are kept, killed ones go on. The last line is one JSON object: what was left out -> mean_mm, one per seed.
"""

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import tyro

from rig_robot.learning.experiments.parallel_runs import sweep
from rig_robot.learning.methods import preset

WITHOUT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "calibration by actions": {"calibration": 0.0},
    "calibration, and a longer view (gamma 0.97)": {"calibration": 0.0, "gamma": 0.97},
    "a short view (gamma 0.97)": {"gamma": 0.97},
    "the tip": {"tip": False},
    "resting at the goal": {"rest_at_goal": False},
    "layer normalisation": {"layer_norm": False},
    "many updates (no rehearsal, 1 a step)": {"rehearsal_updates": 0, "updates": 1},
    "exploration in the replay buffer": {"keep_exploration": False, "rehearsal_updates": 0, "updates": 16},
    "exploration that covers (white noise)": {"sticky": 1},
    "practice (1,000 random steps)": {"exploration_steps": 1_000, "online_steps": 0, "rehearsal_updates": 4_000},
    "imagined goals": {"imagined": 0.0, "replayed": 0.5, "practice_goals": "seen"},
    "hindsight goals": {"future": 0.0, "imagined": 0.4, "replayed": 0.6},
    "fine-tuning of the VAE": {"fine_tune_every": 0},
    "the small VAE (16-32-64 channels)": {"channels": (16, 32, 64)},
}
"""What is left out -> the arguments of `rig train` that leave it out."""


@dataclass(frozen=True)
class Args:
    out: Path = Path("runs/ablations")
    """Directory for the runs."""
    seeds: int = 3
    """Runs of each: seeds 0, 1 ..."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""


def make_env(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers too, which have to register the environments first."""
    import rig_sim  # noqa: F401

    return gymnasium.make(name, **arguments)


def main(args: Args) -> int:
    runs = {
        (name, seed): preset(
            "rig-vae",
            **{
                "out": args.out / f"{number:02}-{seed}",
                "seed": seed,
                "exploration_steps": 750,
                "online_steps": 250,
                "evaluate_every": 1_000,
                **changes,
            },
        )
        for seed in range(args.seeds)
        for number, (name, changes) in enumerate(WITHOUT.items())
    }
    ended = dict(zip(runs, sweep(list(runs.values()), make_env, args.jobs), strict=True))
    result: dict[str, list[float | None]] = {name: [] for name in WITHOUT}
    print(f"{'without':45} {'mean':>5}  {'mean of each seed [mm]':24} median  90th percentile")
    for name, means in result.items():
        histories = [ended[name, seed].history for seed in range(args.seeds)]
        last = [history[-1] for history in histories if history]
        means.extend(history[-1]["mean_mm"] if history else None for history in histories)
        if last:
            mean, median, p90 = (
                statistics.mean(entry[key] for entry in last) for key in ("mean_mm", "median_mm", "p90_mm")
            )
            each = " ".join(f"{entry['mean_mm']:.1f}" for entry in last)
            print(f"{name:45} {mean:5.1f}  {each:24} {median:6.1f}  {p90:6.1f}")
    print(json.dumps(result))
    return 1 if any(end.error for end in ended.values()) else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, description=__doc__)))
