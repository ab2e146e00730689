"""Many runs side by side: each comes to its end, whatever happens to workers and to the other runs."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.experiments import parallel_runs as module
from rig_robot.learning.experiments.parallel_runs import Ended, sweep
from rig_robot.learning.training.train import train

TINY: dict[str, Any] = {
    "env": "rig_sim:RigSawyerReachXY-v0",  # workers register the environments by importing what stands before the colon
    "representation": "state",
    "fine_tune_every": 0,
    "exploration_steps": 100,
    "online_steps": 200,
    "rehearsal_updates": 100,
    "hidden": (32, 32),
    "batch": 32,
    "evaluate_every": 200,
    "final_goals": 2,
    "pictures": False,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run that was not killed."""
    out = tmp_path_factory.mktemp("undisturbed")
    train(TrainArgs(out=out, **TINY), gymnasium.make)
    return out


class KillWorkerOnce(threading.Thread):
    """Kills the worker of a run once, when the run's state is first on disk."""

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self.out = out
        self.start()

    def run(self) -> None:
        while not (self.out / "state" / "state.safetensors").exists():
            time.sleep(0.002)
        os.kill(workers(self.out)[-1], signal.SIGKILL)


def workers(out: Path) -> list[int]:
    """Return the ids of the processes that have worked on a run."""
    log = out / "log.txt"
    return [int(number) for number in re.findall(r"process (\d+)", log.read_text())] if log.exists() else []


def same_results(first: Path, second: Path) -> bool:
    """Pictures and distances of the last evaluation: any other weight would have moved the arm otherwise."""
    return (first / "rollouts.npz").read_bytes() == (second / "rollouts.npz").read_bytes()


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Ended], Path]:
    """A run that fails and one whose worker is killed, one after the other; and their root."""
    root = tmp_path_factory.mktemp("swept")
    good = TrainArgs(out=root / "good", **TINY)
    bad = replace(good, out=root / "bad", env="NoSuchEnv-v0")
    KillWorkerOnce(good.out)
    return sweep([bad, good], gymnasium.make, jobs=1), root


def test_a_killed_worker_is_replaced_and_its_run_ends_with_the_same_bytes(
    swept: tuple[list[Ended], Path], undisturbed: Path
) -> None:
    (_, good), root = swept
    assert len(set(workers(root / "good"))) == 2 and os.getpid() not in workers(root / "good")
    assert not good.error and [entry["step"] for entry in good.history] == [200]
    assert same_results(root / "good", undisturbed)


def test_a_run_that_fails_is_reported_and_the_others_go_on(swept: tuple[list[Ended], Path]) -> None:
    (bad, good), root = swept
    assert "NoSuchEnv" in bad.error and not bad.history and "NoSuchEnv" in (root / "bad" / "log.txt").read_text()
    assert len(workers(root / "bad")) == 1, "an error is no kill: it would only come again"
    assert good.history


def test_finished_runs_are_kept_and_no_worker_started(
    swept: tuple[list[Ended], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (_, good), root = swept
    before = workers(root / "good")
    assert sweep([good.args], gymnasium.make) == [good]
    assert workers(root / "good") == before and "1 of 1 runs are finished already" in capsys.readouterr().out


def test_the_directory_of_another_run_is_refused_by_name(swept: tuple[list[Ended], Path]) -> None:
    (_, good), _ = swept
    with pytest.raises(ValueError, match=f"good holds a run with gamma {good.args.gamma}, not 0.5"):
        sweep([replace(good.args, gamma=0.5)], gymnasium.make)


def test_a_run_that_is_killed_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTARTS", 1)
    (ended,) = sweep([TrainArgs(out=tmp_path / "run", **TINY)], kill_me)
    assert ended.error == "killed 2 times (SIGKILL)" and len(workers(tmp_path / "run")) == 2


def kill_me(name: str, **arguments: object) -> gymnasium.Env:
    """Make an environment that uses up all memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


PROGRAM = """
import signal, sys, gymnasium; from pathlib import Path
from rig_robot.learning.arguments import TrainArgs; from rig_robot.learning.experiments.parallel_runs import sweep
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
    sweep([TrainArgs(out=Path(sys.argv[1]) / name) for name in "ab"], gymnasium.make)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_worker_outlives_the_sweep(tmp_path: Path, number: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, str(program), str(tmp_path)], stderr=subprocess.DEVNULL)
    until(lambda: workers(tmp_path / "a"), "the first worker")
    process.send_signal(number)
    assert process.wait(timeout=30) != 0
    pids = workers(tmp_path / "a") + workers(tmp_path / "b")
    until(lambda: not any(alive(pid) for pid in pids), "the end of the workers")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def until(condition: object, name: str) -> None:
    limit = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit, f"waited 30 s for {name}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes with a core each, on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[scale]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def test_ray_takes_up_the_run_of_a_killed_worker_and_ends_with_the_same_bytes(
    cluster: str, undisturbed: Path, tmp_path: Path
) -> None:
    good = TrainArgs(out=tmp_path / "good", **TINY)
    bad = replace(good, out=tmp_path / "bad", env="NoSuchEnv-v0")
    KillWorkerOnce(good.out)
    failed, ended = sweep([bad, good], gymnasium.make, ray=cluster)
    assert len(set(workers(good.out))) == 2 and not ended.error
    assert same_results(good.out, undisturbed)
    assert "NoSuchEnv" in failed.error and not failed.history


def test_a_directory_that_a_machine_of_the_cluster_does_not_see_is_refused(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes are this machine and see everything: so the file that they look for is taken away."""
    create = module.tempfile.NamedTemporaryFile

    def vanishing(**arguments: object) -> object:
        file = create(**arguments, delete=False)  # type: ignore[call-overload]
        Path(file.name).unlink()
        return file

    monkeypatch.setattr(module.tempfile, "NamedTemporaryFile", vanishing)
    with pytest.raises(ValueError, match=r"is not seen by .+, .+: the runs need a directory that all machines share"):
        sweep([TrainArgs(out=tmp_path / "run", **TINY)], gymnasium.make, ray=cluster)
    assert not workers(tmp_path / "run")
