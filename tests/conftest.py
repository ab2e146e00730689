"""Every test session has a ROS domain of its own on the loopback, and a tiny checkpoint of random weights."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig_robot.bringup.environment import dds_profile

# Before anything imports rclpy. Domains above 101 would meet the ports that Linux hands out.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_LOG_DIR"] = str(Path(tempfile.gettempdir()) / f"rig_robot_test_logs_{os.getuid()}")
# The test process plays the camera driver: it publishes 640x480 frames.
os.environ.update(dds_profile("camera", {}))

# Before anything imports pyrealsense2, which brings a Fast DDS of its own: the other way round, a process that has used
# both crashes when it exits.
import rclpy  # noqa: F401


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that loads in every node; its weights are random (seed 0)."""
    from test_checkpoint import write

    directory = tmp_path_factory.mktemp("checkpoints") / "tiny"
    write(directory)
    return directory


@pytest.fixture
def listener() -> Iterator["Listener"]:  # noqa: F821
    """A node in the test process."""
    from ros_harness import Listener

    node = Listener()
    yield node
    node.close()
