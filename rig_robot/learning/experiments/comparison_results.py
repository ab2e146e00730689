"""Results of a comparison: the figures of each run, as a table and as CSV."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator
from pathlib import Path

from rig_robot.common.scene_names import SceneName
from rig_robot.learning.arguments import Method
from rig_robot.learning.experiments.parallel_runs import Ended

METHODS: dict[Method, str] = {"pixels": "HER, L2 of images", "rig": "RIG", "oracle": "oracle"}
"""By preset, its name for people; from worst to best, as the paper finds them"""

FIGURES = ("step", "samples", "goals", "mean_mm", "median_mm", "p90_mm", "within_10mm", "within_20mm", "within_60mm")
"""Columns of the CSV, after scene, method and seed."""

Key = tuple[SceneName, Method, int]
"""Scene, method, seed."""


def write_csv(path: Path, ended: dict[Key, Ended]) -> None:
    """Write every evaluation of every run."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scene", "method", "seed", *FIGURES])
        for key, end in ended.items():
            writer.writerows([*key, *(entry[name] for name in FIGURES)] for entry in end.history)


def table(ended: dict[Key, Ended]) -> Iterator[str]:
    """Yield the lines of a table of final distances, one for each method in each scene."""
    yield "final distance [mm] over held-out goals: mean over seeds (each seed)"
    for scene, method in dict.fromkeys((scene, method) for scene, method, _ in ended):
        means = [history[-1]["mean_mm"] for history in histories(ended, scene, method)]
        if means:
            each = ", ".join(f"{mean:.1f}" for mean in means)
            yield f"  {scene:10} {METHODS[method]:18} {statistics.mean(means):6.1f} ({each})"


def histories(ended: dict[Key, Ended], scene: SceneName, method: Method) -> list[list[dict]]:
    """Return the histories of the runs that did not fail, one for each seed."""
    return [end.history for key, end in ended.items() if key[:2] == (scene, method) and end.history]
