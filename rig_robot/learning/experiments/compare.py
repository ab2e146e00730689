"""Runs `rig compare`, Figure 7 of the lecture anew: RIG, HER on pixels and the oracle learn visual reaching.

No torch and no drawing here: the command line reads this file for its arguments.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig_robot.common.interrupts import INTERRUPTED
from rig_robot.common.output_paths import check_file, check_folder
from rig_robot.common.scene_names import SceneName
from rig_robot.learning.arguments import Method, TrainArgs
from rig_robot.learning.experiments.comparison_results import METHODS, Key, table, write_csv
from rig_robot.learning.experiments.parallel_runs import MakeEnv, sweep
from rig_robot.learning.methods import preset

EPISODE, EXPLORATION = 50, 5
"""Steps of an episode of the environments; of all steps of a run, the first in so many are random ones."""
EVALUATIONS = 10
"""of each run, on the way"""
FIGURE, TABLE = "figure7.png", "figure7.csv"


@dataclass(frozen=True)
class CompareArgs:
    """Train RIG, HER on pixels and the oracle on visual reaching, and draw how near they come (Figure 7).

    Example: rig compare --out runs/compare"""

    out: Path = Path("runs/compare")
    """Directory for the runs, figure7.png and figure7.csv. Finished runs are kept, killed ones go on."""
    seeds: int = 3
    """Runs of each method in each scene: seeds 0, 1 ..."""
    steps: int = 5_000
    """Environment steps of each run, the random ones at its beginning included; a multiple of 250."""
    scenes: tuple[SceneName, ...] = ("plain", "cluttered")
    """Scenes, a panel each: plain; cluttered (another object moves, the light changes); colours."""
    jobs: int = 0
    """Most runs at a time; 0: as many as there are cores."""
    ray: str | None = None
    """Address of a Ray cluster to run on ("auto": the one that this machine belongs to); `out` must be a path that all
    its machines see. By default, runs are processes of this machine."""

    def __post_init__(self) -> None:
        for name, low in (("seeds", 1), ("steps", 500), ("jobs", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {low} or more")
        if self.steps % (EPISODE * EXPLORATION):
            raise ValueError(
                f"steps is {self.steps}, expected a multiple of {EPISODE * EXPLORATION}: one step in {EXPLORATION} is "
                f"random, and episodes of {EPISODE} steps are whole"
            )
        if not self.scenes:
            raise ValueError("scenes is empty, expected one or more")


def compare(args: CompareArgs, make_env: MakeEnv) -> int:
    """Do the runs that are not finished yet, write the CSV, draw the figure; return the exit status."""
    for name in (FIGURE, TABLE):
        check_folder("out", args.out)
        if args.out.is_dir():
            check_file("out", args.out / name)
    runs = {key: train_args(args, *key) for key in keys(args)}
    try:
        ended = dict(zip(runs, sweep(list(runs.values()), make_env, args.jobs, args.ray), strict=True))
    except KeyboardInterrupt:
        print("\nrig compare: stopped; the same command goes on from there")
        return INTERRUPTED
    if any(end.history for end in ended.values()):
        from rig_robot.learning.experiments.comparison_plot import draw

        print(*table(ended), sep="\n", flush=True)
        write_csv(args.out / TABLE, ended)
        draw(args.out / FIGURE, ended)
        print(f"{args.out / FIGURE}, {args.out / TABLE}")
    return 1 if any(end.error for end in ended.values()) else 0


def keys(args: CompareArgs) -> Iterator[Key]:
    """Yield all runs, seed by seed, so that a comparison that is stopped early has runs of every method and scene."""
    for seed in range(args.seeds):
        for scene in args.scenes:
            for method in METHODS:
                yield scene, method, seed


def train_args(args: CompareArgs, scene: SceneName, method: Method, seed: int) -> TrainArgs:
    """Return the arguments of a run: the method's preset, and all else the same for all methods."""
    exploration = args.steps // EXPLORATION
    online = args.steps - exploration
    return preset(
        method,
        out=args.out / scene / f"{method}-{seed}",
        scene=scene,
        seed=seed,
        exploration_steps=exploration,
        online_steps=online,
        evaluate_every=max(1, online // EVALUATIONS),
    )
