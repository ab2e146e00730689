"""The command `rig doctor` reports each fault as a finding and goes on, and finds nothing in a healthy system."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from ros_harness import Listener, user_environment

from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.commands.doctor import run
from rig_robot.common.package_files import locate, share
from rig_robot.doctor.check_result import Finding, Level
from rig_robot.doctor.checks import camera, machine
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.doctor.options import DoctorOptions

OF_THE_MACHINE = {"orphaned memory", "processor", "scheduling", "ROS domain"}
"""What other processes of this machine have a say in."""


def doctor(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig_robot.cli", "doctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=user_environment(),
    )


def test_a_bad_configuration_is_one_finding_and_the_rest_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "robot.yaml"
    config.write_text(yaml.safe_dump({"arm": {"preset": "sawyer"}, "kamera": {}}))
    done = doctor("--config", config, "--json", tmp_path / "found.json")
    assert done.returncode == 1 and "kamera" in done.stdout and "Traceback" not in done.stderr, done.stderr
    found = {finding["name"]: finding["level"] for finding in json.loads((tmp_path / "found.json").read_text())}
    assert found["configuration"] == "FAIL" and found["rendering (GL)"] == "ok"


def test_a_damaged_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(locate(SHIPPED_CHECKPOINT), damaged)
    content = bytearray((damaged / "vae.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "vae.safetensors").write_bytes(content)
    assert run(DoctorOptions(checkpoint=str(damaged), sim=True)) == 1
    output = capsys.readouterr().out
    assert "vae.safetensors: sha256 is" in output


def test_a_check_that_raises_is_a_finding_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: ExaminedSystem) -> Finding:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(camera, "focus", broken)
    monkeypatch.setattr(machine, "rendering", lambda _: Finding("rendering (GL)", Level.OK, ""))
    assert run(DoctorOptions(sim=True, seconds=0.2, config=share("config", "sim.yaml"))) == 1
    output = capsys.readouterr().out
    assert "ZeroDivisionError: of all things" in output and "scheduling" in output


def test_without_a_running_system_nothing_fails_and_it_says_what_to_start(tmp_path: Path) -> None:
    config = tmp_path / "robot.yaml"
    config.write_text(yaml.safe_dump({"arm": {"preset": "sawyer"}, "camera": {"source": "topic"}}))
    done = doctor("--seconds", 0.5, "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("not running") >= 6 and "start the arm's" in done.stdout


@pytest.mark.alone  # the doctor rightly finds the gaps that four other tests make
def test_a_running_simulation_is_well(tmp_path: Path) -> None:
    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", "--goals", "-1"],
        stdout=subprocess.DEVNULL,
        env=user_environment(),
    )
    try:
        _wait_until_well()
        file = tmp_path / "found.json"
        for _ in range(3):  # on a busy machine a gap in the frames is found because it is there
            done = doctor("--sim", "--json", file)
            assert file.exists(), done.stdout + done.stderr
            found = [finding for finding in json.loads(file.read_text()) if finding["name"] not in OF_THE_MACHINE]
            assert len(found) > 18, done.stdout + done.stderr
            if all(finding["level"] == "ok" for finding in found):
                break
        else:
            pytest.fail(done.stdout)
    finally:
        system.terminate()
        system.wait(20)


def _wait_until_well() -> None:
    """Wait until each node of the simulation has told its health and the camera node says that frames pass."""
    listener = Listener()
    try:
        told = listener.hear(DiagnosticArray, "/diagnostics", 10)

        def well() -> bool:
            words = {status.name: status.message for message in told for status in message.status}
            return len(words) == 7 and words["camera"] == "frames are passed on"

        listener.until(well, "seven nodes tell of their health, and frames are passed on", 60.0)
    finally:
        listener.close()
