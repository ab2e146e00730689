"""Ctrl-C ends every command in one line with status 130, whenever it comes, and leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from rig_robot.bringup.options import SHIPPED_CHECKPOINT

NOISE = ("Traceback", "resource_tracker", "Exception ignored", "terminate called", "KeyboardInterrupt")


def interrupt(command: list[object], after: str, then: float = 0.0) -> tuple[int, str, list[str]]:
    """Start a command, send Ctrl-C to its whole group, as a terminal does; gives status, output, what still runs.

    Args:
        command: What to run.
        after: Text to wait for in the output.
        then: Further time to wait [s].
    """
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    assert process.stdout is not None
    output = b""
    os.set_blocking(process.stdout.fileno(), False)
    end = time.monotonic() + 60
    while after.encode() not in output and time.monotonic() < end and process.poll() is None:
        output += process.stdout.read() or b""
        time.sleep(0.02)
    os.set_blocking(process.stdout.fileno(), True)
    time.sleep(then)
    os.killpg(process.pid, signal.SIGINT)
    try:
        output += process.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    end = time.monotonic() + 10
    while (left := running(process.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    return process.returncode, output.decode(), left


def running(session: int) -> list[str]:
    """Return the processes of a session that are more than an entry in the table."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = stat.read_text().rpartition(") ")
        except OSError:
            continue
        if int(fields.split()[3]) == session and fields[0] not in "ZX":
            found.append(name)
    return found


TELLING = """
import contextlib, runpy
from rig_robot.common import interrupts
at_once, whole = interrupts.end_at_once, interrupts.orderly
def end_at_once(line, *status):
    at_once(line, *status)
    print("Ctrl-C would say:", line, flush=True)
@contextlib.contextmanager
def orderly(line):
    with whole(line):
        print("Ctrl-C would say:", line, flush=True)
        yield
interrupts.end_at_once, interrupts.orderly = end_at_once, orderly
runpy.run_module("rig_robot.cli", run_name="__main__")
"""
"""Runs `rig` and tells from when on Ctrl-C says what: starting takes longer on a busy computer."""


def rig(*arguments: object) -> list[object]:
    return ["-c", TELLING, *arguments]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "goal.png"
    cv2.imwrite(str(file), np.zeros((480, 640, 3), np.uint8))
    return file


@pytest.mark.parametrize("then", [0.0, 0.3, 1.0])
def test_while_a_command_loads_it_ends_at_once(tmp_path: Path, then: float) -> None:
    # Imports take a second and more; an exception in one of C++ would become another, or be lost.
    command = rig("sim", "--practice", "--data", tmp_path / "data")
    status, output, left = interrupt(command, "Ctrl-C would say: rig: stopped before", then)
    assert status == 130 and not left and output.splitlines()[-1].startswith("rig"), output
    assert not any(word in output for word in NOISE), output


@pytest.mark.parametrize("word", ["tell", "goal", "doctor", "eval", "explore"])
def test_one_line_says_what_was_stopped(tmp_path: Path, picture: Path, word: str) -> None:
    commands: dict[str, tuple[list[object], float]] = {
        "tell": (["stop", "--namespace", "nobody", "--timeout", 60], 2.0),
        "goal": ([picture, "--namespace", "nobody", "--timeout", 60], 2.0),
        "doctor": (["--sim", "--seconds", 60], 3.0),
        "eval": ([SHIPPED_CHECKPOINT, "--goals", 10_000], 3.0),
        "explore": (["--out", tmp_path / "buffer", "--steps", 1_000_000], 3.0),
    }
    arguments, then = commands[word]
    status, output, left = interrupt(rig(word, *arguments), f"Ctrl-C would say: rig {word}", then)
    assert status == 130 and not left and output.splitlines()[-1].startswith(f"rig {word}"), output
    assert not any(noise in output for noise in NOISE), output
    assert not (tmp_path / "buffer").exists()


def test_a_stopped_training_says_that_it_goes_on(tmp_path: Path) -> None:
    tiny = ["--representation", "state", "--fine-tune-every", 0, "--exploration-steps", 50, "--online-steps", 0]
    status, output, left = interrupt(rig("train", "--out", tmp_path / "run", *tiny), "rehearse")
    assert status == 130 and not left and not any(noise in output for noise in NOISE), output
    assert output.splitlines()[-1] == "rig train: stopped; the same command goes on from there"
    assert (tmp_path / "run" / "state" / "state.safetensors").exists()


def test_a_stopped_comparison_leaves_no_worker_and_no_semaphore(tmp_path: Path) -> None:
    command = rig("compare", "--out", tmp_path, "--seeds", 1, "--scenes", "plain", "--steps", 500, "--jobs", 1)
    process_begun = "begins"
    status, output, left = interrupt(command, process_begun, 6.0)  # while the worker draws its progress bar
    assert status == 130 and not left and "the same command goes on" in output, output
    assert not any(noise in output for noise in NOISE), output
    log = next(tmp_path.rglob("log.txt"), None)
    assert log is None or "KeyboardInterrupt" not in log.read_text()


SLOW = """
import sys, time
from rig_robot.ros import node_process as ros
class Slow:
    def __del__(self):
        time.sleep(30)
slow = Slow()
class Node(ros.RigNode):
    def __init__(self):
        super().__init__("slow")
        if "building" in sys.argv:
            print("building", flush=True)
            for _ in range(300):
                time.sleep(0.1)
        print("built", flush=True)
ros.run(Node)
"""


@pytest.mark.parametrize("stage", ["building", "built"])
def test_a_node_ends_while_it_is_built_and_despite_slow_destructors(stage: str) -> None:
    begun = time.monotonic()
    status, output, left = interrupt(["-c", SLOW, stage], stage, 0.5)
    assert status == 0 and not left and not any(noise in output for noise in NOISE), output
    assert time.monotonic() - begun < 20


LOADING = """
import runpy, sys, time
class SlowDisk:
    def find_spec(self, name, *_):
        if name == "rig_robot.ros.node":
            print("loading", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, SlowDisk())
runpy.run_module("rig_robot.nodes.arm", run_name="__main__")
"""


def test_a_node_that_is_still_loading_ends_silently() -> None:
    status, output, left = interrupt(["-c", LOADING, "--ros-args"], "loading", 0.2)
    assert status == 0 and not left and not any(noise in output for noise in NOISE), output


HALF_MADE = """
import contextlib, os, signal
from rig_robot.common import interrupts
class Half:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGINT)
        self.whole = True
    def __del__(self):
        print(self.whole)
with interrupts.orderly("stopped"):
    with contextlib.suppress(KeyboardInterrupt):
        Half()
"""


def test_an_object_that_was_being_made_says_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", HALF_MADE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
