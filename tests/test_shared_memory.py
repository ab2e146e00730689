"""Shared memory of ended processes is freed, that of running ones is not."""

import difflib
import fcntl
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ros_harness import mapped_segments, segments_in_use, user_environment

from rig_robot.bringup.environment import DDS_VARIABLES, dds_profile
from rig_robot.bringup.shared_memory import FOLDER, sweep

SERVER = """
import rclpy
from std_srvs.srv import Trigger
def answer(request, response):
    response.success = True
    return response
rclpy.init()
node = rclpy.create_node("server")
node.create_service(Trigger, "arm/estop", answer)
print("up", flush=True)
rclpy.spin(node)
"""
RIG = [sys.executable, "-m", "rig_robot.cli"]
NODE = "import rclpy, time; rclpy.init(); node = rclpy.create_node('n'); print('up', flush=True); rclpy.spin(node)"


def test_only_segments_that_nobody_holds_are_removed(tmp_path: Path) -> None:
    for name in ("0123456789abcdef", "fedcba9876543210", "port7412"):
        (tmp_path / f"fastdds_{name}").touch()
        (tmp_path / f"fastdds_{name}_el").touch()
    kept = {"fastdds_fedcba9876543210", "fastdds_fedcba9876543210_el", "fastdds_port7412", "fastdds_port7412_el"}
    for name in ("sem.fastdds_port7412_mutex", "fastdds_port7413", "fastdds_port7414_sl", "fastdds_of_somebody_else"):
        (tmp_path / name).touch()
        kept.add(name)
    with (tmp_path / "fastdds_fedcba9876543210_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep(tmp_path, young=0.0) == ["fastdds_0123456789abcdef", "fastdds_0123456789abcdef_el"]
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_two_sweeps_at_once_do_not_take_each_other_for_the_living(tmp_path: Path) -> None:
    for end in ("", "_el"):
        (tmp_path / f"fastdds_0123456789abcdef{end}").touch()
    with (tmp_path / "fastdds_0123456789abcdef_el").open() as probe:
        fcntl.flock(probe, fcntl.LOCK_SH)
        sweep(tmp_path, young=0.0)
    assert not list(tmp_path.iterdir())


def test_a_process_that_begins_after_a_sweep_hears_its_answer() -> None:
    """It listens on the port of one that has ended, which the node that answers still has open."""
    node = _start(SERVER)
    try:
        for _ in range(8):
            told = subprocess.run([*RIG, "tell", "stop", "--timeout", "20"], capture_output=True, text=True)
            assert told.returncode == 0, told
            sweep(young=0.0)
    finally:
        node.kill()
        node.wait()


def test_a_lock_file_that_has_just_been_made_is_left_to_its_process(tmp_path: Path) -> None:
    (tmp_path / "fastdds_0123456789abcdef_el").touch()
    assert sweep(tmp_path) == []


def test_twenty_killed_nodes_leave_shared_memory_as_it_was() -> None:
    left: set[str] = set()
    for _ in range(4):
        nodes = [_start() for _ in range(5)]
        for node in nodes:
            held = mapped_segments(node.pid)
            node.send_signal(signal.SIGKILL)
            node.wait()
            left |= held & _files()
    assert len(left) >= 20, "the killed nodes left nothing: this test shows nothing"

    def after_a_sweep() -> set[str]:
        sweep()
        dead = left - segments_in_use()  # nodes of other tests may have shared theirs with these
        return {name for name in _files() if any(segment in name for segment in dead)}

    end = time.monotonic() + 30.0
    while (there := after_a_sweep()) and time.monotonic() < end:
        time.sleep(0.3)
    assert not there


def test_a_living_node_keeps_its_shared_memory() -> None:
    node = _start()
    held = mapped_segments(node.pid)
    sweep(young=0.0)
    assert held and held <= _files()
    node.kill()
    node.wait()
    sweep(young=0.0)


@pytest.mark.parametrize("profile", ["camera", "composed", "composed_camera", "small"])
def test_a_process_that_keeps_to_this_machine_has_one_segment_and_looks_for_others_here_alone(profile: str) -> None:
    """With two of them a process disputes its ports with itself (docs/architecture.md, "Shared memory")."""
    node = _start(NODE, profile)
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{node.pid}/fd").iterdir() if link.is_symlink()]
        own = [Path(link).name for link in links if re.fullmatch(r"/dev/shm/fastdds_[0-9a-f]{16}_el", link)]
        assert len(own) == 1, own
        assert own[0].removesuffix("_el") in mapped_segments(node.pid)
    finally:
        node.kill()
        node.wait()
        sweep(young=0.0)
    plain, local = (Path(dds_profile(profile, given)[DDS_VARIABLES[0]]) for given in ({}, user_environment()))
    added = """
        <maxInitialPeersRange>32</maxInitialPeersRange>
          <metatrafficUnicastLocatorList> <locator> <udpv4/> </locator> </metatrafficUnicastLocatorList>
          <initialPeersList> <locator> <udpv4> <address>127.0.0.1</address> </udpv4> </locator> </initialPeersList>
    """
    lines = difflib.ndiff(*(file.read_text().split("-->", 1)[1].split() for file in (plain, local)))
    assert [line[2:] for line in lines if line[0] in "+-"] == added.split()


def _start(script: str = NODE, profile: str = "small") -> subprocess.Popen:
    environment = user_environment()
    environment |= dds_profile(profile, environment)
    node = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
    assert node.stdout is not None and node.stdout.readline() == b"up\n"
    node.stdout.close()
    return node


def _files() -> set[str]:
    return {file.name for file in FOLDER.iterdir()}
