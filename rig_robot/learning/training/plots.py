"""Plots of a run for people: reconstructions, imagined goals, the learning curve, episodes, values."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import Frames
from rig_robot.learning.training.evaluate import Rollout

COLUMNS = 10


def reconstructions(path: Path, representation: Latent, seen: Frames) -> None:
    """Plot images, and below each the VAE's reconstruction."""
    images, decoded = seen.images, representation.decode(representation.encode(seen), seen.contexts)
    rows = [
        part for i in range(0, len(images), COLUMNS) for part in (images[i : i + COLUMNS], decoded[i : i + COLUMNS])
    ]
    _grid(path, rows, "Camera images, and below each its reconstruction from the latent")


def imagined_goals(
    path: Path, representation: Latent, prior: Prior, context: np.ndarray, rng: np.random.Generator, count: int = 40
) -> None:
    """Plot decoded samples of the prior; context: uint8 [S, S, 3], the first image of the scene."""
    decoded = representation.decode(prior.sample(rng, count), np.repeat(context[None], count, axis=0))
    _grid(
        path, [decoded[i : i + COLUMNS] for i in range(0, count, COLUMNS)], "Imagined goals: samples of p(z), decoded"
    )


def learning_curve(path: Path, history: Sequence[dict], steps_of: str = "practice") -> None:
    """Plot the figures of evaluations, each with its `step`; steps_of: what the steps count."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    steps = [entry["step"] for entry in history]
    for key, label in (("p90_mm", "90th percentile"), ("mean_mm", "mean"), ("median_mm", "median")):
        axes.plot(steps, [entry[key] for entry in history], marker="o", label=label)
    axes.set(
        xlabel=f"steps of {steps_of}", ylabel="final distance [mm]", yscale="log", title="Distance to held-out goals"
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def rollouts(path: Path, episodes: Sequence[Rollout], period: float, of: str = "tool") -> None:
    """Plot start, goal and end of episodes, and the distance over time.

    Args:
        path: Of the picture.
        episodes: A row each.
        period: Duration of a step [s].
        of: What the distance is of.
    """
    figure = Figure(figsize=(10, 1.9 * len(episodes)), layout="constrained")
    highest = max(150.0, *(1000 * episode.distances.max() for episode in episodes))
    grid = figure.subplots(len(episodes), 4, squeeze=False, width_ratios=(1, 1, 1, 2))
    for row, episode in zip(grid, episodes, strict=True):
        distances = episode.distances * 1000
        for axes, picture in zip(row, (episode.start, episode.goal, episode.end), strict=False):
            _show(axes, picture)
        row[0].set_ylabel(f"{distances[0]:.0f} mm away")
        row[2].set_xlabel(f"ends {distances[-1]:.0f} mm from the goal")
        row[3].plot(np.arange(len(distances)) * period, distances)
        row[3].set(ylim=(0, 1.05 * highest), ylabel="distance [mm]")
        row[3].grid(alpha=0.3)
    for axes, title in zip(grid[0], ("start", "goal image", "end", f"true distance of the {of}"), strict=True):
        axes.set_title(title)
    grid[-1][3].set_xlabel("time [s]")
    figure.savefig(path, dpi=110)


def values(
    path: Path, places: np.ndarray, goals: np.ndarray, learnt: dict[str, np.ndarray], edges: tuple[np.ndarray, ...]
) -> None:
    """Plot the learned value of each place on the table, for several goals.

    places: true positions [rows * columns, 2] (m) of a grid whose cells lie between `edges` (x, y); goals: [G, 2] (m);
    learnt: name -> values [G, places].
    """
    names, shape = list(learnt), tuple(len(edge) - 1 for edge in edges)
    figure = Figure(figsize=(3.1 * len(goals) + 0.6, 2.5 * len(names) + 0.4), layout="constrained")
    grid = figure.subplots(len(names), len(goals), squeeze=False, sharex=True, sharey=True)
    for row, name in zip(grid, names, strict=True):
        low, high = learnt[name].min(), learnt[name].max()
        for axes, goal, shown in zip(row, goals, learnt[name], strict=True):
            drawn = axes.pcolormesh(edges[1], edges[0], shown.reshape(shape), vmin=low, vmax=high)
            best = places[shown.argmax()]
            axes.plot(*goal[::-1], "x", color="tab:red", markersize=9, mew=2, label="goal")
            axes.plot(*best[::-1], "o", mfc="none", color="white", markersize=9, label="highest value")
            axes.set_aspect("equal")
        row[0].set_ylabel(f"{name}\nx [m]")
        figure.colorbar(drawn, ax=row, shrink=0.8, label="value")
    for axes in grid[-1]:
        axes.set_xlabel("y [m]")
    marks = grid[0][0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside lower center", ncols=2, fontsize="small", facecolor="0.7")
    figure.suptitle("Value of a place on the table, for several goals")
    figure.savefig(path, dpi=110)


def _grid(path: Path, rows: Sequence[np.ndarray], title: str) -> None:
    """Plot rows of images uint8 [n, S, S, 3] as one array: axes for each of them take matplotlib ten times as long."""
    figure = Figure(figsize=(COLUMNS, len(rows) + 0.5), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots()
    axes.imshow(_mosaic(rows), interpolation="nearest")
    axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _mosaic(rows: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """Return images side by side, row below row, on white with a gap between them [pixels]."""
    height, width = rows[0].shape[1:3]
    canvas = np.full((len(rows) * (height + gap) - gap, COLUMNS * (width + gap) - gap, 3), 255, np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * (height + gap), column * (width + gap)
            canvas[top : top + height, left : left + width] = image
    return canvas


def _show(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
