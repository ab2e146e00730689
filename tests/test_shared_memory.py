"""Shared memory of ended processes is freed, that of running ones is not."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rig_robot.bringup.environment import dds_profile, simulation_environment
from rig_robot.bringup.shared_memory import FOLDER, orphans, sweep

NODE = "import rclpy, time; rclpy.init(); node = rclpy.create_node('n'); print('up', flush=True); rclpy.spin(node)"


def test_only_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    for name in ("0123456789abcdef", "port7412"):
        (tmp_path / f"fastdds_{name}").touch()
        (tmp_path / f"fastdds_{name}_el").touch()
    (tmp_path / "sem.fastdds_port7412_mutex").touch()
    (tmp_path / "fastdds_port7413").touch()
    (tmp_path / "sem.fastdds_port7413_mutex").touch()
    (tmp_path / "fastdds_of_somebody_else").touch()
    with (tmp_path / "fastdds_0123456789abcdef_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(tmp_path, young=0.0)
    assert {file.name for file in tmp_path.iterdir()} == {
        "fastdds_0123456789abcdef",
        "fastdds_0123456789abcdef_el",
        "fastdds_of_somebody_else",
    }


def test_two_sweeps_at_once_do_not_take_each_other_for_the_living(tmp_path: Path) -> None:
    for end in ("", "_el"):
        (tmp_path / f"fastdds_0123456789abcdef{end}").touch()
    (tmp_path / "fastdds_port7412_sl").touch()
    with (tmp_path / "fastdds_0123456789abcdef_el").open() as probe, (tmp_path / "fastdds_port7412_sl").open() as port:
        for lock in (probe, port):
            fcntl.flock(lock, fcntl.LOCK_SH)
        sweep(tmp_path, young=0.0)
    assert [file.name for file in tmp_path.iterdir()] == ["fastdds_port7412_sl"], "its listeners hold that one shared"


def test_no_process_can_begin_with_a_port_that_is_being_removed(tmp_path: Path) -> None:
    for end in ("", "_el"):
        (tmp_path / f"fastdds_port7412{end}").touch()
    files = orphans(tmp_path, young=0.0)
    with (tmp_path / "fastdds_port7412_el").open() as lock:
        next(files).unlink()
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert len(list(files)) == 2
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_file_that_has_just_been_made_is_left_to_its_process(tmp_path: Path) -> None:
    (tmp_path / "fastdds_0123456789abcdef_el").touch()
    assert sweep(tmp_path) == []


def test_twenty_killed_nodes_leave_shared_memory_as_it_was() -> None:
    left: set[str] = set()
    for _ in range(4):
        nodes = [_start() for _ in range(5)]
        for node in nodes:
            left |= _held(node.pid)
            node.send_signal(signal.SIGKILL)
            node.wait()
    assert len(left & _files()) >= 20, "the killed nodes left nothing: this test shows nothing"

    def after_a_sweep() -> set[str]:
        sweep()
        # A port may be shared: with nodes of other tests, which come and go.
        dead = left - {name for process in psutil.process_iter() for name in _held(process.pid)}
        return {name for name in _files() if any(owner in name for owner in dead)}

    end = time.monotonic() + 10.0
    while (there := after_a_sweep()) and time.monotonic() < end:
        time.sleep(0.3)
    assert not there


def test_a_living_node_keeps_its_shared_memory() -> None:
    node = _start()
    held = _held(node.pid)
    sweep(young=0.0)
    assert held and held <= _files()
    node.kill()
    node.wait()
    sweep(young=0.0)


def _start() -> subprocess.Popen:
    environment = {**os.environ, **simulation_environment(), **dds_profile("small", {})}
    node = subprocess.Popen([sys.executable, "-c", NODE], env=environment, stdout=subprocess.PIPE)
    assert node.stdout is not None and node.stdout.readline() == b"up\n"
    node.stdout.close()
    return node


def _held(pid: int) -> set[str]:
    """Return the shared memory that a process has mapped."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended in the meantime
        return set()
    return set(re.findall(r"/dev/shm/(fast\w+)", maps))


def _files() -> set[str]:
    return {file.name for file in FOLDER.iterdir()}
