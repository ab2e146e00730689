"""How near an object comes to where a goal shows it, after so many environment steps, exploration included.

    python benchmarks/push.py --out runs/push

`state` knows the true positions of tool and object, `images` sees pictures alone; `cluttered` learns and pushes where a
box wanders and the light changes; `pixels` and `rig-2018` are the methods of reaching that take whole pictures (see
`push_baselines.py`); `nothing` is where the object stood. Each figure is of a run of its own, of 100 goals that
training never saw, 100 steps each; push.png in --out shows how near each came on its way, by 20 or 30 goals. `nodes`
shows 50 goals to the shipped checkpoint, through all nodes (`rig sim --task push`); `pictures` has it judge goal
pictures, good ones and such as cannot be reached. Finished runs in --out are kept, killed ones go on. The last line is
one JSON object: kind, steps, and then each figure with one entry per seed (null: the run failed).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from push_baselines import ENVIRONMENT, METHODS, arguments, figures, make
from push_plot import draw

from rig_robot.bringup.options import SHIPPED_PUSHING
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.experiments.parallel_runs import sweep
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.rig import HELD_OUT_SEEDS
from rig_robot.learning.training.metrics import push_summary
from rig_robot.learning.training.train import EVALUATION_SEED
from rig_robot.vision.goal_check import GoalCheck
from rig_sim.push_world import PUCK_AREA, TOOL_HIGH, TOOL_LOW, random_goal

EXPLORATION = {5_000: 1_500, 10_000: 2_000}
"""Of so many steps in all, a run with true positions explores so many."""
Row = tuple[str, int]
BUDGETS: list[Row] = [
    ("state", 5_000),
    ("images", 10_000),
    ("state", 10_000),
    ("pixels", 10_000),
    ("rig-2018", 10_000),
    ("images", 20_000),
    ("cluttered", 20_000),
]
"""Kind and steps in all of each row; the first two are --quick's."""
ASKED: dict[Row, dict[str, float]] = {
    ("state", 10_000): {"within_30mm": 90, "median_mm": 15.0},
    ("state", 5_000): {"within_30mm": 80},
    ("images", 10_000): {"within_50mm": 70, "median_mm": 35.0},
    ("images", 20_000): {"within_30mm": 75},
    ("cluttered", 20_000): {"within_50mm": 60},
}
"""At least so many of 100 goals within a distance, and a median of at most so many mm."""
NODES_ASKED = 0.7
"""Share of the goals through all nodes that are to end within 5 cm."""
CURVE, CURVE_GOALS = 2_000, 30
"""Steps of practice between two points of the learning curve, and goals of each"""
FIGURES = ("within_30mm", "within_50mm", "both_50mm", "median_mm", "mean_mm", "put_back", "cpu_seconds", "seconds")


@dataclass(frozen=True)
class Args:
    out: Path = Path("runs/push")
    """Directory for the runs."""
    seeds: int = 3
    """Runs of each: seeds 0, 1 ..."""
    quick: bool = False
    """Seed 0 and the first two rows only: the same runs as without, so that nothing is done twice."""
    kinds: tuple[str, ...] = ("state", "images", "pixels", "rig-2018", "cluttered", "nodes", "pictures")
    """Rows of these kinds alone."""
    most: int = 20_000
    """Rows of at most so many steps alone."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""


def nothing(goals: int = 100) -> dict:
    """Return the figures where the arm does not move, for the goals of the evaluations."""
    env = make(ENVIRONMENT)
    seeds = HELD_OUT_SEEDS + np.random.default_rng((HELD_OUT_SEEDS, EVALUATION_SEED)).integers(2**30, size=goals)
    infos = [env.reset(seed=int(seed), options={"held_out": True})[1] for seed in seeds]
    env.close()
    return push_summary(*(1000 * np.array([(info["distance"], info["tool_distance"]) for info in infos]).T))


def runs(args: Args) -> Iterator[tuple[Row, PushArgs | TrainArgs]]:
    """Yield row and arguments of each run; whole comparisons first."""
    for seed in range(1 if args.quick else args.seeds):
        for kind, steps in BUDGETS[:2] if args.quick else BUDGETS:
            if kind not in args.kinds or steps > args.most:
                continue
            out = args.out / f"{kind}-{steps}-{seed}"
            if kind in METHODS:
                yield (kind, steps), arguments(kind, steps, out, seed)
                continue
            run = PushArgs(out=out, seed=seed, evaluate_every=CURVE, evaluation_goals=CURVE_GOALS)
            if kind == "state":
                run = replace(run, representation="positions", exploration_steps=EXPLORATION[steps])
                explored = run.exploration_steps
            else:
                run = replace(run, scene="cluttered" if kind == "cluttered" else "plain")
                explored = run.exploration_steps + run.seeking_steps
            yield (kind, steps), replace(run, online_steps=steps - explored)


def nodes(folder: Path, goals: int = 50) -> dict[str, Any]:
    """Return the figures of the shipped checkpoint through all nodes."""
    file = folder / "nodes.json"
    command = [sys.executable, "-m", "rig_robot.cli", "sim", "--task", "push", "--goals", str(goals), "--seed", "1"]
    subprocess.run([*command, "--json", str(file)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(file.read_text())


def pictures(goals: int = 60) -> dict[str, float]:
    """Return for each kind of goal picture which share of them the shipped checkpoint takes for unfamiliar."""
    check = GoalCheck(Encoder(locate(SHIPPED_PUSHING)))
    env: Any = make(ENVIRONMENT).unwrapped
    rng = np.random.default_rng(0)
    doubted: dict[str, list[bool]] = {"good": [], "without a puck": [], "two pucks": [], "puck outside its area": []}
    for number in range(goals):
        env.reset(seed=HELD_OUT_SEEDS + number, options={"held_out": True})
        goal = random_goal(rng, TOOL_LOW, TOOL_HIGH)
        tool, below = goal[:2], np.array([-2.0, 0.0])  # where no camera looks
        good, without = env.render_goal(goal), env.render_goal(np.concatenate((tool, below)))
        elsewhere = env.render_goal(np.concatenate((tool, _apart(rng, (goal[2:], tool), *PUCK_AREA))))
        second = np.abs(elsewhere.astype(int) - without).max(axis=-1, keepdims=True) > 12
        outside = _apart(rng, (tool,), np.array([0.42, -0.35]), np.array([0.85, 0.35]), True)
        shown = (good, without, np.where(second, elsewhere, good), env.render_goal(np.concatenate((tool, outside))))
        for name, picture in zip(doubted, shown, strict=True):
            doubted[name].append(not check.judge(picture).known)
    env.close()
    return {name: round(float(np.mean(found)), 2) for name, found in doubted.items()}


def _apart(
    rng: np.random.Generator, others: tuple[np.ndarray, ...], low: np.ndarray, high: np.ndarray, outside: bool = False
) -> np.ndarray:
    """Return a place [2] m between two corners, 12 cm from others; `outside`: and 6 cm outside the puck's area."""
    while True:
        place = rng.uniform(low, high)
        inside = (place > PUCK_AREA.low - 0.06).all() and (place < PUCK_AREA.high + 0.06).all()
        if min(np.linalg.norm(place - other) for other in others) > 0.12 and not (outside and inside):
            return place


