"""The runner: what it starts it also ends, restarts or reports; it leaves nothing behind, even when it is killed."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rig_robot.bringup import console
from rig_robot.bringup.node_spec import NodeSpec
from rig_robot.bringup.process_runner import Runner, command

pytestmark = pytest.mark.alone

CHILD = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)
name = [a for a in sys.argv if a.startswith("__node:=")][0].split(":=")[1]
print(name, "says hello", os.getpid(), flush=True)
if os.environ.get("DEAF") == name:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
ends = os.environ.get("ENDS_" + name)
try:
    time.sleep(0.3 if ends else 60)
except KeyboardInterrupt:
    print(name, "stopped in order", flush=True)
    sys.exit(0)
sys.exit(int(ends))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a module that acts as a node: it prints hello and waits, or ends as the environment says."""
    (tmp_path / "plays_a_node.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "plays_a_node"


def specs(module: str) -> list[NodeSpec]:
    return [
        NodeSpec("helper", module),
        NodeSpec("heart", module, vital=True),
        NodeSpec("show", module, vital=True, finishes=True),
    ]


def test_the_system_ends_well_when_the_node_that_finishes_does(module: str, monkeypatch, capfd) -> None:
    monkeypatch.setenv("ENDS_show", "0")
    assert Runner(specs(module), {}).run() == 0
    output = capfd.readouterr().out
    assert re.search(r"^\d\d:\d\d:\d\d heart  heart says hello \d+$", output, flags=re.MULTILINE)
    assert "helper stopped in order" in output or "heart stopped in order" in output


def test_lines_are_those_of_ros_2_where_long_ones_are_asked_for(module: str, monkeypatch, capfd) -> None:
    monkeypatch.setenv("ENDS_show", "0")
    monkeypatch.setenv("RIG_LOG", "long")
    assert Runner(specs(module), {}).run() == 0
    assert "[ heart] heart says hello" in capfd.readouterr().out


def test_a_node_s_line_has_the_time_its_name_and_a_severity_that_matters(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "rig_test_logs.py").write_text(
        "import rclpy.logging as logging\n"
        "logger = logging.get_logger('a_logger')\n"
        "logger.info('all is well')\n"
        "logger.warning('it is late')\n"
    )
    assert Runner([NodeSpec("speaks", "rig_test_logs", vital=True, finishes=True)], {}).run() == 0
    lines = [line.split(" ", 1)[1] for line in capfd.readouterr().out.splitlines()]
    assert "speaks all is well" in lines and "speaks [WARN] it is late" in lines


@pytest.mark.parametrize("ends", [{"ENDS_heart": "0"}, {"ENDS_heart": "3"}, {"ENDS_show": "1"}])
def test_a_vital_node_that_ends_takes_the_system_along_with_an_error(module: str, ends, monkeypatch, capfd) -> None:
    for name, status in ends.items():
        monkeypatch.setenv(name, status)
    assert Runner(specs(module), {}).run() == 1
    assert f"status {next(iter(ends.values()))}" in capfd.readouterr().out


def test_a_node_that_is_not_vital_is_started_again(module: str, monkeypatch, capfd) -> None:
    monkeypatch.setenv("ENDS_helper", "1")
    nodes = [*specs(module)[:2], NodeSpec("clock", "rig_test_clock", vital=True, finishes=True)]
    (Path(os.environ["PYTHONPATH"]) / "rig_test_clock.py").write_text("import time; time.sleep(3)")
    assert Runner(nodes, {}).run() == 0
    assert capfd.readouterr().out.count("helper says hello") >= 2


def test_a_node_that_does_not_listen_is_killed(module: str, monkeypatch, capfd) -> None:
    monkeypatch.setenv("ENDS_show", "0")
    monkeypatch.setenv("DEAF", "heart")
    assert Runner(specs(module), {}).run() == 0
    assert "heart does not stop: killed" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("how", "deaf"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGKILL, ""), (signal.SIGKILL, "a")]
)
def test_no_process_outlives_the_runner(module: str, how: signal.Signals, deaf: str, monkeypatch) -> None:
    monkeypatch.setenv("DEAF", deaf)
    script = (
        "import sys; from rig_robot.bringup.systems import NodeSpec;"
        "from rig_robot.bringup.process_runner import Runner;"
        f"sys.exit(Runner([NodeSpec(n, {module!r}, vital=True) for n in ('a', 'b')], {{}}).run())"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        hello = [runner.stdout.readline() for _ in range(2)]
        assert all("says hello" in line for line in hello), hello
        family = psutil.Process(runner.pid).children(recursive=True)
        assert len(family) == 3, "two nodes and the guard"
        runner.send_signal(how)
        runner.wait(10)
        until(lambda: not any(_alive(process) for process in family), "every process has ended")
        assert runner.returncode == (0 if how != signal.SIGKILL else -signal.SIGKILL)


def test_parameters_reach_a_node_as_they_are(tmp_path: Path) -> None:
    spec = NodeSpec("n", "m", {"text": "a: b", "number": 1.0, "list": [0.5, 1.0], "yes": True}, namespace="left")
    arguments = command(spec, {})
    assert arguments[1:3] == ["-m", "m"]
    assert "__ns:=/left" in arguments and 'text:="a: b"' in arguments and "number:=1.0" in arguments
    assert "list:=[0.5, 1.0]" in arguments and "yes:=true" in arguments


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def until(condition: Callable[[], bool], what: str, timeout: float = 5.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"after {timeout} s still not: {what}"
        time.sleep(0.02)


@pytest.fixture
def start(module: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a runner of two nodes, `a` and `b`, as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []
    script = (
        "import sys; from rig_robot.bringup.systems import NodeSpec;"
        "from rig_robot.bringup.process_runner import Runner;"
        f"sys.exit(Runner([NodeSpec(n, {module!r}, vital=True) for n in ('a', 'b')], {{}}).run())"
    )

    def start(**how: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", script], **how))  # type: ignore[call-overload]
        until(lambda: len(_nodes(started[-1])) == 2, "both nodes run", 20.0)
        time.sleep(0.3)
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(10)


def _nodes(runner: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [child for child in psutil.Process(runner.pid).children() if _is_node(child)]


def _is_node(process: psutil.Process) -> bool:
    try:
        return "--ros-args" in process.cmdline()
    except psutil.NoSuchProcess:  # it has just ended, or waits to be reaped
        return False


@pytest.fixture
def stuck() -> Iterator[int]:
    """Return a pipe that is full and that nothing reads, like a terminal after Ctrl-S."""
    read, written = os.pipe()
    os.set_blocking(written, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(written, b"x" * 4096)
    os.set_blocking(written, True)
    yield written
    os.close(read)
    os.close(written)


@pytest.mark.usefixtures("heeds_hangup")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_runner_whose_output_nobody_reads_ends_when_it_is_asked_to(start, stuck: int, how: signal.Signals) -> None:
    runner = start(stdout=stuck)
    family = psutil.Process(runner.pid).children()
    runner.send_signal(how)
    assert runner.wait(8) == 0
    assert not any(_alive(process) for process in family)


def test_a_runner_whose_output_nobody_reads_sees_the_end_of_a_vital_node(start, stuck: int) -> None:
    runner = start(stdout=stuck)
    _nodes(runner)[0].kill()
    assert runner.wait(8) == 1


def test_a_full_disk_stops_the_log_and_not_the_nodes(start) -> None:
    with Path("/dev/full").open("w") as full:
        runner = start(stdout=full, stderr=subprocess.PIPE)
    assert runner.poll() is None
    runner.terminate()
    assert runner.wait(8) == 0
    assert b"No space left on device" in runner.stderr.read() and b"Traceback" not in runner.stderr.read()


def test_what_a_slow_reader_gets_is_whole_and_what_is_too_much_is_counted(monkeypatch) -> None:
    monkeypatch.setattr(console, "BACKLOG", 100)
    read, written = os.pipe()
    slow = console.Console(written)
    for number in range(50):
        slow.say(f"{number} " + "x" * 2000)  # 100 kB: the pipe takes 64
    for number in range(50, 200):
        slow.say(str(number))
    heard = b""
    while slow.pending:  # also for a moment after all was read
        if select.select([read], [], [], 0.1)[0]:
            heard += os.read(read, 65536)
    slow.say("after")
    until(lambda: not slow.pending, "the last line is written")
    heard += os.read(read, 65536)
    os.close(read)
    lines = heard.decode().splitlines()
    kept = [int(line.split()[0]) for line in lines[:-2]]
    assert kept == list(range(len(kept))) and len(kept) >= 100
    assert lines[-2:] == [f"({200 - len(kept)} lines are missing here: they could not be written)", "after"]
