"""Draws the figure of `rig compare`: distance against steps, a panel for each scene, above episodes of each method."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rig_robot.common.scene_names import SceneName
from rig_robot.learning.arguments import Method
from rig_robot.learning.experiments.comparison_results import METHODS, Key, histories
from rig_robot.learning.experiments.parallel_runs import Ended

COLOURS = {"pixels": "tab:orange", "rig": "tab:red", "oracle": "tab:blue"}
EPISODES = 2
"""Episodes shown of each method: those of the first held-out goals, the same for all"""


def draw(path: Path, ended: dict[Key, Ended]) -> None:
    """Draw the runs that did not fail."""
    scenes = list(dict.fromkeys(scene for scene, _, _ in ended))
    figure = Figure(figsize=(6 * len(scenes), 7.6), layout="constrained")
    panels = figure.subfigures(2, len(scenes), squeeze=False, height_ratios=(1.15, 1))
    limits = []
    for column, scene in enumerate(scenes):
        axes = panels[0, column].subplots()
        _curves(axes, ended, scene)
        limits.append(axes.get_ylim())
        _episodes(panels[1, column], ended, scene)
    for panel in panels[0]:  # one scale, so that the scenes can be compared
        panel.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    figure.savefig(path, dpi=100)


def _curves(axes: Axes, ended: dict[Key, Ended], scene: SceneName) -> None:
    count = 0
    for method, label in METHODS.items():
        seeds = histories(ended, scene, method)
        if not seeds:
            continue
        count = max(count, len(seeds))
        samples = [entry["samples"] for entry in seeds[0]]
        means = np.array([[entry["mean_mm"] for entry in history] for history in seeds])
        axes.plot(samples, means.mean(axis=0), color=COLOURS[method], marker="o", markersize=4, label=label)
        axes.fill_between(samples, means.min(axis=0), means.max(axis=0), color=COLOURS[method], alpha=0.2, linewidth=0)
    reference = next((run for method in METHODS if (run := _first(ended, scene, method))), None)
    if reference:
        with np.load(reference.args.out / "rollouts.npz") as rollouts:
            axes.axhline(rollouts["first_mm"].mean(), color="grey", linestyle=":", label="where it starts")
    axes.set(
        title=f"{scene} scene: mean over {count} seed{'s' * (count > 1)}, band from best to worst",
        xlabel="steps in the environment, random ones included",
        ylabel="final distance to the goal [mm]",
        yscale="log",
    )
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend()


def _episodes(panel: SubFigure, ended: dict[Key, Ended], scene: SceneName) -> None:
    """Draw start, goal image and end of the first held-out episodes, a row for each method, of its first seed."""
    shown = [(method, first) for method in METHODS if (first := _first(ended, scene, method))]
    if not shown:
        return
    # An empty column between two episodes.
    grid = panel.subplots(len(shown), 4 * EPISODES - 1, squeeze=False, width_ratios=([1, 1, 1, 0.25] * EPISODES)[:-1])
    for column in range(4 * EPISODES - 1):
        grid[0, column].set_title(("start", "goal image", "end", "")[column % 4], fontsize=9)
    for row, (method, run) in zip(grid, shown, strict=True):
        with np.load(run.args.out / "rollouts.npz") as rollouts:
            for episode in range(EPISODES):
                columns = row[4 * episode : 4 * episode + 3]
                for axes, name in zip(columns, ("start", "goal", "end"), strict=True):
                    axes.imshow(rollouts[name][episode], interpolation="nearest")
                    axes.set(xticks=[], yticks=[])
                columns[2].set_xlabel(f"{rollouts['last_mm'][episode]:.0f} mm off", fontsize=9, labelpad=2)
        for axes in row[3::4]:
            axes.set_axis_off()
        row[0].set_ylabel(METHODS[method].replace(", ", ",\n"), fontsize=9)


def _first(ended: dict[Key, Ended], scene: SceneName, method: Method) -> Ended | None:
    """Return the first seed's run that did not fail."""
    return next((end for key, end in ended.items() if key[:2] == (scene, method) and end.history), None)
