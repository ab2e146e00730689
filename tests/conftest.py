"""Gives every test process a ROS domain of its own on the loopback, and a tiny checkpoint of random weights.

Tests run in parallel (pytest-xdist, `make test`); tests of a file that share its fixtures run in one worker.
"""

import os
import signal
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from rig_robot.bringup.environment import SIMULATION_DOMAIN, dds_profile

PROCESSES = ("subprocess", "Listener", "node_process", "NodeProcess", "start_training", "assert_survives", "fuzz")
"""Names that a test module has imported if it starts processes."""
WORKERS = 5
"""Largest number of workers of one run."""
SPAN = 2 * WORKERS
"""Domains of one run: two for each worker, since tests of two systems use the next one, too"""


def domain() -> int:
    """Return the ROS domain of this process: every worker of a run has its own, and other runs have other ones.

    Ports of domains above 101 would collide with those that Linux assigns by itself. The domain of `rig sim` is left
    out: a simulation that runs beside the tests must not be met.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    firsts = [first for first in range(1, 102 - SPAN, SPAN) if int(SIMULATION_DOMAIN) not in range(first, first + SPAN)]
    return firsts[zlib.crc32(run.encode()) % len(firsts)] + 2 * (worker % WORKERS)


# Before anything imports rclpy.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(domain())
os.environ["ROS_LOG_DIR"] = str(Path(tempfile.gettempdir()) / f"rig_robot_test_logs_{os.getuid()}")
# The test process acts as the camera driver and publishes 640x480 frames.
os.environ.update(dds_profile("camera", {}))
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
    config.addinivalue_line("markers", "alone: judges fractions of a second; `make test` runs these after all others")
    config.addinivalue_line("markers", "slow: takes several seconds; `make check` leaves these out, too")


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
