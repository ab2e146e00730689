"""Figure 7 and the benchmark of sample efficiency: what is trained for them, and that nothing is left out."""

import csv
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.experiments import compare as module
from rig_robot.learning.experiments.compare import CompareArgs, compare, keys, train_args
from rig_robot.learning.experiments.comparison_results import FIGURES
from rig_robot.learning.experiments.parallel_runs import Ended

PATH = Path(__file__).parents[1] / "benchmarks" / "sample_efficiency.py"
specification = importlib.util.spec_from_file_location("sample_efficiency", PATH)
assert specification and specification.loader
benchmark: Any = importlib.util.module_from_spec(specification)
sys.modules["sample_efficiency"] = benchmark
specification.loader.exec_module(benchmark)


def entry(step: int, samples: int, distance: float) -> dict[str, float]:
    within = {f"within_{limit}mm": int(distance <= limit) for limit in (10, 20, 60)}
    return {"step": step, "samples": samples, "goals": 1} | within | dict.fromkeys(benchmark.FIGURES, distance)


class Sweep:
    """Stands for `sweep`: each run ends at a distance of its own; those whose directory is named in `fail` fail."""

    def __init__(self, fail: Sequence[str] = ()) -> None:
        self.fail, self.runs = fail, []  # type: tuple[Sequence[str], list[TrainArgs]]

    def __call__(self, runs: Sequence[TrainArgs], *_: object) -> list[Ended]:
        self.runs = list(runs)
        return [self.end(number, args) for number, args in enumerate(runs)]

    def end(self, number: int, args: TrainArgs) -> Ended:
        if args.out.name in self.fail:
            return Ended(args, [], "ValueError: no")
        args.out.mkdir(parents=True)
        pictures = dict.fromkeys(("start", "goal", "end"), np.full((4, 8, 8, 3), 7 * number % 256, np.uint8))
        np.savez(args.out / "rollouts.npz", **pictures, first_mm=np.full(4, 130.0), last_mm=np.full(4, number))  # type: ignore[arg-type]
        steps = sorted({args.online_steps // 2, args.online_steps})
        return Ended(args, [entry(step, args.exploration_steps + step, number + 1) for step in steps])


def test_all_methods_get_the_same_steps_goals_and_seeds() -> None:
    args = CompareArgs(seeds=2, scenes=("plain", "colours"))
    runs = [train_args(args, *key) for key in keys(args)]
    assert len({run.out for run in runs}) == 2 * 2 * 3
    assert {(run.scene, run.method, run.seed) for run in runs} == {
        (scene, method, seed)
        for scene in ("plain", "colours")
        for method in ("rig", "pixels", "oracle")
        for seed in (0, 1)
    }
    same = ("env", "image_size", "action_delay", "exploration_steps", "online_steps", "evaluate_every", "final_goals")
    assert len({tuple(getattr(run, name) for name in same) for run in runs}) == 1
    assert runs[0].exploration_steps + runs[0].online_steps == args.steps


@pytest.mark.slow
def test_every_evaluation_is_in_the_csv_and_a_failed_run_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = CompareArgs(out=tmp_path, seeds=2)
    monkeypatch.setattr(module, "sweep", Sweep(fail=["rig-1"]))
    assert compare(args, print) == 1
    with (tmp_path / "figure7.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (12 - 2), "two evaluations of each run but the failed ones, one in each scene"
    assert list(rows[0]) == ["scene", "method", "seed", *FIGURES]
    means = {(row["scene"], row["method"], row["seed"]): float(row["mean_mm"]) for row in rows}
    assert means == {
        key: number + 1
        for number, key in enumerate((s, m, str(n)) for s, m, n in keys(args))
        if key[1:] != ("rig", "1")
    }
    with Image.open(tmp_path / "figure7.png") as picture:
        assert picture.width > 1000 and len(set(picture.convert("L").resize((60, 40)).get_flattened_data())) > 10
    table = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert ["cluttered", "RIG", "5.0", "(5.0)"] in table and ["plain", "oracle", "6.0", "(3.0,", "9.0)"] in table


def test_a_run_that_stops_is_said_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> list[Ended]:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "sweep", interrupted)
    assert compare(CompareArgs(), print) == 130 and "goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "named"), [({"seeds": 0}, "seeds is 0"), ({"steps": 10}, "steps is 10"), ({"scenes": ()}, "scenes")]
)
def test_a_bad_argument_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        CompareArgs(**wrong)


def test_every_budget_of_the_benchmark_is_kept() -> None:
    """The steps that a figure is given for are all that its run may take, random ones included."""
    args = benchmark.Args()
    for key in benchmark.keys(args):
        task, method, budget, seed = key
        run = benchmark.train_args(args, key)
        assert run.exploration_steps + run.online_steps == budget and run.seed == seed and run.final_goals == 100
        assert run.env == {"xy": "RigSawyerReachXY-v0", "xyz": "RigSawyerReachXYZ-v0"}[task]
        assert (run.method == method or method.startswith("offline")) and (run.offline is None) == (
            run.online_steps > 0
        )
    asked = {"xy": {"rig": {1_000, 5_000, 15_000}, "offline-2000": {2_000}}, "xyz": {"rig": {20_000}}}
    for task, methods in asked.items():
        assert {"rig", "oracle"} <= set(benchmark.SETUPS[task])
        for method, budgets in methods.items():
            assert budgets <= set(benchmark.SETUPS[task][method])


def test_a_run_that_took_more_steps_than_its_budget_gives_no_figure(tmp_path: Path) -> None:
    key = ("xy", "rig", 1_000, 0)
    run = benchmark.train_args(benchmark.Args(out=tmp_path), key)
    with pytest.raises(ValueError, match="took 1050 steps, expected at most 1000"):
        benchmark.collect({key: Ended(run, [entry(500, 1_050, 5)])})


def test_the_json_has_one_figure_per_seed_and_null_for_a_failed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "record_buffer", lambda args: None)
    monkeypatch.setattr(benchmark, "sweep", Sweep(fail=["rig-1000-1"]))
    assert benchmark.main(benchmark.Args(out=tmp_path, seeds=3)) == 1
    printed = capsys.readouterr().out.splitlines()
    result = json.loads(printed[-1])
    assert result == json.loads((tmp_path / "sample_efficiency.json").read_text())
    first, second, third = result["xy"]["rig"]["1000"]["p90_mm"]
    assert first == 1 and second is None and third > first
    for task, methods in benchmark.SETUPS.items():
        assert result[task].keys() == methods.keys()
        for method, budgets in methods.items():
            assert list(result[task][method]) == [str(budget) for budget in budgets]
            assert all(len(lists[name]) == 3 for lists in result[task][method].values() for name in benchmark.FIGURES)
    assert any("rig-2018 ends" in line for line in printed) and any("25" in line for line in printed)
    assert (tmp_path / "sample_efficiency.png").stat().st_size > 10_000


def test_quick_runs_are_among_the_whole_ones() -> None:
    quick, whole = (
        {key: benchmark.train_args(args, key) for key in benchmark.keys(args)}
        for args in (benchmark.Args(quick=True), benchmark.Args())
    )
    assert {seed for *_, seed in quick} == {0} and quick.items() <= whole.items()
    assert {(task, method) for task, method, *_ in quick} >= {("xy", "rig"), ("xy", "offline-2000"), ("xyz", "rig")}


def test_where_every_run_fails_there_is_an_exit_status_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{method}-{seed}" for method in module.METHODS for seed in range(3)]
    monkeypatch.setattr(module, "sweep", Sweep(fail=names))
    assert compare(CompareArgs(out=tmp_path), print) == 1
    args = benchmark.Args(out=tmp_path, quick=True)
    monkeypatch.setattr(benchmark, "record_buffer", lambda args: None)
    monkeypatch.setattr(
        benchmark, "sweep", Sweep(fail=[benchmark.train_args(args, key).out.name for key in benchmark.keys(args)])
    )
    assert benchmark.main(args) == 1
