"""Draws the figure of `push.py`: how near the object comes to its goal, against the steps taken until then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

LABELS = {
    "images": ("from images", "tab:red"),
    "cluttered": ("from images, in clutter", "tab:purple"),
    "pixels": ("hindsight, L2 between pixels", "tab:orange"),
    "rig-2018": ("RIG as published", "tab:green"),
    "state": ("from true positions", "tab:blue"),
}
"""Of each kind, what it is called and its colour"""


def draw(path: Path, curves: dict[str, list[list[dict]]], still: float) -> None:
    """Draw the median over the goals, of each kind the mean over its seeds with a band from best to worst.

    Args:
        path: The picture.
        curves: For each kind the evaluations of each seed, in order.
        still: Median where the arm does not move [mm].
    """
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for kind, seeds in curves.items():
        label, colour = LABELS[kind]
        # Of two evaluations at one step, the last: updates may follow the last step.
        runs = [list({entry["samples"]: entry for entry in history}.values()) for history in seeds]
        steps = [entry["samples"] for entry in runs[0]]
        medians = np.array([[entry["median_mm"] for entry in history] for history in runs])
        axes.plot(steps, medians.mean(axis=0), color=colour, marker="o", markersize=4, label=f"{label} ({len(seeds)})")
        axes.fill_between(steps, medians.min(axis=0), medians.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    axes.axhline(still, color="grey", linestyle=":", label="nothing")
    axes.set(
        title="Pushing: mean over the seeds (their number in brackets), band from best to worst",
        xlabel="steps in the environment, exploration included",
        ylabel="object to its goal, median [mm]",
        yscale="log",
    )
    axes.title.set_fontsize(10)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=110)
