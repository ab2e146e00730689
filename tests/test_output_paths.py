"""Outputs are checked before the work begins, so that no result is lost at its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ros_harness import node_process

from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, RobotOptions, SimOptions
from rig_robot.bringup.systems import prepare_practice, robot, simulation
from rig_robot.commands.doctor import run as examine
from rig_robot.common.output_paths import check_file, check_folder, os_error_text
from rig_robot.doctor.options import DoctorOptions
from rig_robot.learning.arguments import EvalArgs, ExploreArgs, TrainArgs
from rig_robot.learning.experiments.compare import CompareArgs, compare
from rig_robot.learning.experiments.parallel_runs import sweep
from rig_robot.learning.training.evaluate import evaluate
from rig_robot.learning.training.train import record, train


def no_work(*_: object, **__: object) -> Any:
    raise AssertionError("the work has begun")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file and a folder in it."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("missing/x.json", "missing does not exist: make it first"),
        ("folder", "is a directory: name a file in it"),
        ("file/x.json", "file is no directory"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused(place: Path, at: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        check_file("json", place / at)
    assert f"json is {place / at}" in str(refusal.value)


@pytest.mark.parametrize(
    ("at", "why"),
    [("file", "which is no directory"), ("file/x/y", "file is no directory"), ("x" * 300, "File name too long")],
)
def test_a_folder_that_could_not_be_written_to_is_refused(place: Path, at: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_folder("images", place / at)


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="root may write anywhere")
def test_where_even_root_may_not_write_is_refused() -> None:
    for check in (check_file, check_folder):
        with pytest.raises(ValueError, match="/proc/rig"):
            check("out", Path("/proc/rig"))


def test_checking_leaves_everything_as_it_was(place: Path) -> None:
    before = sorted(place.rglob("*"))
    (place / "link").symlink_to(place / "later.json")
    for name in ("new.json", "file", "link", "/dev/null"):
        check_file("json", place / name)
    for name in ("folder", "new", "new/er", "."):
        check_folder("images", place / name)
    assert sorted(set(place.rglob("*")) - {place / "link"}) == before and (place / "file").read_text() == "old"


Asked = Callable[[Path], Any]


@pytest.mark.parametrize(
    "asked",
    [
        lambda at: simulation(SimOptions(goals=1, json=at / "missing" / "x.json")),
        lambda at: simulation(SimOptions(goals=1, images=at / "file")),
        lambda at: simulation(SimOptions(goals=-1, record=at / "file")),
        lambda at: prepare_practice(SimOptions(practice=True, data=at / "data", json=at / "missing" / "x.json")),
        lambda at: prepare_practice(SimOptions(practice=True, data=at / "file")),
        lambda at: robot(RobotOptions(at / "robot.yaml", SHIPPED_CHECKPOINT, record=at / "file")),
        lambda at: examine(DoctorOptions(sim=True, json=at / "missing" / "x.json")),
        lambda at: examine(DoctorOptions(sim=True, picture=at / "folder")),
        lambda at: evaluate(EvalArgs("/no/checkpoint", json=at / "missing" / "x.json"), no_work),
        lambda at: train(TrainArgs(out=at / "file"), no_work),
        lambda at: train(TrainArgs(out=with_a_file(at / "folder" / "tensorboard").parent), no_work),
        lambda at: record(ExploreArgs(out=at / "file" / "buffer"), no_work),
        lambda at: record(ExploreArgs(out=at / "folder"), no_work),
        lambda at: compare(CompareArgs(out=at / "file"), no_work),
        lambda at: compare(CompareArgs(out=with_a_folder(at / "folder" / "figure7.csv").parent), no_work),
        lambda at: sweep([TrainArgs(out=at / "file" / "run")], no_work),
    ],
)
def test_every_command_checks_its_outputs_before_it_works(place: Path, asked: Asked) -> None:
    with pytest.raises(ValueError, match=str(place)):
        asked(place)
    assert not (place / "data").exists()


def with_a_file(path: Path) -> Path:
    path.write_text("")
    return path


def with_a_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_figures_that_nobody_would_write_are_refused(place: Path) -> None:
    for wanted in ({"json": place / "x.json"}, {"images": place / "images"}):
        with pytest.raises(BringupError, match="none are shown"):
            simulation(SimOptions(goals=-1, **wanted))
    with pytest.raises(BringupError, match="a practice records in"):
        simulation(SimOptions(practice=True, data=place / "data", record=place / "record"))


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        ("rig_sim.goals_node", {"json": "missing/x.json", "checkpoint": SHIPPED_CHECKPOINT}),
        ("rig_robot.nodes.recorder", {"directory": __file__, "checkpoint": SHIPPED_CHECKPOINT}),
    ],
)
def test_a_node_refuses_it_as_well(module: str, parameters: dict[str, str]) -> None:
    with node_process(module, parameters) as node:
        assert node.wait() == 2
        assert "Traceback" not in node.output() and any(value in node.output() for value in parameters.values())


def test_an_error_of_the_operating_system_is_reported_in_words() -> None:
    with pytest.raises(IsADirectoryError) as error:
        Path("/").write_text("")
    assert os_error_text(error.value) == "/: Is a directory"


SHOWN = """
from rig_robot.ros.node_process import run
from rig_sim.goals_node import GoalsNode
class Shown(GoalsNode):
    def _procedure(self):
        self._seconds, self._distances = [1.0], [(2.0,)]
        print("shown", flush=True)
        yield lambda: False
run(Shown)
"""


def test_figures_of_goals_without_an_end_are_kept_at_ctrl_c(tmp_path: Path) -> None:
    arguments = ["--ros-args", "-p", f"json:={tmp_path / 'figures.json'}", "-p", f"checkpoint:={SHIPPED_CHECKPOINT}"]
    node = subprocess.Popen([sys.executable, "-c", SHOWN, *arguments], stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None and node.stdout.readline() == "shown\n"
    node.send_signal(signal.SIGINT)
    output, _ = node.communicate(timeout=30)
    assert node.returncode == 0 and output.startswith("1 goals: ")
    assert json.loads((tmp_path / "figures.json").read_text())["mean_mm"] == 2.0
