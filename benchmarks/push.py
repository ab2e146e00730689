"""How near an object comes to where a goal shows it, after so many environment steps, exploration included.

    python benchmarks/push.py --out runs/push

`state` knows the true positions of tool and object; `nothing` is where the object stood. Each figure is of a run of its
own, of 100 goals that training never saw, 100 steps each. Finished runs in --out are kept, killed ones go on. The last
line is one JSON object: representation, steps, and then each figure with one entry per seed (null: the run failed).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro

from rig_robot.learning.experiments.parallel_runs import sweep
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.rig import HELD_OUT_SEEDS
from rig_robot.learning.training.metrics import push_summary
from rig_robot.learning.training.train import EVALUATION_SEED

EXPLORATION = {5_000: 1_500, 10_000: 2_000}
"""Of so many steps in all, so many explore."""
ASKED = {("state", 10_000): (90, 15.0), ("state", 5_000): (80, None)}
"""At least so many of 100 goals within 3 cm, and a median of at most so many mm."""
FIGURES = ("within_30mm", "within_50mm", "both_50mm", "median_mm", "mean_mm", "put_back", "cpu_seconds", "seconds")
ENVIRONMENT = "RigSawyerPushXY-v0"


@dataclass(frozen=True)
class Args:
    out: Path = Path("runs/push")
    """Directory for the runs."""
    seeds: int = 3
    """Runs of each: seeds 0, 1 ..."""
    quick: bool = False
    """Seed 0 and the smaller budget only: the same runs as without, so that nothing is done twice."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""


def make_env(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers too, which have to register the environments first."""
    import rig_sim  # noqa: F401

    return gymnasium.make(name, **arguments)


def nothing(goals: int = 100) -> dict:
    """Return the figures where the arm does not move, for the goals of the evaluations."""
    env = make_env(ENVIRONMENT)
    seeds = HELD_OUT_SEEDS + np.random.default_rng((HELD_OUT_SEEDS, EVALUATION_SEED)).integers(2**30, size=goals)
    infos = [env.reset(seed=int(seed), options={"held_out": True})[1] for seed in seeds]
    env.close()
    return push_summary(*(1000 * np.array([(info["distance"], info["tool_distance"]) for info in infos]).T))


def runs(args: Args) -> Iterator[tuple[int, PushArgs]]:
    """Yield steps in all and the arguments of each run; whole comparisons first."""
    budgets = [5_000] if args.quick else [5_000, 10_000]
    for seed in range(1 if args.quick else args.seeds):
        for budget in budgets:
            explore = EXPLORATION[budget]
            yield (
                budget,
                PushArgs(
                    out=args.out / f"state-{budget}-{seed}",
                    seed=seed,
                    representation="positions",
                    exploration_steps=explore,
                    online_steps=budget - explore,
                    evaluate_every=budget - explore,
                ),
            )


def main(args: Args) -> None:
    planned = list(runs(args))
    result: dict[str, Any] = {}
    for (budget, _), ended in zip(planned, sweep([run for _, run in planned], make_env, args.jobs), strict=True):
        lists = result.setdefault("state", {}).setdefault(str(budget), {name: [] for name in FIGURES})
        for name in FIGURES:
            lists[name].append(ended.history[-1][name] if ended.history else None)
    print(f"\n{'':6} {'steps':>6}  {'within 3 cm':16} {'median [mm]':16} {'both within 5 cm':18} asked")
    still = nothing()
    shown = (still["within_30mm"], still["median_mm"], still["both_50mm"])
    print(f"{'nothing':13}  {shown[0]:<16} {shown[1]:<16} {shown[2]:<18}")
    for kind, budgets in result.items():
        for steps, lists in budgets.items():
            kept = {name: [value for value in values if value is not None] for name, values in lists.items()}
            cells = (
                ", ".join(f"{value:g}" for value in kept[name]) for name in ("within_30mm", "median_mm", "both_50mm")
            )
            within, median, both = cells
            asked, most = ASKED[kind, int(steps)]
            met = min(kept["within_30mm"], default=0) >= asked
            met = met and (most is None or statistics.mean(kept["median_mm"]) <= most)
            wanted = f"{asked} within 3 cm" + (f", median {most:g} mm" if most else "")
            print(f"{kind:6} {steps:>6}  {within:16} {median:16} {both:18} {wanted}: {'met' if met else 'MISSED'}")
    print(json.dumps(result | {"nothing": still}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