def judged(figures: dict[str, list[Any]], asked: dict[str, float]) -> str:
    """Return what was asked for, and whether every seed has it; of a median, the mean over the seeds counts."""
    kept = {name: [value for value in figures[name] if value is not None] for name in asked}
    met = all(values for values in kept.values())
    for name, bound in asked.items() if met else ():
        met &= statistics.mean(kept[name]) <= bound if name == "median_mm" else min(kept[name]) >= bound
    texts = {"median_mm": "median {:g} mm", "within_30mm": "{:g} within 3 cm", "within_50mm": "{:g} within 5 cm"}
    wanted = ", ".join(texts[name].format(bound) for name, bound in asked.items())
    return f"{wanted}: {'met' if met else 'MISSED'}"


def main(args: Args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    planned = list(runs(args))
    result: dict[str, Any] = {}
    curves: dict[str, list[list[dict]]] = {}
    for ((kind, steps), run), ended in zip(planned, sweep([run for _, run in planned], make, args.jobs), strict=True):
        lists = result.setdefault(kind, {}).setdefault(str(steps), {name: [] for name in FIGURES})
        found = ended.history[-1] if ended.history else {}
        if found and kind in METHODS:
            found = found | figures(run.out)
        if found and steps == max(budget for name, budget in BUDGETS if name == kind and budget <= args.most):
            curves.setdefault(kind, []).append([*ended.history[:-1], found])
        for name in FIGURES:
            lists[name].append(found.get(name))
    shown = ("within_30mm", "within_50mm", "median_mm", "both_50mm")
    titles = ("within 3 cm", "within 5 cm", "median [mm]", "both within 5 cm")
    print(f"\n{'':9} {'steps':>6}  {''.join(f'{title:18}' for title in titles)} asked")
    still = nothing()
    if curves:
        draw(args.out / "push.png", curves, still["median_mm"])
    print(f"{'nothing':9} {'':6}  {''.join(f'{still[name]!s:18}' for name in shown)}")
    for kind, budgets in result.items():
        for steps, lists in budgets.items():
            cells = [", ".join("-" if value is None else f"{value:g}" for value in lists[name]) for name in shown]
            asked = ASKED.get((kind, int(steps)))
            verdict = judged(lists, asked) if asked else ""
            print(f"{kind:9} {steps:>6}  {''.join(f'{cell:18}' for cell in cells)} {verdict}")
    if "nodes" in args.kinds:
        result["nodes"] = found = nodes(args.out)
        met = found["within_50mm"] >= NODES_ASKED * found["goals"]
        cells = [f"{found[name]:g}" for name in shown]
        verdict = f"of {found['goals']}; {NODES_ASKED:.0%} within 5 cm: {'met' if met else 'MISSED'}"
        print(f"{'nodes':9} {'':6}  {''.join(f'{cell:18}' for cell in cells)} {verdict}")
    if "pictures" in args.kinds:
        result["pictures"] = pictures()
        print("goal pictures that are taken for unfamiliar:", result["pictures"])
    print(json.dumps(result | {"nothing": still}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
