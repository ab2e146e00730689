"""Gives every test process a ROS domain of its own on the loopback, and a tiny checkpoint of random weights.

Tests run in parallel (pytest-xdist, `make test`); tests of a file that share its fixtures run in one worker.
"""

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from rig_robot.bringup.environment import DDS_VARIABLES, DISCOVERY, SIMULATION_DOMAIN, dds_profile
from rig_robot.common.node_name_claim import NameTaken, claim

PROCESSES = ("subprocess", "Listener", "node_process", "NodeProcess", "start_training", "assert_survives", "fuzz")
"""Names that a test module has imported if it starts processes."""
WORKERS = 5
"""Largest number of workers of one run."""
SPAN = 2 * WORKERS
"""Domains of one run: two for each worker, since tests of two systems use the next one, too"""
FIRST_DOMAIN = "RIG_TEST_FIRST_DOMAIN"
"""Variable by which a run tells its workers the first of its domains"""


def claimed_domains() -> tuple[int, socket.socket]:
    """Return the first ROS domain of this run of the tests, and the claim by which another run takes other ones.

    Ports of domains above 101 would collide with those that Linux assigns by itself. The domain of `rig sim` is left
    out: a simulation that runs beside the tests must not be met.
    """
    for first in range(1, 102 - SPAN, SPAN):
        if int(SIMULATION_DOMAIN) not in range(first, first + SPAN):
            with contextlib.suppress(NameTaken):
                return first, claim("tests", {"ROS_DOMAIN_ID": str(first)})
    raise pytest.UsageError("too many runs of the tests at once on this machine: wait until one has ended")


if "PYTEST_XDIST_WORKER" not in os.environ:
    FIRST, CLAIM = claimed_domains()
    os.environ[FIRST_DOMAIN] = str(FIRST)

# Before anything imports rclpy.
for variable in DDS_VARIABLES:
    os.environ.pop(variable, None)
os.environ[DISCOVERY] = "LOCALHOST"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["ROS_DOMAIN_ID"] = str(int(os.environ[FIRST_DOMAIN]) + 2 * (WORKER % WORKERS))
os.environ["ROS_LOG_DIR"] = str(Path(tempfile.gettempdir()) / f"rig_robot_test_logs_{os.getuid()}")
# The test process acts as the camera driver and publishes 640x480 frames.
os.environ.update(dds_profile("camera", os.environ))
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores

# How long an example takes says nothing on a machine that does other things beside.
hypothesis.settings.register_profile("rig_robot", deadline=None)
hypothesis.settings.load_profile("rig_robot")

# Import rclpy before pyrealsense2, which brings a Fast DDS of its own: in the other order, a process that has used both
# crashes when it exits.
import rclpy  # noqa: E402, F401


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "processes: of a file that starts processes; `make check` leaves these out")
    config.addinivalue_line("markers", "alone: judges seconds, or fractions; `make test` runs these after all others")
    config.addinivalue_line("markers", "slow: takes more than a second; `make check` leaves these out, too")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        module = item.module  # type: ignore[attr-defined]
        if any(hasattr(module, name) for name in PROCESSES):
            item.add_marker(pytest.mark.processes)
        fixtures = [found for each in item._fixtureinfo.name2fixturedefs.values() for found in each]  # type: ignore[attr-defined]
        if any(fixture.scope == "module" for fixture in fixtures):
            item.add_marker(pytest.mark.xdist_group(module.__name__))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint that loads in every node; its weights are random (seed 0)."""
    from test_checkpoint import write

    directory = tmp_path_factory.mktemp("checkpoints") / "tiny"
    write(directory)
    return directory


@pytest.fixture
def heeds_hangup() -> Iterator[None]:
    """Let processes of a test end by SIGHUP, though the tests run under nohup, which has them ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def listener() -> Iterator["Listener"]:  # noqa: F821
    """Return a node in the test process."""
    from ros_harness import Listener

    node = Listener()
    yield node
    node.close()
