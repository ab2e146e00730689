"""Flip 40 bits until they are those of the goal, with hindsight and without (figure 1 of HER, arXiv 1707.01495).

    python benchmarks/bit_flipping.py
    python benchmarks/bit_flipping.py --bits 15 --cycles 30 --seeds 1    # seconds

The same loop (rig_robot/learning/baselines/dqn.py) with each of HER's four strategies and with none: a plain DQN.
Success is the share of 200 other games in which the goal is reached without exploration. `--picture FILE` draws the
curves. The last line is one JSON object.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure

from rig_robot.common.output_paths import check_file
from rig_robot.learning.baselines.dqn import DqnArgs, Evaluation, learn
from rig_robot.learning.rl.relabeling import Strategy

Curves = dict[str, list[list[Evaluation]]]
"""for each strategy a learning curve per seed"""


@dataclass
class Args:
    bits: int = 40
    """Bits of a state."""
    seeds: int = 3
    """Runs of each strategy."""
    strategies: tuple[Strategy | Literal["none"], ...] = ("future", "final", "episode", "random", "none")
    """Where the goals of hindsight come from."""
    cycles: int = 400
    """16 episodes and 40 gradient steps each."""
    picture: Path | None = None
    """PNG to draw."""


def draw(path: Path, curves: Mapping[str, list[list[Evaluation]]], bits: int) -> None:
    """Mean of the seeds as a line, their range as a band."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for strategy, runs in curves.items():
        episodes = [point.episodes for point in runs[0]]
        success = np.array([[point.success for point in run] for run in runs]) * 100
        label = "no hindsight (plain DQN)" if strategy == "none" else f"HER, {strategy}"
        # Two strategies that both fail lie on each other: dashes let the lower one show.
        style = "--" if strategy == "none" else "-"
        (line,) = axes.plot(episodes, success.mean(axis=0), style, label=label, linewidth=2)
        axes.fill_between(episodes, success.min(axis=0), success.max(axis=0), color=line.get_color(), alpha=0.2)
    axes.set(
        xlabel="episodes",
        ylabel="goals reached [%]",
        ylim=(-3, 103),
        title=f"Bit flipping, n = {bits}: mean and range of {len(runs)} seeds",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="center left")
    figure.savefig(path, dpi=120)


def main(args: Args) -> None:
    check_file("picture", args.picture)
    torch.set_num_threads(1)
    curves: Curves = {}
    result: dict[str, object] = {"bits": args.bits}
    begin, spent = time.perf_counter(), time.process_time()
    for strategy in args.strategies:
        curves[strategy] = []
        for seed in range(args.seeds):
            run = list(learn(DqnArgs(bits=args.bits, strategy=strategy, seed=seed, cycles=args.cycles)))
            curves[strategy].append(run)
            print(f"{strategy}, seed {seed}: {run[-1].success:.1%} after {run[-1].episodes} episodes", flush=True)
        ends = [run[-1].success for run in curves[strategy]]
        result[strategy] = {"success": ends, "episodes": curves[strategy][0][-1].episodes}
    result["seconds"] = round(time.perf_counter() - begin, 1)
    result["cpu_seconds"] = round(time.process_time() - spent, 1)
    if args.picture:
        draw(args.picture, curves, args.bits)
    print(json.dumps(result))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
