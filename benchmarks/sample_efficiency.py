"""How near each method comes to held-out goals after so many environment steps, random ones included.

    python benchmarks/sample_efficiency.py --out runs/sample_efficiency

Every figure is of a run of its own, made for that many steps, and of 100 goals that training never saw. `rig-vae` has a
plain VAE; `rig-2018` is the original's configuration in the same code; `oracle` sees and is rewarded by true positions;
`offline-2000` learns from a recorded random buffer and takes no step. Finished runs in --out are kept, killed ones go
on. The last line is one JSON object: task, method, steps, and then each figure with one entry per seed (null: the run
failed).
"""

import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from rig_robot.learning.arguments import ExploreArgs, TrainArgs
from rig_robot.learning.experiments.parallel_runs import Ended, sweep
from rig_robot.learning.methods import preset


@dataclass(frozen=True)
class Setup:
    """How a budget of steps is spent, and what is tuned to it."""

    exploration: int
    """Random steps."""
    online: int
    """Steps of practice."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Other arguments of `rig train` than the method's defaults."""


def half(budget: int, **changes: Any) -> Setup:
    """Half random, half practice."""
    return Setup(budget // 2, budget - budget // 2, changes)


FEW = Setup(750, 250)
SOME = Setup(3_500, 1_500, {"updates": 2})
MANY = Setup(10_000, 5_000, {"updates": 1})

SETUPS: dict[str, dict[str, dict[int, Setup]]] = {
    "xy": {
        "rig": {1_000: FEW, 5_000: SOME, 15_000: MANY},
        "rig-vae": {1_000: FEW, 5_000: SOME, 15_000: MANY},
        "oracle": {1_000: FEW, 5_000: SOME, 15_000: MANY},
        # The original practises 4,000 random steps before it learns: more than the small budgets have.
        "rig-2018": {
            1_000: half(1_000, warm_up=100),
            15_000: Setup(10_000, 5_000),
        },
        "offline-2000": {2_000: Setup(2_000, 0, {"rehearsal_updates": 5_000})},
    },
    "xyz": {
        "rig": {5_000: SOME, 20_000: half(20_000, updates=1)},
        # Three dimensions need more of the latent, and more of the VAE, than two.
        "rig-vae": {20_000: half(20_000, updates=1, latent_size=6, channels=(16, 32, 64), vae_updates=1_600)},
        "oracle": {20_000: half(20_000, updates=1)},
    },
}
"""Task -> method -> steps in all -> how they are spent."""
ENVIRONMENTS = {"xy": "RigSawyerReachXY-v0", "xyz": "RigSawyerReachXYZ-v0"}
TARGETS = {
    ("xy", "rig", 1_000): 25,
    ("xy", "rig", 5_000): 12,
    ("xy", "rig", 15_000): 8,
    ("xy", "offline-2000", 2_000): 20,
    ("xyz", "rig", 20_000): 30,
}
"""Mean final distance that is asked for, at most [mm]."""
FIGURES = ("mean_mm", "median_mm", "p90_mm")
LOOKS = {
    "rig": ("tab:red", "o"),
    "rig-vae": ("tab:orange", "^"),
    "oracle": ("tab:blue", "s"),
    "rig-2018": ("tab:grey", "D"),
    "offline-2000": ("k", "*"),
}

Key = tuple[str, str, int, int]
"""Task, method, steps, seed."""


@dataclass(frozen=True)
class Args:
    out: Path = Path("runs/sample_efficiency")
    """Directory for the runs, sample_efficiency.json and sample_efficiency.png."""
    seeds: int = 3
    """Runs of each: seeds 0, 1 ..."""
    quick: bool = False
    """Seed 0 only, and only RIG beyond 5,000 steps: the same runs as without, so that nothing is done twice."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""
    ray: str | None = None
    """Address of a Ray cluster to run on ("auto": the one that this machine belongs to); `out` has to be on a path that
    all its machines see."""


def make_env(name: str, **arguments: Any) -> gymnasium.Env:
    """`gymnasium.make` for workers too, which have to register the environments first."""
    import rig_sim  # noqa: F401

    return gymnasium.make(name, **arguments)


def keys(args: Args) -> Iterator[Key]:
    """All runs; whole comparisons first, so that one that is stopped early has something of everything."""
    for seed in range(1 if args.quick else args.seeds):
        for task, methods in SETUPS.items():
            for method, budgets in methods.items():
                for budget in budgets:
                    if not args.quick or budget <= 5_000 or method == "rig":
                        yield task, method, budget, seed


def train_args(args: Args, key: Key) -> TrainArgs:
    """The run that gives a figure; only its last evaluation counts."""
    task, method, budget, seed = key
    setup = SETUPS[task][method][budget]
    plan: dict[str, Any] = {
        "out": args.out / task / f"{method}-{budget}-{seed}",
        "env": ENVIRONMENTS[task],
        "seed": seed,
        "exploration_steps": setup.exploration,
        "online_steps": setup.online,
        "evaluate_every": max(1, setup.online),
    }
    if method.startswith("offline"):
        plan |= {"offline": args.out / task / f"buffer-{budget}-{seed}"}
    return preset("rig" if method.startswith("offline") else method, **plan, **setup.changes)  # type: ignore[arg-type]


def record_buffer(args: TrainArgs) -> None:
    """The random steps that an offline run learns from: `rig explore --out BUFFER --steps 2000 --seed SEED`."""
    if args.offline and not args.offline.exists():
        from rig_robot.learning.training.train import record

        explore = ExploreArgs(args.offline, args.exploration_steps, env=args.env, seed=args.seed)
        record(explore, make_env)


def collect(ended: dict[Key, Ended]) -> dict:
    """The JSON of the module's first lines."""
    result: dict[str, dict[str, dict[str, dict[str, list]]]] = {}
    for (task, method, budget, _), end in ended.items():
        if end.history and end.history[-1]["samples"] > budget:
            raise ValueError(f"{end.args.out} took {end.history[-1]['samples']} steps, expected at most {budget}")
        budgets = result.setdefault(task, {}).setdefault(method, {})
        lists = budgets.setdefault(str(budget), {name: [] for name in FIGURES})
        for name in FIGURES:
            lists[name].append(end.history[-1][name] if end.history else None)
    return result


def each(result: dict) -> Iterator[tuple[str, str, int, dict[str, list[float]]]]:
    """Task, method, steps and the figures of the seeds that came to their end."""
    for task, methods in result.items():
        for method, budgets in methods.items():
            for budget, lists in budgets.items():
                kept = {name: [value for value in values if value is not None] for name, values in lists.items()}
                if kept["mean_mm"]:
                    yield task, method, int(budget), kept


def table(result: dict, seeds: int) -> Iterator[str]:
    """For people; the ratio says how many times as far off the original's configuration ends."""
    yield f"final distance [mm] to 100 held-out goals, mean over seeds {', '.join(map(str, range(seeds)))}"
    yield f"{'':4} {'method':13} {'steps':>6} {'mean':>6} {'median':>7} {'p90':>6}  {'mean of each seed':26} target"
    for task, method, budget, lists in each(result):
        mean, median, p90 = (statistics.mean(lists[name]) for name in FIGURES)
        seed_means = " ".join(f"{value:.1f}" for value in lists["mean_mm"])
        target = TARGETS.get((task, method, budget))
        verdict = "" if target is None else f"{target} {'met' if mean <= target else 'MISSED'}"
        line = f"{task:4} {method:13} {budget:6} {mean:6.1f} {median:7.1f} {p90:6.1f}  {seed_means:26} {verdict}"
        yield line.rstrip()
    means = {(task, method, budget): statistics.mean(lists["mean_mm"]) for task, method, budget, lists in each(result)}
    for (task, method, budget), mean in means.items():
        if method == "rig" and (original := means.get((task, "rig-2018", budget))):
            yield f"{task}, {budget} steps: rig-2018 ends {original / mean:.1f} times as far off as rig"


def draw(path: Path, result: dict) -> None:
    """Mean distance against steps: a line through the means over seeds, a small mark for each seed."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    widths = [max(map(len, result[task].values())) for task in result]
    panels = figure.subplots(1, len(result), squeeze=False, sharey=True, width_ratios=widths)[0]
    for axes, task in zip(panels, result, strict=True):
        points: dict[str, list[tuple[int, list[float]]]] = {}
        for _, method, budget, lists in each({task: result[task]}):
            points.setdefault(method, []).append((budget, lists["mean_mm"]))
        for method, curve in points.items():
            colour, marker = LOOKS[method]
            steps = [budget for budget, _ in curve]
            axes.plot(steps, [statistics.mean(v) for _, v in curve], color=colour, marker=marker, ms=8, label=method)
            for budget, values in curve:
                axes.plot([budget] * len(values), values, ".", color=colour, ms=5, alpha=0.6)
        goals = [(budget, limit) for (where, _, budget), limit in TARGETS.items() if where == task]
        axes.plot(*zip(*goals, strict=True), "_", color="tab:green", ms=22, mew=3, label="target, at most")
        _decorate(axes, sorted({budget for curve in points.values() for budget, _ in curve}))
        axes.set_title(task.upper())
    figure.axes[0].set_ylabel("mean final distance [mm]")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _decorate(axes: Axes, budgets: list[int]) -> None:
    axes.set(xscale="log", yscale="log", xlabel="environment steps in all")
    axes.set_xlim(budgets[0] / 1.6, budgets[-1] * 1.6)
    axes.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def main(args: Args) -> int:
    runs = {key: train_args(args, key) for key in keys(args)}
    for run in runs.values():
        record_buffer(run)
    ended = dict(zip(runs, sweep(list(runs.values()), make_env, args.jobs, args.ray), strict=True))
    result = collect(ended)
    (args.out / "sample_efficiency.json").write_text(json.dumps(result) + "\n")
    print(*table(result, 1 if args.quick else args.seeds), sep="\n")
    drawn = {task: methods for task, methods in result.items() if any(each({task: methods}))}
    if drawn:
        draw(args.out / "sample_efficiency.png", drawn)
    print(json.dumps(result))
    return 1 if any(end.error for end in ended.values()) else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, description=__doc__)))
