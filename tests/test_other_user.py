"""A robot of another user of this machine can be commanded and watched, or the commands say why not."""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ros_harness import user_environment

from rig_robot.bringup.environment import DDS_VARIABLES, dds_profile
from rig_robot.bringup.other_users import hint, over_udp, strangers
from rig_robot.doctor.check_result import Level
from rig_robot.doctor.checks import dds

# While another user has the first port of shared memory, Fast DDS complains in all our nodes, whatever their domain.
pytestmark = pytest.mark.alone

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # reads Python wherever it is installed
PORT = f"fastdds_port{7400 + 250 * 5 + 11}"
"""A port of domain 5."""

as_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="takes root to be two users")

ROBOT = """
import rclpy
from std_srvs.srv import SetBool
rclpy.init()
node = rclpy.create_node("arm")
def serve(request, response):
    response.success, response.message = True, "it is done"
    return response
node.create_service(SetBool, "arm/set_armed", serve)
print("there", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every user may write to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def environment(home: Path, profile: str = "") -> dict[str, str]:
    kept = user_environment()
    log = Path(tempfile.mkdtemp(dir=home))
    log.chmod(0o777)
    logs = {"ROS_LOG_DIR": str(log), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | logs | (dds_profile(profile, kept) if profile else {})


@as_root
@pytest.mark.parametrize(
    ("robot", "visitor"), [([], AS_NOBODY), (AS_NOBODY, [])], ids=["of root", "of an ordinary user"]
)
def test_a_robot_of_another_user_does_what_it_is_told_and_answers(
    home: Path, robot: list[str], visitor: list[str]
) -> None:
    serving = subprocess.Popen(
        [*robot, sys.executable, "-c", ROBOT], env=environment(home, "small"), stdout=subprocess.PIPE, cwd=home
    )
    tell = [*visitor, sys.executable, "-m", "rig_robot.cli", "tell", "disarm", "--timeout"]
    try:
        assert serving.stdout is not None and serving.stdout.readline() == b"there\n"
        told = subprocess.run([*tell, "20"], env=environment(home), capture_output=True, text=True, check=False)
        assert (told.returncode, told.stdout) == (0, "it is done\n"), told.stdout + told.stderr
        assert "cannot share memory" in told.stderr and "FASTDDS_BUILTIN_TRANSPORTS=UDPv4" in told.stderr
        # A profile of one's own stays; then the answer names what stands in the way, and what would help.
        told = subprocess.run([*tell, "2"], env=environment(home, "small"), capture_output=True, text=True, check=False)
        assert told.returncode == 1 and "cannot share memory" in told.stdout, told.stdout + told.stderr
        assert "FASTDDS_BUILTIN_TRANSPORTS=UDPv4" in told.stdout
    finally:
        serving.kill()
        serving.wait()
        # Each user's own: a sweep leaves files of others alone.
        for user in ([], AS_NOBODY):
            subprocess.run([*user, sys.executable, "-m", "rig_robot.bringup.shared_memory"], cwd=home, check=True)


@as_root
@pytest.mark.parametrize(("end", "kind"), [("_el", fcntl.LOCK_EX), ("_sl", fcntl.LOCK_SH)], ids=["alone", "shared"])
def test_only_living_processes_of_others_in_this_domain_count(tmp_path: Path, end: str, kind: int) -> None:
    lock = tmp_path / f"{PORT}{end}"
    lock.touch()
    ours, other = {"ROS_DOMAIN_ID": "5"}, {"ROS_DOMAIN_ID": "6"}
    with lock.open() as held:
        fcntl.flock(held, kind)
        assert strangers(ours, tmp_path) == []
        os.chown(lock, NOBODY, NOBODY)
        assert strangers(ours, tmp_path) == [f"user {pwd.getpwuid(NOBODY).pw_name}"]
        assert strangers(other, tmp_path) == [] and strangers({"ROS_DOMAIN_ID": "five"}, tmp_path) == []
    assert strangers(ours, tmp_path) == []


def test_a_command_over_udp_stays_on_this_machine_if_discovery_is_local() -> None:
    local = over_udp({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
    assert local["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
    text = next(Path(path).read_text() for path in local.values() if path.endswith("udp.xml"))
    assert "127.0.0.1" in text and "SHM" not in text
    assert over_udp({}) == {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
    for chosen in ({DDS_VARIABLES[0]: "mine.xml"}, {"FASTDDS_BUILTIN_TRANSPORTS": "SHM"}):
        assert over_udp(chosen) == {}
    assert dds_profile("small", {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}) == {}, "a profile would override it"


def test_the_doctor_names_the_other_user_and_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dds.users(None).level is Level.OK  # type: ignore[arg-type]
    monkeypatch.setattr(dds, "strangers", lambda _: ["user ann"])
    finding = dds.users(None)  # type: ignore[arg-type]
    assert finding.level is Level.WARN and "user ann" in finding.found and "UDPv4" in finding.advice
    assert hint(os.environ) == "", "where there is nobody else, nothing is said of others"
